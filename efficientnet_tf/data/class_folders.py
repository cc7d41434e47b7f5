"""A folder of class folders of pictures, read as it lies there."""

from __future__ import annotations

import os

from efficientnet_tf.data.folders import folder_source
from efficientnet_tf.data.kinds import RecordDataset, Shards
from efficientnet_tf.data.pictures import Picture, both_splits, mean_bytes

# What `prepare` takes where nobody says otherwise.
_HOLDOUT, _SEED = 0.2, 0


def open_folder(folder: str) -> RecordDataset:
    """The pictures of class folders, in the splits that `prepare` makes.

    Raises:
        InputError: The folder has another layout.
    """
    source = folder_source(folder)
    train, validation = both_splits(source, _HOLDOUT, _SEED)
    numbers = {name: number for number, name in enumerate(source.labels)}

    def split(pictures: list[Picture]) -> Shards:
        return Shards(
            tuple(picture.path for picture in pictures),
            (1,) * len(pictures),
            bytes=int(mean_bytes(pictures) * len(pictures)),
            labels=tuple(numbers[picture.class_name] for picture in pictures),
        )

    return RecordDataset(
        name=os.path.basename(os.path.abspath(folder)),
        path=folder,
        train=split(train),
        validation=split(validation),
        labels=source.labels,
        first_label=0,
        kind="folder",
    )
