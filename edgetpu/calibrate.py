"""Images that set the int8 ranges."""

from __future__ import annotations

import dataclasses

import numpy as np

from edgetpu.samples import picked_examples, to_uint8
from efficientnet_tf.data.cut import Cut
from efficientnet_tf.data.dataset import RecordDataset

# A few hundred images need not read ImageNet's 140 GB.
MOST_FILES = 64


def calibration_images(
    dataset: RecordDataset, *, images: int, cut: Cut
) -> np.ndarray:
    """Training images as the device would see them, and the two extremes.

    An all-black and an all-white image are added: with them the input's range
    is exactly that of all pixels, so that its quantisation comes out as scale
    1/128 and zero point 127 and the file takes raw pixels.

    Args:
        dataset: Whose training split to pick from, evenly: over the records
            where it has at most `MOST_FILES` files, else over those of that
            many files.
        images: How many to pick; the whole split where it has fewer.
        cut: How images are cut.

    Returns:
        uint8 `[picked + 2, pixels, pixels, 3]`, the same each time.
    """
    examples = picked_examples(
        _some_files(dataset, images), "train", images=images, cut=cut
    )
    picked = [to_uint8(image) for image, _ in examples.as_numpy_iterator()]
    black = np.zeros((cut.pixels, cut.pixels, 3), np.uint8)
    return np.stack([*picked, black, np.full_like(black, 255)])


def _some_files(dataset: RecordDataset, images: int) -> RecordDataset:
    """Leaves evenly spaced files of the training split, enough for `images`."""
    train = dataset.train
    some = train.some(slice(None, None, max(1, len(train.files) // MOST_FILES)))
    if len(train.files) <= MOST_FILES or some.images < 2 * images:
        return dataset
    return dataclasses.replace(dataset, train=some)
