"""Ranges of calibration: numbers made by hand, and the converter itself."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from edgetpu import quantize as quantize_module
from edgetpu.calibration_histograms import BINS, Histogram, histograms
from edgetpu.quantize import quantize
from edgetpu.ranges import (
    IMAGES_LEFT_OUT,
    LEFT_OUT,
    chosen_range,
    squared_error,
)
from edgetpu.reader import read_graph, read_model
from efficientnet_tf.training.config import CalibrationRange


def counted(values, low=None, high=None):
    """NumPy's own histogram; each row is an image, if there are rows."""
    rows = np.atleast_2d(values)
    lows, highs = [
        np.array([end(row.tolist() + [0.0]) for row in rows])
        for end in (min, max)
    ]
    values = np.ravel(values)
    values = np.asarray(values, np.float64)
    low = min(values.min(), 0.0) if low is None else low
    high = max(values.max(), 0.0) if high is None else high
    some = values[values != 0]
    counts, _ = np.histogram(some, BINS, (low, high))
    return Histogram(low, high, counts, len(values) - len(some), lows, highs)


def int8_error(values, low, high):
    """What int8 makes of the values, less the values: squares, summed."""
    scale = (high - low) / 255
    zero_point = np.rint(-low / scale)
    steps = np.clip(np.rint(values / scale) + zero_point, 0, 255)
    return float((((steps - zero_point) * scale - values) ** 2).sum())


@pytest.fixture(scope="module")
def outliers():
    """A bell of width 1, and one value in 10,000 far out at 40."""
    random = np.random.default_rng(0)
    values = random.normal(0, 1, 200_000)
    values[:20] = 40
    return values


def test_minmax_keeps_everything(outliers):
    found = chosen_range(counted(outliers), "minmax")
    assert found == (outliers.min(), 40.0)


@pytest.mark.parametrize("zeros", [0, 100_000])
def test_percentile_leaves_out_what_it_says(outliers, zeros):
    values = np.concatenate([outliers, np.zeros(zeros)])
    low, high = chosen_range(counted(values), "percentile")
    # No more than its share at each end, and a bin less would be more.
    width = (40 - values.min()) / BINS
    allowed = LEFT_OUT * len(values)
    assert (values > high).sum() <= allowed < (values > high - width).sum()
    assert (values < low).sum() <= allowed < (values < low + width).sum()


def test_percentile_of_a_relu_keeps_zero():
    random = np.random.default_rng(1)
    values = np.maximum(random.normal(0, 1, 100_000), 0)
    low, high = chosen_range(counted(values), "percentile")
    assert low == 0
    assert 3 < high < values.max()


def test_percentile_of_what_is_hardly_ever_anything():
    values = np.zeros(1_000_000)
    values[:3] = 5
    assert chosen_range(counted(values), "percentile") == (0.0, 5.0)


def test_an_image_of_its_own_kind_sets_no_range():
    """All its values are far out: more than any share of all the values."""
    random = np.random.default_rng(2)
    images = random.normal(0, 1, (200, 1_000))
    kept = images[: -int(IMAGES_LEFT_OUT * len(images))]
    images[len(kept) :] *= 50
    histogram = counted(images)
    low, high = chosen_range(histogram, "image_percentile")
    assert (low, high) == (kept.min(), kept.max())
    # By its share of the values it would.
    assert chosen_range(histogram, "percentile")[1] > 10 * high


def test_of_a_few_images_none_is_left_out():
    images = np.arange(-20, 20.0).reshape(40, 1)
    found = chosen_range(counted(images), "image_percentile")
    assert found == (-20.0, 19.0)


def test_what_is_zero_in_most_images_keeps_its_range():
    images = np.zeros((100, 10))
    images[7, 3] = 5
    found = chosen_range(counted(images), "image_percentile")
    assert found == (0.0, 5.0)


@pytest.mark.parametrize("method", get_args(CalibrationRange))
def test_nothing_but_zeros(method):
    zeros = np.zeros(3)
    empty = Histogram(0.0, 0.0, np.zeros(BINS, np.int64), 7, zeros, zeros)
    assert chosen_range(empty, method) == (0.0, 0.0)


def test_mse_has_less_error_than_either_in_int8_itself(outliers):
    histogram = counted(outliers[20:])
    low, high = chosen_range(histogram, "mse")
    ours = int8_error(outliers[20:], low, high)
    wide = int8_error(outliers[20:], histogram.low, histogram.high)
    assert ours < wide
    # Nor does any other range do much better.
    tried = [
        int8_error(outliers[20:], low * a, high * b)
        for a in np.linspace(0.7, 1.3, 13)
        for b in np.linspace(0.7, 1.3, 13)
    ]
    assert ours < 1.02 * min(tried)


def test_mse_does_not_clip_what_is_flat():
    # A uniform distribution is held best as a whole.
    values = np.linspace(-1, 1, 100_001)
    low, high = chosen_range(counted(values), "mse")
    assert low == pytest.approx(-1, abs=0.02)
    assert high == pytest.approx(1, abs=0.02)


def test_expected_error_is_that_of_int8(outliers):
    histogram = counted(outliers)
    for low, high in ((-4, 40), (-3, 3), (-2, 6)):
        assert squared_error(histogram, low, high) == pytest.approx(
            int8_error(outliers, low, high), rel=0.03
        )


@pytest.fixture(scope="module")
def calibrated(converted):
    """A small network, and images to calibrate it with."""
    made = converted("efficientnet-lite0")
    random = np.random.default_rng(5)
    images = random.integers(0, 256, (6, 32, 32, 3)).astype(np.uint8)
    images[-2:] = [[[[0]]], [[[255]]]]
    return made, images


@pytest.fixture(scope="module")
def plain(calibrated) -> bytes:
    """The converter's own file of it."""
    made, images = calibrated
    return quantize(
        made.network, made.model, images, calibration_range="minmax"
    )


def with_method(made, images, method, monkeypatch, chosen=None, **options):
    """Quantises; `chosen` takes the place of the choice of ranges."""
    seen = {}

    def watched(content, ranges, inputs):
        seen.update(content=content, ranges=ranges)
        seen["histograms"] = histograms(content, ranges, inputs)
        return seen["histograms"]

    monkeypatch.setattr(quantize_module, "histograms", watched)
    if chosen:
        monkeypatch.setattr(quantize_module, "chosen_range", chosen)
    content = quantize(
        made.network, made.model, images, calibration_range=method, **options
    )
    return content, seen


@pytest.mark.parametrize(
    "inference_type", ["uint8", pytest.param("int8", marks=pytest.mark.slow)]
)
def test_by_the_extremes_it_is_the_converters_own_file(
    calibrated, plain, monkeypatch, inference_type
):
    """The proof of the detour: all but the choice is as the converter's."""
    made, images = calibrated
    theirs = plain
    if inference_type == "int8":
        theirs = quantize(
            made.network,
            made.model,
            images,
            inference_type=inference_type,
            calibration_range="minmax",
        )
    ours, seen = with_method(
        made,
        images,
        "mse",
        monkeypatch,
        chosen=lambda histogram, _: (histogram.low, histogram.high),
        inference_type=inference_type,
    )
    assert seen["ranges"]
    # Operators, tensors, weights and quantisation; a hash in the notes of the
    # converter differs.
    assert read_model(ours).graphs == read_model(theirs).graphs


def test_histograms_are_of_the_values_that_run_through(calibrated, monkeypatch):
    import keras

    from edgetpu.quantize import device_model

    made, images = calibrated
    _, seen = with_method(made, images, "percentile", monkeypatch)
    graph = read_graph(seen["content"])
    inputs = (images.astype(np.float32) - 127) / 128
    names = {place: graph.tensors[place].name for place in seen["ranges"]}
    for layer in ("stem_activation", "avg_pool"):
        (place,) = (p for p, name in names.items() if layer in name)
        device = device_model(made.network, made.model)
        inner = device.layers[1]
        part = keras.Model(inner.input, inner.get_layer(layer).output)
        rows = np.stack([part(x[None]).numpy().ravel() for x in inputs])
        values = rows.ravel()
        histogram = seen["histograms"][place]
        assert histogram.high == pytest.approx(values.max(), rel=1e-5)
        assert histogram.low == pytest.approx(min(values.min(), 0), abs=1e-6)
        assert histogram.highs == pytest.approx(rows.max(axis=1), rel=1e-5)
        lows = np.minimum(rows.min(axis=1), 0)
        assert histogram.lows == pytest.approx(lows, abs=1e-6)
        assert histogram.counts.sum() + histogram.zeros == len(values)
        assert histogram.zeros == pytest.approx((values == 0).sum(), abs=5)
        theirs = counted(values, histogram.low, histogram.high)
        # Float rounding moves a value to the next bin now and then.
        far = np.abs(np.cumsum(histogram.counts) - np.cumsum(theirs.counts))
        assert far.max() <= 0.001 * len(values) + 1


def test_ends_of_an_image_hold_zero(float_model):
    """As every range of int8 does, whatever the signs of the values."""
    images = [np.full((1, 8, 8, 3), x, np.float32) for x in (5, -3)]
    ranges = {0: (-3.0, 5.0), 1: (0.0, 5.0)}
    taken, given = histograms(float_model, ranges, images).values()
    assert (taken.lows.tolist(), taken.highs.tolist()) == ([0, -3], [5, 0])
    assert (given.lows.tolist(), given.highs.tolist()) == ([0, 0], [5, 0])


@pytest.mark.parametrize(
    "method", [pytest.param("percentile", marks=pytest.mark.slow), "mse"]
)
def test_input_and_output_stay_as_they_are(
    calibrated, plain, monkeypatch, method
):
    made, images = calibrated
    content, seen = with_method(made, images, method, monkeypatch)
    graph = read_graph(content)
    taken, given = (
        graph.tensors[graph.inputs[0]],
        graph.tensors[graph.outputs[0]],
    )
    assert (taken.dtype, taken.scale, taken.zero_point) == (
        "uint8",
        (1 / 128,),
        (127,),
    )
    assert (given.dtype, given.scale, given.zero_point) == (
        "uint8",
        (1 / 256,),
        (0,),
    )
    # Logits keep their range, and something else was made narrower.
    theirs = read_graph(plain)
    scales = {t.name: t.scale for t in theirs.tensors if not t.constant}
    ours = {t.name: t.scale for t in graph.tensors if not t.constant}
    assert ours.keys() == scales.keys()
    narrower = [name for name in ours if ours[name][0] < scales[name][0]]
    assert narrower
    assert not any("predictions" in name for name in narrower)
    assert not [n for n in ours if ours[n][0] > scales[n][0] * 1.0001]
    again, _ = with_method(made, images, method, monkeypatch)
    assert again == content


@pytest.mark.parametrize(
    "method",
    [
        "image_percentile",
        pytest.param("percentile", marks=pytest.mark.slow),
        pytest.param("mse", marks=pytest.mark.slow),
    ],
)
def test_colours_are_told_apart_by_every_method(
    lite, pictures, with_extremes, method
):
    from test_quantize import float_scores, int8_scores

    images, _ = pictures(24, seed=1)
    content = quantize(
        lite.network,
        lite.model,
        with_extremes(images),
        calibration_range=method,
    )
    new, _ = pictures(40, seed=5)
    truth, found = float_scores(lite, new), int8_scores(content, new)
    assert np.mean(truth.argmax(-1) == found.argmax(-1)) > 0.9
    assert np.abs(truth - found).mean() < 0.02


@pytest.mark.parametrize(
    ("method", "clipped"), [("mse", False), ("image_percentile", True)]
)
def test_which_methods_choose_the_range_of_an_output(
    calibrated, monkeypatch, method, clipped
):
    made, images = calibrated
    _, seen = with_method(made, images, method, monkeypatch, head="logits")
    graph = read_graph(seen["content"])
    assert set(graph.inputs).isdisjoint(seen["ranges"])
    assert set(graph.outputs) & set(seen["ranges"]) == (
        set(graph.outputs) if clipped else set()
    )


def test_logits_are_as_fine_as_most_images_allow(calibrated, monkeypatch):
    """Behind the softmax's input is a range that leaves one image out."""
    made, images = calibrated
    many = np.concatenate([np.repeat(images[:2], 30, axis=0), images])
    content, seen = with_method(made, many, "image_percentile", monkeypatch)
    graph = read_graph(content)
    (softmax,) = (op for op in graph.operators if op.name == "SOFTMAX")
    calibrated_graph = read_graph(seen["content"])
    (theirs,) = (
        op for op in calibrated_graph.operators if op.name == "SOFTMAX"
    )
    histogram = seen["histograms"][theirs.inputs[0]]
    low, high = chosen_range(histogram, "image_percentile")
    assert graph.tensors[softmax.inputs[0]].scale[0] == pytest.approx(
        (high - low) / 255, rel=1e-5
    )
