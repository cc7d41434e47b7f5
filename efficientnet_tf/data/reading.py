"""Records of a data set as they lie there, read by file, first and count.

Each kind of data set has a row in two tables: how its records are read, and
how a picture and its class come out of one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import tensorflow as tf

from efficientnet_tf.data.frames import read_frames
from efficientnet_tf.data.images import JPEG_BEGIN, as_jpeg
from efficientnet_tf.data.kinds import Kind, RecordDataset, Shards
from efficientnet_tf.data.records import READ_BUFFER_BYTES, parse_record

_PNG_BEGIN = b"\x89PNG\r\n\x1a\n"
# Where a camera's notes are, and in them whether the picture is turned.
_HEAD_BYTES = 1 << 16
# Pictures read ahead, in each lane.
_FILES_AT_ONCE = 4

# Numbers of files, first records and counts, int64 vectors -> records.
Reader = Callable[[Shards, tf.Tensor, tf.Tensor, tf.Tensor], tf.data.Dataset]
# What a reader gives, but for its number -> JPEG and label as written.
Parser = Callable[..., tuple[tf.Tensor, tf.Tensor]]


def raw_records(
    dataset: RecordDataset,
    shards: Shards,
    files: tf.Tensor | list[int],
    begins: tf.Tensor | list[int],
    counts: tf.Tensor | list[int],
) -> tf.data.Dataset:
    """Reads stretches of files.

    Args:
        dataset: What the files are of.
        shards: The split.
        files: Their numbers in the split, int64 `[stretches]`.
        begins: The first record to take of each.
        counts: How many to take of each.

    Returns:
        As many elements as the counts say: a record's number in the split,
        scalar int64, and a tuple of what `parser` takes. In the place of a
        record that is damaged or missing stands one that it fails on.

    Raises:
        tf.errors.OpError: When run on a file that cannot be read.
    """
    stretches = [
        tf.convert_to_tensor(values, tf.int64)
        for values in (files, begins, counts)
    ]
    return _READERS[dataset.kind](shards, *stretches)


def whole_file(shards: Shards, file: tf.Tensor) -> tf.data.Dataset:
    """Reads a TFRecord file without Python, which gives up at damage.

    Args:
        shards: The split.
        file: Number of the file in it, int64 scalar.

    Returns:
        As `raw_records`.

    Raises:
        tf.errors.DataLossError: When run on a file that is damaged.
    """
    names, counts = tf.constant(shards.files), tf.constant(shards.counts)
    firsts = tf.cumsum(tf.cast(counts, tf.int64), exclusive=True)
    records = tf.data.TFRecordDataset(
        names[file], buffer_size=READ_BUFFER_BYTES
    )
    return records.enumerate(firsts[file]).map(
        lambda number, record: (number, (record,))
    )


def parser(dataset: RecordDataset) -> Parser:
    """What takes a JPEG, scalar string, and a label, int64, out of a record.

    When run on something else it raises some `tf.errors.OpError`.
    """
    return _PARSERS[dataset.kind](dataset)


def _read_tfrecords(
    shards: Shards, files: tf.Tensor, begins: tf.Tensor, counts: tf.Tensor
) -> tf.data.Dataset:
    names = tf.constant(shards.files)
    firsts = tf.cumsum(tf.constant(shards.counts, tf.int64), exclusive=True)

    def read(
        file: tf.Tensor, begin: tf.Tensor, count: tf.Tensor
    ) -> tf.data.Dataset:
        first = firsts[file] + begin
        records = _frames(names[file], begin + count).skip(begin)
        numbers = tf.data.Dataset.range(first, first + count)
        return tf.data.Dataset.zip((numbers, (records,)))

    stretches = (files, begins, counts)
    return tf.data.Dataset.from_tensor_slices(stretches).flat_map(read)


def _frames(file: tf.Tensor, count: tf.Tensor) -> tf.data.Dataset:
    """The first records of a file, "" in the place of each that is damaged.

    TensorFlow reads until it meets damage; only then the reader that goes
    past damage takes its place.
    """
    # A file that is not there, `ignore_errors` would ask for ever.
    first_byte = tf.data.FixedLengthRecordDataset(file, 1, buffer_size=1).take(
        1
    )
    read = first_byte.flat_map(
        lambda _: tf.data.TFRecordDataset(
            file, buffer_size=READ_BUFFER_BYTES
        ).ignore_errors()
    )
    rest = tf.data.Dataset.from_generator(
        _after_damage,
        output_signature=tf.TensorSpec([], tf.string),
        args=(file, count),
    )
    missing = tf.data.Dataset.from_tensors("").repeat()
    # None of those that follow is asked for anything where there is no need.
    return read.concatenate(rest).concatenate(missing).take(count)


def _after_damage(file: bytes, count: int) -> Iterator[bytes]:
    """A file's records from the first damaged one on, which is ""."""
    damaged, found = False, 0
    for frame in read_frames(file.decode()):
        found += 1
        damaged |= frame.record is None
        if damaged:
            yield frame.record or b""
    if not damaged and found >= count:
        raise OSError(f"{file.decode()} could not be read to its end")


def _read_files(
    shards: Shards, files: tf.Tensor, begins: tf.Tensor, counts: tf.Tensor
) -> tf.data.Dataset:
    """Of files that are a picture each."""
    del begins, counts
    names, labels = tf.constant(shards.files), tf.constant(shards.labels)

    def read(
        number: tf.Tensor,
    ) -> tuple[tf.Tensor, tuple[tf.Tensor, ...]]:
        # Here, where a file that cannot be read is no record that is bad.
        content = tf.io.read_file(names[number])
        label = tf.cast(labels[number], tf.int64)
        return number, (content, label, names[number])

    return tf.data.Dataset.from_tensor_slices(files).map(
        read, num_parallel_calls=_FILES_AT_ONCE, deterministic=True
    )


def _parse_tfds(dataset: RecordDataset) -> Parser:
    image, label = dataset.features

    def parse(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        content, number = parse_record(serialized, image, label)
        return from_png(content), number

    return parse


def from_png(content: tf.Tensor) -> tf.Tensor:
    """Makes a PNG the JPEG that `prepare` would, and leaves the rest.

    Args:
        content: Of a file, scalar string.
    """
    begin = tf.strings.substr(content, 0, len(_PNG_BEGIN))
    return tf.cond(
        tf.equal(begin, _PNG_BEGIN),
        lambda: tf.io.encode_jpeg(
            tf.io.decode_png(content, channels=3),
            quality=100,
            chroma_downsampling=False,
        ),
        lambda: content,
    )


def _parse_file(dataset: RecordDataset) -> Parser:
    del dataset

    def parse(
        content: tf.Tensor, label: tf.Tensor, path: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        head = tf.strings.substr(content, 0, _HEAD_BYTES)
        begin = tf.strings.substr(head, 0, len(JPEG_BEGIN))
        is_jpeg = tf.equal(begin, JPEG_BEGIN)
        noted = tf.strings.split(head, "Exif")
        upright = tf.cond(
            tf.logical_and(is_jpeg, tf.equal(tf.size(noted), 1)),
            lambda: content,
            lambda: _as_jpeg(content, path),
        )
        return upright, label

    return parse


def _as_jpeg(content: tf.Tensor, path: tf.Tensor) -> tf.Tensor:
    """As `prepare` does it, in Python."""
    return tf.ensure_shape(
        tf.numpy_function(
            lambda content, path: as_jpeg(content, path.decode()).encoded,
            [content, path],
            tf.string,
            stateful=False,
        ),
        [],
    )


_READERS: dict[Kind, Reader] = {
    "tfrecords": _read_tfrecords,
    "tfds": _read_tfrecords,
    "folder": _read_files,
}
_PARSERS: dict[Kind, Callable[[RecordDataset], Parser]] = {
    "tfrecords": lambda dataset: parse_record,
    "tfds": _parse_tfds,
    "folder": _parse_file,
}
