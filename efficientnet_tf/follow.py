"""Evaluates a training's checkpoints while it goes on."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from efficientnet_tf.data.manifest import Split
from efficientnet_tf.errors import InputError, RunError
from efficientnet_tf.files import make_folder, read_text, write_text
from efficientnet_tf.training.checkpoints import restore
from efficientnet_tf.training.config import Config
from efficientnet_tf.training.evaluation import Evaluator
from efficientnet_tf.training.events import Events
from efficientnet_tf.training.model_dir import ModelDir
from efficientnet_tf.training.state import by_path
from efficientnet_tf.training.strategy import make_strategy
from efficientnet_tf.training.trained import TrainedModel, load_trained

FOLLOWED = "follow.jsonl"
LOOK_SECONDS = 5.0


def follow(
    config: Config,
    model_dir: str,
    *,
    split: Split = "validation",
    labels: str = "",
    timeout: float | None = None,
    strategy: tf.distribute.Strategy | None = None,
) -> Iterator[dict[str, Any]]:
    """Evaluates each new checkpoint of a run until its training has ended.

    The training may go on in another process or on another machine. What is
    found goes to `evaluation/SPLIT/follow.jsonl` in the model directory, an
    object a line, and to TensorBoard under `tensorboard/follow`; steps that
    are there already are not evaluated again. A checkpoint that the training
    removes before it could be read is left out.

    Args:
        config: The run's config, in which data may have been changed.
        model_dir: The run.
        split: Which of the records.
        labels: As in `evaluate`.
        timeout: Seconds without a new checkpoint after which nobody waits any
            longer; None for no end.
        strategy: The devices; None for all GPUs, else the CPU.

    Yields:
        What was written: `step`, `top1, top5, loss` of the averaged weights,
        `raw_top1, raw_top5, raw_loss` of the others, and `images`.

    Raises:
        InputError: The data has other classes, or what is written cannot be.
        RunError: Records or a checkpoint cannot be used.
    """
    strategy = strategy or make_strategy("")
    directory = ModelDir(model_dir)
    folder = directory.join("evaluation", split)
    make_folder(folder, "--model_dir")
    log = _Log(os.path.join(folder, FOLLOWED))
    checkpoints = _new_checkpoints(directory, log.steps, timeout)
    follower: _Follower | None = None
    tensorboard = os.path.join(directory.tensorboard, "follow")
    with Events(tensorboard, max(log.steps, default=0)) as events:
        for step, path in checkpoints:
            try:
                follower = follower or _Follower(
                    config, model_dir, split, labels, strategy
                )
                follower.load(path)
            except RunError:
                if tf.io.gfile.exists(f"{path}.index"):
                    raise
                print(
                    f"step {step} was removed before it could be evaluated",
                    file=sys.stderr,
                )
                continue
            line = follower.evaluate(events, step, split)
            log.add(line)
            yield line


class _Follower:
    """A network whose weights are those of one checkpoint after another."""

    def __init__(
        self,
        config: Config,
        model_dir: str,
        split: Split,
        labels: str,
        strategy: tf.distribute.Strategy,
    ):
        with strategy.scope():
            self._trained: TrainedModel = load_trained(
                model_dir, config, labels=labels
            )
        dataset = self._trained.open_data()
        self._evaluate = Evaluator(
            self._trained.network,
            dataset,
            cut=self._trained.cut,
            batch=config.evaluate.batch,
            strategy=strategy,
            split=split,
            first_logit=self._trained.check_labels(dataset),
            max_bad_share=config.data.max_bad_share,
        )
        self._contents = tf.train.Checkpoint(
            averaged=by_path(self._trained.model),
            model=by_path(self._trained.raw),
        )

    def load(self, path: str) -> None:
        """Takes the weights of a checkpoint."""
        restore(self._contents, path)

    def evaluate(
        self, events: Events, step: int, split: Split
    ) -> dict[str, Any]:
        """Evaluates both kinds of weights and notes what came out."""
        trained = self._trained
        scores = raw = self._evaluate(trained.model)
        if trained.raw is not trained.model:
            raw = self._evaluate(trained.raw)
        events.evaluation(step, averaged=scores, raw=raw, split=split)
        return {
            "step": step,
            "top1": scores.top1,
            "top5": scores.top5,
            "loss": scores.loss,
            "raw_top1": raw.top1,
            "raw_top5": raw.top5,
            "raw_loss": raw.loss,
            "images": scores.images,
            "skipped": scores.skipped,
        }


class _Log:
    """`follow.jsonl`, and the steps in it."""

    def __init__(self, path: str):
        """Reads what is there.

        Raises:
            InputError: It is something else.
        """
        self._path = path
        # What follows the last line break was cut off while being written.
        lines = (read_text(path) or "").split("\n")[:-1]
        try:
            self.steps = {int(json.loads(line)["step"]) for line in lines}
        except (ValueError, TypeError, KeyError):
            raise InputError(
                f"{path} holds a line without a step; remove the file"
            ) from None
        if lines:
            write_text(path, "".join(f"{line}\n" for line in lines))

    def add(self, line: dict[str, Any]) -> None:
        """Appends a line."""
        with tf.io.gfile.GFile(self._path, "a") as file:
            file.write(json.dumps(line) + "\n")
        self.steps.add(line["step"])


def _new_checkpoints(
    directory: ModelDir, done: set[int], timeout: float | None
) -> Iterator[tuple[int, str]]:
    """Steps and paths of checkpoints as they appear, until the run has ended.

    Args:
        directory: The run's.
        done: Steps to leave out.
        timeout: As in `follow`.
    """
    seen = set(done)
    last_news = time.monotonic()
    while True:
        # In this order: the last checkpoint is there before the result is.
        ended = directory.result() is not None or directory.imported()
        for step, path in _present(directory.checkpoints):
            if step not in seen:
                seen.add(step)
                yield step, path
                last_news = time.monotonic()
        if ended:
            return
        waited = time.monotonic() - last_news
        if timeout is not None and waited >= timeout:
            print(
                f"{directory.path}: no new checkpoint for {timeout:g} seconds",
                file=sys.stderr,
            )
            return
        time.sleep(LOOK_SECONDS)


def _present(folder: str) -> list[tuple[int, str]]:
    """Steps and paths of a folder's checkpoints, the oldest first."""
    state = tf.train.get_checkpoint_state(folder)
    if state is None:
        return []
    found = []
    for path in state.all_model_checkpoint_paths:
        step = re.search(r"-(\d+)$", path)
        if step and tf.io.gfile.exists(f"{path}.index"):
            found.append((int(step.group(1)), path))
    return sorted(found)
