"""Processes that take turns, real ones."""

from __future__ import annotations

import os

import pytest

from benchmarks.harness import alternate
from benchmarks.worker import Worker, fresh
from efficientnet_tf.errors import RunError

ECHO = "tests.benchmarks.echo_worker"


def _alive(pid: float) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    return True


def test_workers_stay_warm_and_take_turns() -> None:
    with Worker("first", ECHO) as first, Worker("second", ECHO) as second:
        pids = first.facts["pid"], second.facts["pid"]
        turns = {"first": first.turn, "second": second.turn}
        found = alternate(turns, rounds=3, warmup=1)
    assert len({os.getpid(), *pids}) == 3
    for runs, pid in zip(found.values(), pids, strict=True):
        assert [run["pid"] for run in runs] == [pid] * 3
        assert [run["number"] for run in runs] == [0, 1, 2]
        # The first one was the warm-up.
        assert [run["turns"] for run in runs] == [2, 3, 4]
        assert not _alive(pid)


def test_what_a_library_prints_is_no_answer() -> None:
    with Worker("chatty", ECHO, "chats") as worker:
        assert worker.turn(0)["pid"] == worker.facts["pid"]
        assert worker.turn(1)["turns"] == 2


def test_a_worker_that_dies_is_named() -> None:
    with Worker("unlucky", ECHO, "dies") as worker:
        assert worker.turn(0)["turns"] == 1
        with pytest.raises(
            RunError, match="unlucky died with exit code 3: out of luck"
        ):
            worker.turn(1)


def test_a_worker_that_was_killed_between_turns() -> None:
    with Worker("killed", ECHO) as worker:
        os.kill(int(worker.facts["pid"]), 9)
        with pytest.raises(RunError, match="killed died with exit code -9"):
            worker.turn(0)


def test_a_worker_that_cannot_start() -> None:
    with pytest.raises(RunError, match="broken died .*cannot start"):
        Worker("broken", ECHO, "fails")


def test_a_fresh_process_for_each_turn() -> None:
    turn = fresh("once", ECHO, "once")
    first, second = turn(0)["pid"], turn(1)["pid"]
    assert first != second
    assert not _alive(first) and not _alive(second)


def test_an_error_in_the_middle_leaves_no_process() -> None:
    with pytest.raises(KeyError), Worker("left", ECHO) as worker:
        raise KeyError(worker.facts["pid"])
    assert not _alive(worker.facts["pid"])
