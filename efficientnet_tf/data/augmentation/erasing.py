"""Random erasing: a rectangle of an image is replaced."""

from __future__ import annotations

import math

import tensorflow as tf

from efficientnet_tf.data.augmentation.recipe import Erasing

# Share of the image and height over width of the rectangle; "Random Erasing
# Data Augmentation", arXiv 1708.04896, by torchvision's numbers.
AREA = (0.02, 0.33)
ASPECT = (0.3, 3.3)
TRIES = 10


def erased(image: tf.Tensor, seed: tf.Tensor, erasing: Erasing) -> tf.Tensor:
    """Replaces a rectangle of an image, or leaves it.

    Its area is drawn evenly, its aspect evenly by its logarithm; a rectangle
    that does not fit is drawn anew, and after ten tries the image stays.

    Args:
        image: float32 `[height, width, 3]` on 0..255.
        seed: integer `[2]`.
        erasing: How likely, and what fills it.

    Returns:
        The same kind.
    """
    coin_seed, place_seed, noise_seed = tf.unstack(tf.random.split(seed, 3))
    coin = tf.random.stateless_uniform([], coin_seed)

    def changed() -> tf.Tensor:
        mask = _rectangle(tf.shape(image), place_seed)
        if erasing.filling == "noise":
            filling = tf.random.stateless_uniform(
                tf.shape(image), noise_seed, maxval=255.0
            )
        else:
            filling = tf.constant(erasing.mean, tf.float32)
        return tf.ensure_shape(
            tf.where(mask[..., tf.newaxis], filling, image), image.shape
        )

    return tf.cond(coin < erasing.probability, changed, lambda: image)


def _rectangle(shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Bool `[height, width]`, true inside a random rectangle, if one fits."""
    length = tf.cast(shape[:2], tf.float32)
    # Of each try: area, aspect, top, left.
    area, aspect, *corner = tf.unstack(
        tf.random.stateless_uniform([TRIES, 4], seed), axis=1
    )
    pixels = (AREA[0] + area * (AREA[1] - AREA[0])) * length[0] * length[1]
    lowest, highest = map(math.log, ASPECT)
    ratio = tf.exp(lowest + aspect * (highest - lowest))
    sides = [
        tf.round(tf.sqrt(pixels * ratio)),
        tf.round(tf.sqrt(pixels / ratio)),
    ]
    fits = tf.logical_and(sides[0] < length[0], sides[1] < length[1])
    chosen = tf.argmax(fits)
    inside = []
    for axis in (0, 1):
        side = sides[axis][chosen]
        first = tf.floor(corner[axis][chosen] * (length[axis] - side + 1))
        behind = tf.range(shape[axis], dtype=tf.float32) - first
        inside.append(tf.logical_and(behind >= 0, behind < side))
    rectangle = tf.logical_and(inside[0][:, tf.newaxis], inside[1])
    return tf.logical_and(rectangle, fits[chosen])
