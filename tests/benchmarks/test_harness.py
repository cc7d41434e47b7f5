from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from benchmarks import harness
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


Work = Callable[[float, float], Callable[[], None]]


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    """Makes work that takes so many seconds, by clocks that it moves itself.

    The first are those of the wall, the second those of the processor.
    """
    now = {"wall": 1000.0, "cpu": 10.0}
    clocks = SimpleNamespace(
        perf_counter=lambda: now["wall"], process_time=lambda: now["cpu"]
    )
    monkeypatch.setattr(harness, "time", clocks)

    def make(wall: float, cpu: float) -> Callable[[], None]:
        return lambda: now.update(wall=now["wall"] + wall, cpu=now["cpu"] + cpu)

    return make


def test_what_a_turn_takes(work: Work) -> None:
    found = alternate(
        {"short": timed(work(0.5, 0.25)), "long": timed(work(2.0, 0.0))},
        rounds=5,
    )
    table = {
        (row.name, row.metric): row
        for row in rows(found, SECONDS, {"long": ["short"]})
    }
    assert table["short", WALL].value == 0.5
    assert table["short", CPU].value == 0.25
    assert table["long", WALL].ratio == 4.0
    # Sleeping takes no processor.
    assert table["long", CPU].value == 0.0
    assert table["short", WALL].samples == 5


def test_a_call_may_do_several_things(work: Work) -> None:
    found = timed(work(2.0, 1.0), 8)(0)
    assert found == {WALL: 0.25, CPU: 0.125}


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
