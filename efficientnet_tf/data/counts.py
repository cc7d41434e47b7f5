"""How many records files have, where no manifest says so."""

from __future__ import annotations

import io
import struct
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO, cast

import numpy as np
import tensorflow as tf

from efficientnet_tf.data.frames import read_frames
from efficientnet_tf.errors import InputError
from efficientnet_tf.progress import progress

FILES_AT_ONCE = 16

_READ_BYTES = 8 << 20
_LENGTH = struct.Struct("<Q")
# Around a record: its length, the length's checksum and its own.
_AROUND = 16
# Of so many files the counts decide who has written a data set.
_ASKED = 16


def record_counts(files: Sequence[str]) -> list[int]:
    """Counts the records of files by going from length to length.

    A file that is damaged is counted record by record; each of its damaged
    stretches is one.

    Raises:
        InputError: A file cannot be read.
    """
    with (
        progress("counting records", len(files)) as advance,
        ThreadPoolExecutor(FILES_AT_ONCE) as pool,
    ):
        counts = []
        for count in pool.map(_count, files):
            counts.append(count)
            advance(len(counts))
    return counts


def known_counts(files: Sequence[str], images: int) -> list[int]:
    """The counts of files that one of two known programs has written.

    The original's writer gives every file the same number, rounded up, and the
    last one the rest; that of tensorflow/models cuts the images evenly. Some
    files are counted to see which it was; where it was none of them, all are.
    Source: tensorflow/tpu `tools/datasets/imagenet_to_gcs.py` and
    tensorflow/models `inception/data/build_imagenet_data.py`.

    Args:
        files: In order.
        images: Records of all of them.

    Raises:
        InputError: A file cannot be read.
    """
    shards = len(files)
    size = -(-images // shards)
    ends = np.minimum(np.arange(shards + 1) * size, images)
    rounded_up = np.diff(ends).tolist()
    even = np.diff(np.linspace(0, images, shards + 1).astype(int)).tolist()
    asked = sorted({*range(0, shards, max(1, shards // _ASKED)), shards - 1})
    found = record_counts([files[number] for number in asked])
    for counts in (rounded_up, even):
        if [counts[number] for number in asked] == found:
            return list(counts)
    print(
        f"{files[0]} and the others have unusual numbers of records: counting "
        "all (a manifest, as `prepare` writes one, would say them)",
        file=sys.stderr,
    )
    return record_counts(files)


def _count(path: str) -> int:
    try:
        with _opened(path) as file:
            size = file.seek(0, io.SEEK_END)
            at = number = 0
            while at + _AROUND <= size:
                file.seek(at)
                (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
                at += _AROUND + length
                number += 1
        if at == size:
            return number
        return sum(1 for _ in read_frames(path))
    except (OSError, tf.errors.OpError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error


def _opened(path: str) -> BinaryIO:
    """A file that is cheap to seek in, be it by reading what lies between."""
    if "://" in path:
        return io.BufferedReader(_Remote(path), _READ_BYTES)
    return cast(BinaryIO, open(path, "rb", buffering=0))


class _Remote(io.RawIOBase):
    """A file of TensorFlow's for Python's buffers."""

    def __init__(self, path: str):
        super().__init__()
        self._file = tf.io.gfile.GFile(path, "rb")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_END:
            offset += self._file.size()
        elif whence == io.SEEK_CUR:
            offset += self._file.tell()
        self._file.seek(offset)
        return offset

    def tell(self) -> int:
        return int(self._file.tell())

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        content = self._file.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        self._file.close()
        super().close()
