"""Damage made by hand, in files that TensorFlow wrote."""

import random
import struct

import pytest
import tensorflow as tf

from efficientnet_tf.data import frames as module
from efficientnet_tf.data.frames import Frame, masked_crc, read_frames

HEADER, FOOTER = 12, 4


@pytest.fixture(params=[8 << 20, 64])
def read(request, monkeypatch):
    """Reads in pieces that hold the file, and in such as hold little of it."""
    monkeypatch.setattr(module, "_READ_BYTES", request.param)
    monkeypatch.setattr(module, "_SEARCH_BYTES", request.param)
    return lambda path: list(read_frames(str(path)))


@pytest.fixture
def written(tmp_path):
    """A file of TensorFlow's writer, its records, where each begins."""
    source = random.Random(0)
    records = [source.randbytes(n) for n in (100, 1, 0, 3000, 17, 250)]
    path = tmp_path / "train-00000-of-00001"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    starts, at = [], 0
    for record in records:
        starts.append(at)
        at += HEADER + len(record) + FOOTER
    assert path.stat().st_size == at
    return path, records, starts


def patch(path, at, content: bytes) -> None:
    whole = bytearray(path.read_bytes())
    whole[at : at + len(content)] = content
    path.write_bytes(whole)


def flip(path, at) -> None:
    patch(path, at, bytes([path.read_bytes()[at] ^ 1]))


def test_checksum():
    # RFC 3720, appendix B.4: 32 bytes of zeros have the CRC-32C 8a9136aa.
    crc = 0x8A9136AA
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32
    assert masked_crc(bytes(32)) == masked


def test_a_whole_file(read, written):
    path, records, starts = written
    assert read(path) == [
        Frame(at, record, None)
        for at, record in zip(starts, records, strict=True)
    ]


@pytest.mark.parametrize("hurt", range(6))
@pytest.mark.parametrize(
    ("at", "fault"),
    [(0, "length"), (5, "length"), (9, "length"), (HEADER, "content")],
)
def test_a_flipped_bit_costs_one_record(read, written, hurt, at, fault):
    path, records, starts = written
    flip(path, starts[hurt] + at)
    got = read(path)
    if (hurt, fault) == (1, "length"):
        # An empty record is no place to find the way again.
        assert got[1] == Frame(starts[1], None, "length")
        kept = records[:1] + records[3:]
    else:
        assert got[hurt] == Frame(starts[hurt], None, fault)
        kept = records[:hurt] + records[hurt + 1 :]
    assert [f.record for f in got if f.fault is None] == kept
    assert sum(f.fault is not None for f in got) == 1


@pytest.mark.parametrize("hurt", [0, 3, 5])
def test_the_checksum_of_the_record_counts(read, written, hurt):
    path, records, starts = written
    flip(path, starts[hurt] + HEADER + len(records[hurt]) + 3)
    assert [f.fault for f in read(path)].count("content") == 1


@pytest.mark.parametrize("left", [1, HEADER - 1, HEADER, HEADER + 249, 265])
def test_a_cut_file_ends_with_one_fault(read, written, left):
    path, records, starts = written
    path.write_bytes(path.read_bytes()[: starts[5] + left])
    got = read(path)
    assert [f.record for f in got[:5]] == records[:5]
    assert got[5:] == [Frame(starts[5], None, "truncated")]


@pytest.mark.parametrize("missing", [1, 20, 2000])
def test_bytes_that_are_missing_in_a_record(read, written, missing):
    path, records, starts = written
    whole = path.read_bytes()
    cut = starts[3] + HEADER + 10
    path.write_bytes(whole[:cut] + whole[cut + missing :])
    got = read(path)
    assert [f.record for f in got if f.record is not None] == (
        records[:3] + records[4:]
    )
    assert [f.offset for f in got if f.fault] == [starts[3]]


def test_bytes_too_many_between_records(read, written):
    path, records, starts = written
    whole = path.read_bytes()
    path.write_bytes(whole[: starts[3]] + b"garbage" * 50 + whole[starts[3] :])
    got = read(path)
    assert [f.record for f in got if f.record is not None] == records
    assert [f.offset for f in got if f.fault] == [starts[3]]


def test_a_zeroed_block(read, written):
    path, records, starts = written
    patch(path, starts[1], bytes(starts[3] + 100 - starts[1]))
    got = read(path)
    assert [f.record for f in got if f.record is not None] == (
        records[:1] + records[4:]
    )


def test_a_length_that_claims_terabytes(read, written):
    """Right by its checksum, so that a reader believes it."""
    path, records, starts = written
    length = struct.pack("<Q", 1 << 40)
    patch(path, starts[3], length + struct.pack("<I", masked_crc(length)))
    got = read(path)
    assert got[3] == Frame(starts[3], None, "truncated")
    assert [f.record for f in got[4:]] == records[4:]


def test_an_empty_file_and_no_file(read, tmp_path):
    (tmp_path / "empty").touch()
    assert read(tmp_path / "empty") == []
    with pytest.raises(tf.errors.NotFoundError):
        read(tmp_path / "none")


@pytest.mark.parametrize("seed", range(20))
def test_what_is_whole_is_never_lost(read, written, seed):
    """Random damage: every record it left alone is read, and no other."""
    path, records, starts = written
    source = random.Random(seed)
    at = source.randrange(path.stat().st_size)
    span = source.choice([1, 10, 500])
    before = path.read_bytes()
    patch(path, at, source.randbytes(min(span, len(before) - at)))
    hurt = {
        number
        for number, (start, record) in enumerate(
            zip(starts, records, strict=True)
        )
        if start < at + span and at < start + HEADER + len(record) + FOOTER
    }
    got = [f.record for f in read(path) if f.record is not None]
    whole = [r for n, r in enumerate(records) if n not in hurt]
    # An empty one may be passed over where the way was lost before it.
    assert [r for r in got if r] == [r for r in whole if r]


def test_noise_of_a_whole_shard_is_searched_through(tmp_path):
    """Nothing in it is a header; the search ends, and says so once."""
    path = tmp_path / "noise"
    path.write_bytes(random.Random(1).randbytes(20_000_000))
    assert list(read_frames(str(path))) == [Frame(0, None, "length")]
