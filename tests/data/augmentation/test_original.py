"""The original ops have the original's arithmetic, with its quirks.

Held against what the original's own code gave (`tests/golden`), against NumPy
written from what its formulae say, and against TensorFlow's own kernel of
projective transforms, which is the one the original calls.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from efficientnet_tf.data.augmentation.applying import ARITHMETICS
from efficientnet_tf.data.augmentation.ops import OPS, Op, argument
from efficientnet_tf.data.augmentation.policies import (
    HIGHEST_MAGNITUDE,
    RANDAUGMENT_REACH,
)

GOLDEN = np.load(Path(__file__).parents[2] / "golden" / "autoaugment.npz")
CASES = sorted(set(GOLDEN.files) - {"image"})
MAGNITUDES = range(HIGHEST_MAGNITUDE + 1)


def ours(op: Op, image: np.ndarray, value: float) -> np.ndarray:
    changed = ARITHMETICS["original"][op](
        tf.constant(image), tf.constant(value, tf.float32), tf.zeros([2])
    ).numpy()
    assert changed.dtype == np.uint8
    return changed


def at_level(op: Op, level: int, image: np.ndarray) -> np.ndarray:
    return ours(op, image, argument(op, level, RANDAUGMENT_REACH))


def test_the_golden_image_can_be_rebuilt() -> None:
    rng = np.random.RandomState(7)
    blocks = np.kron(rng.randint(0, 256, (4, 5, 3)), np.ones((4, 4, 1), int))
    ramp = np.arange(320).reshape(16, 20, 1) % 37
    expected = np.clip(blocks + ramp - 18, 0, 255)
    np.testing.assert_array_equal(GOLDEN["image"], expected)
    assert {case.split()[0] for case in CASES} == set(OPS) - {"Cutout"}


# These sum in float32, in an order that depends on the processor.
INEXACT = {"Color", "Sharpness"}


@pytest.mark.parametrize("case", CASES)
def test_ops_give_what_the_original_gave(case: str) -> None:
    op, level = case.split()
    value = argument(op, abs(int(level)), RANDAUGMENT_REACH)
    value = -value if int(level) < 0 else value
    found = ours(op, GOLDEN["image"], value).astype(int)
    wrong = np.abs(found - GOLDEN[case])
    if op in INEXACT:
        # A grey level of the other image, extrapolated, in hardly a place.
        assert wrong.max() <= 1 + abs(1 - value)
        assert (wrong > 0).mean() < 0.01
    else:
        assert wrong.max() == 0


RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16, 1) * np.ones(3, np.uint8)


@pytest.mark.parametrize("level", MAGNITUDES)
def test_solarize_wraps_its_threshold(level: int) -> None:
    threshold = int(level / 10 * 256) % 256
    expected = np.where(threshold > RAMP, RAMP, 255 - RAMP)
    np.testing.assert_array_equal(at_level("Solarize", level, RAMP), expected)


@pytest.mark.parametrize(
    ("level", "threshold"), [(0, 0), (9, 230), (10, 0), (17, 179), (28, 204)]
)
def test_solarize_at_the_levels_of_published_weights(
    level: int, threshold: int
) -> None:
    found = at_level("Solarize", level, RAMP)[..., 0].ravel()
    assert np.argmax(found != np.arange(256)) == threshold


@pytest.mark.parametrize("level", MAGNITUDES)
def test_posterize_shifts_by_seven_at_most_and_never_back(level: int) -> None:
    bits = 1 if level < 2.5 or level >= 23 else int(level * 0.4)
    expected = RAMP >> (8 - bits) << (8 - bits)
    np.testing.assert_array_equal(at_level("Posterize", level, RAMP), expected)


@pytest.mark.parametrize("level", range(20, 23))
def test_posterize_does_nothing_from_20_to_22(level: int) -> None:
    np.testing.assert_array_equal(at_level("Posterize", level, RAMP), RAMP)


@pytest.mark.parametrize(
    ("pixels", "grey"), [(32, 4), (96, 36), (224, 196), (260, 255)]
)
@pytest.mark.parametrize("level", [0, 5, 10, 28])
def test_contrast_goes_by_the_size_of_the_image(
    pixels: int, grey: int, level: int
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (pixels, pixels, 3))
    image = image.astype(np.uint8)
    share = np.float32(level * 0.18 + 0.1)
    blended = np.float32(grey) + share * (np.float32(image) - np.float32(grey))
    expected = blended.clip(0, 255).astype(np.uint8)
    np.testing.assert_array_equal(at_level("Contrast", level, image), expected)


def grey_of(image: np.ndarray) -> np.ndarray:
    """TensorFlow's, whose weights sum to 0.9999."""
    share = image @ np.array([0.2989, 0.587, 0.114]) / 255
    return np.repeat(np.floor(share * 255.5)[..., None], 3, axis=-1)


def smooth_of(image: np.ndarray) -> np.ndarray:
    """3 x 3, the middle five times, cut off; the border is the image's."""
    smooth = image.astype(float)
    inner = sum(
        (5 if (dy, dx) == (1, 1) else 1)
        * image[
            dy : dy + image.shape[0] - 2, dx : dx + image.shape[1] - 2
        ].astype(int)
        for dy in range(3)
        for dx in range(3)
    )
    smooth[1:-1, 1:-1] = inner // 13
    return smooth


@pytest.mark.parametrize("level", [0, 3, 5, 10, 17, 28])
@pytest.mark.parametrize(
    ("op", "other"), [("Color", grey_of), ("Sharpness", smooth_of)]
)
def test_blends_go_from_another_image_through_this_one(
    op: Op,
    other: Callable[[np.ndarray], np.ndarray],
    level: int,
    made: list[np.ndarray],
) -> None:
    share = level * 0.18 + 0.1
    for image in made:
        degenerate = other(image)
        expected = degenerate + share * (image - degenerate)
        found = at_level(op, level, image)
        # Sums just below a whole number lose it in float32, and that is
        # extrapolated.
        difference = np.abs(found - expected.clip(0, 255))
        assert difference.max() < 1.001 + abs(1 - share)


def kernel(image: np.ndarray, terms: list[tf.Tensor]) -> np.ndarray:
    """TensorFlow's nearest, and grey from outside by a channel of ones."""
    ones = np.ones((*image.shape[:2], 1), np.uint8)
    transform = tf.stack([tf.cast(term, tf.float32) for term in terms])
    moved = tf.raw_ops.ImageProjectiveTransformV2(
        images=np.concatenate([image, ones], -1)[None],
        transforms=tf.concat([transform, tf.zeros(2)], 0)[None],
        output_shape=image.shape[:2],
        interpolation="NEAREST",
    ).numpy()[0]
    return np.where(moved[..., 3:] == 0, np.uint8(128), moved[..., :3])


def rotation(image: np.ndarray, degrees: float) -> list[tf.Tensor]:
    """tf.contrib.image's `angles_to_projective_transforms`, in float32."""
    radians = tf.constant(degrees, tf.float32) * (math.pi / 180)
    cosine, sine = tf.cos(radians), tf.sin(radians)
    height, width = (float(side - 1) for side in image.shape[:2])
    x = (width - (cosine * width - sine * height)) / 2
    y = (height - (sine * width + cosine * height)) / 2
    return [cosine, -sine, x, sine, cosine, y]


TRANSFORMS: dict[Op, Callable[[np.ndarray, float], list[tf.Tensor]]] = {
    "Rotate": rotation,
    "ShearX": lambda image, x: [1.0, x, 0.0, 0.0, 1.0, 0.0],
    "ShearY": lambda image, x: [1.0, 0.0, 0.0, x, 1.0, 0.0],
    "TranslateX": lambda image, x: [1.0, 0.0, x, 0.0, 1.0, 0.0],
    "TranslateY": lambda image, x: [1.0, 0.0, 0.0, 0.0, 1.0, x],
}


def check_kernel(op: Op, level: int, images: list[np.ndarray]) -> None:
    for sign in (1, -1):
        value = sign * argument(op, level, RANDAUGMENT_REACH)
        for image in images:
            expected = kernel(image, TRANSFORMS[op](image, value))
            np.testing.assert_array_equal(ours(op, image, value), expected)


@pytest.mark.parametrize("op", TRANSFORMS)
def test_moves_are_those_of_tensorflows_kernel(
    op: Op, made: list[np.ndarray]
) -> None:
    for level in MAGNITUDES:
        check_kernel(op, level, made[level % 2 :: 2])


@pytest.mark.parametrize("op", TRANSFORMS)
def test_moves_are_those_of_tensorflows_kernel_on_photographs(
    op: Op, photos: list[np.ndarray]
) -> None:
    for level in MAGNITUDES:
        check_kernel(op, level, photos[level::31])
