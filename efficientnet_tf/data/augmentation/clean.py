"""The ops as PIL computes them, and as the papers describe them.

Levels mean what they mean to the original, but for what no image can take:
from level 10 on `Solarize` inverts nothing, and `Posterize` keeps 1 bit at
least and 8 at most, the numbers that PIL's documentation allows.

Source: Pillow, `ImageOps`, `ImageEnhance`, `Image.rotate` and
`Image.transform`; AutoAugment, arXiv 1805.09501; Cutout, arXiv 1708.04552.
"""

from __future__ import annotations

import math

import tensorflow as tf

from efficientnet_tf.data.augmentation import colours, geometry

# PIL's weights of red, green and blue in grey, of 65536. Products with bytes
# and their sums are exact in float32.
GREY_WEIGHTS = (19595, 38470, 7471)


def posterize(image: tf.Tensor, bits: tf.Tensor) -> tf.Tensor:
    """Keeps the highest bits, 1 to 8 of them."""
    kept = tf.clip_by_value(bits, 1.0, 8.0)
    return colours.keep_bits(image, tf.cast(kept, tf.uint8))


def solarize(image: tf.Tensor, threshold: tf.Tensor) -> tf.Tensor:
    """Inverts the values from a threshold on; none from 256 on."""
    byte = tf.cast(tf.minimum(threshold, 255.0), tf.uint8)
    inverted = tf.cast(threshold < 256, tf.uint8) * 255
    above = tf.cast(image >= byte, tf.uint8) * inverted
    return tf.bitwise.bitwise_xor(image, above)


def color(image: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Blends with the grey image."""
    exact = tf.cast(image, tf.float32)
    return colours.blend(_grey(exact), exact, share)


def contrast(image: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Blends with the mean of the grey image, rounded."""
    exact = tf.cast(image, tf.float32)
    # Each grey is there three times. Sums of rows are exact in float32.
    rows = tf.reduce_sum(colours.as_rows(_grey(exact)), axis=1)
    total = tf.reduce_sum(tf.cast(rows, tf.int64))
    values = tf.size(image, tf.int64)
    mean = (2 * total + values) // (2 * values)
    return colours.blend(tf.cast(mean, tf.float32), exact, share)


def sharpness(image: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Blends with a smooth image, but for a border of one pixel."""
    exact = tf.cast(image, tf.float32)
    columns = exact[:-2] + exact[1:-1] + exact[2:]
    squares = columns[:, :-2] + columns[:, 1:-1] + columns[:, 2:]
    smooth = tf.floor((squares + 4 * exact[1:-1, 1:-1]) * (1 / 13) + 0.5)
    return colours.blend_inside(smooth, exact, share)


def rotate(image: tf.Tensor, degrees: tf.Tensor) -> tf.Tensor:
    """Turns about the centre, counterclockwise."""
    radians = tf.cast(degrees, tf.float64) * (math.pi / 180)
    shape = tf.cast(tf.shape(image), tf.float64)
    affine = geometry.rotation(
        tf.cos(radians), tf.sin(radians), shape[1] / 2, shape[0] / 2
    )
    return geometry.warp(image, affine, geometry.fixed_point)


def shear_x(image: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Moves each row a little further left than the one above."""
    affine = geometry.shear_x(tf.cast(share, tf.float64))
    return geometry.warp(image, affine, geometry.fixed_point)


def shear_y(image: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Moves each column a little further up than the one before."""
    affine = geometry.shear_y(tf.cast(share, tf.float64))
    return geometry.warp(image, affine, geometry.fixed_point)


def _grey(image: tf.Tensor) -> tf.Tensor:
    """PIL's grey image.

    Args:
        image: float32 `[height, width, 3]`, whole numbers.

    Returns:
        The same kind, all channels alike.
    """
    weights = tf.constant([[weight / 65536] * 3 for weight in GREY_WEIGHTS])
    greys = tf.matmul(tf.reshape(image, [-1, 3]), weights)
    return tf.reshape(tf.floor(greys + 0.5), tf.shape(image))
