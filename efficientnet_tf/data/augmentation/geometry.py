"""Moving pixels: which one of the input each one of the output is.

Images are uint8 `[height, width, 3]`. Both arithmetics take the nearest pixel,
and grey where there is none; they differ in what is nearest. Taking pixels by
their number is several times as fast as TensorFlow's own projective transform.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import tensorflow as tf

from efficientnet_tf.data.augmentation.colours import as_rows
from efficientnet_tf.data.augmentation.ops import GREY

# A number or a scalar tensor; a plain 0 saves the work on that term.
Scalar: TypeAlias = float | tf.Tensor


class Affine(NamedTuple):
    """From a place in the output to one in the input.

    Attributes:
        across: What x is made of: per pixel across, per pixel down, and a
            number of pixels.
        down: The same of y.
    """

    across: tuple[Scalar, Scalar, Scalar]
    down: tuple[Scalar, Scalar, Scalar]


class Line(NamedTuple):
    """Places along one axis of the input.

    Attributes:
        pixel: int32, broadcast to `[height, width]`.
        inside: bool of that shape: whether the image has that pixel.
    """

    pixel: tf.Tensor
    inside: tf.Tensor


# From the three numbers of an axis and that axis's length to its places, for
# an image of a height and a width.
Nearest = Callable[
    [tuple[Scalar, Scalar, Scalar], tf.Tensor, tf.Tensor, tf.Tensor], Line
]


def shear_x(share: tf.Tensor) -> Affine:
    """Pixels that a row moves for each row further down."""
    return Affine((1.0, share, 0.0), (0.0, 1.0, 0.0))


def shear_y(share: tf.Tensor) -> Affine:
    """Pixels that a column moves for each column further right."""
    return Affine((1.0, 0.0, 0.0), (share, 1.0, 0.0))


def warp(image: tf.Tensor, affine: Affine, nearest: Nearest) -> tf.Tensor:
    """Takes each pixel from where a map says.

    Args:
        image: uint8 `[height, width, 3]`.
        affine: The map.
        nearest: What is the nearest pixel.

    Returns:
        The same shape; grey where the map leads out of the image.
    """
    shape = tf.shape(image)
    height, width = shape[0], shape[1]
    across = nearest(affine.across, width, height, width)
    down = nearest(affine.down, height, height, width)
    # One pixel more than there are, for what comes from outside.
    outside = height * width
    places = tf.where(
        tf.logical_and(down.inside, across.inside),
        down.pixel * width + across.pixel,
        outside,
    )
    grey = tf.fill([1, 3], tf.constant(GREY, tf.uint8))
    pixels = tf.concat([tf.reshape(image, [-1, 3]), grey], axis=0)
    taken = tf.gather_nd(pixels, places[..., tf.newaxis])
    return tf.ensure_shape(taken, image.shape)


def rounded(
    terms: tuple[Scalar, Scalar, Scalar],
    length: tf.Tensor,
    height: tf.Tensor,
    width: tf.Tensor,
) -> Line:
    """TensorFlow's nearest: places are pixels' middles, in float32.

    Half a pixel is rounded away from zero.
    """
    place = _sum(terms, height, width, tf.float32)
    end = tf.cast(length, tf.float32) - 0.5
    inside = tf.logical_and(place > -0.5, place < end)
    return Line(tf.cast(place + 0.5, tf.int32), inside)


def fixed_point(
    terms: tuple[Scalar, Scalar, Scalar],
    length: tf.Tensor,
    height: tf.Tensor,
    width: tf.Tensor,
) -> Line:
    """PIL's nearest: places are pixels' corners, in 1/65536 of a pixel.

    Source: Pillow, `src/libImaging/Geometry.c`, `affine_fixed`.
    """
    across, down, offset = terms
    middle = across * 0.5 + down * 0.5 + offset
    scaled = (_fixed(across), _fixed(down), _fixed(middle))
    place = _sum(scaled, height, width, tf.int32)
    pixel = tf.bitwise.right_shift(place, 16)
    inside = tf.logical_and(pixel >= 0, pixel < length)
    return Line(pixel, inside)


def _fixed(term: Scalar) -> Scalar:
    """A number, float64 if it is a tensor, in 1/65536 -> int32."""
    if isinstance(term, float):
        return math.floor(term * 65536 + 0.5)
    return tf.cast(tf.floor(term * 65536 + 0.5), tf.int32)


def _sum(
    terms: tuple[Scalar, Scalar, Scalar],
    height: tf.Tensor,
    width: tf.Tensor,
    dtype: tf.DType,
) -> tf.Tensor:
    """Places along an axis: `[height, width]`, or 1 where all are the same."""
    across, down, offset = terms
    x = tf.cast(tf.range(width), dtype)[tf.newaxis, :]
    y = tf.cast(tf.range(height), dtype)[:, tf.newaxis]
    # In this order, which is that of both sources.
    found = tf.constant(0, dtype)
    if not _is_none(across):
        found = x * across
    if not _is_none(down):
        found = found + y * down
    return found if _is_none(offset) else found + offset


def _is_none(term: Scalar) -> bool:
    return isinstance(term, int | float) and term == 0


def translate(
    image: tf.Tensor, pixels: tf.Tensor, *, across: bool
) -> tf.Tensor:
    """Moves an image by whole pixels.

    Args:
        image: uint8 `[height, width, 3]`.
        pixels: float32 scalar, a whole number: how far to the left or up.
        across: Whether to the left.
    """
    moved = tf.cast(tf.round(pixels), tf.int32)
    before, after = tf.maximum(-moved, 0), tf.maximum(moved, 0)
    ends = tf.stack([before, after])
    if across:
        paddings = tf.stack([[0, 0], 3 * ends])
        begin = tf.stack([0, 3 * after])
    else:
        paddings = tf.stack([ends, [0, 0]])
        begin = tf.stack([after, 0])
    rows = as_rows(image)
    padded = tf.pad(rows, paddings, constant_values=GREY)
    kept = tf.slice(padded, begin, tf.shape(rows))
    return tf.reshape(kept, tf.shape(image))


def rotation(
    cosine: tf.Tensor,
    sine: tf.Tensor,
    centre_x: tf.Tensor,
    centre_y: tf.Tensor,
) -> Affine:
    """Turns about a centre, counterclockwise."""
    return Affine(
        (cosine, -sine, centre_x - (cosine * centre_x - sine * centre_y)),
        (sine, cosine, centre_y - (sine * centre_x + cosine * centre_y)),
    )
