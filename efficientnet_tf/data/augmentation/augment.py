"""All that is done to a training image after cropping and mirroring it."""

from __future__ import annotations

import tensorflow as tf

from efficientnet_tf.data.augmentation.applying import apply_ops
from efficientnet_tf.data.augmentation.colours import to_bytes
from efficientnet_tf.data.augmentation.drawing import Drawn, draw
from efficientnet_tf.data.augmentation.erasing import erased
from efficientnet_tf.data.augmentation.jitter import jittered
from efficientnet_tf.data.augmentation.recipe import Augmentation

# Tell random numbers apart that follow from an image's seed.
_OPS, _JITTER, _ERASING = 1, 2, 3


# No Python here depends on a tensor, and looking for it takes seconds.
@tf.autograph.experimental.do_not_convert
def augmented(
    image: tf.Tensor, seed: tf.Tensor, augmentation: Augmentation
) -> tf.Tensor:
    """Changes a training image at random.

    Args:
        image: float32 `[height, width, 3]` on 0..255, which bicubic
            interpolation may overshoot.
        seed: integer `[2]`; the same seed gives the same changes.
        augmentation: What is done.

    Returns:
        float32 of that shape; whole numbers on 0..255 if ops were all that
        was asked for, the very same image if nothing was.
    """
    if augmentation.policy != "none":
        drawn = drawn_ops(seed, augmentation)
        # Clipped and cut off, as in the original.
        changed = apply_ops(to_bytes(image), drawn, augmentation.arithmetic)
        image = tf.cast(changed, tf.float32)
    return beyond_ops(image, seed, augmentation)


def beyond_ops(
    image: tf.Tensor, seed: tf.Tensor, augmentation: Augmentation
) -> tf.Tensor:
    """The part of `augmented` that follows the policy's ops."""
    if augmentation.jitter:
        key = tf.random.fold_in(seed, _JITTER)
        image = jittered(image, key, augmentation.jitter)
    if augmentation.erasing.probability:
        key = tf.random.fold_in(seed, _ERASING)
        image = erased(image, key, augmentation.erasing)
    return image


def drawn_ops(seed: tf.Tensor, augmentation: Augmentation) -> Drawn:
    """The ops that `augmented` applies for a seed; `drawn_text` names them.

    Args:
        seed: integer `[2]`, the one that `training_image` is given.
        augmentation: The policy; of "none" there are no ops.
    """
    return draw(tf.random.fold_in(seed, _OPS), augmentation)
