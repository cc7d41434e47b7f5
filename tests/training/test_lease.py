"""One process at a time in a directory; each holder a process of its own."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from efficientnet_tf.errors import InputError, RunError
from efficientnet_tf.training.lease import (
    LEASE,
    Holder,
    LeaseSeconds,
    hold,
    hold_by_beats,
)

ROOT = Path(__file__).parents[2]
FAST = LeaseSeconds(beat=0.2, patience=1.0, settle=0.3, poll=0.05)
PROGRAM = ROOT / "tests" / "hold.py"
BY_BEATS = tuple(map(str, dataclasses.astuple(FAST)))
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Begins a process that holds the folder, or is refused."""
    begun = []

    def start(*seconds: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(PROGRAM), str(tmp_path), *seconds],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        begun.append(process)
        return process

    yield start
    for process in begun:
        with process:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def is_lost(process: subprocess.Popen[str]) -> bool:
    assert process.stdin is not None
    process.stdin.write("?\n")
    process.stdin.flush()
    return {"True": True, "False": False}[said(process)]


def as_of_elsewhere(folder: Path) -> None:
    """Makes a lease one of another machine, which cannot be looked at."""
    file = folder / LEASE
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | {"process": ["x", "y", "z"]}))


def test_a_second_one_is_refused_by_the_name_of_the_first(
    start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = start(*BY_BEATS)
    assert said(first) == "held"
    with (
        pytest.raises(InputError) as caught,
        hold_by_beats(str(tmp_path), FAST),
    ):
        pass
    for words in (f"process {first.pid} on {os.uname().nodename}", "since 20"):
        assert words in str(caught.value)
    (line,) = capsys.readouterr().err.splitlines()
    assert f"process {first.pid}" in line
    assert line.endswith("waiting up to 1 s for a sign of life")
    assert not is_lost(first)


def test_a_lease_ends_with_its_block(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        with hold_by_beats(str(tmp_path), FAST) as lease:
            assert (tmp_path / LEASE).exists()
            assert not lease.lost()
        assert not (tmp_path / LEASE).exists()
    assert capsys.readouterr().err == ""


def test_a_process_of_this_machine_that_died_is_not_waited_for(
    start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = start(*BY_BEATS)
    assert said(first) == "held"
    first.kill()
    # A zombie is dead too: nobody has asked for it yet.
    deadline = time.monotonic() + 10
    stat = Path(f"/proc/{first.pid}/stat")
    while ") Z " not in stat.read_text() and time.monotonic() < deadline:
        time.sleep(0.01)
    slow = dataclasses.replace(FAST, patience=60)
    with hold_by_beats(str(tmp_path), slow):
        pass
    assert capsys.readouterr().err == ""


def test_a_number_that_another_process_has_now_is_no_life() -> None:
    here = Holder.of_this_process()
    assert not here.is_dead
    later = (*here.process[:2], str(int(here.process[2]) + 1))
    assert dataclasses.replace(here, process=later).is_dead
    elsewhere = ("another start of the system", *later[1:])
    assert not dataclasses.replace(here, process=elsewhere).is_dead
    container = (here.process[0], "pid:[1]", later[2])
    assert not dataclasses.replace(here, process=container).is_dead
    assert not dataclasses.replace(here, process=()).is_dead


def test_a_lease_of_elsewhere_is_taken_after_patience(
    start: Start, tmp_path: Path
) -> None:
    first = start(*BY_BEATS)
    assert said(first) == "held"
    os.kill(first.pid, signal.SIGSTOP)
    as_of_elsewhere(tmp_path)
    began = time.monotonic()
    with hold_by_beats(str(tmp_path), FAST) as lease:
        waited = time.monotonic() - began
        assert FAST.patience <= waited < FAST.patience + 3
        # Who was only asleep learns of it, even before its next beat.
        os.kill(first.pid, signal.SIGCONT)
        assert is_lost(first)
        assert not lease.lost()
        with first:
            pass  # its input ends
        assert (tmp_path / LEASE).exists()
        lease.check()


def test_one_that_lost_its_lease_is_told_to_stop(tmp_path: Path) -> None:
    with hold_by_beats(str(tmp_path), FAST) as lease:
        other = Holder.of_this_process()
        content = dataclasses.asdict(other) | {"beat": 0}
        (tmp_path / LEASE).write_text(json.dumps(content))
        time.sleep(2 * FAST.beat)
        with pytest.raises(RunError, match="has taken over"):
            lease.check()
    assert other.token in (tmp_path / LEASE).read_text()


def test_of_some_that_begin_together_one_holds(start: Start) -> None:
    together = [start(*BY_BEATS) for _ in range(4)]
    words = [said(process) for process in together]
    assert words.count("held") == 1
    assert sum(word.startswith("refused: ") for word in words) == 3
    assert not is_lost(together[words.index("held")])


def test_an_object_that_is_no_lease_is_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / LEASE).write_text("{")
    with hold_by_beats(str(tmp_path), FAST):
        pass
    assert "in use by another process; waiting" in capsys.readouterr().err


def test_a_local_folder_is_held_until_the_process_dies(
    start: Start, tmp_path: Path
) -> None:
    first = start()
    assert said(first) == "held"
    with pytest.raises(InputError, match="is in use"), hold(str(tmp_path)):
        pass
    first.kill()
    first.wait()
    with hold(str(tmp_path)) as lease:
        assert not lease.lost()


def test_the_usual_times_end_within_a_minute() -> None:
    usual = LeaseSeconds()
    assert usual.patience >= 3 * usual.beat
    assert usual.patience + usual.poll + usual.settle < 60
