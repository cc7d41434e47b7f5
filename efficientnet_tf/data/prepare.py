"""A folder of class folders of pictures, made into sharded TFRecords.

The split and the order of the images follow from the seed and the names below
the source folder; time, place and number of threads leave no trace, so that
the same call gives the same bytes.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

import tensorflow as tf

from efficientnet_tf.data.dataset import UNFINISHED, RecordDataset, open_dataset
from efficientnet_tf.data.folders import Picture, few, find_pictures, listing
from efficientnet_tf.data.images import read_jpeg
from efficientnet_tf.data.manifest import (
    LABELS,
    MANIFEST,
    Manifest,
    ShardFile,
    Split,
    write_manifest,
)
from efficientnet_tf.data.records import encode_record, shard_name, write_shard
from efficientnet_tf.errors import InputError
from efficientnet_tf.files import write_text
from efficientnet_tf.progress import progress

SHARD_IMAGES = 1024
SHARD_BYTES = 100_000_000
HELD_OUT_FOLDERS = ("validation", "val", "test")

_OURS = re.compile(
    rf"\.?((train|validation)-\d{{5}}-of-\d{{5}}|{LABELS}|{MANIFEST})"
    rf"(\.[0-9a-f]{{8}}\.tmp)?|{UNFINISHED}"
)


class _Unreadable(Exception):
    """Pictures of a shard that could not be read, each with its reason."""


def prepare(
    source: str,
    out: str,
    *,
    shards: int | None = None,
    holdout: float = 0.2,
    seed: int = 0,
) -> RecordDataset:
    """Writes TFRecords, `labels.txt` and `manifest.json` of a picture folder.

    Pictures (`.jpg`, `.jpeg`, `.png`) lie in `source/CLASS/`, or in
    `source/train/CLASS/` and `source/validation/CLASS/`; `val` and `test` are
    taken for `validation`, the first of the three that is there. The one
    folder that an archive often wraps around `train` is looked through, and so
    are folders inside a class. A class folder holds nothing but pictures and
    hidden files. Classes are sorted by name; the records call the first one 1.

    Every file is read to its end, so that training meets no broken picture. A
    call that was killed is begun anew by the same call.

    Args:
        source: The folder of pictures.
        out: A folder that is absent, empty, or holds such an unfinished call.
        shards: Files of the training split, of ceil(images / shards) pictures
            each, so that a few less may do; the validation split has an
            eighth of them. None makes files of about 100 MB or 1024 pictures,
            whichever is smaller.
        holdout: Share of every class that becomes the validation split where
            the source has none, at least one picture.
        seed: Decides which pictures that are, and the order in both splits.

    Returns:
        The data set, as `open_dataset` finds it.

    Raises:
        InputError: An argument, the layout of the folder or a file in it is
            wrong; all such files are named, and `out` is left empty.
    """
    if shards is not None and shards < 1:
        raise InputError(f"shards {shards} must be 1 or more")
    if not 0 < holdout < 1:
        raise InputError(f"holdout {holdout} must be between 0 and 1; try 0.2")
    if os.path.abspath(out).startswith(os.path.abspath(source) + os.sep):
        raise InputError(f"out {out} lies inside {source}; take one outside")
    train, validation = _find(source, holdout, seed)
    labels = tuple(sorted({picture.class_name for picture in train}))
    train_shards = _train_shards(train) if shards is None else shards
    _claim(out)
    try:
        files = _write(
            out,
            _plan("train", train, train_shards)
            | _plan("validation", validation, max(1, train_shards // 8)),
            {label: number for number, label in enumerate(labels, 1)},
        )
    except InputError:
        _clear(out)
        raise
    write_text(os.path.join(out, LABELS), "\n".join(labels) + "\n")
    manifest = Manifest(
        name=os.path.basename(os.path.abspath(out)),
        first_label=1,
        labels=labels,
        train=tuple(f for f in files if f.file.startswith("train-")),
        validation=tuple(f for f in files if f.file.startswith("validation-")),
    )
    write_manifest(out, manifest)
    tf.io.gfile.remove(os.path.join(out, UNFINISHED))
    return open_dataset(out)


def _find(
    source: str, holdout: float, seed: int
) -> tuple[list[Picture], list[Picture]]:
    """The pictures of both splits, in the order of the records."""
    folders, _ = listing(source)
    if len(folders) == 1:
        inner = os.path.join(source, folders[0])
        if "train" in listing(inner)[0]:
            source, folders = inner, listing(inner)[0]
    held_out = [name for name in HELD_OUT_FOLDERS if name in folders]
    if "train" in folders and held_out:
        train = find_pictures(f"{source}/train")
        validation = find_pictures(f"{source}/{held_out[0]}")
        for name in held_out[1:]:
            print(
                f"{source}/{name} is left out: {held_out[0]} is the "
                "validation split",
                file=sys.stderr,
            )
        unknown = {p.class_name for p in validation}
        unknown -= {p.class_name for p in train}
        if unknown:
            raise InputError(
                f"{source}/{held_out[0]} has classes that train has not: "
                f"{few(sorted(unknown))}"
            )
    else:
        train, validation = _held_out(find_pictures(source), holdout, seed)
    return _drawn(train, "order", seed), _drawn(validation, "order", seed)


def _held_out(
    pictures: list[Picture], holdout: float, seed: int
) -> tuple[list[Picture], list[Picture]]:
    """Parts training and validation pictures, class by class."""
    train: list[Picture] = []
    validation: list[Picture] = []
    for name, group in groupby(pictures, lambda each: each.class_name):
        drawn = _drawn(group, "holdout", seed)
        if len(drawn) < 2:
            raise InputError(
                f"class {name} holds one picture, {drawn[0].path}; "
                "give it two or more, so that one can be held out"
            )
        count = math.floor(len(drawn) * holdout + 0.5)
        count = min(max(count, 1), len(drawn) - 1)
        validation += drawn[:count]
        train += drawn[count:]
    return train, validation


def _drawn(
    pictures: Iterable[Picture], purpose: str, seed: int
) -> list[Picture]:
    """A random order in which a further picture moves none of the others."""

    def lot(picture: Picture) -> bytes:
        ticket = f"{purpose}/{seed}/{picture.place}"
        return hashlib.sha256(ticket.encode()).digest()

    return sorted(pictures, key=lot)


def _train_shards(train: list[Picture]) -> int:
    """Enough for both limits, judged by every so many-th file's size."""
    sample = train[:: max(1, len(train) // 64)]
    sizes = [int(tf.io.gfile.stat(each.path).length) for each in sample]
    mean_bytes = sum(sizes) / len(sizes)
    share = max(1 / SHARD_IMAGES, mean_bytes / SHARD_BYTES)
    return math.ceil(len(train) * share)


def _plan(
    split: Split, pictures: list[Picture], shards: int
) -> dict[str, list[Picture]]:
    """What every file of a split gets: none is empty."""
    size = math.ceil(len(pictures) / shards)
    starts = range(0, len(pictures), size)
    return {
        shard_name(split, index, len(starts)): pictures[start : start + size]
        for index, start in enumerate(starts)
    }


def _claim(out: str) -> None:
    """Makes the folder ours, or refuses."""
    names = tf.io.gfile.listdir(out) if tf.io.gfile.isdir(out) else []
    foreign = [name for name in names if not _OURS.fullmatch(name)]
    if MANIFEST in names and UNFINISHED not in names:
        raise InputError(
            f"out {out} already holds a prepared data set; "
            "remove it or take another folder"
        )
    if foreign or (names and UNFINISHED not in names):
        raise InputError(
            f"out {out} holds other files ({few(sorted(foreign or names))}); "
            "take a new or empty folder"
        )
    try:
        tf.io.gfile.makedirs(out)
        marker = os.path.join(out, UNFINISHED)
        with tf.io.gfile.GFile(marker, "w") as file:
            file.write("The same `prepare` again makes this folder whole.\n")
    except tf.errors.OpError as error:
        raise InputError(
            f"out {out} cannot be written: {error.message}"
        ) from error
    _clear(out, keep=UNFINISHED)


def _clear(out: str, keep: str = "") -> None:
    """Removes what calls of `prepare` have left, the marker last."""
    names = [name for name in tf.io.gfile.listdir(out) if _OURS.fullmatch(name)]
    for name in sorted(names, key=lambda name: name == UNFINISHED):
        if name != keep:
            tf.io.gfile.remove(os.path.join(out, name))


def _write(
    out: str, plan: dict[str, list[Picture]], numbers: dict[str, int]
) -> list[ShardFile]:
    """Writes all shards, one a thread, and returns them in the plan's order."""
    done = itertools.count(1)
    with (
        warnings.catch_warnings(),
        progress("writing", sum(map(len, plan.values()))) as advance,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        # Of odd metadata and large pictures, which are no errors.
        warnings.filterwarnings("ignore", module="PIL")

        def write(name: str) -> ShardFile | _Unreadable:
            records = _records(plan[name], numbers, lambda: advance(next(done)))
            try:
                return write_shard(os.path.join(out, name), records)
            except _Unreadable as error:
                return error

        results = list(pool.map(write, plan))
    if broken := [r for r in results if isinstance(r, _Unreadable)]:
        reasons = sorted(reason for each in broken for reason in each.args)
        raise InputError(
            f"{len(reasons)} pictures cannot be used; mend or remove them:\n  "
            + "\n  ".join(reasons)
        )
    return [r for r in results if isinstance(r, ShardFile)]


def _records(
    pictures: list[Picture],
    numbers: dict[str, int],
    advance: Callable[[], None],
) -> Iterator[bytes]:
    broken: list[str] = []
    for picture in pictures:
        advance()
        try:
            image = read_jpeg(picture.path)
        except InputError as error:
            broken.append(str(error))
            continue
        yield encode_record(
            image,
            label=numbers[picture.class_name],
            class_name=picture.class_name,
            filename=picture.path,
        )
    if broken:
        raise _Unreadable(*broken)
