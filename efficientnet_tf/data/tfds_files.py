"""The records of a data set that tensorflow-datasets has made."""

from __future__ import annotations

import os

from efficientnet_tf.data.kinds import RecordDataset, Shards
from efficientnet_tf.data.tfds_source import (
    PREFIX,
    TfdsData,
    open_tfds,
    split_info,
)
from efficientnet_tf.errors import InputError


def open_tfds_files(data_dir: str, tfds_dir: str) -> RecordDataset:
    """Finds the files of a data set of TFDS, which makes it where it is not.

    They are read without TFDS. A PNG becomes a JPEG of quality 100 while it is
    read, as `prepare` makes one.

    Args:
        data_dir: "tfds:NAME", with a configuration and version as TFDS has it.
        tfds_dir: Where TFDS keeps data sets; empty for its default.

    Raises:
        InputError: TFDS is not installed, does not know the name, or the data
            set is none of pictures and classes in two splits.
        RunError: TFDS could not make it.
    """
    data = open_tfds(data_dir, tfds_dir)
    if data.validation is None:
        raise InputError(
            f"{data_dir} has no split to validate on; make records of it, "
            f"`prepare --from={data_dir}`"
        )
    return RecordDataset(
        name=data_dir.removeprefix(PREFIX).replace("/", "-").replace(":", "-"),
        path=data_dir,
        train=_split(data, data.train),
        validation=_split(data, data.validation),
        labels=data.labels,
        first_label=0,
        kind="tfds",
        features=(data.image, data.label),
    )


def _split(data: TfdsData, name: str) -> Shards:
    info = split_info(data, name)
    return Shards(
        tuple(os.fspath(path) for path in info.filepaths),
        tuple(int(count) for count in info.shard_lengths),
        int(info.num_bytes or 0),
    )
