"""What TensorBoard shows of a run.

Events are written by TensorBoard's own writer: it takes the mark by which a
run that goes on where it stopped takes back what it said of later steps.
"""

from __future__ import annotations

import dataclasses
import io
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams.summary import session_end_pb
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from efficientnet_tf.errors import RunError
from efficientnet_tf.training.config import Config
from efficientnet_tf.training.evaluation import Scores
from efficientnet_tf.training.failures import device_errors
from efficientnet_tf.training.input_grid import draw_inputs


class Events:
    """Writes events of a run, in a `with` block."""

    def __init__(self, folder: str, step: int = 0):
        """Begins a file of events.

        Args:
            folder: Where TensorBoard looks, local or gs://.
            step: Steps done. What an earlier process wrote of later ones,
                which will be done again, is taken back.
        """
        self._folder = folder
        with self._errors():
            self._writer = EventFileWriter(folder)
        # Without a process before this one there is nothing to take back.
        self._add_event(
            Event(
                wall_time=time.time(),
                step=step + 1,
                session_log=SessionLog(status=SessionLog.START),
            )
        )

    def __enter__(self) -> Events:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            with self._errors():
                self._writer.close()
        except RunError:
            # Where there is no room, what failed before is what counts.
            if error is None:
                raise

    def inputs(
        self, images: np.ndarray, labels: np.ndarray, names: Sequence[str]
    ) -> None:
        """Shows the first images of a batch as one picture.

        Args:
            images: `[batch, height, width, 3]` on 0..255, augmented.
            labels: The class of each, `[batch]`, or its shares of all
                classes, `[batch, classes]`.
            names: Of the classes.
        """
        picture = draw_inputs(images, labels, names)
        content = io.BytesIO()
        picture.save(content, "PNG")
        image = Summary.Image(
            height=picture.height,
            width=picture.width,
            colorspace=3,
            encoded_image_string=content.getvalue(),
        )
        value = Summary.Value(tag="train/inputs", image=image)
        self._add(Summary(value=[value]), 0)

    def hparams(self, config: Config) -> None:
        """Gives TensorBoard's HParams what was decided about the run."""
        values = {
            f"{section.name}.{field.name}": getattr(part, field.name)
            for section in dataclasses.fields(config)
            for part in [getattr(config, section.name)]
            for field in dataclasses.fields(part)
        }
        known = {
            name: value if isinstance(value, bool | int | float) else str(value)
            for name, value in values.items()
            if value is not None
        }
        self._add(hparams_pb(known), 0)

    def training(
        self,
        step: int,
        *,
        loss: float,
        learning_rate: float,
        gradient_norm: float,
        images_per_second: float,
        input_wait_share: float,
        bad_records: Mapping[str, int],
    ) -> None:
        """Notes how training goes.

        Args:
            step: Steps done.
            loss: The mean one since the last evaluation.
            learning_rate: Of the last step.
            gradient_norm: Over all weights, before it is clipped.
            images_per_second: Trained on, evaluation not counted.
            input_wait_share: Share of that time, 0 to 1, that the devices
                waited for images.
            bad_records: How many training records could not be used so far,
                by reason.
        """
        self._scalars(
            step,
            {
                "train/loss": loss,
                "train/learning_rate": learning_rate,
                "train/gradient_norm": gradient_norm,
                "train/images_per_second": images_per_second,
                "train/input_wait_share": input_wait_share,
                **{
                    f"train/bad_records/{reason.replace(' ', '_')}": count
                    for reason, count in bad_records.items()
                },
            },
        )

    def evaluation(
        self,
        step: int,
        *,
        averaged: Scores,
        raw: Scores | None = None,
        split: str = "validation",
    ) -> None:
        """Notes an evaluation, and lets TensorBoard see all that was noted.

        Args:
            step: Steps done.
            averaged: Of the averaged weights.
            raw: Of the weights as they were trained; None where nobody looked
                or they are the same.
            split: Of which records.
        """
        kinds = [("", averaged)]
        if raw is not None:
            kinds.append(("raw_", raw))
        self._scalars(
            step,
            {
                f"{split}/{kind}{name}": getattr(scores, name)
                for kind, scores in kinds
                for name in ("top1", "top5", "loss")
            },
        )
        self._flush()

    def ended(self, step: int, averaged: Scores) -> None:
        """Notes the final figures, which HParams puts beside what was decided.

        Args:
            step: Steps done.
            averaged: Of the averaged weights.
        """
        figures = {"final/top1": averaged.top1, "final/top5": averaged.top5}
        self._scalars(step, figures)
        end = session_end_pb(api_pb2.STATUS_SUCCESS)
        # TensorFlow's class of the same message.
        self._add(Summary.FromString(end.SerializeToString()), step)
        self._flush()

    def _scalars(self, step: int, values: dict[str, float]) -> None:
        self._add(
            Summary(
                value=[
                    Summary.Value(tag=tag, simple_value=value)
                    for tag, value in values.items()
                ]
            ),
            step,
        )

    def _add(self, summary: Summary, step: int) -> None:
        self._add_event(
            Event(wall_time=time.time(), step=step, summary=summary)
        )

    def _add_event(self, event: Event) -> None:
        with self._errors():
            self._writer.add_event(event)

    def _flush(self) -> None:
        with self._errors():
            self._writer.flush()

    def _errors(self) -> AbstractContextManager[None]:
        return device_errors(f"writing {self._folder}")
