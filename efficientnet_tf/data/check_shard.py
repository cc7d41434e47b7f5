"""What is wrong with a file of records: every one is read and decoded."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import tensorflow as tf

from efficientnet_tf.data.dataset import MOST_CLASSES
from efficientnet_tf.data.frames import FrameFault, read_frames
from efficientnet_tf.data.images import JPEG_BEGIN
from efficientnet_tf.data.manifest import ShardFile, Split
from efficientnet_tf.data.records import CLASS_NAME, ENCODED, LABEL, measure
from efficientnet_tf.data.workers import Advance
from efficientnet_tf.errors import InputError

ProblemKind = Literal[
    # Of a file.
    "missing file",
    "other checksum",
    "other count",
    # Of a record, or of a stretch in the place of some.
    "unreadable",
    "no image",
    "wrong label",
    "in both splits",
]

MEGABYTE = 1_000_000

_DIGEST_BYTES = 16
_FAULTS: dict[FrameFault, str] = {
    "length": "nothing says where the record ends; one or more are lost",
    "content": "its checksum is wrong",
    "truncated": "the file ends within it",
}


@dataclass(frozen=True)
class Problem:
    """Something that is wrong.

    Attributes:
        kind: In what way.
        split: Where.
        file: Name of the file of records, without its folder.
        offset: Where in the file the record begins, in bytes; None for the
            file as a whole.
        what: In words.
    """

    kind: ProblemKind
    split: Split
    file: str
    offset: int | None
    what: str


@dataclass(frozen=True)
class Expected:
    """What holds for all records of a data set.

    Attributes:
        folder: Where the files are.
        first_label: What the records call the first class; None if nothing
            says.
        labels: Names of the classes; empty if nothing says.
        classes: How many there are; None if nothing says.
    """

    folder: str
    first_label: int | None
    labels: tuple[str, ...]
    classes: int | None


@dataclass(frozen=True)
class ShardTask:
    """A file of records to be checked.

    Attributes:
        split: What it is part of.
        file: Its name.
        manifest: What the manifest says of it; None where there is none.
    """

    split: Split
    file: str
    manifest: ShardFile | None


@dataclass
class ShardFindings:
    """What was found in a file.

    Attributes:
        records: How many are whole.
        problems: In the order of the records.
        digests: Of the pixels of each picture, 16 bytes.
        offsets: Of these records.
    """

    records: int = 0
    problems: list[Problem] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)


def check_shard(
    task: ShardTask, advance: Advance, *, expected: Expected
) -> ShardFindings:
    """Reads every record of a file, past those that are damaged.

    Args:
        task: The file.
        advance: Is told how many megabytes are done.
        expected: What the data set is to hold.
    """
    found = ShardFindings()

    def report(kind: ProblemKind, offset: int | None, what: str) -> None:
        problem = Problem(kind, task.split, task.file, offset, what)
        found.problems.append(problem)

    path = os.path.join(expected.folder, task.file)
    said = 0
    try:
        for frame in read_frames(path):
            if frame.offset - said >= MEGABYTE:
                megabytes = (frame.offset - said) // MEGABYTE
                advance(megabytes)
                said += megabytes * MEGABYTE
            if frame.fault:
                report("unreadable", frame.offset, _FAULTS[frame.fault])
                continue
            found.records += 1
            for kind, what in _record(found, frame.record or b"", expected):
                report(kind, frame.offset, what)
            if len(found.offsets) < len(found.digests):
                found.offsets.append(frame.offset)
        for kind, what in _against_manifest(path, task, found.records):
            report(kind, None, what)
    except tf.errors.NotFoundError:
        report("missing file", None, "there is none")
    except tf.errors.OpError as error:
        report("unreadable", None, f"the file cannot be read: {error.message}")
    return found


def _record(
    found: ShardFindings, record: bytes, expected: Expected
) -> Iterator[tuple[ProblemKind, str]]:
    """What is wrong with a record; leaves its digest among what was found."""
    try:
        feature = tf.train.Example.FromString(record).features.feature
    except Exception:  # Protobuf's error, which it has renamed before.
        yield "unreadable", "it is no tf.train.Example"
        return
    if problem := _label_problem(feature, expected):
        yield "wrong label", problem
    encoded = feature[ENCODED].bytes_list.value
    if len(encoded) != 1:
        yield "no image", f"it has {len(encoded)} values of {ENCODED}"
        return
    try:
        found.digests.append(_digest(encoded[0]))
    except InputError as error:
        yield "no image", str(error)


def _digest(encoded: bytes) -> bytes:
    """Decodes a whole JPEG as training does; SHA-256, cut, of its pixels."""
    if not encoded:
        raise InputError("it is empty")
    if not encoded.startswith(JPEG_BEGIN):
        raise InputError(f"it begins with {encoded[:4]!r}, which no JPEG does")
    try:
        pixels = tf.io.decode_jpeg(encoded, channels=3).numpy()
    except tf.errors.OpError as error:
        said = error.message.splitlines()[0].partition(" [Op:")[0]
        raise InputError(f"it does not decode: {said}") from error
    digest = hashlib.sha256(repr(pixels.shape).encode())
    digest.update(pixels)
    return digest.digest()[:_DIGEST_BYTES]


def _label_problem(
    feature: dict[str, tf.train.Feature], expected: Expected
) -> str | None:
    values = feature[LABEL].int64_list.value
    if len(values) != 1:
        return f"it has {len(values)} values of {LABEL}"
    label = values[0]
    first, classes = expected.first_label or 0, expected.classes
    last = MOST_CLASSES if classes is None else first + classes - 1
    if not first <= label <= last:
        return f"{label} is none of {first} to {last}"
    if not expected.labels:
        return None
    name = expected.labels[label - first]
    told = b"".join(feature[CLASS_NAME].bytes_list.value).decode(
        errors="replace"
    )
    if told != name and told in expected.labels:
        return f"{label} is {name!r}, its class name {told!r}"
    return None


def _against_manifest(
    path: str, task: ShardTask, records: int
) -> Iterator[tuple[ProblemKind, str]]:
    if not task.manifest:
        if not records:
            yield "other count", "it holds no record"
        return
    said = task.manifest
    if records != said.images:
        yield (
            "other count",
            f"{records:,} records are whole, the manifest says {said.images:,}",
        )
    size, checksum = measure(path)
    if size != said.bytes:
        yield (
            "other checksum",
            f"it has {size:,} bytes, the manifest says {said.bytes:,}",
        )
    elif checksum != said.sha256:
        yield (
            "other checksum",
            f"its SHA-256 is {checksum}, the manifest says {said.sha256}",
        )
