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
from efficientnet_tf.data.augmentation.ops import GREY, Op

# The affine ops, one column each where amounts are a matrix.
_AFFINE: tuple[Op, ...] = (
    "Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY",
)  # fmt: skip
_NUMBERS = np.array([NAMES.index(name) for name in _AFFINE], np.int32)
# What becomes of an image: nothing, moved by whole pixels, or sampled anew.
STILL, SHIFTED, TURNED = range(3)
_MOTION = np.full(len(NAMES) + 1, STILL, np.int32)
_MOTION[_NUMBERS] = [TURNED, TURNED, TURNED, SHIFTED, SHIFTED]


def motion(drawn: Drawn) -> tf.Tensor:
    """What becomes of an image: int32 scalar, `STILL` or another."""
    return tf.reduce_max(tf.gather(tf.constant(_MOTION), drawn.ops))


def shift(drawn: Drawn) -> tf.Tensor:
    """Pixels that the translations move it left and up: int32 `[2]`."""
    moved = tf.reduce_sum(_amounts(drawn)[:, 3:], axis=0)
    return tf.cast(tf.round(moved), tf.int32)


def composed(drawn: Drawn, pixels: int) -> tf.Tensor:
    """All affine ops of an image, one after the other.

    Args:
        drawn: Its ops; those that move nothing are the identity here.
        pixels: Side of the image.

    Returns:
        float32 `[3, 3]`.
    """
    amounts = _amounts(drawn)
    turn = amounts[:, :1] * (math.pi / 180)
    terms = tf.concat([tf.cos(turn), tf.sin(turn), amounts[:, 1:]], axis=1)
    linear, constant = _map_of(pixels / 2)
    maps = tf.reshape(terms @ linear + constant, [-1, 3, 3])
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
        float32 `[2, 3]`: x and y of the picture.
    """
    size = tf.cast(tf.shape(source)[:2], tf.float32)
    plain = np.array([[1, 0, 0], [0, 1, 0]], np.float32) / pixels
    mirror = np.array([[-1, 0, pixels], [0, 1, 0]], np.float32) / pixels
    way = tf.gather(np.stack([plain, mirror]), tf.cast(mirrored, tf.int32))
    return way * size[::-1, tf.newaxis]


def shifted(image: tf.Tensor, across_down: tf.Tensor) -> tf.Tensor:
    """Moves an image by whole pixels; what comes from outside is grey.

    Args:
        image: float32 `[height, width, 3]` of static shape.
        across_down: int32 `[2]`: how far to the left and up.
    """
    height, width, _ = image.shape
    limit = np.array([height, width])
    moved = tf.clip_by_value(across_down[::-1], -limit, limit)
    after, before = tf.maximum(moved, 0), tf.maximum(-moved, 0)
    bytes_ = np.array([1, 3])
    kept = tf.slice(
        tf.reshape(image, [height, width * 3]),
        after * bytes_,
        (limit - after - before) * bytes_,
    )
    paddings = tf.stack([before * bytes_, after * bytes_], axis=1)
    padded = tf.pad(kept, paddings, constant_values=float(GREY))
    return tf.reshape(padded, image.shape)


def sampled(source: tf.Tensor, whole: tf.Tensor, pixels: int) -> tf.Tensor:
    """The nearest pixel of the source for each of a square image.

    Args:
        source: `[height, width, 3]` of any dtype.
        whole: float32 `[2, 3]`, from the image to the source.
        pixels: Side of the image.

    Returns:
        `[pixels, pixels, 3]` of that dtype, grey where the map leads out.
    """
    height, width, _ = tf.unstack(tf.shape(source))
    middles = np.arange(pixels, dtype=np.float32) + 0.5
    by_column, by_row, offset = tf.split(whole, 3, axis=1)
    # A pixel further, so that what is cut off counts down from the border's.
    columns = tf.unstack(by_column * middles + (offset + 1))
    rows = tf.unstack(by_row * middles)

    def places(axis: int, length: tf.Tensor) -> tf.Tensor:
        place = columns[axis] + rows[axis][:, tf.newaxis]
        end = tf.cast(length + 1, tf.float32)
        inside = tf.maximum(tf.minimum(place, end), 0.0)
        return tf.cast(inside, tf.int32)

    across, down = places(0, width), places(1, height)
    # With a grey border all around, so that every place is one.
    padded = tf.pad(as_rows(source), [[1, 1], [3, 3]], constant_values=GREY)
    colours = tf.reshape(padded, [-1, 3])
    taken = tf.gather_nd(
        colours, (down * (width + 2) + across)[..., tf.newaxis]
    )
    return tf.ensure_shape(taken, [pixels, pixels, 3])


def _amounts(drawn: Drawn) -> tf.Tensor:
    """What each layer gives to each affine op, mostly 0: `[layers, 5]`."""
    chosen = tf.equal(drawn.ops[:, tf.newaxis], _NUMBERS)
    return tf.where(chosen, drawn.arguments[:, tf.newaxis], 0.0)


def _map_of(centre: float) -> tuple[np.ndarray, np.ndarray]:
    """How an affine op's map follows from its terms: linear, constant.

    The terms are cosine and sine of its turn about the centre, the shears
    and the translations, of which but one op's are none.
    """
    linear = [
        #  x of x, y, 1            y of x, y, 1
        [1, 0, -centre,            0, 1, -centre,           0, 0, 0],
        [0, -1, centre,            1, 0, -centre,           0, 0, 0],
        [0, 1, 0,                  0, 0, 0,                 0, 0, 0],
        [0, 0, 0,                  1, 0, 0,                 0, 0, 0],
        [0, 0, 1,                  0, 0, 0,                 0, 0, 0],
        [0, 0, 0,                  0, 0, 1,                 0, 0, 0],
    ]  # fmt: skip
    constant = [0, 0, centre, 0, 0, centre, 0, 0, 1]
    return np.array(linear, np.float32), np.array(constant, np.float32)
