"""Images of noise that cost nothing, for how fast everything else is."""

from __future__ import annotations

import tensorflow as tf

from efficientnet_tf.data.cut import Cut
from efficientnet_tf.data.kinds import RecordDataset, Shards
from efficientnet_tf.networks import IMAGENET_CLASSES

# The word of `data.dir`.
FAKE = "fake"

# As ImageNet has them, where nobody says another number.
_IMAGES = (1_281_167, 50_000)
_DIFFERENT = 8


def open_fake(
    train_images: int | None,
    validation_images: int | None,
    classes: int | None,
) -> RecordDataset:
    """A data set of noise.

    Args:
        train_images: Of the training split; None for as many as ImageNet has.
        validation_images: The same.
        classes: The same.
    """
    return RecordDataset(
        FAKE,
        FAKE,
        Shards((FAKE,), (train_images or _IMAGES[0],)),
        Shards((FAKE,), (validation_images or _IMAGES[1],)),
        tuple(str(number) for number in range(classes or IMAGENET_CLASSES)),
        0,
        "fake",
    )


def fake_images(dataset: RecordDataset, cut: Cut) -> tf.data.Dataset:
    """Endless images, the same few again and again.

    Returns:
        A data set of (float32 `[pixels, pixels, 3]` on 0..255, int32 label
        from 0).
    """
    shape = [_DIFFERENT, cut.pixels, cut.pixels, 3]
    images = tf.random.stateless_uniform(shape, [0, 0], maxval=255.0)
    labels = tf.range(_DIFFERENT) % dataset.classes
    return tf.data.Dataset.from_tensor_slices((images, labels)).repeat()
