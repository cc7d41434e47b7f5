"""Random changes of brightness, contrast, saturation and hue.

The arithmetic is that of torchvision's `ColorJitter` on float images, but on
0..255.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from efficientnet_tf.data.augmentation.recipe import Jitter

# Red, green and blue in torchvision's grey.
_GREY_WEIGHTS = (0.2989, 0.587, 0.114)


def jittered(image: tf.Tensor, seed: tf.Tensor, jitter: Jitter) -> tf.Tensor:
    """Changes an image's colours at random.

    Args:
        image: float32 `[height, width, 3]`; what is beyond 0..255 is clipped.
        seed: integer `[2]`.
        jitter: How much; not nothing.

    Returns:
        The same kind, on 0..255.
    """
    amounts = (
        (adjust_brightness, jitter.brightness),
        (adjust_contrast, jitter.contrast),
        (adjust_saturation, jitter.saturation),
        (adjust_hue, jitter.hue),
    )
    wanted = [(change, most) for change, most in amounts if most]
    # Of each change its place in the order and how much.
    uniform = tf.random.stateless_uniform([len(wanted), 2], seed)
    order = tf.argsort(uniform[:, 0])
    image = tf.clip_by_value(image, 0.0, 255.0)
    for place in range(len(wanted)):
        branches = [
            _branch(image, change, _factor(change, most, uniform[number, 1]))
            for number, (change, most) in enumerate(wanted)
        ]
        image = tf.switch_case(order[place], branches)
    return image


def adjust_brightness(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Blends with black: 0 is black, 1 leaves the image.

    Args:
        image: float32 `[height, width, 3]` on 0..255, as in all that follow.
        factor: float32 scalar, as in all that follow.
    """
    return tf.clip_by_value(image * factor, 0.0, 255.0)


def adjust_contrast(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Blends with the mean of the grey image: 0 is grey, 1 the image."""
    return _blend(tf.reduce_mean(_grey(image)), image, factor)


def adjust_saturation(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Blends with the grey image: 0 is without colour, 1 the image."""
    return _blend(_grey(image), image, factor)


def adjust_hue(image: tf.Tensor, turn: tf.Tensor) -> tf.Tensor:
    """Turns the hue by a share of the whole circle."""
    return tf.clip_by_value(tf.image.adjust_hue(image, turn), 0.0, 255.0)


def _factor(
    change: Callable[..., tf.Tensor], most: float, uniform: tf.Tensor
) -> tf.Tensor:
    """A uniform number in [0, 1) -> what a change is given."""
    if change is adjust_hue:
        return (2 * uniform - 1) * most
    least = max(0.0, 1 - most)
    return least + uniform * (1 + most - least)


def _branch(
    image: tf.Tensor, change: Callable[..., tf.Tensor], factor: tf.Tensor
) -> Callable[[], tf.Tensor]:
    return lambda: tf.ensure_shape(change(image, factor), image.shape)


def _blend(
    degenerate: tf.Tensor, image: tf.Tensor, factor: tf.Tensor
) -> tf.Tensor:
    blended = factor * image + (1 - factor) * degenerate
    return tf.clip_by_value(blended, 0.0, 255.0)


def _grey(image: tf.Tensor) -> tf.Tensor:
    """float32 `[height, width, 3]` -> the same, all channels alike."""
    weights = tf.constant([[weight] * 3 for weight in _GREY_WEIGHTS])
    rows = tf.matmul(tf.reshape(image, [-1, 3]), weights)
    return tf.reshape(rows, tf.shape(image))
