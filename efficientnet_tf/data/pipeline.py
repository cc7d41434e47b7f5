"""Streams of images and labels out of records of any kind.

What comes at a place of a training stream follows from (seed, epoch) and the
data, and how it is cropped and augmented from (seed, epoch, record): so a
stream can begin at any place without a saved state, on any number of hosts and
threads.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from efficientnet_tf.data.augmentation.augment import drawn_ops
from efficientnet_tf.data.augmentation.drawing import drawn_text
from efficientnet_tf.data.augmentation.recipe import (
    NO_AUGMENTATION,
    Augmentation,
)
from efficientnet_tf.data.bad_records import note
from efficientnet_tf.data.cut import Cut
from efficientnet_tf.data.fake import fake_images
from efficientnet_tf.data.kinds import RecordDataset
from efficientnet_tf.data.manifest import Split
from efficientnet_tf.data.order import (
    Order,
    host_share,
    shuffled,
    stretch,
)
from efficientnet_tf.data.preprocess import (
    TrainingCrop,
    evaluation_image,
    training_image,
)
from efficientnet_tf.data.reading import raw_records
from efficientnet_tf.data.sizes import SHUFFLE_BYTES
from efficientnet_tf.data.soundness import judged

# Of a window's records: as read, as pictures and as shuffled; those of the
# window before or behind; and what the system does not get back at once.
COPIES_HELD = 5
# Records that evaluation judges at once.
EVALUATION_WINDOW = 256
# What a picture takes where nobody knows: ImageNet's mean.
PICTURE_BYTES = 115_000


def training_examples(
    dataset: RecordDataset,
    *,
    cut: Cut,
    crop: TrainingCrop,
    augmentation: Augmentation = NO_AUGMENTATION,
    seed: int,
    start: int = 0,
    places: int = 1,
    microbatches: int = 1,
    part: int = 0,
    parts: int = 1,
    shuffle_bytes: int = SHUFFLE_BYTES,
    notes: str = "",
    dtype: tf.DType = tf.float32,
) -> tf.data.Dataset:
    """Endless augmented images, every record once an epoch.

    The stream comes in batches of places, each put into the order of
    `rows_of`, microbatch by microbatch; every part has an equal share of the
    rows of each.

    A record that cannot be used leaves its place to the next sound one of its
    lane, cropped anew; in a window without any, to a grey pixel of the class
    -1.

    Args:
        dataset: Where the records are.
        cut: The size of the images and the kernel.
        crop: What part of a picture they are.
        augmentation: What is done to them.
        seed: Decides order, crops and augmentation.
        start: Places of the stream to leave out, whole batches.
        places: Of a microbatch, a multiple of `parts`.
        microbatches: Of a batch.
        part: Which of the parts of the stream this is.
        parts: Among how many hosts it is divided.
        shuffle_bytes: What may be held for shuffling, all hosts together.
        notes: A folder in which records that cannot be used are noted; empty
            for none.
        dtype: What images are rounded to, once they are done in float32.

    Returns:
        A data set of (`[pixels, pixels, 3]` on 0..255, int32 label from 0).
    """
    if dataset.kind == "fake":
        return fake_images(dataset, cut)

    records = _training_records(
        dataset,
        training_order(dataset, seed, places, shuffle_bytes, microbatches),
        start=start,
        part=part,
        parts=parts,
        notes=notes,
    )
    return records.map(
        example_maker(seed, cut, crop, augmentation, dtype),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )


def training_ops(
    dataset: RecordDataset,
    *,
    augmentation: Augmentation,
    seed: int,
    places: int,
    shuffle_bytes: int,
) -> tf.data.Dataset:
    """The ops, in words, of the images that `training_examples` gives."""

    def words(epoch: tf.Tensor, number: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
        key = image_seed(seed, epoch, number)
        return drawn_text(drawn_ops(key, augmentation))

    if dataset.kind == "fake" or augmentation.policy == "none":
        return tf.data.Dataset.from_tensors("").repeat()
    order = training_order(dataset, seed, places, shuffle_bytes)
    return _training_records(
        dataset, order, start=0, part=0, parts=1, notes=""
    ).map(words)


def image_seed(seed: int, epoch: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
    """Integer `[2]`, what all random choices of an image follow from."""
    key = tf.random.fold_in(tf.constant([seed, 0], tf.int64), epoch)
    return tf.random.fold_in(key, number)


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


def example_maker(
    seed: int,
    cut: Cut,
    crop: TrainingCrop,
    augmentation: Augmentation,
    dtype: tf.DType,
) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
    """What makes an image and its label of a record of an epoch."""

    def example(
        epoch: tf.Tensor,
        number: tf.Tensor,
        encoded: tf.Tensor,
        label: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        key = image_seed(seed, epoch, number)
        image = training_image(encoded, key, cut, crop, augmentation)
        # Before images are copied into a batch: in bfloat16 it is half of it.
        return tf.cast(image, dtype), label

    return example


def training_order(
    dataset: RecordDataset,
    seed: int,
    places: int,
    shuffle_bytes: int,
    microbatches: int = 1,
) -> Order:
    """The order of a training stream; see `training_examples`."""
    shards = dataset.train
    mean = shards.bytes // shards.images or PICTURE_BYTES
    most = shuffle_bytes // (mean * COPIES_HELD)
    return Order(shards.counts, seed, places, most, microbatches)


def _training_records(
    dataset: RecordDataset,
    order: Order,
    *,
    start: int,
    part: int,
    parts: int,
    notes: str,
) -> tf.data.Dataset:
    """Epoch, number, JPEG and label of each of a host's rows."""
    share = host_share(order, part, parts)
    first_window = start // order.window
    done = start % order.window // parts
    lanes, each = len(share.lanes), order.window // order.lanes
    size = lanes * each

    def finished(
        after: tf.Tensor,
        batch: tuple[tf.Tensor, tf.Tensor, tuple[tf.Tensor, ...]],
    ) -> tuple[tf.Tensor, ...]:
        epochs, numbers, raws = batch
        places, encoded, labels = judged(dataset, raws)
        if notes:
            note(notes, numbers, places[:-1])
        # From the order of places to lane by lane, all but what is large.
        epochs, numbers = _by_lane(epochs, lanes), _by_lane(numbers, lanes)
        places = places % lanes * each + places // lanes
        behind = tf.argsort(tf.concat([places[:-1], [size]], 0))
        places = tf.concat([tf.sort(places[:-1]), [size]], 0)
        stands_in = tf.gather(behind, _stand_ins(places, each))
        chosen = shuffled(order, share, first_window + after, epochs)
        skip = tf.where(after > 0, 0, done)
        rows = tf.constant(share.rows)[skip:]
        chosen, epochs = tf.gather(chosen, rows), tf.gather(epochs, rows)
        found = tf.gather(stands_in, chosen)
        return (
            epochs,
            tf.gather(numbers, chosen),
            tf.gather(encoded, found),
            tf.gather(labels, found),
        )

    return (
        _lanes(dataset, order, share.lanes, first_window * order.window)
        .batch(size, drop_remainder=True)
        .enumerate()
        .map(finished)
        .prefetch(1)
        .unbatch()
    )


def _lanes(
    dataset: RecordDataset, order: Order, lanes: tuple[int, ...], start: int
) -> tf.data.Dataset:
    """Epoch, number and record of the places of some lanes, in their order."""

    def of_epoch(lane: tf.Tensor, epoch: tf.Tensor) -> tf.data.Dataset:
        stretches = stretch(order, epoch, lane, start)
        records = raw_records(dataset, dataset.train, *stretches)
        return records.map(lambda number, raw: (epoch, number, raw))

    def of_lane(lane: tf.Tensor) -> tf.data.Dataset:
        epochs = tf.data.Dataset.range(start // order.images, tf.int64.max)
        return epochs.flat_map(lambda epoch: of_epoch(lane, epoch))

    return tf.data.Dataset.from_tensor_slices(
        tf.constant(lanes, tf.int64)
    ).interleave(
        of_lane,
        cycle_length=len(lanes),
        num_parallel_calls=len(lanes),
        deterministic=True,
    )


def _by_lane(values: tf.Tensor, lanes: int) -> tf.Tensor:
    """Puts `[places, ...]`, dealt to lanes in turn, in the order of lanes."""
    by_turn = tf.reshape(values, [-1, lanes])
    return tf.reshape(tf.transpose(by_turn), [-1])


def _stand_ins(places: tf.Tensor, of_lane: int) -> tf.Tensor:
    """Which of the sound records stands in the place of each.

    Itself, else the next one of its lane, else the last one before; else what
    stands behind all of them.

    Args:
        places: Of the sound records, ascending, int64, and last how many
            records there are.
        of_lane: Records of a lane, which follow on each other.

    Returns:
        Indices into `places`, int32 `[records]`.
    """
    place = tf.range(places[-1])
    nothing = tf.size(places) - 1
    after = tf.searchsorted(places, place)
    before = tf.maximum(after - 1, 0)

    def fits(found: tf.Tensor) -> tf.Tensor:
        same = tf.gather(places, found) // of_lane == place // of_lane
        return tf.logical_and(same, found < nothing)

    return tf.where(fits(after), after, tf.where(fits(before), before, nothing))
