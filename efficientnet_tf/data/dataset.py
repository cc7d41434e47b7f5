"""What a data folder holds: its shards, their counts, the classes' names.

`prepare` writes a manifest that says so. Data sets made elsewhere have none:
those of ImageNet 2012 are known by their number of shards, others are counted.
"""

from __future__ import annotations

import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from efficientnet_tf.data.digits import write_digits
from efficientnet_tf.data.manifest import LABELS, MANIFEST, Split, read_manifest
from efficientnet_tf.data.records import parse_record, shard_name
from efficientnet_tf.errors import InputError
from efficientnet_tf.progress import progress

# More is a damaged label rather than a class.
MOST_CLASSES = 1_000_000

# In a folder that `prepare` has begun and not finished.
UNFINISHED = "prepare.unfinished"

IMAGENET_SHARDS = (1024, 128)
# Images of both splits, the first label, the number of classes.
_Numbers = tuple[tuple[int, int], int, int]
_IMAGENET: _Numbers = ((1_281_167, 50_000), 1, 1000)
_FILES_AT_ONCE = 16
_CURE = "copy the whole folder again, or remove it and prepare it anew"


@dataclass(frozen=True)
class Shards:
    """One split's files, with folder, and the images in all of them."""

    files: tuple[str, ...]
    images: int


@dataclass(frozen=True)
class RecordDataset:
    """A data set of ImageNet's layout.

    Attributes:
        name: "digits", or the folder's name.
        path: The folder.
        train: The training split.
        validation: The validation split.
        labels: Names of the classes, in the order of the logits.
        first_label: What the records call the first class: 1 in ImageNet's
            layout, where 0 is the background.
    """

    name: str
    path: str
    train: Shards
    validation: Shards
    labels: tuple[str, ...]
    first_label: int

    @property
    def classes(self) -> int:
        """Number of classes, which is that of logits."""
        return len(self.labels)


def open_dataset(
    data_dir: str,
    *,
    train_images: int | None = None,
    validation_images: int | None = None,
    first_label: int | None = None,
    classes: int | None = None,
    holdout_shards: int = 0,
) -> RecordDataset:
    """Finds out what a data folder holds.

    In this order: what the manifest says, after a look at every file's size;
    the numbers, where all are given; what is known of ImageNet 2012, where
    there are 1024 and 128 shards; what reading all records shows.

    Args:
        data_dir: A folder or `gs://` address; "digits" means the digits that
            come with the package. A folder of that name is "./digits".
        train_images: Records of the training split, but for those held out.
        validation_images: Records of the validation split, or held out.
        first_label: What the records call the first class; where the other
            numbers are given and this is not, it is ImageNet's 1.
        classes: Number of classes.
        holdout_shards: How many of the first training files are the validation
            split, in place of its own files.

    Returns:
        The data set.

    Raises:
        InputError: There is no such data, it is not whole, or a number that
            was given is not the one found.
    """
    if not data_dir:
        raise InputError(
            "data.dir is empty: name a folder of TFRecords by --data_dir, or "
            '"digits"'
        )
    if data_dir == "digits":
        data_dir = write_digits()
    names = listing(data_dir)
    if MANIFEST in names:
        found = _from_manifest(data_dir)
    elif UNFINISHED in names:
        raise InputError(
            f"{data_dir} was not prepared to the end; "
            "run the same `prepare` again"
        )
    elif train_images and validation_images and classes:
        images = train_images, validation_images
        first = 1 if first_label is None else first_label
        found = _from_names(data_dir, names, (images, first, classes))
    else:
        found = _from_names(data_dir, names, None)
    if holdout_shards:
        numbers = (train_images, validation_images)
        found = _hold_out(found, holdout_shards, MANIFEST in names, numbers)
    _check(found, train_images, validation_images, first_label, classes)
    return found


def _from_manifest(folder: str) -> RecordDataset:
    manifest = read_manifest(folder)
    shards = manifest.train + manifest.validation
    files = [os.path.join(folder, shard.file) for shard in shards]
    with ThreadPoolExecutor(_FILES_AT_ONCE) as pool:
        sizes = list(pool.map(_size, files))
    for file, size, shard in zip(files, sizes, shards, strict=True):
        if size != shard.bytes:
            came = "is missing" if size is None else f"has {size:,} bytes"
            raise InputError(
                f"{file} {came}, the manifest says {shard.bytes:,}; {_CURE}"
            )
    first_validation = len(manifest.train)
    return RecordDataset(
        name=manifest.name,
        path=folder,
        train=Shards(
            tuple(files[:first_validation]),
            sum(shard.images for shard in manifest.train),
        ),
        validation=Shards(
            tuple(files[first_validation:]),
            sum(shard.images for shard in manifest.validation),
        ),
        labels=manifest.labels,
        first_label=manifest.first_label,
    )


def _from_names(
    folder: str, names: frozenset[str], known: _Numbers | None
) -> RecordDataset:
    """The data set of a folder without a manifest."""
    train = _split_files(folder, names, "train")
    validation = _split_files(folder, names, "validation")
    if not known and (len(train), len(validation)) == IMAGENET_SHARDS:
        known = _IMAGENET
    images, first, classes = known or _count(folder, train, validation)
    return RecordDataset(
        name=os.path.basename(os.path.abspath(folder)),
        path=folder,
        train=Shards(train, images[0]),
        validation=Shards(validation, images[1]),
        labels=_labels(folder, names, classes, first),
        first_label=first,
    )


def _hold_out(
    found: RecordDataset,
    shards: int,
    has_manifest: bool,
    given: tuple[int | None, int | None],
) -> RecordDataset:
    """Takes the first training files for validation.

    Args:
        found: The data set as it lies there.
        shards: How many files.
        has_manifest: Whether it says how many records each file has.
        given: Images of both splits afterwards, where they are known.
    """
    files = found.train.files
    if shards >= len(files):
        raise InputError(
            f"data.holdout_shards {shards} must be less than the "
            f"{len(files)} training files of {found.path}"
        )
    rest, held = given
    if has_manifest:
        held = sum(s.images for s in read_manifest(found.path).train[:shards])
        rest = found.train.images - held
    elif not (rest and held):
        with progress("counting what is held out", shards) as advance:
            held = 0
            for number, file in enumerate(files[:shards], 1):
                held += len(_record_labels(file))
                advance(number)
        rest = found.train.images - held
    return replace(
        found,
        train=Shards(files[shards:], rest),
        validation=Shards(files[:shards], held),
    )


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
    except tf.errors.OpError as error:
        raise InputError(
            f"data_dir {folder} is no folder that can be read "
            f'({error.message}); "digits" needs none'
        ) from error


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
            "`prepare` makes them"
        )
    totals = {int(found) for found in re.findall(r"-of-(\d+)", " ".join(files))}
    files |= {shard_name(split, i, n) for n in totals for i in range(n)}
    return tuple(sorted(files))


def _labels(
    folder: str, names: frozenset[str], classes: int, first_label: int
) -> tuple[str, ...]:
    """The lines of `labels.txt`, or the records' numbers as words."""
    if LABELS not in names:
        return number_labels(classes, first_label)
    with tf.io.gfile.GFile(os.path.join(folder, LABELS), "rb") as file:
        labels = tuple(file.read().decode().splitlines())
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
    """Images of both splits, the first label and the number of classes."""
    print(
        f"{folder} has no {MANIFEST}: reading all records once to count them "
        "(`prepare` writes one)",
        file=sys.stderr,
    )
    labels = []
    with progress("counting", len(train + validation)) as advance:
        for number, file in enumerate(train + validation, 1):
            labels.append(_record_labels(file))
            advance(number)
    images = sum(map(len, labels[: len(train)]))
    everything = np.concatenate(labels)
    if not len(everything):
        raise InputError(f"{folder} holds no records; {_CURE}")
    first, last = min(1, int(everything.min())), int(everything.max())
    if first < 0 or last > MOST_CLASSES:
        raise InputError(
            f"{folder} has labels from {everything.min()} to {last}; they must "
            f"count from 0 or 1, to {MOST_CLASSES} at most"
        )
    counts = (images, len(everything) - images)
    return counts, first, last + 1 - first


def _record_labels(file: str) -> np.ndarray:
    """int64 `[records]` of one file."""
    records = tf.data.TFRecordDataset(file, buffer_size=8 << 20)
    batches = records.map(lambda record: parse_record(record)[1]).batch(1024)
    try:
        return np.concatenate(
            [np.empty(0, np.int64), *batches.as_numpy_iterator()]
        )
    except tf.errors.OpError as error:
        raise InputError(
            f"{file} is no whole file of ImageNet's records "
            f"({error.message.splitlines()[0]}); {_CURE}"
        ) from error


def _check(
    found: RecordDataset,
    train_images: int | None,
    validation_images: int | None,
    first_label: int | None,
    classes: int | None,
) -> None:
    """Refuses an empty split, and a given number that is not the one found."""
    for name, given, real in (
        ("train_images", train_images, found.train.images),
        ("validation_images", validation_images, found.validation.images),
        ("first_label", first_label, found.first_label),
        ("classes", classes, found.classes),
    ):
        if real < 1 and name != "first_label":
            raise InputError(f"{found.path}: {name} is {real}; give 1 or more")
        if given not in (None, real):
            raise InputError(
                f"{name} {given} was given, {found.path} has {real}; "
                "leave it out"
            )
