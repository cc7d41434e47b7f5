"""Doing to an image what was drawn for it."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import tensorflow as tf

from efficientnet_tf.data.augmentation import (
    clean,
    colours,
    geometry,
    original,
)
from efficientnet_tf.data.augmentation.drawing import NAMES, Drawn
from efficientnet_tf.data.augmentation.ops import GREY, Op
from efficientnet_tf.data.augmentation.recipe import Arithmetic

# From an image, uint8 `[height, width, 3]`, the op's argument, float32 scalar,
# and a centre, float32 `[2]` in [0, 1), to an image of the same kind.
OpFunction = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


def cutout(image: tf.Tensor, half: tf.Tensor, centre: tf.Tensor) -> tf.Tensor:
    """Paints a square grey; what reaches over the edge is lost.

    Args:
        image: uint8 `[height, width, 3]`.
        half: float32 scalar, half its side, a whole number.
        centre: float32 `[2]` in [0, 1): where down and across its middle is.
    """
    rows = colours.as_rows(image)
    down, across = cutout_patch(
        tf.shape(image)[0], tf.shape(image)[1], half, centre
    )
    patch = down[:, tf.newaxis] * across
    return tf.reshape(rows * (1 - patch) + GREY * patch, tf.shape(image))


def cutout_patch(
    height: tf.Tensor | int,
    width: tf.Tensor | int,
    half: tf.Tensor,
    centre: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Where the square is: uint8 `[height]` and `[width * 3]`, 1 in it."""
    down = _within(height, half, centre[0])
    return down, tf.repeat(_within(width, half, centre[1]), 3)


def _within(
    length: tf.Tensor | int, half: tf.Tensor, centre: tf.Tensor
) -> tf.Tensor:
    """uint8 `[length]`, 1 from half before the centre's pixel on, 2 * half."""
    middle = tf.floor(centre * tf.cast(length, tf.float32))
    behind = tf.range(tf.cast(length, tf.float32)) - middle + half
    return tf.cast(tf.logical_and(behind >= 0, behind < 2 * half), tf.uint8)


# What both arithmetics have alike.
_COMMON: dict[Op, OpFunction] = {
    "AutoContrast": lambda image, unused, at: colours.autocontrast(image),
    "Equalize": lambda image, unused, at: colours.equalize(image),
    "Invert": lambda image, unused, at: colours.invert(image),
    "Brightness": lambda image, share, at: colours.brightness(image, share),
    "TranslateX": lambda image, pixels, at: geometry.translate(
        image, pixels, across=True
    ),
    "TranslateY": lambda image, pixels, at: geometry.translate(
        image, pixels, across=False
    ),
    "Cutout": cutout,
    "SolarizeAdd": lambda image, addition, at: colours.solarize_add(
        image, addition
    ),
}


def _own(arithmetic: ModuleType) -> dict[Op, OpFunction]:
    """What each arithmetic has in its own way."""
    functions: dict[Op, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = {
        "Rotate": arithmetic.rotate,
        "Posterize": arithmetic.posterize,
        "Solarize": arithmetic.solarize,
        "Color": arithmetic.color,
        "Contrast": arithmetic.contrast,
        "Sharpness": arithmetic.sharpness,
        "ShearX": arithmetic.shear_x,
        "ShearY": arithmetic.shear_y,
    }
    return {op: _without_centre(each) for op, each in functions.items()}


def _without_centre(
    function: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
) -> OpFunction:
    return lambda image, argument, at: function(image, argument)


ARITHMETICS: dict[Arithmetic, dict[Op, OpFunction]] = {
    "original": _COMMON | _own(original),
    "clean": _COMMON | _own(clean),
}


def apply_ops(
    image: tf.Tensor, drawn: Drawn, arithmetic: Arithmetic
) -> tf.Tensor:
    """Does to an image what was drawn; only these ops are computed.

    Args:
        image: uint8 `[height, width, 3]`.
        drawn: Its ops.
        arithmetic: How they are computed.

    Returns:
        The same kind.
    """
    functions = [ARITHMETICS[arithmetic][name] for name in NAMES]
    for layer in range(drawn.ops.shape[0]):
        image = _one(image, functions, drawn, layer)
    return image


def _one(
    image: tf.Tensor,
    functions: list[OpFunction],
    drawn: Drawn,
    layer: int,
) -> tf.Tensor:
    argument, centre = drawn.arguments[layer], drawn.centres[layer]

    def branch(function: OpFunction) -> Callable[[], tf.Tensor]:
        return lambda: tf.ensure_shape(
            function(image, argument, centre), image.shape
        )

    branches = [branch(function) for function in functions]
    return tf.switch_case(drawn.ops[layer], [*branches, lambda: image])
