"""Ops that give pixels other values, where both arithmetics agree.

Images are uint8 `[height, width, 3]` and stay so; arguments are scalars. What
looks roundabout is there because TensorFlow's `where` and `gather` on bytes,
and broadcasts over an innermost axis of three, take many times as long.
"""

from __future__ import annotations

import tensorflow as tf


def invert(image: tf.Tensor) -> tf.Tensor:
    """A negative."""
    return 255 - image


def solarize(image: tf.Tensor, threshold: tf.Tensor) -> tf.Tensor:
    """Inverts the values from a threshold on.

    Args:
        image: uint8 `[height, width, 3]`.
        threshold: uint8 scalar.
    """
    inverted = tf.cast(image >= threshold, tf.uint8) * 255
    return tf.bitwise.bitwise_xor(image, inverted)


def solarize_add(image: tf.Tensor, addition: tf.Tensor) -> tf.Tensor:
    """Adds to the values below 128, up to 255.

    Args:
        image: uint8 `[height, width, 3]`.
        addition: float32 scalar, a whole number from 0 on.
    """
    added = tf.cast(tf.minimum(addition, 255.0), tf.uint8)
    raised = tf.minimum(image, 255 - added) + added
    dark = tf.cast(image < 128, tf.uint8)
    # The difference may wrap, and then the sum wraps back.
    return image + dark * (raised - image)


def keep_bits(image: tf.Tensor, bits: tf.Tensor) -> tf.Tensor:
    """Clears all but the highest bits.

    Args:
        image: uint8 `[height, width, 3]`.
        bits: uint8 scalar, 1 to 8.
    """
    shift = 8 - bits
    mask = tf.bitwise.left_shift(tf.constant(255, tf.uint8), shift)
    return tf.bitwise.bitwise_and(image, mask)


def brightness(image: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Blends with black: 1 leaves the image, 0 is black."""
    return to_bytes(tf.cast(image, tf.float32) * share)


def blend(
    degenerate: tf.Tensor, image: tf.Tensor, share: tf.Tensor
) -> tf.Tensor:
    """Goes from one image toward another, and beyond where it is asked to.

    As PIL's `Image.blend`, in float32.

    Args:
        degenerate: float32, of whole numbers on 0..255; of the image's shape,
            or one that is broadcast to it.
        image: float32 of the same kind.
        share: float32 scalar; 0 is the degenerate, 1 the image.

    Returns:
        uint8 of the image's shape.
    """
    return to_bytes(degenerate + share * (image - degenerate))


def blend_inside(
    degenerate: tf.Tensor, image: tf.Tensor, share: tf.Tensor
) -> tf.Tensor:
    """The same with an image that lacks the border.

    Args:
        degenerate: float32 `[height - 2, width - 2, 3]`, whole numbers.
        image: float32 `[height, width, 3]`, whole numbers.
        share: As above.

    Returns:
        uint8 `[height, width, 3]`, whose border is the image's.
    """
    inside = image[1:-1, 1:-1] - degenerate
    difference = tf.pad(inside, [[1, 1], [1, 1], [0, 0]])
    return to_bytes(image - difference + share * difference)


def to_bytes(image: tf.Tensor) -> tf.Tensor:
    """Clips to 0..255 and cuts off what is behind the point -> uint8."""
    return tf.cast(tf.clip_by_value(image, 0.0, 255.0), tf.uint8)


def autocontrast(image: tf.Tensor) -> tf.Tensor:
    """Stretches each channel to 0..255.

    As PIL's `ImageOps.autocontrast` without a cutoff, in float32.
    """
    lowest = tf.cast(tf.reduce_min(image, [0, 1]), tf.float32)
    highest = tf.cast(tf.reduce_max(image, [0, 1]), tf.float32)
    spread = highest - lowest
    # A channel of one value stays as it is.
    flat = tf.equal(spread, 0.0)
    scale = tf.where(flat, 1.0, 255.0 / tf.where(flat, 1.0, spread))
    offset = tf.where(flat, 0.0, -lowest * scale)
    rows = as_rows(image)
    stretched = to_bytes(
        tf.cast(rows, tf.float32) * along(rows, scale) + along(rows, offset)
    )
    return tf.reshape(stretched, tf.shape(image))


def equalize(image: tf.Tensor) -> tf.Tensor:
    """Spreads each channel's values so that all are about as frequent.

    As PIL's `ImageOps.equalize`, in whole numbers.
    """
    rows = as_rows(image)
    first = tf.constant([0, 256, 512])
    places = tf.cast(rows, tf.int32) + along(rows, first)
    counted = tf.raw_ops.Bincount(
        arr=places, size=768, weights=tf.constant([], tf.int32)
    )
    table = tf.reshape(_equalizing(tf.reshape(counted, [3, 256])), [-1])
    # A gather of single bytes takes half as long again.
    changed = tf.gather_nd(table, places[..., tf.newaxis])
    return tf.reshape(changed, tf.shape(image))


def _equalizing(counts: tf.Tensor) -> tf.Tensor:
    """Histograms, int32 `[3, 256]` -> what values become, uint8 `[3, 256]`."""
    values = tf.range(256)
    present = counts > 0
    last = tf.reduce_max(tf.where(present, values, 0), axis=1)
    others = tf.reduce_sum(counts, axis=1) - tf.gather(
        counts, last, batch_dims=1
    )
    step = (others // 255)[:, tf.newaxis]
    below = tf.cumsum(counts, axis=1, exclusive=True)
    divisor = tf.maximum(step, 1)
    table = tf.minimum((below + divisor // 2) // divisor, 255)
    return tf.cast(tf.where(step > 0, table, values), tf.uint8)


def as_rows(image: tf.Tensor) -> tf.Tensor:
    """`[height, width, 3]` -> `[height, width * 3]`."""
    height, width, channels = tf.unstack(tf.shape(image))
    return tf.reshape(image, [height, width * channels])


def along(rows: tf.Tensor, by_channel: tf.Tensor) -> tf.Tensor:
    """A value for each channel, `[3]` -> `[width * 3]`."""
    return tf.tile(by_channel, [tf.shape(rows)[1] // 3])
