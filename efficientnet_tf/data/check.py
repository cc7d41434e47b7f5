"""Whether a data set of records is what it says: everything is read once."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, get_args

import tensorflow as tf

from efficientnet_tf.data.check_shard import (
    MEGABYTE,
    Expected,
    Problem,
    ProblemKind,
    ShardFindings,
    ShardTask,
    check_shard,
)
from efficientnet_tf.data.dataset import (
    IMAGENET_SHARDS,
    UNFINISHED,
    listing,
    promised_files,
)
from efficientnet_tf.data.digits import write_digits
from efficientnet_tf.data.fake import FAKE
from efficientnet_tf.data.manifest import MANIFEST, Split, read_manifest
from efficientnet_tf.data.tfds_source import PREFIX
from efficientnet_tf.data.workers import share_out
from efficientnet_tf.errors import InputError
from efficientnet_tf.networks import IMAGENET_CLASSES

_SPLITS: tuple[Split, ...] = get_args(Split)
# About 1000 pictures of ImageNet.
_MEGABYTES_PER_PROCESS = 100
_FILES_AT_ONCE = 16


@dataclass(frozen=True)
class Checked:
    """What a check has found.

    Attributes:
        data_dir: The folder.
        has_manifest: Whether it says what to expect.
        records: Of each split, those that are whole.
        problems: All of them, by file and record.
    """

    data_dir: str
    has_manifest: bool
    records: dict[Split, int]
    problems: tuple[Problem, ...]

    def counts(self) -> dict[ProblemKind, dict[Split, int]]:
        """How many problems there are of each kind in each split."""
        found = Counter((each.kind, each.split) for each in self.problems)
        return {
            kind: {split: found[kind, split] for split in _SPLITS}
            for kind in get_args(ProblemKind)
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "counts": self.counts()}


def check(data_dir: str) -> Checked:
    """Reads every record of a data set once, on all cores.

    Each JPEG is decoded, whole, by what training decodes with. Pictures of the
    validation split that the training split has too, pixel by pixel, are
    problems; the same picture at another quality or size is not found. Without
    a manifest nothing is said of checksums and counts and, unless the files
    are those of ImageNet 2012, a label is wrong only where none could be.

    Args:
        data_dir: A folder of TFRecords of ImageNet's layout, local or gs://,
            or "digits".

    Raises:
        InputError: It is none, or was not prepared to the end.
    """
    if data_dir.startswith(PREFIX):
        raise InputError(
            f"data_dir {data_dir}: check reads folders of TFRecords; `prepare "
            f"--from={data_dir}` makes one, and reads every picture as well"
        )
    if data_dir == FAKE:
        raise InputError(
            f"data_dir {FAKE} is noise without records; check reads folders of "
            "TFRecords"
        )
    folder = write_digits() if data_dir == "digits" else data_dir
    names = listing(folder)
    if MANIFEST in names:
        expected, tasks = _by_manifest(folder)
    elif UNFINISHED in names:
        raise InputError(
            f"{folder} was not prepared to the end; run the same `prepare` "
            "again"
        )
    else:
        expected, tasks = _by_names(folder, names)
    found = share_out(
        "checking, MB",
        partial(check_shard, expected=expected),
        tasks,
        _megabytes(folder, tasks),
        _MEGABYTES_PER_PROCESS,
    )
    records = dict.fromkeys(_SPLITS, 0)
    problems: list[Problem] = []
    for task, findings in zip(tasks, found, strict=True):
        records[task.split] += findings.records
        problems += findings.problems
    problems += _in_both(tasks, found)
    return Checked(folder, MANIFEST in names, records, tuple(problems))


def _by_manifest(folder: str) -> tuple[Expected, list[ShardTask]]:
    manifest = read_manifest(folder)
    tasks = [ShardTask("train", s.file, s) for s in manifest.train]
    tasks += [ShardTask("validation", s.file, s) for s in manifest.validation]
    return (
        Expected(
            folder,
            manifest.first_label,
            manifest.labels,
            len(manifest.labels),
        ),
        tasks,
    )


def _by_names(
    folder: str, names: frozenset[str]
) -> tuple[Expected, list[ShardTask]]:
    files = {split: promised_files(folder, names, split) for split in _SPLITS}
    tasks = [
        ShardTask(split, file, None)
        for split in _SPLITS
        for file in files[split]
    ]
    if tuple(len(files[split]) for split in _SPLITS) == IMAGENET_SHARDS:
        return Expected(folder, 1, (), IMAGENET_CLASSES), tasks
    return Expected(folder, None, (), None), tasks


def _megabytes(folder: str, tasks: Iterable[ShardTask]) -> int:
    """Of the files that are there."""

    def size(task: ShardTask) -> int:
        path = os.path.join(folder, task.file)
        try:
            return int(tf.io.gfile.stat(path).length)
        except tf.errors.OpError:
            return 0

    with ThreadPoolExecutor(_FILES_AT_ONCE) as pool:
        return sum(pool.map(size, tasks)) // MEGABYTE


def _in_both(
    tasks: list[ShardTask], found: list[ShardFindings]
) -> list[Problem]:
    """Validation pictures that are training pictures as well."""
    first: dict[bytes, tuple[str, int]] = {}
    for task, findings in zip(tasks, found, strict=True):
        if task.split == "train":
            for digest, offset in zip(
                findings.digests, findings.offsets, strict=True
            ):
                first.setdefault(digest, (task.file, offset))
    problems = []
    for task, findings in zip(tasks, found, strict=True):
        if task.split == "train":
            continue
        for digest, offset in zip(
            findings.digests, findings.offsets, strict=True
        ):
            if twin := first.get(digest):
                what = f"its pixels are those of {twin[0]} at byte {twin[1]:,}"
                problems.append(
                    Problem(
                        "in both splits", task.split, task.file, offset, what
                    )
                )
    return problems
