"""In which order records come: a plan that any host can begin anywhere in.

The places of a stream are dealt to lanes in turn. In every epoch the files are
put in a random order, laid end to end and cut into a stretch for each lane, of
as many records as it has places in that epoch. A lane goes through its stretch
by windows, each of which is shuffled as a whole. So what comes at a place
follows from (seed, epoch) and the numbers of records alone; a host reads only
the lanes whose places it has, and a stream that begins in the middle reads at
most one window and a part of a file in each lane that it does not need.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

LANES = 64


@dataclass(frozen=True)
class Order:
    """The order of one split under one seed.

    Attributes:
        counts: Records of each file.
        seed: Decides it, together with the epoch.
        window: Most records that are shuffled at once in a lane.
    """

    counts: tuple[int, ...]
    seed: int
    window: int

    @property
    def images(self) -> int:
        """Records of an epoch."""
        return sum(self.counts)

    @property
    def lanes(self) -> int:
        """How many lanes there are."""
        return lanes_of(self.counts)


@dataclass(frozen=True)
class Stretch:
    """What a lane reads in an epoch; scalars and vectors of int64.

    Attributes:
        files: Numbers of the files it touches, in the order of reading.
        begins: The first record that it takes of each.
        counts: How many in a row it takes of each.
        size: Records of a window; the last one may be smaller.
        first_window: Windows before these, which are done.
        done: Records of the first window that are done too, as shuffled.
    """

    files: tf.Tensor
    begins: tf.Tensor
    counts: tf.Tensor
    size: tf.Tensor
    first_window: tf.Tensor
    done: tf.Tensor


def lanes_of(counts: Sequence[int]) -> int:
    """Lanes for these files: a power of two, 64 or no more than files."""
    return min(LANES, 1 << (len(counts).bit_length() - 1))


def epoch_key(order: Order, epoch: tf.Tensor) -> tf.Tensor:
    """Seed of an epoch's random numbers, int64 `[2]`."""
    return tf.stack([tf.constant(order.seed, tf.int64), epoch])


def lane_records(places: tf.Tensor, lanes: int) -> tf.Tensor:
    """How many of the stream's first places each lane has, int64 `[lanes]`."""
    number = tf.range(lanes, dtype=tf.int64)
    return (places + lanes - 1 - number) // lanes


def stretch(
    order: Order, epoch: tf.Tensor, lane: tf.Tensor, start: int
) -> Stretch:
    """What a lane reads in an epoch.

    Args:
        order: The order.
        epoch: int64 scalar.
        lane: int64 scalar.
        start: Places of the whole stream that are done.
    """
    # Of this function's graph alone: the order must not depend on the global
    # seed, and TensorFlow refuses a computed seed beside a zero.
    tf.random.set_seed(1)
    before = lane_records(epoch * order.images, order.lanes)
    after = lane_records((epoch + 1) * order.images, order.lanes)
    lengths = after - before
    begin, length = tf.cumsum(lengths, exclusive=True)[lane], lengths[lane]
    done = lane_records(tf.constant(start, tf.int64), order.lanes)[lane]
    done = tf.clip_by_value(done - before[lane], 0, length)
    windows = tf.maximum(-(-length // order.window), 1)
    size = tf.maximum(-(-length // windows), 1)
    first = begin + done // size * size

    files = tf.random.experimental.stateless_shuffle(
        tf.range(len(order.counts), dtype=tf.int64), epoch_key(order, epoch)
    )
    counts = tf.gather(tf.constant(order.counts, tf.int64), files)
    starts = tf.cumsum(counts, exclusive=True)
    begins = tf.clip_by_value(first - starts, 0, counts)
    taken = tf.clip_by_value(begin + length - starts, 0, counts) - begins
    some = taken > 0
    return Stretch(
        tf.boolean_mask(files, some),
        tf.boolean_mask(begins, some),
        tf.boolean_mask(taken, some),
        size,
        done // size,
        done % size,
    )


def classes_of(places: int, lanes: int) -> int:
    """Into how many classes the places of a batch fall, a power of two.

    Places come in pairs, the neighbours that are mixed. Pairs that are so many
    apart are of one class, and no lane has places of two.
    """
    classes = 1
    while places % (4 * classes) == 0 and 4 * classes <= lanes:
        classes *= 2
    return classes


def rows_of(places: int, lanes: int) -> np.ndarray:
    """Which place of a batch each of its rows is given, int64 `[places]`.

    One class after the other, in an order in which the first half of the rows
    has every other pair, the first quarter every fourth, and so on: so each of
    2, 4, 8, ... hosts, which have rows side by side, has lanes of its own.
    """
    classes = classes_of(places, lanes)
    if classes == 1:
        return np.arange(places)
    pairs = np.arange(places).reshape(-1, classes, 2)
    return pairs[:, _bits_reversed(classes)].transpose(1, 0, 2).reshape(-1)


def lanes_by_class(
    order: Order, *, start: int, places: int, part: int, parts: int
) -> list[list[int]] | None:
    """The lanes of a host's rows.

    Args:
        order: The order.
        start: Places that are done, whole batches.
        places: Of a batch.
        part: Which host.
        parts: Among how many.

    Returns:
        For each class of the host, in the order of its rows, the lanes whose
        turn it is one after the other. None where classes belong to several
        hosts, so that each must read all.
    """
    lanes, classes = order.lanes, classes_of(places, order.lanes)
    if classes % parts:
        return None
    if classes == 1:
        return [[(start + place) % lanes for place in range(lanes)]]
    turn = np.arange(start, start + lanes) % lanes
    pairs = turn.reshape(-1, classes, 2)[:, _bits_reversed(classes)]
    rows = pairs.transpose(1, 0, 2).reshape(parts, classes // parts, -1)
    return [[int(lane) for lane in each] for each in rows[part]]


def _bits_reversed(count: int) -> list[int]:
    """0 to before a power of two, by their bits from the last to the first."""
    numbers = [0]
    while len(numbers) < count:
        numbers = [2 * n for n in numbers] + [2 * n + 1 for n in numbers]
    return numbers
