"""Picks images evenly out of a split, as the device will see them."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from efficientnet_tf.data.cut import Cut
from efficientnet_tf.data.dataset import RecordDataset
from efficientnet_tf.data.manifest import Split
from efficientnet_tf.data.pipeline import evaluation_examples


def picked_examples(
    dataset: RecordDataset, split: Split, *, images: int, cut: Cut
) -> tf.data.Dataset:
    """Examples spread evenly over the records of a split, the same each time.

    All records are read, but fewer than twice the picked ones are decoded. One
    that cannot be used is left out.

    Args:
        dataset: Where the records are.
        split: Which of them.
        images: How many to pick; the whole split where it has fewer.
        cut: How images are cut.

    Returns:
        A data set of (float32 `[pixels, pixels, 3]` on 0..255, which bicubic
        interpolation may overshoot, int32 label from 0).
    """
    shards = dataset.split(split)
    wanted = min(images, shards.images)
    stride = shards.images // wanted
    left = -(-shards.images // stride)
    examples = evaluation_examples(dataset, split, cut=cut, stride=stride)

    def picked(place: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
        return (place + 1) * wanted // left > place * wanted // left

    return (
        examples.enumerate()
        .filter(picked)
        .map(lambda place, example: example)
        .filter(lambda image, label: label >= 0)
        .take(wanted)
    )


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Rounds images on 0..255 to the pixels that the device is given.

    Args:
        images: Any shape, float32.

    Returns:
        uint8 of that shape; what lies outside of 0..255 is cut off.
    """
    clipped: np.ndarray = np.clip(np.rint(images), 0, 255)
    return clipped.astype(np.uint8)
