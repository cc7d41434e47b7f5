"""The ops as the original computes them, quirks and all.

Published weights were trained with them, so a published magnitude means this.
They differ from `clean` in this:

- `Solarize` compares bytes: a threshold of 256 is 0, all of the image is
  inverted at level 10; level 17 inverts from 179 on.
- `Posterize` shifts by at most 7 bits, and a shift below 0 is one beyond: below
  level 2.5 one bit is left, and again from level 23 on.
- `Contrast` blends with a grey of height * width / 256, at most 255, in place
  of the image's mean (tensorflow/tpu#825).
- `Color` has TensorFlow's grey, whose weights sum to 0.9999.
- `Sharpness` cuts its smooth image off behind the point.
- Affine ops take a pixel's place for its middle, so that shears and rotations
  are up to half a pixel off PIL's.

Source: tensorflow/tpu `models/official/efficientnet/autoaugment.py` at commit
7dc921f, and what TensorFlow's kernels make of it.
"""

from __future__ import annotations

import math

import tensorflow as tf

from efficientnet_tf.data.augmentation import colours, geometry


def posterize(image: tf.Tensor, bits: tf.Tensor) -> tf.Tensor:
    """Keeps the highest bits; see above for numbers of them beyond 1 to 8."""
    shift = _wrapped(8 - bits)
    kept = 8 - tf.minimum(shift, 7)
    return colours.keep_bits(image, tf.cast(kept, tf.uint8))


def solarize(image: tf.Tensor, threshold: tf.Tensor) -> tf.Tensor:
    """Inverts the values from a threshold on, which is wrapped to a byte."""
    return colours.solarize(image, tf.cast(_wrapped(threshold), tf.uint8))


def color(image: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Blends with TensorFlow's grey image."""
    grey = tf.cast(tf.image.rgb_to_grayscale(image), tf.float32)
    # The same in all channels, and sooner than a broadcast gets there.
    thrice = tf.matmul(tf.reshape(grey, [-1, 1]), tf.ones([1, 3]))
    exact = tf.cast(image, tf.float32)
    return colours.blend(tf.reshape(thrice, tf.shape(image)), exact, share)


def contrast(image: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Blends with a grey that the image's size decides."""
    shape = tf.shape(image)
    grey = tf.minimum(shape[0] * shape[1] // 256, 255)
    return colours.blend(
        tf.cast(grey, tf.float32), tf.cast(image, tf.float32), share
    )


def sharpness(image: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Blends with a smooth image, but for a border of one pixel."""
    exact = tf.cast(image, tf.float32)
    weights = tf.constant([[1, 1, 1], [1, 5, 1], [1, 1, 1]], tf.float32) / 13
    kernel = tf.tile(weights[..., tf.newaxis, tf.newaxis], [1, 1, 3, 1])
    smooth = tf.nn.depthwise_conv2d(
        exact[tf.newaxis], kernel, [1, 1, 1, 1], "VALID"
    )
    smooth = tf.floor(tf.clip_by_value(smooth[0], 0.0, 255.0))
    return colours.blend_inside(smooth, exact, share)


def rotate(image: tf.Tensor, degrees: tf.Tensor) -> tf.Tensor:
    """Turns about the centre, counterclockwise."""
    radians = degrees * (math.pi / 180)
    shape = tf.cast(tf.shape(image), tf.float32)
    affine = geometry.rotation(
        tf.cos(radians), tf.sin(radians), (shape[1] - 1) / 2, (shape[0] - 1) / 2
    )
    return geometry.warp(image, affine, geometry.rounded)


def shear_x(image: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Moves each row a little further left than the one above."""
    return geometry.warp(image, geometry.shear_x(share), geometry.rounded)


def shear_y(image: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Moves each column a little further up than the one before."""
    return geometry.warp(image, geometry.shear_y(share), geometry.rounded)


def _wrapped(value: tf.Tensor) -> tf.Tensor:
    """A whole number in float32 -> int32, what a byte holds of it."""
    return tf.math.floormod(tf.cast(value, tf.int32), 256)
