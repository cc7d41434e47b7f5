"""Affine ops composed to one map, and a picture sampled once by it.

A point is a column (x, y, 1) of pixels from the upper left corner; a map leads
from the output to the input. Source of the maps: `clean`, which has PIL's.
"""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from efficientnet_tf.data.augmentation.colours import as_rows
from efficientnet_tf.data.augmentation.drawing import NAMES, Drawn
from efficientnet_tf.data.augmentation.ops import GREY, OPS, Op

_IS_AFFINE = np.array([OPS[name].kind == "affine" for name in NAMES] + [False])


def moves(drawn: Drawn) -> tf.Tensor:
    """Whether any of the ops moves pixels: bool scalar."""
    return tf.reduce_any(tf.gather(tf.constant(_IS_AFFINE), drawn.ops))


def composed(drawn: Drawn, pixels: int) -> tf.Tensor:
    """All affine ops of an image, one after the other.

    Args:
        drawn: Its ops; those that move nothing are the identity here.
        pixels: Side of the image.

    Returns:
        float32 `[3, 3]`.
    """
    turn = _amount(drawn, "Rotate") * (math.pi / 180)
    cosine, sine = tf.cos(turn), tf.sin(turn)
    centre = pixels / 2
    zero, one = tf.zeros_like(turn), tf.ones_like(turn)
    rows = [
        cosine,
        _amount(drawn, "ShearX") - sine,
        _amount(drawn, "TranslateX") + centre * (1 - cosine + sine),
        _amount(drawn, "ShearY") + sine,
        cosine,
        _amount(drawn, "TranslateY") + centre * (1 - cosine - sine),
        *(zero, zero, one),
    ]
    maps = tf.reshape(tf.stack(rows, axis=1), [-1, 3, 3])
    whole = maps[0]
    for layer in range(1, drawn.ops.shape[0]):
        whole = whole @ maps[layer]
    return whole


def into(source: tf.Tensor, mirrored: tf.Tensor, pixels: int) -> tf.Tensor:
    """From a square image to the picture that it is resized from.

    Args:
        source: `[height, width, 3]`.
        mirrored: bool scalar, whether the image is the picture's mirror image.
        pixels: Side of the image.

    Returns:
        float32 `[3, 3]`.
    """
    scale = tf.cast(tf.shape(source)[:2], tf.float32) / pixels
    mirror = tf.cast(mirrored, tf.float32)
    along = scale[1] * (1 - 2 * mirror)
    rows = [[along, 0, scale[1] * pixels * mirror], [0, scale[0], 0], [0, 0, 1]]
    return tf.stack(
        [tf.stack([tf.cast(x, tf.float32) for x in row]) for row in rows]
    )


def sampled(source: tf.Tensor, whole: tf.Tensor, pixels: int) -> tf.Tensor:
    """The nearest pixel of the source for each of a square image.

    Args:
        source: uint8 `[height, width, 3]`.
        whole: float32 `[3, 3]`, from the image to the source.
        pixels: Side of the image.

    Returns:
        uint8 `[pixels, pixels, 3]`, grey where the map leads out.
    """
    shape = tf.shape(source)
    height, width = shape[0], shape[1]
    middles = tf.range(pixels, dtype=tf.float32) + 0.5
    across = _places(whole[0], middles, width)
    down = _places(whole[1], middles, height)
    # With a grey border all around, so that every place is one.
    padded = tf.pad(as_rows(source), [[1, 1], [3, 3]], constant_values=GREY)
    colours = tf.reshape(padded, [-1, 3])
    taken = tf.gather_nd(
        colours, (down * (width + 2) + across)[..., tf.newaxis]
    )
    return tf.ensure_shape(taken, [pixels, pixels, 3])


def _places(row: tf.Tensor, middles: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Places along an axis with a border: int32 `[pixels, pixels]`."""
    # A pixel further, so that what is cut off counts down from the border's.
    places = (row[0] * middles + row[2] + 1) + (row[1] * middles)[:, tf.newaxis]
    end = tf.cast(length, tf.float32) + 1
    return tf.cast(tf.clip_by_value(places, 0.0, end), tf.int32)


def _amount(drawn: Drawn, op: Op) -> tf.Tensor:
    """The argument of each layer that is this op, else 0: `[layers]`."""
    return tf.where(drawn.ops == NAMES.index(op), drawn.arguments, 0.0)
