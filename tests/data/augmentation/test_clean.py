"""The clean ops are PIL's, to the last grey level, the image's edge included.

Only a stretched contrast may be one grey level off: PIL computes in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from efficientnet_tf.data.augmentation.applying import ARITHMETICS
from efficientnet_tf.data.augmentation.ops import OPS, Op, argument
from efficientnet_tf.data.augmentation.policies import (
    AUTOAUGMENT_REACH,
    HIGHEST_MAGNITUDE,
    RANDAUGMENT_REACH,
)

MAGNITUDES = range(HIGHEST_MAGNITUDE + 1)
GREY = (128, 128, 128)
MOST_GREYS: dict[str, int] = {"AutoContrast": 1}


def affine(image: Image.Image, *terms: float) -> Image.Image:
    return image.transform(
        image.size,
        Image.Transform.AFFINE,
        terms,
        Image.Resampling.NEAREST,
        fillcolor=GREY,
    )


def solarize_add(image: Image.Image, addition: float) -> Image.Image:
    """PIL has none; AutoAugment's is "add to what is below 128"."""
    return image.point(
        [min(v + int(addition), 255) if v < 128 else v for v in range(256)] * 3
    )


# The numbers that PIL's documentation allows Posterize are 1 to 8.
PILS: dict[Op, Callable[[Image.Image, float], Image.Image]] = {
    "AutoContrast": lambda image, _: ImageOps.autocontrast(image),
    "Equalize": lambda image, _: ImageOps.equalize(image),
    "Invert": lambda image, _: ImageOps.invert(image),
    "Rotate": lambda image, angle: image.rotate(angle, fillcolor=GREY),
    "Posterize": lambda image, bits: ImageOps.posterize(
        image, int(min(max(bits, 1), 8))
    ),
    "Solarize": lambda image, value: ImageOps.solarize(image, int(value)),
    "Color": lambda image, x: ImageEnhance.Color(image).enhance(x),
    "Contrast": lambda image, x: ImageEnhance.Contrast(image).enhance(x),
    "Brightness": lambda image, x: ImageEnhance.Brightness(image).enhance(x),
    "Sharpness": lambda image, x: ImageEnhance.Sharpness(image).enhance(x),
    "ShearX": lambda image, x: affine(image, 1, x, 0, 0, 1, 0),
    "ShearY": lambda image, x: affine(image, 1, 0, 0, x, 1, 0),
    "TranslateX": lambda image, x: affine(image, 1, 0, x, 0, 1, 0),
    "TranslateY": lambda image, x: affine(image, 1, 0, 0, 0, 1, x),
    "SolarizeAdd": solarize_add,
}


def ours(op: Op, image: np.ndarray, value: float) -> np.ndarray:
    function = ARITHMETICS["clean"][op]
    changed = function(
        tf.constant(image), tf.constant(value, tf.float32), tf.zeros([2])
    ).numpy()
    assert changed.dtype == np.uint8
    return changed


def check(op: Op, image: np.ndarray, value: float) -> None:
    expected = np.asarray(PILS[op](Image.fromarray(image), value))
    difference = ours(op, image, value).astype(int) - expected
    assert np.abs(difference).max() <= MOST_GREYS.get(op, 0), value


def signed(op: Op, magnitude: int) -> Iterator[float]:
    """An op's argument at a magnitude, with both signs if it has them."""
    value = argument(op, magnitude, RANDAUGMENT_REACH)
    yield value
    if OPS[op].signed:
        yield -value


def test_every_op_is_tried() -> None:
    assert set(PILS) | {"Cutout"} == set(OPS)


@pytest.mark.parametrize("op", PILS)
def test_ops_are_pils_at_all_magnitudes(op: Op, made: list[np.ndarray]) -> None:
    for magnitude in MAGNITUDES:
        for value in signed(op, magnitude):
            for image in made[magnitude % 2 :: 2]:
                check(op, image, value)


@pytest.mark.parametrize("op", PILS)
def test_ops_are_pils_on_photographs(op: Op, photos: list[np.ndarray]) -> None:
    for number, image in enumerate(photos):
        for value in signed(op, number % len(MAGNITUDES)):
            check(op, image, value)


@pytest.mark.slow
@pytest.mark.parametrize("op", PILS)
def test_ops_are_pils_on_all_photographs_at_all_magnitudes(
    op: Op, photos: list[np.ndarray]
) -> None:
    for image in photos:
        for magnitude in MAGNITUDES:
            for value in signed(op, magnitude):
                check(op, image, value)


@pytest.mark.parametrize("level", range(11))
@pytest.mark.parametrize("op", ["TranslateX", "TranslateY"])
def test_autoaugments_translations_are_pils(
    op: Op, level: int, made: list[np.ndarray]
) -> None:
    value = argument(op, level, AUTOAUGMENT_REACH)
    for image in made:
        check(op, image, value)
        check(op, image, -value)


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("half", [0, 1, 4, 20, 120])
@pytest.mark.parametrize("centre", [(0.0, 0.0), (0.52, 0.31), (0.999, 0.999)])
def test_cutout_is_a_grey_square_around_its_centre(
    arithmetic: str,
    half: int,
    centre: tuple[float, float],
    made: list[np.ndarray],
) -> None:
    for pixels in made[:3]:
        height, width = pixels.shape[:2]
        down, across = int(centre[0] * height), int(centre[1] * width)
        image = Image.fromarray(pixels)
        if half:
            # PIL's rectangles have their last pixel inside.
            ImageDraw.Draw(image).rectangle(
                (
                    across - half,
                    down - half,
                    across + half - 1,
                    down + half - 1,
                ),
                fill=GREY,
            )
        found = ARITHMETICS[arithmetic]["Cutout"](
            tf.constant(pixels),
            tf.constant(half, tf.float32),
            tf.constant(centre, tf.float32),
        )
        np.testing.assert_array_equal(found, np.asarray(image))
