"""Streams of images and labels out of TFRecords.

The order of training images, their crops and their augmentation follow from
(seed, epoch, place in the epoch) alone, so that a stream can begin at any image
without a saved state.
"""

from __future__ import annotations

import tensorflow as tf

from efficientnet_tf.data.augmentation.recipe import (
    NO_AUGMENTATION,
    Augmentation,
)
from efficientnet_tf.data.cut import Cut
from efficientnet_tf.data.dataset import RecordDataset
from efficientnet_tf.data.manifest import Split
from efficientnet_tf.data.preprocess import (
    TrainingCrop,
    evaluation_image,
    training_image,
)
from efficientnet_tf.data.records import parse_record

SHUFFLED_RECORDS = 4096
FILES_AT_ONCE = 16
READ_BUFFER_BYTES = 8 << 20


def training_examples(
    dataset: RecordDataset,
    *,
    cut: Cut,
    crop: TrainingCrop,
    augmentation: Augmentation = NO_AUGMENTATION,
    seed: int,
    start: int = 0,
    part: int = 0,
    parts: int = 1,
    block: int = 1,
) -> tf.data.Dataset:
    """Endless augmented images, every record once an epoch.

    Args:
        dataset: Where the records are.
        cut: The size of the images and the kernel.
        crop: What part of a picture they are.
        augmentation: What is done to them.
        seed: Decides order, crops and augmentation.
        start: Images of the whole stream, all parts together, to leave out.
        part: Which of the parts of the stream this is.
        parts: Among how many hosts the records are divided.
        block: How many records in a row go to the same host.

    Returns:
        A data set of (float32 `[pixels, pixels, 3]` on 0..255, int32 label
        from 0).
    """
    shards = dataset.train
    first_epoch, skipped = divmod(start, shards.images)

    def epoch_records(epoch: tf.Tensor) -> tf.data.Dataset:
        # Of this function's graph alone: the order must not depend on the
        # global seed, and TensorFlow refuses a computed seed beside a zero.
        tf.random.set_seed(1)
        key = tf.stack([tf.constant(seed, tf.int64), epoch])
        order = tf.random.experimental.stateless_shuffle(
            tf.constant(shards.files), key
        )
        records = tf.data.Dataset.from_tensor_slices(order).interleave(
            _read,
            cycle_length=min(FILES_AT_ONCE, len(shards.files)),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        shuffle_key = tf.random.stateless_uniform(
            [], key, minval=None, maxval=None, dtype=tf.int64
        )
        records = records.shuffle(
            min(SHUFFLED_RECORDS, shards.images),
            seed=shuffle_key,
            reshuffle_each_iteration=False,
        )
        skip = skipped * tf.cast(tf.equal(epoch, first_epoch), tf.int64)
        places = records.enumerate().skip(skip)
        return places.map(lambda place, record: (epoch, place, record))

    def example(
        epoch: tf.Tensor, place: tf.Tensor, record: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        encoded, label = parse_record(record)
        key = tf.random.fold_in(tf.constant([seed, 0], tf.int64), epoch)
        image = training_image(
            encoded, tf.random.fold_in(key, place), cut, crop, augmentation
        )
        return image, _class_of(label, dataset)

    epochs = tf.data.Dataset.range(first_epoch, tf.int64.max)
    records = epochs.flat_map(epoch_records)
    if parts > 1:
        records = records.batch(block).shard(parts, part).unbatch()
    return records.map(
        example, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )


def evaluation_examples(
    dataset: RecordDataset,
    split: Split,
    *,
    cut: Cut,
    part: int = 0,
    parts: int = 1,
) -> tf.data.Dataset:
    """Every record once, in order, its centre cut out.

    Args:
        dataset: Where the records are.
        split: Which of them.
        cut: How images are cut.
        part: Which of the parts of the split this is.
        parts: Among how many hosts the records are divided.

    Returns:
        A data set of (float32 `[pixels, pixels, 3]` on 0..255, int32 label
        from 0).
    """
    shards = {"train": dataset.train, "validation": dataset.validation}[split]

    def example(record: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        encoded, label = parse_record(record)
        return evaluation_image(encoded, cut), _class_of(label, dataset)

    return (
        _read(list(shards.files))
        .shard(parts, part)
        .map(example, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    )


def _read(files: tf.Tensor | list[str]) -> tf.data.Dataset:
    return tf.data.TFRecordDataset(files, buffer_size=READ_BUFFER_BYTES)


def _class_of(label: tf.Tensor, dataset: RecordDataset) -> tf.Tensor:
    """What the record calls a class -> int32 from 0, or an error."""
    number = label - dataset.first_label
    known = tf.logical_and(number >= 0, number < dataset.classes)
    check = tf.debugging.Assert(
        known,
        [
            "a record of",
            dataset.path,
            "has the label",
            label,
            "; it must be from",
            dataset.first_label,
            "to",
            dataset.first_label + dataset.classes - 1,
        ],
    )
    with tf.control_dependencies([check]):
        return tf.cast(number, tf.int32)
