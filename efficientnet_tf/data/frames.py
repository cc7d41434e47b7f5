"""Records of a TFRecord file, one by one, past whatever is damaged.

A record is framed by its length (little-endian uint64), the length's checksum
(uint32), and behind the record the record's own. TensorFlow's readers give up
a file at its first wrong checksum. Here only what is damaged is lost: where a
length can be trusted the next record follows it, and where none can, the next
length whose checksum is right is searched for.
Source: tensorflow `tensorflow/core/lib/io/record_writer.h`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import google_crc32c
import numpy as np
import tensorflow as tf

# "length": nothing tells how long the record is; "content": its checksum is
# wrong; "truncated": the file ends before the record does.
FrameFault = Literal["length", "content", "truncated"]

# Before a record, in its file.
HEADER_BYTES = 12

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_READ_BYTES = 8 << 20
_SEARCH_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Frame:
    """A record, or a damaged stretch of a file in the place of one or more.

    Attributes:
        offset: Where it begins, in bytes from the file's begin.
        record: What it holds; of a stretch None.
        fault: What is wrong with a stretch; of a record None.
    """

    offset: int
    record: bytes | None
    fault: FrameFault | None


def read_frames(path: str) -> Iterator[Frame]:
    """Reads a file's records in order, its damaged stretches among them.

    Holds a record and 8 MiB in memory, whatever the lengths claim.

    Args:
        path: A TFRecord file, not compressed, local or `gs://`.

    Yields:
        A frame for each record, whole by its checksum, and one for each
        damaged stretch. A file of no bytes has none.

    Raises:
        tf.errors.OpError: The file cannot be read.
    """
    file = _File(path)
    at = 0
    while at < file.size:
        length = file.length_at(at)
        if length is None:
            yield Frame(at, None, _fault_of_length(file, at))
            at = file.next_header(at + 1)
            continue
        end = at + HEADER_BYTES + length + _FOOTER.size
        if end > file.size:
            fault: FrameFault = "truncated"
        else:
            record = file.record_at(at, length)
            if record is not None:
                yield Frame(at, record, None)
                at = end
                continue
            fault = "content"
        yield Frame(at, None, fault)
        if end == file.size or file.length_at(end) is not None:
            at = end
        else:
            # Bytes are missing or too many, so that the end is elsewhere.
            at = file.next_header(at + HEADER_BYTES)


def masked_crc(content: bytes) -> int:
    """The checksum of TFRecords: CRC-32C, turned and shifted, as uint32."""
    crc = google_crc32c.value(content)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


class _File:
    """A file that is read forward, by pieces that stay until others come."""

    def __init__(self, path: str):
        self._file = tf.io.gfile.GFile(path, "rb")
        self.size = int(self._file.size())
        self._begin = 0
        self._piece = b""

    def length_at(self, at: int) -> int | None:
        """The length of a record that begins here; None if none does."""
        header = self._read(at, HEADER_BYTES)
        if len(header) < HEADER_BYTES:
            return None
        length, checksum = _HEADER.unpack(header)
        if masked_crc(header[:8]) != checksum:
            return None
        return int(length)

    def record_at(self, at: int, length: int) -> bytes | None:
        """The record that begins here; None if its checksum is wrong."""
        content = self._read(at + HEADER_BYTES, length + _FOOTER.size)
        if len(content) < length + _FOOTER.size:
            return None
        record = content[:length]
        (checksum,) = _FOOTER.unpack_from(content, length)
        return record if masked_crc(record) == checksum else None

    def next_header(self, at: int) -> int:
        """Where the next record begins whose header is whole, or the end."""
        while at < self.size:
            piece = self._read(at, _SEARCH_BYTES + HEADER_BYTES - 1)
            for start in self._plausible(piece, at):
                if self.length_at(start) is not None:
                    return start
            at += _SEARCH_BYTES
        return self.size

    def _plausible(self, piece: bytes, at: int) -> list[int]:
        """Where in a piece a length stands that the file has room for."""
        places = len(piece) - HEADER_BYTES + 1
        if places < 1:
            return []
        # A number at every byte, not at every eighth.
        lengths = np.ndarray(places, "<u8", piece, strides=(1,))
        room = max(0, self.size - at - HEADER_BYTES - _FOOTER.size)
        # Empty records are passed over: zeroed bytes look like them.
        fits = (lengths > 0) & (lengths <= room)
        return [at + int(place) for place in np.flatnonzero(fits)]

    def _read(self, at: int, count: int) -> bytes:
        """Bytes from here on, fewer where the file ends."""
        if at >= self.size:
            return b""
        skip = at - self._begin
        if skip < 0 or skip + count > len(self._piece):
            self._file.seek(at)
            self._piece = self._file.read(max(count, _READ_BYTES))
            self._begin, skip = at, 0
        return self._piece[skip : skip + count]


def _fault_of_length(file: _File, at: int) -> FrameFault:
    return "truncated" if file.size - at < HEADER_BYTES else "length"
