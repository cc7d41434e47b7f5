"""Data sets of tensorflow-datasets, as pictures of a source.

TFDS keeps a picture as the bytes of a JPEG or PNG in a record of its own: they
are what `SkipDecoding` gives. So the records are read here without TFDS, which
is asked only where its files are and what they hold.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from efficientnet_tf.data.frames import HEADER_BYTES, read_frames
from efficientnet_tf.data.pictures import HELD_OUT, Picture, Source
from efficientnet_tf.data.workers import IMAGES_PER_PROCESS, Advance, share_out
from efficientnet_tf.errors import InputError, RunError, near

PREFIX = "tfds:"

# Features that say what a picture was called.
_NAMES = ("file_name", "filename", "image/filename", "id", "image_id")


@dataclass(frozen=True)
class TfdsData:
    """A data set of TFDS that is there, and what of it is used.

    Attributes:
        builder: TFDS's own object.
        train: Name of the training split.
        validation: Name of the split that validates; None where there is none.
        image: Name of the feature that is the picture.
        label: Of the one that is its class.
        labels: Names of the classes, in the order of their numbers, from 0.
        file_name: Of the feature that says the picture's name; None for none.
    """

    builder: Any
    train: str
    validation: str | None
    image: str
    label: str
    labels: tuple[str, ...]
    file_name: str | None


def open_tfds(name: str, folder: str = "") -> TfdsData:
    """Opens a data set of TFDS; makes it first where it is not there.

    Args:
        name: As TFDS knows it, "cifar10" or "imagenet2012:5.1.0", with or
            without "tfds:" in front.
        folder: Where TFDS keeps data sets, local or gs://; empty for its own
            default, `$TFDS_DATA_DIR` or `~/tensorflow_datasets`.

    Raises:
        InputError: TFDS is not installed, does not know the name, or the data
            set is none of pictures and classes with a training split.
        RunError: It could not be downloaded or made.
    """
    name = name.removeprefix(PREFIX)
    builder = _builder(name, folder)
    if not builder.is_prepared():
        _make(name, builder)
    image, label = _features(name, builder.info)
    splits = list(builder.info.splits)
    if "train" not in splits:
        raise InputError(
            f"tfds:{name} has no split train, only {', '.join(splits)}; take "
            "another data set"
        )
    features = builder.info.features
    return TfdsData(
        builder=builder,
        train="train",
        validation=next((each for each in HELD_OUT if each in splits), None),
        image=image,
        label=label,
        labels=tuple(features[label].names),
        file_name=next((each for each in _NAMES if each in features), None),
    )


def split_info(data: TfdsData, split: str) -> Any:
    """What TFDS says of a split: its files, their counts and bytes.

    Raises:
        InputError: The files are no TFRecords.
    """
    file_format = data.builder.info.file_format
    if file_format and file_format.value != "tfrecord":
        raise InputError(
            f"{data.builder.data_dir} is of the format {file_format.value}; "
            "make it as tfrecord, TFDS's default, in another folder of TFDS"
        )
    return data.builder.info.splits[split]


def tfds_source(name: str, folder: str = "") -> Source:
    """The pictures of a data set of TFDS.

    Args:
        name: As TFDS knows it.
        folder: Where TFDS keeps data sets; empty for its default.

    Returns:
        The pictures, not to be turned: TFDS and the original ignore EXIF. A
        PNG becomes a JPEG of quality 100 without chroma subsampling.

    Raises:
        InputError: As `open_tfds`; or its files are of another format than
            TFRecord, or damaged, or a picture has no class.
        RunError: As `open_tfds`.
    """
    data = open_tfds(name, folder)
    train = _pictures(data, data.train)
    validation = _pictures(data, data.validation) if data.validation else None
    return Source(
        "example",
        train,
        validation,
        data.labels,
        upright=False,
        image_key=data.image,
    )


def _builder(name: str, folder: str) -> Any:
    try:
        import importlib_resources  # noqa: F401  TFDS 4.9.10 does not ask for it
        import tensorflow_datasets as tfds
    except ModuleNotFoundError as error:
        raise InputError(
            f"tfds:{name} needs {error.name}: pip install "
            "'efficientnet-tf[tfds]' beside cpu, gpu or tpu"
        ) from error
    try:
        return tfds.builder(name, data_dir=folder or None)
    except tfds.core.DatasetNotFoundError:
        known = tfds.list_builders(with_community_datasets=False)
        raise InputError(
            f"tensorflow-datasets knows no {name!r}: "
            f"{near(name.partition('/')[0].partition(':')[0], known)}"
        ) from None
    except (AssertionError, ValueError) as error:
        # A configuration or version that is none.
        raise InputError(f"tfds:{name}: {error}") from error


def _make(name: str, builder: Any) -> None:
    print(
        f"{builder.data_dir} is not there: tensorflow-datasets downloads and "
        "makes it",
        file=sys.stderr,
    )
    try:
        builder.download_and_prepare()
    except AssertionError as error:
        # What is to be downloaded by hand, and where to put it.
        raise InputError(f"tfds:{name}: {error}") from error
    # Whatever a builder, its downloads and their unpacking come upon.
    except Exception as error:
        raise RunError(f"tfds:{name} could not be made: {error}") from error


def _features(name: str, info: Any) -> tuple[str, str]:
    """Names of the features that are the picture and its class."""
    import tensorflow_datasets as tfds

    kinds = {"picture": tfds.features.Image, "class": tfds.features.ClassLabel}
    keys = []
    for what, kind in kinds.items():
        found = [
            key
            for key, feature in info.features.items()
            if isinstance(feature, kind)
        ]
        supervised = [k for k in info.supervised_keys or () if k in found]
        if len(supervised or found) != 1:
            raise InputError(
                f"tfds:{name} has {len(found)} features that are a {what} "
                f"({', '.join(found) or 'of ' + ', '.join(info.features)}); "
                "take one for classifying pictures"
            )
        keys.append((supervised or found)[0])
    dtype = np.dtype(info.features[keys[0]].np_dtype)
    if dtype != np.uint8:
        raise InputError(
            f"tfds:{name} has pictures of {dtype}; take one of uint8"
        )
    return keys[0], keys[1]


def _pictures(data: TfdsData, split: str) -> list[Picture]:
    info = split_info(data, split)
    files = [os.fspath(path) for path in info.filepaths]
    found = share_out(
        f"reading {split}",
        partial(_indexed, data=_Keys.of(data)),
        files,
        info.num_examples,
        IMAGES_PER_PROCESS,
    )
    rows = [row for rows in found for row in rows]
    return [
        Picture(path, f"{number:08d}/{name}", data.labels[label], offset, size)
        for number, (path, name, label, offset, size) in enumerate(rows)
    ]


@dataclass(frozen=True)
class _Keys:
    """What a worker is told of a data set; a builder does not travel."""

    image: str
    label: str
    classes: int
    file_name: str | None

    @classmethod
    def of(cls, data: TfdsData) -> _Keys:
        return cls(data.image, data.label, len(data.labels), data.file_name)


def _indexed(
    path: str, advance: Advance, *, data: _Keys
) -> list[tuple[str, str, int, int, int]]:
    """File, name, class, offset and size of each example of a file."""
    rows: list[tuple[str, str, int, int, int]] = []
    for frame in read_frames(path):
        if frame.record is None:
            raise InputError(
                f"{path} is damaged at byte {frame.offset:,}; remove the data "
                "set's folder, and let TFDS make it again"
            )
        feature = tf.train.Example.FromString(frame.record).features.feature
        (label,) = feature[data.label].int64_list.value
        if not 0 <= label < data.classes:
            raise InputError(
                f"{path} has a picture of class {label}, which is none of the "
                f"{data.classes}; take a split that has labels"
            )
        name = f"{len(rows):05d}"
        if data.file_name:
            name = feature[data.file_name].bytes_list.value[0].decode()
        begin = frame.offset + HEADER_BYTES
        rows.append(
            (path, os.path.basename(name), label, begin, len(frame.record))
        )
        advance(1)
    return rows
