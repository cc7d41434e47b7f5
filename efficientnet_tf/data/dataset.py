"""What `data.dir` names, found out: files, their counts, names of classes.

TFRecords have a manifest that says so, where `prepare` made them. Those of
ImageNet 2012 are known by their number of shards, others are counted.
"""

from __future__ import annotations

import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from efficientnet_tf.data.class_folders import open_folder
from efficientnet_tf.data.counts import (
    FILES_AT_ONCE,
    known_counts,
    record_counts,
)
from efficientnet_tf.data.digits import write_digits
from efficientnet_tf.data.fake import FAKE, open_fake
from efficientnet_tf.data.folders import RECORDS, is_image_name
from efficientnet_tf.data.frames import read_frames
from efficientnet_tf.data.kinds import RecordDataset, Shards
from efficientnet_tf.data.manifest import (
    LABELS,
    MANIFEST,
    ShardFile,
    Split,
    read_manifest,
)
from efficientnet_tf.data.records import (
    ENCODED,
    LABEL,
    READ_BUFFER_BYTES,
    parse_record,
)
from efficientnet_tf.data.tfds_files import open_tfds_files
from efficientnet_tf.data.tfds_source import PREFIX
from efficientnet_tf.errors import InputError
from efficientnet_tf.files import read_text
from efficientnet_tf.progress import progress

# More is a damaged label rather than a class.
MOST_CLASSES = 1_000_000

# A file's name that says how many there are: `train-00000-of-01024`, with or
# without an ending.
_NUMBERED = re.compile(r"(.*-)(\d+)-of-(\d+)(.*)")

# In a folder that `prepare` has begun and not finished.
UNFINISHED = "prepare.unfinished"

IMAGENET_SHARDS = (1024, 128)
# Images of both splits, and what their classes are numbered by.
_IMAGENET_IMAGES = (1_281_167, 50_000)
_IMAGENET_LABELS = (1, 1000)
_CURE = "copy the whole folder again, or remove it and prepare it anew"

# Counts of each split's files, the first label, the number of classes.
_Numbers = tuple[tuple[list[int], list[int]], int, int]


def open_dataset(
    data_dir: str,
    *,
    train_images: int | None = None,
    validation_images: int | None = None,
    first_label: int | None = None,
    classes: int | None = None,
    holdout_shards: int = 0,
    tfds_dir: str = "",
    max_bad_share: float = 0.0,
) -> RecordDataset:
    """Finds out what `data.dir` names.

    TFRecords, in this order: what the manifest says, after a look at every
    file's size; the numbers, where all are given; what is known of ImageNet
    2012, where there are 1024 and 128 shards; what reading all records shows.

    Args:
        data_dir: A folder of TFRecords or of class folders, local or gs://;
            "tfds:NAME"; "fake" for images of noise; "digits" for the digits
            that come with the package. A folder of that name is "./digits".
        train_images: Records of the training split, but for those held out.
        validation_images: Records of the validation split, or held out.
        first_label: What the records call the first class; where the other
            numbers are given and this is not, it is ImageNet's 1.
        classes: Number of classes.
        holdout_shards: How many of the first training files are the validation
            split, in place of its own files.
        tfds_dir: Where TFDS keeps data sets; empty for its default.
        max_bad_share: Which share of a data set's bytes may be lacking or too
            many in its files, by its manifest; no file may be missing.

    Returns:
        The data set.

    Raises:
        InputError: There is no such data, it is not whole, or a number that
            was given is not the one found.
        RunError: TFDS could not make a data set.
    """
    if not data_dir:
        raise InputError(
            "data.dir is empty: name a folder of TFRecords by --data_dir, or "
            '"digits"'
        )
    if data_dir == FAKE:
        return open_fake(train_images, validation_images, classes)
    if data_dir.startswith(PREFIX):
        found = open_tfds_files(data_dir, tfds_dir)
    else:
        images = (train_images, validation_images)
        if data_dir == "digits":
            data_dir = write_digits()
        found = _in_folder(
            data_dir,
            images,
            (first_label, classes),
            max_bad_share,
            alone=holdout_shards > 0,
        )
    if holdout_shards:
        files = len(found.train.files)
        if holdout_shards >= files:
            raise InputError(
                f"data.holdout_shards {holdout_shards} must be less than the "
                f"{files} training files of {found.path}"
            )
        found = found.hold_out(holdout_shards)
    _check(found, train_images, validation_images, first_label, classes)
    return found


def _in_folder(
    folder: str,
    images: tuple[int | None, int | None],
    labels: tuple[int | None, int | None],
    max_bad_share: float,
    *,
    alone: bool,
) -> RecordDataset:
    names = listing(folder)
    if MANIFEST in names:
        return _from_manifest(folder, max_bad_share)
    if UNFINISHED in names:
        raise InputError(
            f"{folder} was not prepared to the end; run the same `prepare` "
            "again"
        )
    if _has_class_folders(folder, names):
        return open_folder(folder)
    first, classes = labels
    given = None
    if all(images) and classes:
        given = (1 if first is None else first, classes)
    return _from_names(folder, names, given, alone=alone)


def _from_manifest(folder: str, max_bad_share: float) -> RecordDataset:
    manifest = read_manifest(folder)
    shards = manifest.train + manifest.validation
    files = tuple(os.path.join(folder, shard.file) for shard in shards)
    allowed = max_bad_share * sum(shard.bytes for shard in shards)
    for file, size, shard in zip(files, _sizes(files), shards, strict=True):
        if size is None:
            raise InputError(f"{file} is missing; {_CURE}")
        if size == shard.bytes:
            continue
        said = f"{file} has {size:,} bytes, the manifest says {shard.bytes:,}"
        allowed -= abs(size - shard.bytes)
        if allowed < 0:
            raise InputError(f"{said}; {_CURE}")
        print(f"{said}: within data.max_bad_share", file=sys.stderr)

    def split(files: tuple[str, ...], shards: tuple[ShardFile, ...]) -> Shards:
        return Shards(
            files,
            tuple(shard.images for shard in shards),
            sum(shard.bytes for shard in shards),
        )

    first_validation = len(manifest.train)
    return RecordDataset(
        name=manifest.name,
        path=folder,
        train=split(files[:first_validation], manifest.train),
        validation=split(files[first_validation:], manifest.validation),
        labels=manifest.labels,
        first_label=manifest.first_label,
    )


def _from_names(
    folder: str,
    names: frozenset[str],
    labels: tuple[int, int] | None,
    *,
    alone: bool,
) -> RecordDataset:
    """The data set of a folder without a manifest.

    Args:
        folder: The folder.
        names: What is in it.
        labels: The first label and the number of classes, where a person has
            said all numbers.
        alone: Whether training files will do, of which some are held out.
    """
    train = _split_files(folder, names, "train")
    validation: tuple[str, ...] = ()
    if not alone or any(name.startswith("validation-") for name in names):
        validation = _split_files(folder, names, "validation")
    if labels:
        numbers: _Numbers = (
            (record_counts(train), record_counts(validation)),
            *labels,
        )
    elif (len(train), len(validation)) == IMAGENET_SHARDS:
        images, held_out = _IMAGENET_IMAGES
        numbers = (
            (known_counts(train, images), known_counts(validation, held_out)),
            *_IMAGENET_LABELS,
        )
    else:
        numbers = _count(folder, train, validation)
    counts, first, classes = numbers

    def split(files: tuple[str, ...], counts: list[int]) -> Shards:
        sizes = [size or 0 for size in _sizes(files)]
        return Shards(files, tuple(counts), sum(sizes))

    return RecordDataset(
        name=os.path.basename(os.path.abspath(folder)),
        path=folder,
        train=split(train, counts[0]),
        validation=split(validation, counts[1]),
        labels=_labels(folder, names, classes, first),
        first_label=first,
    )


def _sizes(files: tuple[str, ...]) -> list[int | None]:
    """Bytes of each file; None for one that is missing."""
    with ThreadPoolExecutor(FILES_AT_ONCE) as pool:
        return list(pool.map(_size, files))


def _size(file: str) -> int | None:
    try:
        return int(tf.io.gfile.stat(file).length)
    except tf.errors.NotFoundError:
        return None


def listing(folder: str) -> frozenset[str]:
    """Names of what a data folder holds.

    Raises:
        InputError: It is no folder that can be read.
    """
    try:
        return frozenset(tf.io.gfile.listdir(folder))
    except UnicodeDecodeError as error:
        raise InputError(
            f"data_dir {folder} holds a name that is not UTF-8, "
            f"{error.object!r}; rename it"
        ) from error
    except tf.errors.OpError as error:
        raise InputError(
            f"data_dir {folder} is no folder that can be read "
            f'({error.message}); "digits" needs none'
        ) from error


def _has_class_folders(folder: str, names: frozenset[str]) -> bool:
    """Whether there are folders, and no files of records."""

    def is_folder(name: str) -> bool:
        # On gs:// folders are listed with a slash.
        path = os.path.join(folder, name)
        return name.endswith("/") or bool(tf.io.gfile.isdir(path))

    shown = [name for name in names if not name.startswith((".", "__MACOSX"))]
    records = [name for name in shown if name.startswith(RECORDS)]
    # A class may be called "train-wagon"; one of many files is asked.
    if records and not is_folder(min(records)):
        return False
    return any(is_folder(name) for name in shown if not is_image_name(name))


def _split_files(
    folder: str, names: frozenset[str], split: Split
) -> tuple[str, ...]:
    """The files of a split, all that their names promise, in order."""
    files = promised_files(folder, names, split)
    lacking = [name for name in files if name not in names]
    if lacking:
        raise InputError(f"{folder} lacks {lacking[0]}; {_CURE}")
    return tuple(os.path.join(folder, file) for file in files)


def promised_files(
    folder: str, names: frozenset[str], split: Split
) -> tuple[str, ...]:
    """Names of a split's files: those there, and those that they promise.

    Args:
        folder: Where they are, for the error.
        names: What it holds.
        split: Whose files.

    Raises:
        InputError: There are none.
    """
    files = {name for name in names if name.startswith(f"{split}-")}
    if not files:
        raise InputError(
            f"{folder} has no {split}-* files; of a folder of pictures "
            "`prepare` makes them, and data.holdout_shards trains without "
            "validation-* files"
        )
    for found in filter(None, [_NUMBERED.fullmatch(name) for name in files]):
        before, digits, total, after = found.groups()
        files |= {
            f"{before}{number:0{len(digits)}d}-of-{total}{after}"
            for number in range(int(total))
        }
    return tuple(sorted(files))


def _labels(
    folder: str, names: frozenset[str], classes: int, first_label: int
) -> tuple[str, ...]:
    """The lines of `labels.txt`, or the records' numbers as words."""
    if LABELS not in names:
        return number_labels(classes, first_label)
    text = read_text(os.path.join(folder, LABELS)) or ""
    # Windows' editors begin a file with a mark.
    labels = tuple(text.removeprefix("\ufeff").splitlines())
    if len(labels) != classes:
        raise InputError(
            f"{folder}/{LABELS} has {len(labels)} lines; "
            f"write {classes}, one per class, without a background"
        )
    return labels


def number_labels(classes: int, first_label: int) -> tuple[str, ...]:
    """What classes without names are called: the records' numbers."""
    return tuple(str(first_label + i) for i in range(classes))


def _count(
    folder: str, train: tuple[str, ...], validation: tuple[str, ...]
) -> _Numbers:
    """Counts of both splits, the first label and the number of classes."""
    print(
        f"{folder} has no {MANIFEST}: reading all records once to count them "
        "(`prepare` writes one)",
        file=sys.stderr,
    )
    counts, labels = [], []
    with progress("counting", len(train + validation)) as advance:
        for number, file in enumerate(train + validation, 1):
            count, found = _count_file(file)
            counts.append(count)
            labels.append(found)
            advance(number)
    everything = np.concatenate(labels)
    if not sum(counts):
        raise InputError(f"{folder} holds no records; {_CURE}")
    if not len(everything):
        raise InputError(
            f"{folder} holds no record with {LABEL}, an int64; records must be "
            f"of tf.train.Example with that and {ENCODED}, in files that are "
            "not compressed"
        )
    first, last = min(1, int(everything.min())), int(everything.max())
    if first < 0 or last > MOST_CLASSES:
        raise InputError(
            f"{folder} has labels from {everything.min()} to {last}; they must "
            f"count from 0 or 1, to {MOST_CLASSES} at most"
        )
    halves = (counts[: len(train)], counts[len(train) :])
    return halves, first, last + 1 - first


def _count_file(file: str) -> tuple[int, np.ndarray]:
    """Records of a file, and the labels of those that have one, int64."""
    records = tf.data.TFRecordDataset(file, buffer_size=READ_BUFFER_BYTES)
    batches = records.map(lambda record: parse_record(record)[1]).batch(1024)
    try:
        labels = np.concatenate(
            [np.empty(0, np.int64), *batches.as_numpy_iterator()]
        )
        return len(labels), labels
    except tf.errors.NotFoundError as error:
        raise InputError(f"{file} cannot be read: {error.message}") from error
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError):
        # Some of it is damaged: one by one, slower.
        found = [_label_of(frame.record) for frame in read_frames(file)]
        known = [label for label in found if label is not None]
        return len(found), np.array(known, np.int64)


def _label_of(record: bytes | None) -> int | None:
    """The label of a record that may be damaged or no example."""
    try:
        example = tf.train.Example.FromString(record or b"")
        (label,) = example.features.feature[LABEL].int64_list.value
    except (ValueError, DecodeError):
        return None
    return int(label)


def _check(
    found: RecordDataset,
    train_images: int | None,
    validation_images: int | None,
    first_label: int | None,
    classes: int | None,
) -> None:
    """Refuses an empty split, and a given number that is not the one found."""
    for name, given, real in (
        ("data.train_images", train_images, found.train.images),
        (
            "data.validation_images",
            validation_images,
            found.validation.images,
        ),
        ("data.first_label", first_label, found.first_label),
        ("model.classes", classes, found.classes),
    ):
        if real < 1 and name != "data.first_label":
            raise InputError(f"{found.path}: {name} is {real}; give 1 or more")
        if given not in (None, real):
            raise InputError(
                f"{name} {given} was given, {found.path} has {real}; "
                "leave it out"
            )
