"""A data set's files, kept in the memory of this process.

Records are kept as they lie in their files: of a picture a crop is another one
in every epoch, and four times as large when it is decoded.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import tensorflow as tf

from efficientnet_tf.data.counts import FILES_AT_ONCE
from efficientnet_tf.data.kinds import RecordDataset, Shards
from efficientnet_tf.errors import InputError
from efficientnet_tf.progress import progress

# TensorFlow's file system in memory.
_SCHEME = "ram://efficientnet_tf"
# Of the memory that is free; the rest is for batches and the network.
_SHARE = 0.5

_GROUPS = "sys/fs/cgroup"
# The limit, what is used of it and by what, of version 2 and of version 1.
_GROUP_FILES = (
    ("memory.max", "memory.current", "memory.stat"),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
    ),
)

_numbers = itertools.count()


def in_memory(dataset: RecordDataset) -> RecordDataset:
    """Copies all files of a data set into memory, for as long as we live.

    Returns:
        The same data set, whose files are there.

    Raises:
        InputError: They do not fit, or one cannot be read.
    """
    if dataset.kind == "fake":
        return dataset
    files = (*dataset.train.files, *dataset.validation.files)
    with ThreadPoolExecutor(FILES_AT_ONCE) as pool:
        try:
            sizes = list(
                pool.map(lambda file: tf.io.gfile.stat(file).length, files)
            )
        except tf.errors.OpError as error:
            raise _unreadable(error) from error
        needed, free = sum(sizes), int(_SHARE * free_bytes())
        if needed > free:
            raise InputError(
                f"data.cache 'memory': {dataset.path} has {needed / 1e9:,.1f} "
                f"GB, of which {free / 1e9:,.1f} fit here; leave it off"
            )
        folder = f"{_SCHEME}/{next(_numbers)}"
        copies = [f"{folder}/{number}" for number in range(len(files))]
        tf.io.gfile.makedirs(folder)
        with progress("reading into memory", len(files)) as advance:
            done = itertools.count(1)

            def copy(file: str, copy: str) -> None:
                tf.io.gfile.copy(file, copy)
                advance(next(done))

            try:
                list(pool.map(copy, files, copies))
            except tf.errors.OpError as error:
                raise _unreadable(error) from error
    first = len(dataset.train.files)

    def moved(shards: Shards, files: list[str]) -> Shards:
        return replace(shards, files=tuple(files))

    return replace(
        dataset,
        train=moved(dataset.train, copies[:first]),
        validation=moved(dataset.validation, copies[first:]),
    )


def _unreadable(error: tf.errors.OpError) -> InputError:
    return InputError(f"data.cache 'memory': {error.message}")


def free_bytes(root: str = "/") -> int:
    """Memory that this machine has left, and its container, by what Linux says.

    Args:
        root: Of the file system.

    Raises:
        InputError: Linux does not say it.
    """
    free = _numbers_of(os.path.join(root, "proc/meminfo")).get("MemAvailable")
    if free is None:
        raise InputError(
            "data.cache 'memory': /proc/meminfo does not say what fits"
        )
    return min([free * 1024, *_left_in_groups(os.path.join(root, _GROUPS))])


def _left_in_groups(folder: str) -> Iterator[int]:
    """What the limits of control groups leave, of either version."""
    for limit, usage, stat in _GROUP_FILES:
        try:
            most, used = (
                Path(folder, name).read_text(encoding="ascii").strip()
                for name in (limit, usage)
            )
            kept = _numbers_of(os.path.join(folder, stat))
        except OSError:
            continue
        if most.isdecimal():
            # Files that Linux keeps give way.
            files = kept.get("active_file", 0) + kept.get("inactive_file", 0)
            yield max(0, int(most) - int(used) + files)


def _numbers_of(path: str) -> dict[str, int]:
    """The numbers of a file of lines that are a name, a number and a unit."""
    text = Path(path).read_text(encoding="ascii")
    words = (line.split() for line in text.splitlines())
    return {name.rstrip(":"): int(number) for name, number, *_ in words}
