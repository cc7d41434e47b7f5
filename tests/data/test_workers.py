import os
import signal
from functools import partial

import pytest

from efficientnet_tf.data import workers
from efficientnet_tf.data.workers import share_out
from efficientnet_tf.errors import InputError, RunError


def work(number, advance, *, plus):
    advance(1)
    return os.getpid(), number + plus


def fail(number, advance, *, kind):
    if kind == "input":
        raise InputError(f"{number} is wrong")
    if kind == "tensorflow":
        # Not above, for the others' sake, whose processes start at once.
        import tensorflow as tf

        raise tf.errors.NotFoundError(None, None, "no\nfile")
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def two_cores(monkeypatch):
    monkeypatch.setattr(workers, "cores", lambda: 2)


@pytest.mark.parametrize(
    ("total", "elsewhere"),
    # Two processes are worth their start from twice the worth of one.
    [(19, False), (20, True)],
)
def test_results_come_in_order(two_cores, total, elsewhere):
    found = share_out(
        "adding", partial(work, plus=100), range(6), total, worth_a_process=10
    )
    assert [result for _, result in found] == list(range(100, 106))
    assert (os.getpid() not in {process for process, _ in found}) == elsewhere


@pytest.mark.parametrize(
    ("kind", "error", "match"),
    [
        ("input", InputError, "is wrong"),
        ("tensorflow", RunError, "NotFoundError: no file"),
        ("dead", RunError, "a worker process died"),
    ],
)
def test_what_a_worker_raises(two_cores, kind, error, match):
    with pytest.raises(error, match=match):
        share_out("failing", partial(fail, kind=kind), range(4), 4, 1)


def test_nothing_to_do():
    assert share_out("nothing", partial(work, plus=1), [], 0, 1) == []
