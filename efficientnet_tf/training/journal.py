"""What a run says of itself while it goes on: progress, metrics, events."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass, replace
from types import TracebackType

import tensorflow as tf

from efficientnet_tf.data.bad_records import BadRecords
from efficientnet_tf.progress import Advance, progress, training_note
from efficientnet_tf.training.batches import host_batches
from efficientnet_tf.training.evaluation import Scores
from efficientnet_tf.training.events import Events
from efficientnet_tf.training.failures import device_errors
from efficientnet_tf.training.input_grid import SHOWN
from efficientnet_tf.training.model_dir import Metrics
from efficientnet_tf.training.plan import Plan
from efficientnet_tf.training.run import Run
from efficientnet_tf.training.schedules import learning_rate
from efficientnet_tf.training.state import TrainState


@dataclass(frozen=True)
class _Going:
    """How training went since the last evaluation.

    Attributes:
        loss: The mean one.
        learning_rate: Of the last step.
        gradient_norm: The same, before clipping.
        images_per_second: Evaluation not counted.
        waited_seconds: That the devices waited for images.
        input_wait_share: What share of the time that is.
    """

    loss: float
    learning_rate: float
    gradient_norm: float
    images_per_second: float
    waited_seconds: float
    input_wait_share: float


class Journal:
    """Keeps a run's metrics and events, and shows its progress.

    Used in a `with` block, after the training was restored. Of several hosts
    all keep the counts, and the first one writes and speaks.
    """

    def __init__(
        self, run: Run, plan: Plan, state: TrainState, *, writes: bool
    ):
        """Binds a journal to a run; nothing is written yet.

        Args:
            run: The run.
            plan: Its steps.
            state: Counts losses and seconds since the last evaluation.
            writes: Whether this host writes and speaks.
        """
        self._run = run
        self._plan = plan
        self._state = state
        self._writes = writes
        self._stack = ExitStack()
        self._events: Events | None = None
        self._advance: Advance | None = None
        self._top1: float | None = None
        self.bad_records = BadRecords(
            run.dataset, run.model_dir.path, run.config.data.max_bad_share
        )

    def take_back(self, *, resumed: bool) -> None:
        """Drops metrics of steps that will be done again.

        Args:
            resumed: Whether a checkpoint was restored.
        """
        if not self._writes:
            return
        directory = self._run.model_dir
        if not resumed and directory.metrics():
            print(
                f"{directory.path} has lost its checkpoints: it begins anew, "
                "from step 0",
                file=sys.stderr,
            )
        directory.keep_metrics_until(self._last_evaluated())

    def __enter__(self) -> Journal:
        """Opens the events, with what was decided and the first images."""
        if not self._writes:
            return self
        run, step = self._run, int(self._state.step.numpy())
        with ExitStack() as stack:
            self._events = stack.enter_context(
                Events(run.model_dir.tensorboard, self._last_evaluated())
            )
            self._events.hparams(run.config)
            if step == 0:
                self._show_inputs(self._events)
            self._advance = stack.enter_context(
                progress(run.network.name, self._plan.steps, step)
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes them, with a last line of progress."""
        self._stack.__exit__(kind, error, trace)

    @property
    def is_evaluated(self) -> bool:
        """Whether nothing was trained since the last evaluation."""
        return int(self._state.loss_count.numpy()) == 0

    def trained(self) -> None:
        """Notes how training goes, after some steps."""
        going = self._going()
        if self._events:
            self._events.training(
                int(self._state.step.numpy()),
                loss=going.loss,
                learning_rate=going.learning_rate,
                gradient_norm=going.gradient_norm,
                images_per_second=going.images_per_second,
                input_wait_share=going.input_wait_share,
                bad_records=self.bad_records.counts(),
            )
        self._show(going)

    def evaluated(self, averaged: Scores, raw: Scores | None) -> None:
        """Adds a line of metrics, and begins to count anew.

        Args:
            averaged: Of the averaged weights.
            raw: Of the weights as they are trained; None where nobody looked.
        """
        state, going = self._state, self._going()
        step = int(state.step.numpy())
        self._top1 = averaged.top1
        if self._events:
            self._run.model_dir.add_metrics(
                Metrics(
                    step=step,
                    epoch=step / self._plan.steps_per_epoch,
                    loss=going.loss,
                    learning_rate=going.learning_rate,
                    gradient_norm=going.gradient_norm,
                    top1=averaged.top1,
                    top5=averaged.top5,
                    images_per_second=going.images_per_second,
                    input_wait_seconds=going.waited_seconds,
                    raw_top1=raw.top1 if raw else None,
                    raw_top5=raw.top5 if raw else None,
                    bad_records=self.bad_records.counts(),
                )
            )
            self._events.evaluation(step, averaged=averaged, raw=raw)
        self._show(going)
        state.loss_sum.assign(0.0)
        for count in (state.loss_count, state.seconds, state.waited_seconds):
            count.assign(tf.zeros_like(count))

    def ended(self, averaged: Scores) -> None:
        """Notes the final figures."""
        if self._events:
            self._events.ended(int(self._state.step.numpy()), averaged)

    def _going(self) -> _Going:
        state = self._state
        steps = int(state.loss_count.numpy())
        seconds = float(state.seconds.numpy())
        waited = float(state.waited_seconds.numpy())
        rate = learning_rate(self._plan, state.step - 1)
        return _Going(
            loss=float(state.loss_sum.numpy()) / steps,
            learning_rate=float(rate.numpy()),
            gradient_norm=float(state.gradient_norm.numpy()),
            images_per_second=steps * self._run.config.train.batch / seconds,
            waited_seconds=waited,
            input_wait_share=min(1.0, waited / seconds),
        )

    def _show(self, going: _Going) -> None:
        if self._advance:
            note = training_note(
                loss=going.loss,
                images_per_second=going.images_per_second,
                input_wait_share=going.input_wait_share,
                top1=self._top1,
            )
            self._advance(int(self._state.step.numpy()), note)

    def _show_inputs(self, events: Events) -> None:
        """What the network is about to see."""
        run, train = self._run, self._run.config.train
        # Dealt to so many replicas that little more is read than is shown.
        replicas = [
            count
            for count in range(1, train.batch // SHOWN + 1)
            if train.batch % (2 * count * train.microbatches) == 0
            and train.batch // (count * train.microbatches) >= SHOWN
        ]
        context = tf.distribute.InputContext(
            num_replicas_in_sync=max(replicas, default=1)
        )
        # A service would hand out what is to be trained on.
        data = replace(run.config.data, service="")
        alone = replace(run, config=replace(run.config, data=data))
        first = host_batches(alone, context, start=0, dtype=tf.float32).take(1)
        with device_errors("reading the first images"):
            images, targets = next(first.as_numpy_iterator())
        events.inputs(images[:SHOWN], targets[:SHOWN], run.dataset.labels)

    def _last_evaluated(self) -> int:
        """The newest step whose evaluation stays.

        A run that was stopped where an evaluation is due is evaluated when it
        goes on, perhaps for the second time.
        """
        step = int(self._state.step.numpy())
        return step if self.is_evaluated else step - 1
