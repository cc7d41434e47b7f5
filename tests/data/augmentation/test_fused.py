"""The fused ops against PIL and against maps of points written out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from efficientnet_tf.data.augmentation.drawing import NAMES, NO_OP, Drawn
from efficientnet_tf.data.augmentation.fused import fused_image
from efficientnet_tf.data.augmentation.ops import OPS, Op, argument
from efficientnet_tf.data.augmentation.policies import RANDAUGMENT_REACH
from efficientnet_tf.data.augmentation.recipe import Arithmetic, Augmentation
from efficientnet_tf.data.cut import Cut
from efficientnet_tf.data.images import encode_jpeg
from efficientnet_tf.data.preprocess import (
    TrainingCrop,
    training_image,
    training_window,
)

PIXELS = 64
GREY = (128, 128, 128)
# PIL cuts off behind the point, and rounds what it blends with.
EXACT = lambda _: 0.0  # noqa: E731
CUT_OFF = lambda _: 1.0  # noqa: E731
BLENDED = lambda share: 1 + abs(1 - share) / 2  # noqa: E731
# What PIL does, and by how many grey levels ours may differ for an argument.
COLOURS = {
    "AutoContrast": (lambda image, _: ImageOps.autocontrast(image), CUT_OFF),
    "Equalize": (lambda image, _: ImageOps.equalize(image), EXACT),
    "Invert": (lambda image, _: ImageOps.invert(image), EXACT),
    "Posterize": (
        lambda image, x: ImageOps.posterize(image, int(min(max(x, 1), 8))),
        EXACT,
    ),
    "Solarize": (lambda image, x: ImageOps.solarize(image, int(x)), EXACT),
    "Color": (lambda image, x: ImageEnhance.Color(image).enhance(x), BLENDED),
    "Contrast": (
        lambda image, x: ImageEnhance.Contrast(image).enhance(x),
        BLENDED,
    ),
    "Brightness": (
        lambda image, x: ImageEnhance.Brightness(image).enhance(x),
        CUT_OFF,
    ),
    "Sharpness": (
        lambda image, x: ImageEnhance.Sharpness(image).enhance(x),
        BLENDED,
    ),
    "SolarizeAdd": (
        lambda image, x: image.point(
            [min(v + int(x), 255) if v < 128 else v for v in range(256)] * 3
        ),
        EXACT,
    ),
}
AFFINE = [name for name in OPS if OPS[name].kind == "affine"]


def fused(
    source: np.ndarray,
    *steps: tuple[Op, float],
    pixels: int = PIXELS,
    mirrored: bool = False,
    centre: tuple[float, float] = (0.0, 0.0),
) -> np.ndarray:
    """The image of a crop; a crop of another size is resized by PIL."""

    def resized(part: tf.Tensor) -> tf.Tensor:
        small = Image.fromarray(part.numpy()).resize((pixels, pixels))
        return tf.constant(np.asarray(small), tf.float32)

    drawn = Drawn(
        tf.constant([NAMES.index(op) for op, _ in steps] or [NO_OP]),
        tf.constant([value for _, value in steps] or [0.0], tf.float32),
        tf.constant([centre] * max(1, len(steps)), tf.float32),
    )
    image = fused_image(
        tf.constant(source), resized, tf.constant(mirrored), drawn, pixels
    ).numpy()
    assert image.dtype == np.float32
    assert image.shape == (pixels, pixels, 3)
    return image


def square(made: list[np.ndarray]) -> np.ndarray:
    """Waves, an edge and noise, `[64, 64, 3]`."""
    return np.ascontiguousarray(made[0][:PIXELS, :PIXELS])


def test_every_op_is_tried() -> None:
    assert {*COLOURS, *AFFINE, "Cutout"} == set(OPS)


@pytest.mark.parametrize("magnitude", [0, 4, 10, 17, 30])
@pytest.mark.parametrize("op", COLOURS)
def test_colour_ops_are_pils(
    op: Op, magnitude: int, made: list[np.ndarray]
) -> None:
    theirs, greys = COLOURS[op]
    value = argument(op, magnitude, RANDAUGMENT_REACH)
    image = square(made)
    expected = np.asarray(theirs(Image.fromarray(image), value), float)
    assert np.abs(fused(image, (op, value)) - expected).max() <= greys(value)


def test_cutout_paints_a_square_grey(made: list[np.ndarray]) -> None:
    image = square(made)
    expected = image.astype(np.float32)
    expected[22:42, 54:64] = 128
    found = fused(image, ("Cutout", 10.0), centre=(0.5, 1.0 - 1e-6))
    # The centre is pixel 32 down and 63 across.
    expected[22:42, 53:54] = 128
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("op", AFFINE)
def test_a_crop_of_the_images_size_moves_as_pils(
    op: Op, sign: int, made: list[np.ndarray]
) -> None:
    image = square(made)
    value = sign * min(argument(op, 9, RANDAUGMENT_REACH), 30.0)
    picture = Image.fromarray(image)
    terms = {
        "ShearX": (1, value, 0, 0, 1, 0),
        "ShearY": (1, 0, 0, value, 1, 0),
        "TranslateX": (1, 0, value, 0, 1, 0),
        "TranslateY": (1, 0, 0, 0, 1, value),
    }
    if op == "Rotate":
        expected = picture.rotate(value, fillcolor=GREY)
    else:
        expected = picture.transform(
            picture.size,
            Image.Transform.AFFINE,
            terms[op],
            Image.Resampling.NEAREST,
            fillcolor=GREY,
        )
    found = fused(image, (op, value))
    # PIL counts in 1/65536 of a pixel.
    assert (found != np.asarray(expected)).any(axis=2).mean() < 0.01


def ramps(height: int, width: int) -> np.ndarray:
    """A picture whose red says where x is, and green where y is."""
    y, x = np.mgrid[0:height, 0:width] + 0.5
    pixels = np.stack([255 * x / width, 255 * y / height, 0 * x], axis=-1)
    return pixels.round().astype(np.uint8)


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_large_crop_is_sampled_once_for_all_ops(mirrored: bool) -> None:
    height, width = 200, 150
    found = fused(
        ramps(height, width),
        ("Rotate", 20.0),
        ("ShearY", 0.2),
        ("TranslateX", 7.0),
        mirrored=mirrored,
    )
    y, x = np.mgrid[0:PIXELS, 0:PIXELS] + 0.5
    # From the last op back to the first: where each pixel comes from.
    x = x + 7
    y = y + 0.2 * x
    turn, half = math.radians(20), PIXELS / 2
    x, y = (
        math.cos(turn) * (x - half) - math.sin(turn) * (y - half) + half,
        math.sin(turn) * (x - half) + math.cos(turn) * (y - half) + half,
    )
    x = PIXELS - x if mirrored else x
    inside = (x > 0) & (x < PIXELS) & (y > 0) & (y < PIXELS)
    margin = 0.02
    sure = (
        (np.abs(x) > margin)
        & (np.abs(x - PIXELS) > margin)
        & (np.abs(y) > margin)
        & (np.abs(y - PIXELS) > margin)
    )
    # Half a pixel of the crop, and half a level of its ramps.
    assert np.abs(found[..., 0] - 255 * x / PIXELS)[inside & sure].max() < 1.4
    assert np.abs(found[..., 1] - 255 * y / PIXELS)[inside & sure].max() < 1.2
    assert 0.5 < inside.mean() < 0.95
    assert (found[~inside & sure] == 128).all()


def test_a_small_crop_is_resized_first(made: list[np.ndarray]) -> None:
    small = np.ascontiguousarray(square(made)[:40, :33])
    large = Image.fromarray(small).resize((PIXELS, PIXELS))
    expected = np.asarray(large.rotate(30, fillcolor=GREY))
    found = fused(small, ("Rotate", 30.0))
    assert (found != expected).any(axis=2).mean() < 0.01


@pytest.mark.parametrize("mirrored", [False, True])
def test_without_ops_a_crop_is_resized_and_mirrored(
    mirrored: bool, made: list[np.ndarray]
) -> None:
    image = square(made)
    expected = image[:, ::-1] if mirrored else image
    np.testing.assert_array_equal(fused(image, mirrored=mirrored), expected)


def test_training_images_are_those_of_clean_but_for_roundings() -> None:
    """What the docstring of `fused` and the README say."""
    y, x = np.mgrid[0:180, 0:240]
    waves = [128 + 90 * np.sin(x / 23 + k) * np.cos(y / 31) for k in range(3)]
    jpeg = tf.constant(encode_jpeg(np.stack(waves, -1).astype(np.uint8), 95))
    cut = Cut(PIXELS, "pad32", "bilinear")

    def images_of(arithmetic: Arithmetic) -> Callable[[tf.Tensor], tf.Tensor]:
        to = Augmentation("randaugment", arithmetic, 2, 9)
        return tf.function(
            lambda seed: training_image(jpeg, seed, cut, TrainingCrop(), to)
        )

    images = {"clean": images_of("clean"), "fused": images_of("fused")}
    differences = []
    for number in range(60):
        seed = tf.constant([3, number])
        found, clean = (images[x](seed) for x in ("fused", "clean"))
        np.testing.assert_array_equal(found, images["fused"](seed))
        differences.append(np.abs(found - clean).mean())
    assert np.median(differences) < 2
    assert training_window(jpeg, tf.constant([3, 0]), cut, TrainingCrop())[
        0
    ].shape == (4,)
