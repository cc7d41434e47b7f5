"""The plan of an order: every record once an epoch, shared out by lanes."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from efficientnet_tf.data.order import (
    Order,
    classes_of,
    host_share,
    rows_of,
    shuffled,
    stretch,
)

COUNTS = (7, 3, 12, 1, 9, 4, 8, 5, 6)
TOTAL = sum(COUNTS)
FIRSTS = np.cumsum([0, *COUNTS])


def records(order: Order, epoch: int, lane: int, start: int = 0) -> list[int]:
    """Numbers of the records that a lane reads."""
    files, begins, counts = stretch(
        order, tf.constant(epoch, tf.int64), tf.constant(lane, tf.int64), start
    )
    return [
        int(FIRSTS[file] + begin + k)
        for file, begin, count in zip(
            files.numpy(), begins.numpy(), counts.numpy(), strict=True
        )
        for k in range(count)
    ]


@pytest.mark.parametrize("epoch", [0, 1, 5])
def test_lanes_share_an_epoch_out(epoch: int) -> None:
    order = Order(COUNTS, 3, 8, 16)
    assert order.lanes == 8
    found = [records(order, epoch, lane) for lane in range(8)]
    assert sorted(sum(found, [])) == list(range(TOTAL))
    # As many as places p of the epoch with p % 8 == lane.
    places = np.arange(epoch * TOTAL, (epoch + 1) * TOTAL) % 8
    assert [len(each) for each in found] == np.bincount(places).tolist()


def test_a_lane_reads_files_one_after_the_other() -> None:
    """A few whole ones, and parts of two at most."""
    counts = (10,) * 64
    order = Order(counts, 0, 8, 32)
    assert order.lanes == 32
    for lane in range(32):
        files, begins, taken = stretch(
            order,
            tf.constant(0, tf.int64),
            tf.constant(lane, tf.int64),
            0,
        )
        assert sum(taken.numpy()) == 20
        assert len(files) == 2
        assert not begins.numpy().any()


@pytest.mark.parametrize("start", [0, 5, 16, TOTAL - 1, TOTAL, TOTAL + 9])
def test_a_lane_can_begin_anywhere(start: int) -> None:
    order = Order(COUNTS, 3, 8, 16)
    for lane in range(8):
        whole = records(order, 0, lane) + records(order, 1, lane)
        rest = [
            *records(order, 0, lane, start),
            *records(order, 1, lane, start),
        ]
        done = sum(place % 8 == lane for place in range(start))
        assert rest == whole[done:]


@pytest.mark.parametrize(
    ("places", "lanes", "classes"),
    [(8, 8, 4), (8, 2, 1), (7, 8, 1), (6, 8, 1), (4, 8, 2), (2048, 32, 16)],
)
def test_classes_of_places(places: int, lanes: int, classes: int) -> None:
    assert classes_of(places, lanes) == classes
    rows = rows_of(places, lanes)
    assert sorted(rows) == list(range(places))
    if classes > 1:
        # Neighbours stay side by side, for mixing.
        assert (rows[1::2] == rows[::2] + 1).all()


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_hosts_have_lanes_of_their_own(parts: int) -> None:
    order = Order(COUNTS, 3, 8, 16)
    shares = [host_share(order, part, parts) for part in range(parts)]
    lanes = [lane for share in shares for lane in share.lanes]
    assert sorted(lanes) == list(range(8))
    for share in shares:
        assert len(share.rows) == order.window // parts
        assert sorted(share.rows) == list(range(order.window // parts))


@pytest.mark.parametrize(("places", "parts"), [(12, 3), (8, 8), (10, 5)])
def test_other_numbers_of_hosts_share_all_the_same(
    places: int, parts: int
) -> None:
    """Though they read lanes that others read too."""
    order = Order(COUNTS, 3, places, 24)
    each = order.window // order.lanes
    found = []
    for part in range(parts):
        share = host_share(order, part, parts)
        lane = np.array(share.lanes)[share.rows // each]
        found += (lane * each + share.rows % each).tolist()
    assert sorted(found) == list(range(order.window))


@pytest.mark.parametrize(
    ("most", "window"), [(1, 8), (16, 16), (23, 16), (10**9, 48)]
)
def test_windows_are_whole_batches(most: int, window: int) -> None:
    assert Order(COUNTS, 0, 8, most).window == window


@pytest.mark.parametrize(
    ("batch", "lanes", "window"),
    [
        # 32 lanes would take 16,032 places, 16,400, 131,040 and 135,136.
        (1002, 8, 4008),
        (2050, 4, 4100),
        (4095, 1, 4095),
        (4223, 1, 4223),
        (2048, 32, 4096),
        (4096, 32, 4096),
        (24, 32, 4608),
    ],
)
def test_a_window_takes_no_more_than_it_may(
    batch: int, lanes: int, window: int
) -> None:
    """There are fewer lanes rather than a larger window."""
    order = Order((1251,) * 1024, 0, batch, 4668)
    assert (order.lanes, order.window) == (lanes, window)
    order = Order((1251,) * 1024, 0, batch, 1)
    assert order.window == batch


def test_a_window_is_shuffled_within_lanes_and_epochs() -> None:
    order = Order(COUNTS, 3, 8, 48)
    share = host_share(order, 0, 1)
    epochs = tf.constant(([0] * 4 + [1] * 2) * 8, tf.int64)
    found = shuffled(order, share, tf.constant(0, tf.int64), epochs).numpy()
    groups = np.arange(48) // 6 * 2 + epochs.numpy()
    assert sorted(found) == list(range(48))
    np.testing.assert_array_equal(groups[found], groups)
    assert (found != np.arange(48)).sum() > 16
    other = shuffled(order, share, tf.constant(1, tf.int64), epochs).numpy()
    assert (found != other).any()


def test_every_host_shuffles_alike() -> None:
    order = Order(COUNTS, 3, 8, 48)
    epochs = tf.zeros([48], tf.int64)
    window = tf.constant(2, tf.int64)
    whole = shuffled(order, host_share(order, 0, 1), window, epochs).numpy()
    for part in range(4):
        share = host_share(order, part, 4)
        ours = shuffled(order, share, window, epochs[:12]).numpy()
        for number, lane in enumerate(share.lanes):
            np.testing.assert_array_equal(
                ours[number * 6 : number * 6 + 6] - number * 6,
                whole[lane * 6 : lane * 6 + 6] - lane * 6,
            )
