"""Images that set the int8 ranges."""

from __future__ import annotations

import dataclasses
import sys
from collections import Counter
from collections.abc import Iterator

import numpy as np

from edgetpu.samples import picked_examples, to_uint8
from edgetpu.stratify import stratified
from efficientnet_tf.data.bad_records import look_up
from efficientnet_tf.data.cut import Cut
from efficientnet_tf.data.dataset import RecordDataset
from efficientnet_tf.errors import InputError

# A few hundred images need not read ImageNet's 140 GB.
MOST_FILES = 64
# How many images are looked at for each that is picked.
POOL = 4


def calibration_images(
    dataset: RecordDataset, *, images: int, cut: Cut
) -> np.ndarray:
    """Training images as the device would see them, and the two extremes.

    An all-black and an all-white image are added: with them the input's range
    is exactly that of all pixels, so that its quantisation comes out as scale
    1/128 and zero point 127 and the file takes raw pixels.

    Args:
        dataset: Whose training split to pick from: out of `POOL` times as many
            images, evenly spread over the records where it has at most
            `MOST_FILES` files, else over those of that many files, equally
            many of each class.
        images: How many to pick; the whole split where it has fewer.
        cut: How images are cut.

    Returns:
        uint8 `[picked + 2, pixels, pixels, 3]`, the same each time.

    Raises:
        InputError: None of those looked at can be used.
    """
    dataset = _some_files(dataset, images)
    examples = picked_examples(dataset, "train", images=POOL * images, cut=cut)
    read: Counter[int] = Counter()

    def pool() -> Iterator[tuple[np.ndarray, int]]:
        for image, label in examples.as_numpy_iterator():
            read[int(label)] += 1
            yield to_uint8(image), int(label)

    picked = stratified(pool(), images)
    _tell_unusable(
        dataset, min(POOL * images, dataset.train.images), read.total()
    )
    black = np.zeros((cut.pixels, cut.pixels, 3), np.uint8)
    return np.stack([*picked, black, np.full_like(black, 255)])


def _tell_unusable(dataset: RecordDataset, wanted: int, read: int) -> None:
    """Says how many images could not be used; refuses where none could."""
    if not read:
        why = look_up(dataset, 0)
        raise InputError(
            f"none of {wanted:,} training images of {dataset.path} can be used "
            f"to calibrate with{f' ({why})' if why else ''}; name others by "
            "--calibration"
        )
    if read < wanted:
        print(
            f"{wanted - read:,} of {wanted:,} training images of "
            f"{dataset.path} cannot be used, and are left out",
            file=sys.stderr,
        )


def _some_files(dataset: RecordDataset, images: int) -> RecordDataset:
    """Leaves evenly spaced files of the training split, enough for `images`."""
    train = dataset.train
    some = train.some(slice(None, None, max(1, len(train.files) // MOST_FILES)))
    if len(train.files) <= MOST_FILES or some.images < 2 * images:
        return dataset
    return dataclasses.replace(dataset, train=some)
