"""Streams of images and labels out of records of any kind.

What comes at a place of a training stream follows from (seed, epoch) and the
data, and how it is cropped from (seed, epoch, record): so a stream can begin
at any place without a saved state, on any number of hosts and threads.
"""

from __future__ import annotations

import tensorflow as tf

from efficientnet_tf.data.bad_records import note
from efficientnet_tf.data.cut import Cut
from efficientnet_tf.data.fake import fake_images
from efficientnet_tf.data.kinds import RecordDataset, Shards
from efficientnet_tf.data.manifest import Split
from efficientnet_tf.data.order import (
    Order,
    classes_of,
    epoch_key,
    lanes_by_class,
    lanes_of,
    stretch,
)
from efficientnet_tf.data.preprocess import (
    TrainingCrop,
    evaluation_image,
    training_image,
)
from efficientnet_tf.data.reading import raw_records
from efficientnet_tf.data.soundness import judged

# Windows of a lane that are in memory at once: the one that is emptied, the
# next one, and of a third its records, their pictures and these shuffled.
WINDOWS_HELD = 4
# What may be held for shuffling unless somebody says otherwise.
SHUFFLE_BYTES = 2 << 30
# Records that evaluation judges at once.
EVALUATION_WINDOW = 64
# What a picture takes where nobody knows: ImageNet's mean.
PICTURE_BYTES = 115_000


def training_examples(
    dataset: RecordDataset,
    *,
    cut: Cut,
    crop: TrainingCrop,
    seed: int,
    start: int = 0,
    places: int = 1,
    part: int = 0,
    parts: int = 1,
    shuffle_bytes: int = SHUFFLE_BYTES,
    notes: str = "",
) -> tf.data.Dataset:
    """Endless augmented images, every record once an epoch.

    The stream comes in batches of places, each put into the order of
    `rows_of`; every part has an equal share of the rows of every batch.

    A record that cannot be used leaves its place to the next sound one of its
    window, cropped anew; in a window without any, to a grey pixel of the
    class -1.

    Args:
        dataset: Where the records are.
        cut: The size of the images and the kernel.
        crop: What part of a picture they are.
        seed: Decides order and crops.
        start: Places of the stream to leave out, whole batches.
        places: Of a batch, a multiple of `parts`.
        part: Which of the parts of the stream this is.
        parts: Among how many hosts it is divided.
        shuffle_bytes: What may be held for shuffling, all hosts together.
        notes: A folder in which records that cannot be used are noted; empty
            for none.

    Returns:
        A data set of (float32 `[pixels, pixels, 3]` on 0..255, int32 label
        from 0).
    """
    if dataset.kind == "fake":
        return fake_images(dataset, cut)

    def example(
        epoch: tf.Tensor,
        number: tf.Tensor,
        encoded: tf.Tensor,
        label: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        key = tf.random.fold_in(tf.constant([seed, 0], tf.int64), epoch)
        seeds = tf.random.fold_in(key, number)
        return training_image(encoded, seeds, cut, crop), label

    records = _training_records(
        dataset,
        seed=seed,
        start=start,
        places=places,
        part=part,
        parts=parts,
        window=_window(dataset.train, shuffle_bytes),
        notes=notes,
    )
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
    stride: int = 1,
) -> tf.data.Dataset:
    """Every record once, in order, its centre cut out.

    Args:
        dataset: Where the records are.
        split: Which of them.
        cut: How images are cut.
        part: Which of the parts of the split this is.
        parts: Among how many hosts the records are divided, in a row.
        stride: Of which only every so many-th is given.

    Returns:
        A data set of (float32 `[pixels, pixels, 3]` on 0..255, int32 label
        from 0). A record that cannot be used is grey and has the label -1.
    """
    shards = dataset.split(split)
    first = shards.images * part // parts
    last = shards.images * (part + 1) // parts
    if dataset.kind == "fake":
        images = fake_images(dataset, cut).take(last - first)
        return images.shard(stride, 0)
    files, begins, counts = shards.stretch(first, last)

    def judge(
        _: tf.Tensor, raws: tuple[tf.Tensor, ...]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        places, encoded, labels = judged(dataset, raws)
        wanted = tf.range(places[-1])
        found = tf.searchsorted(places, wanted)
        sound = tf.equal(tf.gather(places, found), wanted)
        chosen = tf.where(sound, found, tf.size(places) - 1)
        return tf.gather(encoded, chosen), tf.gather(labels, chosen)

    raws = raw_records(dataset, shards, files, begins, counts)
    records = (
        raws.shard(stride, 0)
        .batch(EVALUATION_WINDOW)
        .map(judge, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .unbatch()
    )
    return records.map(
        lambda encoded, label: (evaluation_image(encoded, cut), label),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )


def _window(shards: Shards, shuffle_bytes: int) -> int:
    """Records of a window, so that all lanes' keep within the bytes."""
    mean = shards.bytes // shards.images or PICTURE_BYTES
    lanes = lanes_of(shards.counts)
    return max(1, shuffle_bytes // (mean * lanes * WINDOWS_HELD))


def _training_records(
    dataset: RecordDataset,
    *,
    seed: int,
    start: int,
    places: int,
    part: int,
    parts: int,
    window: int,
    notes: str,
) -> tf.data.Dataset:
    """Epoch, number, JPEG and label of each of a host's places."""
    order = Order(dataset.train.counts, seed, window)
    ours = lanes_by_class(
        order, start=start, places=places, part=part, parts=parts
    )
    classes = ours or lanes_by_class(
        order, start=start, places=places, part=0, parts=1
    )

    def of_lane(lane: tf.Tensor) -> tf.data.Dataset:
        epochs = tf.data.Dataset.range(start // order.images, tf.int64.max)
        windows = epochs.flat_map(
            lambda epoch: _windows(dataset, order, epoch, lane, start, notes)
        )
        return windows.prefetch(1).unbatch()

    def of_class(lanes: tf.Tensor) -> tf.data.Dataset:
        return tf.data.Dataset.from_tensor_slices(lanes).interleave(
            of_lane,
            cycle_length=lanes.shape[0],
            num_parallel_calls=lanes.shape[0],
            deterministic=True,
        )

    records = tf.data.Dataset.from_tensor_slices(
        tf.constant(classes, tf.int64)
    ).interleave(
        of_class,
        cycle_length=len(classes),
        block_length=places // classes_of(places, order.lanes),
        num_parallel_calls=len(classes),
        deterministic=True,
    )
    if ours is None:
        shares = records.batch(places // parts).shard(parts, part)
        records = shares.unbatch()
    return records


def _windows(
    dataset: RecordDataset,
    order: Order,
    epoch: tf.Tensor,
    lane: tf.Tensor,
    start: int,
    notes: str,
) -> tf.data.Dataset:
    """The windows of a lane in an epoch, from the one with the start on."""
    plan = stretch(order, epoch, lane, start)
    key = tf.random.fold_in(epoch_key(order, epoch), lane)

    def shuffled(
        after: tf.Tensor, batch: tuple[tf.Tensor, tuple[tf.Tensor, ...]]
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        numbers, raws = batch
        count = tf.size(numbers, tf.int64)
        places, encoded, labels = judged(dataset, raws)
        sound = places[:-1]
        if notes:
            note(notes, numbers, sound)
        turn = tf.random.experimental.stateless_shuffle(
            tf.range(count), tf.random.fold_in(key, plan.first_window + after)
        )
        turn = turn[tf.where(after > 0, tf.constant(0, tf.int64), plan.done) :]
        # The next sound record, else the last one, else the grey pixel.
        last = tf.maximum(tf.size(sound) - 1, 0)
        chosen = tf.minimum(tf.searchsorted(sound, turn), last)
        return (
            tf.fill([tf.size(turn)], epoch),
            tf.gather(numbers, turn),
            tf.gather(encoded, chosen),
            tf.gather(labels, chosen),
        )

    raws = raw_records(
        dataset, dataset.train, plan.files, plan.begins, plan.counts
    )
    return raws.batch(plan.size).enumerate().map(shuffled)
