"""In which order records come: a plan that any host can begin anywhere in.

The places of a stream are dealt to lanes in turn. In every epoch the files are
put in a random order, laid end to end and cut into a stretch for each lane, of
as many records as it has places in that epoch. Windows of places, whole
batches, are shuffled lane by lane. So what comes at a place follows from the
seed and the numbers of records alone; a host reads only the lanes whose places
it has, and a stream that begins in the middle reads no more than the rest of a
window, and the part of a file in each lane that lies before it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

LANES = 32


@dataclass(frozen=True)
class Order:
    """The order of one split under one seed.

    Attributes:
        counts: Records of each file.
        seed: Decides it, together with the epoch.
        places: Of a batch, or of a microbatch.
        most: Places of a window, where a batch is no more.
        microbatches: Of a batch. They have no say in what a batch holds.
    """

    counts: tuple[int, ...]
    seed: int
    places: int
    most: int
    microbatches: int = 1

    @property
    def batch(self) -> int:
        """Places of a batch."""
        return self.places * self.microbatches

    @property
    def images(self) -> int:
        """Records of an epoch."""
        return sum(self.counts)

    @property
    def lanes(self) -> int:
        """How many lanes there are: a power of two.

        32, or no more than files; fewer where whole batches that have as many
        places in each lane are more than a window may have.
        """
        lanes = min(LANES, 1 << (len(self.counts).bit_length() - 1))
        while math.lcm(self.batch, lanes) > max(self.batch, self.most):
            lanes //= 2
        return lanes

    @property
    def window(self) -> int:
        """Places of a window: whole batches, and as many in each lane."""
        unit = math.lcm(self.batch, self.lanes)
        return max(1, min(self.most, self.images) // unit) * unit


@dataclass(frozen=True)
class HostShare:
    """What a host has of each window.

    Attributes:
        lanes: The lanes it reads, ascending.
        rows: Of its rows, batch by batch, where their place is among those of
            its lanes: all of the first lane, all of the second and so on.
    """

    lanes: tuple[int, ...]
    rows: np.ndarray


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


def host_share(order: Order, part: int, parts: int) -> HostShare:
    """What a host has of each window.

    Args:
        order: The order.
        part: Which host.
        parts: Among how many. Where their number is no power of two up to the
            number of classes, each reads all lanes.
    """
    lanes, places = order.lanes, order.places
    own = places // parts
    rows = rows_of(places, lanes)[part * own : (part + 1) * own]
    begins = np.arange(0, order.window, places)[:, None]
    wanted = (begins + rows).reshape(-1)
    read = np.unique(wanted % lanes)
    lane, turn = np.searchsorted(read, wanted % lanes), wanted // lanes
    return HostShare(
        tuple(int(number) for number in read),
        lane * (order.window // lanes) + turn,
    )


def file_order(order: Order, epoch: tf.Tensor) -> tf.Tensor:
    """Numbers of the files as an epoch takes them, int64 `[files]`."""
    # Of this function's graph alone: the order must not depend on the global
    # seed, and TensorFlow refuses a computed seed beside a zero.
    tf.random.set_seed(1)
    return tf.random.experimental.stateless_shuffle(
        tf.range(len(order.counts), dtype=tf.int64),
        tf.stack([tf.constant(order.seed, tf.int64), epoch]),
    )


def stretch(
    order: Order, epoch: tf.Tensor, lane: tf.Tensor, start: int
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """What a lane reads in an epoch.

    Args:
        order: The order.
        epoch: int64 scalar.
        lane: int64 scalar.
        start: Places of the whole stream that are done.

    Returns:
        int64 vectors: numbers of files in the order of reading, the first
        record to take of each, and how many in a row.
    """
    before = _lane_records(epoch * order.images, order.lanes)
    lengths = _lane_records((epoch + 1) * order.images, order.lanes) - before
    done = _lane_records(tf.constant(start, tf.int64), order.lanes) - before
    end = tf.cumsum(lengths)[lane]
    length = lengths[lane]
    begin = end - length + tf.clip_by_value(done[lane], 0, length)

    files = file_order(order, epoch)
    counts = tf.gather(tf.constant(order.counts, tf.int64), files)
    starts = tf.cumsum(counts, exclusive=True)
    begins = tf.clip_by_value(begin - starts, 0, counts)
    taken = tf.clip_by_value(end - starts, 0, counts) - begins
    some = taken > 0
    return (
        tf.boolean_mask(files, some),
        tf.boolean_mask(begins, some),
        tf.boolean_mask(taken, some),
    )


def shuffled(
    order: Order, share: HostShare, window: tf.Tensor, epochs: tf.Tensor
) -> tf.Tensor:
    """A window's order, in which no record leaves its lane or its epoch.

    Args:
        order: The order.
        share: The host's.
        window: Number of the window, int64 scalar.
        epochs: Of each record of the host's lanes, lane by lane, int64.

    Returns:
        Which of these records comes in the place of each, int64.
    """
    tf.random.set_seed(1)
    seed = tf.stack([tf.constant(order.seed, tf.int64), -1 - window])
    # Of all lanes, so that every host draws the same.
    drawn = tf.random.stateless_uniform(
        [order.lanes, order.window // order.lanes],
        seed,
        minval=0,
        maxval=1 << 32,
        dtype=tf.int64,
    )
    ours = tf.reshape(tf.gather(drawn, share.lanes), [-1])
    lanes = tf.repeat(
        tf.range(len(share.lanes), dtype=tf.int64),
        order.window // order.lanes,
    )
    since = epochs - tf.reduce_min(epochs)
    span = tf.reduce_max(since) + 1
    key = (lanes * span + since) * (1 << 32) + ours
    return tf.argsort(key, stable=True)


def _lane_records(places: tf.Tensor, lanes: int) -> tf.Tensor:
    """How many of the stream's first places each lane has, int64 `[lanes]`."""
    number = tf.range(lanes, dtype=tf.int64)
    return (places + lanes - 1 - number) // lanes


def _bits_reversed(count: int) -> list[int]:
    """0 to before a power of two, by their bits from the last to the first."""
    numbers = [0]
    while len(numbers) < count:
        numbers = [2 * n for n in numbers] + [2 * n + 1 for n in numbers]
    return numbers
