from __future__ import annotations

import time

import pytest

from benchmarks.harness import (
    CPU,
    SECONDS,
    WALL,
    Figures,
    alternate,
    in_order,
    quartiles,
    rows,
    timed,
)
from efficientnet_tf.errors import InputError


def test_every_second_round_begins_at_the_other_end() -> None:
    came: list[tuple[int, str]] = []

    def turn(name: str):
        return lambda number: came.append((number, name)) or {"x": 1.0}

    found = alternate({n: turn(n) for n in "abc"}, rounds=3, warmup=2)
    assert {name: len(runs) for name, runs in found.items()} == {
        "a": 3,
        "b": 3,
        "c": 3,
    }
    assert [number for number, _ in came] == [
        number for number in (-2, -1, 0, 1, 2) for _ in "abc"
    ]
    assert "".join(name for _, name in came) == "abccbaabccbaabc"
    assert in_order("ab", 0) == ["a", "b"]
    assert in_order("ab", 1) == ["b", "a"]


def test_what_a_turn_takes() -> None:
    found = alternate(
        {
            "short": timed(lambda: time.sleep(0.02)),
            "long": timed(lambda: time.sleep(0.08)),
        },
        rounds=5,
    )
    table = {
        (row.name, row.metric): row
        for row in rows(found, SECONDS, {"long": ["short"]})
    }
    assert 0.02 <= table["short", WALL].value < 0.07
    assert 0.08 <= table["long", WALL].value < 0.3
    assert 2 < table["long", WALL].ratio < 6
    # Sleeping takes no processor.
    assert table["long", CPU].value < 0.02
    assert table["short", WALL].samples == 5


def test_work_is_told_from_sleep() -> None:
    def work() -> None:
        end = time.process_time() + 0.05
        while time.process_time() < end:
            pass

    found = timed(work)(0)
    assert found[WALL] >= found[CPU] * 0.9
    assert 0.05 <= found[CPU] < 0.1
    assert timed(work, 10)(0)[CPU] < 0.01


def test_a_ratio_is_of_the_same_round() -> None:
    # A machine that slows down: each round is twice as long as the last.
    ours: list[Figures] = [{"s": 3.0 * 2**n} for n in range(5)]
    peer: list[Figures] = [{"s": 1.0 * 2**n} for n in range(5)]
    (row, other) = rows(
        {"us": ours, "them": peer}, {"s": "s"}, {"us": ["them"]}
    )
    assert (row.value, row.low, row.high) == (12.0, 6.0, 24.0)
    assert (row.ratio, row.ratio_low, row.ratio_high) == (3.0, 3.0, 3.0)
    assert (row.peer, other.peer, other.ratio) == ("them", None, None)


def test_a_row_for_each_peer_and_metric_that_there_is() -> None:
    samples: dict[str, list[Figures]] = {
        "us": [{"a": 2.0, "b": 1.0}],
        "x": [{"a": 1.0}],
        "y": [{"a": 4.0, "b": 4.0}],
    }
    table = rows(samples, {"a": "", "b": ""}, {"us": ["x", "y", "absent"]})
    assert [(r.name, r.metric, r.peer, r.ratio) for r in table] == [
        ("us", "a", "x", 2.0),
        ("us", "a", "y", 0.5),
        ("us", "b", "y", 0.25),
        ("x", "a", None, None),
        ("y", "a", None, None),
        ("y", "b", None, None),
    ]


def test_quartiles() -> None:
    assert quartiles([1.0]) == (1.0, 1.0, 1.0)
    assert quartiles([4.0, 1.0, 3.0, 2.0, 5.0]) == (2.0, 3.0, 4.0)


def test_a_peer_that_took_no_time() -> None:
    samples: dict[str, list[Figures]] = {"a": [{"s": 1.0}], "b": [{"s": 0.0}]}
    assert rows(samples, {"s": "s"}, {"a": ["b"]})[0].ratio is None


def test_no_round() -> None:
    with pytest.raises(InputError, match="--rounds 0 must be at least 1"):
        alternate({}, rounds=0)
