"""Which range of a tensor's values int8 is to hold."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgetpu.calibration_histograms import Histogram
from efficientnet_tf.training.config import CalibrationRange

# Share of the values that "percentile" leaves out at each end: 99.99 % stay.
LEFT_OUT = 5e-5
# Share of the images whose extremes "image_percentile" leaves out at each end.
IMAGES_LEFT_OUT = 0.02
# "mse" tries each end at so many places, down to a quarter of the way to it.
_TRIES, _NEAREST = 193, 0.25
_STEPS = 255


def chosen_range(
    histogram: Histogram, method: CalibrationRange
) -> tuple[float, float]:
    """The smallest and the largest value that int8 is to hold.

    Values beyond are taken for the nearest of the two; the others get finer
    steps for it.

    Args:
        histogram: Of the tensor.
        method: "minmax" for all that there is; "image_percentile" for all
            values of all images but `IMAGES_LEFT_OUT` at either end;
            "percentile" for all but `LEFT_OUT` of the values at either end,
            whichever images they are from; "mse" for the range with
            the least expected squared error: (step)^2 / 12 for a value inside,
            nothing for 0, the squared distance to the range for one outside.

    Returns:
        At most 0, and at least 0.
    """
    return _METHODS[method](histogram)


def _minmax(histogram: Histogram) -> tuple[float, float]:
    return histogram.low, histogram.high


def _image_percentile(histogram: Histogram) -> tuple[float, float]:
    """What as many images as said may be beyond, no more."""
    out = int(IMAGES_LEFT_OUT * len(histogram.lows))
    low = float(np.sort(histogram.lows)[out])
    high = float(np.sort(histogram.highs)[-1 - out])
    return (low, high) if low < high else _minmax(histogram)


def _percentile(histogram: Histogram) -> tuple[float, float]:
    """Ends of bins, so that no more is left out than said."""
    edges = np.linspace(
        histogram.low, histogram.high, len(histogram.counts) + 1
    )
    counts = histogram.counts
    allowed = LEFT_OUT * (int(counts.sum()) + histogram.zeros)
    # Whole bins at either end whose values together are not too many.
    below = int(np.searchsorted(np.cumsum(counts), allowed, "right"))
    above = int(np.searchsorted(np.cumsum(counts[::-1]), allowed, "right"))
    low = min(float(edges[below]), 0.0)
    high = max(float(edges[len(counts) - above]), 0.0)
    # Of a tensor that is hardly ever anything but 0, something is kept.
    return (low, high) if low < high else _minmax(histogram)


def _mse(histogram: Histogram) -> tuple[float, float]:
    """Moves one end while the other stays, in turn, until neither gains."""
    low, high = histogram.low, histogram.high
    shares = np.linspace(1.0, _NEAREST, _TRIES)
    while True:
        before = low, high
        high = _best(histogram, [(low, histogram.high * s) for s in shares])[1]
        low = _best(histogram, [(histogram.low * s, high) for s in shares])[0]
        if (low, high) == before:
            return low, high


def _best(
    histogram: Histogram, ranges: list[tuple[float, float]]
) -> tuple[float, float]:
    """The range of least error, the widest of those that are as good."""
    errors = [squared_error(histogram, low, high) for low, high in ranges]
    return ranges[int(np.argmin(errors))]


def squared_error(histogram: Histogram, low: float, high: float) -> float:
    """Expected squared error of int8 over all values, as `chosen_range` has it.

    Args:
        histogram: Of the tensor.
        low: The smallest value that int8 holds, at most 0.
        high: The largest one, at least 0.
    """
    centres, counts = histogram.centres, histogram.counts
    step = (high - low) / _STEPS
    outside = centres - np.clip(centres, low, high)
    inside = int(counts[outside == 0].sum())
    return float(counts @ outside**2 + inside * step**2 / 12)


_METHODS: dict[CalibrationRange, Callable[[Histogram], tuple[float, float]]] = {
    "minmax": _minmax,
    "image_percentile": _image_percentile,
    "percentile": _percentile,
    "mse": _mse,
}
