"""A trace of some steps of a training, for TensorBoard's profiler."""

from __future__ import annotations

import re
from dataclasses import dataclass

import tensorflow as tf

from efficientnet_tf.errors import InputError

FLAG = "--profile_steps"


@dataclass(frozen=True)
class ProfileSteps:
    """Which steps are traced, both ends included; the first one is step 1."""

    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> ProfileSteps:
        """Reads "100,110".

        Raises:
            InputError: It is something else.
        """
        found = re.fullmatch(r"\s*(\d+)\s*,\s*(\d+)\s*", text, re.ASCII)
        first, last = map(int, found.groups()) if found else (0, 0)
        if not 1 <= first < last:
            raise InputError(
                f"{FLAG} {text!r} must be two whole numbers from 1, the "
                f"smaller one first, as in {FLAG}=100,110"
            )
        return cls(first, last)


class Profile:
    """Traces the steps of a training that it is told, and no others.

    An evaluation or a checkpoint that falls between two of them is in the
    trace as well.

    A training asks `next_stop` where to stop, and says `before` and `after`
    each of its calls how many steps are done.
    """

    def __init__(self, steps: ProfileSteps | None, folder: str):
        """Traces nothing yet.

        Args:
            steps: Which ones; None for none at all.
            folder: Where TensorBoard looks, local or gs://.
        """
        self._steps = steps
        self._folder = folder
        self._mark: tf.profiler.experimental.Trace | None = None
        self._running = False

    def check(self, steps: int) -> None:
        """Raises InputError where a training is too short for the trace."""
        if self._steps and self._steps.last > steps:
            raise InputError(
                f"{FLAG} {self._steps.first},{self._steps.last} goes beyond "
                f"the training, which has {steps:,} steps"
            )

    def next_stop(self, step: int, stop: int) -> int:
        """Where to stop so that the trace begins and ends there.

        Args:
            step: Steps done.
            stop: Where the training would stop otherwise.
        """
        if self._steps is None:
            return stop
        ends = (self._steps.first - 1, self._steps.last)
        return min([stop, *(end for end in ends if step < end)])

    def before(self, step: int) -> None:
        """Begins the trace if the next step is to be in it.

        A training that goes on in the midst of them traces what is left.
        """
        steps = self._steps
        if steps is None or not steps.first <= step + 1 <= steps.last:
            return
        if not self._running:
            tf.profiler.experimental.start(self._folder)
            self._running = True
        # By this TensorBoard tells the calls from what is between them.
        self._mark = tf.profiler.experimental.Trace(
            "train", step_num=step + 1, _r=1
        )
        self._mark.__enter__()

    def after(self, step: int) -> None:
        """Ends the trace if its last step is done."""
        if self._mark is not None:
            self._mark.__exit__(None, None, None)
            self._mark = None
        if self._running and self._steps and step >= self._steps.last:
            self.close()

    def close(self) -> None:
        """Ends a trace that was begun, whatever came in between."""
        if self._running:
            self._running = False
            tf.profiler.experimental.stop()
