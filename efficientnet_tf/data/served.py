"""The stream that the workers of a tf.data service make among them.

Tasks are files in an epoch: who makes one is left to the service, and so is
the order in which images come.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from efficientnet_tf.data.augmentation.recipe import (
    NO_AUGMENTATION,
    Augmentation,
)
from efficientnet_tf.data.bad_records import note
from efficientnet_tf.data.cut import Cut
from efficientnet_tf.data.kinds import RecordDataset
from efficientnet_tf.data.order import Order, file_order
from efficientnet_tf.data.pipeline import (
    example_maker,
    image_seed,
    training_order,
)
from efficientnet_tf.data.preprocess import TrainingCrop
from efficientnet_tf.data.reading import whole_file
from efficientnet_tf.data.sizes import SHUFFLE_BYTES
from efficientnet_tf.data.soundness import judged

# Files that a worker reads at once. All that it has not read to the end are in
# doubt when a run goes on.
OPEN_FILES = 4


def served_examples(
    dataset: RecordDataset,
    *,
    cut: Cut,
    crop: TrainingCrop,
    augmentation: Augmentation = NO_AUGMENTATION,
    seed: int,
    start: int = 0,
    epochs: int | None = None,
    shuffle_bytes: int = SHUFFLE_BYTES,
    notes: str = "",
    dtype: tf.DType = tf.float32,
) -> tf.data.Dataset:
    """What a worker of a service makes of the tasks it is handed.

    A record is cropped as in `training_examples`, but comes when the workers
    get to it.

    Args:
        dataset: Where the records are: TFRecords.
        cut: The size of the images and the kernel.
        crop: What part of a picture they are.
        augmentation: What is done to them.
        seed: Decides crops, augmentation and the order of tasks.
        start: Records that are done, of which as many whole files are left
            out as they would fill.
        epochs: How many there are; None for no end.
        shuffle_bytes: What a worker may hold for shuffling.
        notes: A folder in which records that cannot be used are noted; empty
            for none.
        dtype: What images are rounded to.

    Returns:
        As `training_examples`, of all tasks.
    """
    order = training_order(dataset, seed, 1, shuffle_bytes)
    files = len(order.counts)
    done, rest = divmod(start, order.images)
    tasks = tf.data.Dataset.range(
        done * files + rest * files // order.images,
        tf.int64.max if epochs is None else epochs * files,
    )
    return (
        tasks.interleave(
            _task_reader(dataset, order),
            cycle_length=min(files, OPEN_FILES),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=False,
        )
        .batch(order.window)
        .map(_window_maker(dataset, seed, notes))
        .prefetch(1)
        .unbatch()
        .map(
            example_maker(seed, cut, crop, augmentation, dtype),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=False,
        )
    )


def _task_reader(
    dataset: RecordDataset, order: Order
) -> Callable[[tf.Tensor], tf.data.Dataset]:
    """What reads epoch, number and record of a task."""
    files = len(order.counts)

    def read(task: tf.Tensor) -> tf.data.Dataset:
        epoch = task // files
        file = file_order(order, epoch)[task % files]
        return whole_file(dataset.train, file).map(
            lambda number, raw: (epoch, number, raw)
        )

    return read


def _window_maker(
    dataset: RecordDataset, seed: int, notes: str
) -> Callable[..., tuple[tf.Tensor, ...]]:
    """What judges the records of a window and shuffles those that are sound."""

    def sound(
        epochs: tf.Tensor, numbers: tf.Tensor, raws: tuple[tf.Tensor, ...]
    ) -> tuple[tf.Tensor, ...]:
        places, encoded, labels = judged(dataset, raws)
        places, encoded, labels = places[:-1], encoded[:-1], labels[:-1]
        if notes:
            note(notes, numbers, places)
        mixed = tf.random.experimental.stateless_shuffle(
            tf.range(tf.size(places)), image_seed(seed, epochs[0], numbers[0])
        )
        places = tf.gather(places, mixed)
        return (
            tf.gather(epochs, places),
            tf.gather(numbers, places),
            tf.gather(encoded, mixed),
            tf.gather(labels, mixed),
        )

    return sound
