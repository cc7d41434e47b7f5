"""How often each value occurs in each tensor, over calibration images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edgetpu.run.quiet import quiet

BINS = 2048


@dataclass(frozen=True)
class Histogram:
    """Values of a tensor.

    Attributes:
        low: The smallest one; 0 where all are above it.
        high: The largest one; 0 where all are below it.
        counts: int64 `[bins]`: values other than 0, in bins of equal width
            from `low` to `high`.
        zeros: Values that are 0, as many are behind a ReLU. Every int8 range
            holds 0 exactly.
        lows: Float64 `[images]`: the smallest value of each image, at most 0.
        highs: Float64 `[images]`: the largest one, at least 0.
    """

    low: float
    high: float
    counts: np.ndarray
    zeros: int
    lows: np.ndarray
    highs: np.ndarray

    @property
    def centres(self) -> np.ndarray:
        """The middle of each bin, float64 `[bins]`."""
        bins = len(self.counts)
        width = (self.high - self.low) / bins
        return self.low + width * (np.arange(bins) + 0.5)


def histograms(
    content: bytes,
    ranges: Mapping[int, tuple[float, float]],
    inputs: Iterable[np.ndarray],
) -> dict[int, Histogram]:
    """Runs a float model and counts the values that come by.

    Args:
        content: The bytes of a `.tflite` file that computes in float32.
        ranges: The smallest and the largest value that the tensors to look at,
            by their numbers in the file, have on these inputs.
        inputs: Of the model, float32, one after the other.

    Returns:
        The histogram of each of those tensors, the same each time.
    """
    found = {
        place: _Counting(min(low, 0.0), max(high, 0.0))
        for place, (low, high) in ranges.items()
    }
    with quiet():
        interpreter = Interpreter(
            model_content=content,
            num_threads=1,
            # A delegate would keep what is between its operators to itself.
            experimental_op_resolver_type=(
                OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
            ),
            experimental_preserve_all_tensors=True,
        )
        interpreter.allocate_tensors()
    (taken,) = interpreter.get_input_details()
    for values in inputs:
        interpreter.set_tensor(taken["index"], values)
        interpreter.invoke()
        for place, counting in found.items():
            counting.add(interpreter.get_tensor(place))
    return {place: counting.histogram() for place, counting in found.items()}


class _Counting:
    """A histogram in the making."""

    def __init__(self, low: float, high: float):
        self._low, self._high = low, high
        self._counts = np.zeros(BINS, np.int64)
        self._zeros = 0
        self._ends: list[tuple[float, float]] = []

    def add(self, values: np.ndarray) -> None:
        values = values.ravel()
        self._ends.append((min(values.min(), 0.0), max(values.max(), 0.0)))
        some = values[values != 0]
        self._zeros += len(values) - len(some)
        if self._high == self._low:
            return
        # The last bin takes its own upper end, and what another kernel has
        # rounded to beyond the range.
        place = (some - self._low) * (BINS / (self._high - self._low))
        bins = np.clip(place.astype(np.int64), 0, BINS - 1)
        self._counts += np.bincount(bins, minlength=BINS)

    def histogram(self) -> Histogram:
        lows, highs = np.array(self._ends, np.float64).T
        return Histogram(
            self._low, self._high, self._counts, self._zeros, lows, highs
        )
