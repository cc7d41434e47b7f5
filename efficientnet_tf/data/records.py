"""TFRecords of images, one file at a time.

The records are those of tensorflow/tpu `tools/datasets/imagenet_to_gcs.py`,
whose data sets are read here and whose reader can read ours.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable

import tensorflow as tf

from efficientnet_tf.data.images import EncodedImage
from efficientnet_tf.data.manifest import ShardFile, Split
from efficientnet_tf.files import replacing

ENCODED = "image/encoded"
LABEL = "image/class/label"
CLASS_NAME = "image/class/synset"

# A file is read by so much at once.
READ_BUFFER_BYTES = 4 << 20


def shard_name(split: Split, index: int, count: int) -> str:
    """Names a shard, `train-00000-of-00004`.

    Args:
        split: What the shard is part of.
        index: From 0.
        count: Shards of the split.

    Returns:
        The file's name.
    """
    return f"{split}-{index:05d}-of-{count:05d}"


def encode_record(
    image: EncodedImage, *, label: int, class_name: str, filename: str
) -> bytes:
    """Serializes an example, with all fields of the original's writer.

    Args:
        image: The picture.
        label: Number of the class; ImageNet's count from 1.
        class_name: For ImageNet a synset, "n01440764".
        filename: Where the picture came from, without folders.

    Returns:
        A serialized `tf.train.Example`, the same bytes for the same picture.
    """
    features = {
        "image/height": _integer(image.height),
        "image/width": _integer(image.width),
        "image/colorspace": _text("RGB"),
        "image/channels": _integer(3),
        LABEL: _integer(label),
        CLASS_NAME: _text(class_name),
        "image/format": _text("JPEG"),
        "image/filename": _text(os.path.basename(filename)),
        ENCODED: _text(image.encoded),
    }
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return bytes(example.SerializeToString(deterministic=True))


def parse_record(
    serialized: tf.Tensor, image: str = ENCODED, label: str = LABEL
) -> tuple[tf.Tensor, tf.Tensor]:
    """Takes the picture and its label out of a record.

    Args:
        serialized: A `tf.train.Example`, scalar string.
        image: Name of the feature that is the picture.
        label: The same of the label.

    Returns:
        The JPEG, scalar string, and the label, scalar int64 as written.

    Raises:
        tf.errors.InvalidArgumentError: When run on a record that lacks one.
    """
    features = tf.io.parse_single_example(
        serialized,
        {
            image: tf.io.FixedLenFeature([], tf.string),
            label: tf.io.FixedLenFeature([], tf.int64),
        },
    )
    return features[image], features[label]


def write_shard(path: str, records: Iterable[bytes]) -> ShardFile:
    """Writes a file of records that is there whole or not at all.

    Args:
        path: Where, local or `gs://`; what is there is replaced.
        records: Serialized examples, of which one at a time is held.

    Returns:
        The file's name, its number of records, and its size and checksum as
        read back.

    Raises:
        ValueError: There are no records; then nothing is written.
    """
    images = 0
    with replacing(path) as temporary:
        with tf.io.TFRecordWriter(temporary) as writer:
            for record in records:
                writer.write(record)
                images += 1
        size, checksum = measure(temporary)
        return ShardFile(os.path.basename(path), images, size, checksum)


def measure(path: str) -> tuple[int, str]:
    """Size in bytes and SHA-256, as 64 hexadecimal digits, of a file."""
    size, digest = 0, hashlib.sha256()
    with tf.io.gfile.GFile(path, "rb") as file:
        while chunk := file.read(READ_BUFFER_BYTES):
            size += len(chunk)
            digest.update(chunk)
    return size, digest.hexdigest()


def _integer(value: int) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))


def _text(value: str | bytes) -> tf.train.Feature:
    encoded = value.encode() if isinstance(value, str) else value
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded]))
