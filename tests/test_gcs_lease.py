"""Leases on gs://: what other processes write there must be seen at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from gcs_faults import Fault

if TYPE_CHECKING:
    from gcs import LocalGcs

ROOT = Path(__file__).parents[1]
PROGRAM = Path(__file__).with_name("hold.py")
# Of a beat, of patience, to settle, and between two looks.
SECONDS = ("0.3", "2", "0.5", "0.1")
Start = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def start(gcs: LocalGcs) -> Iterator[Start]:
    """Begins a process that holds an address, or is refused."""
    begun = []

    def start(address: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(PROGRAM), address, *SECONDS],
            env=os.environ | gcs.environment | {"PYTHONPATH": str(ROOT)},
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


@pytest.mark.slow
def test_of_some_that_begin_together_one_holds(
    gcs: LocalGcs, start: Start
) -> None:
    address = "gs://bucket/together"
    together = [start(address) for _ in range(3)]
    words = [said(process) for process in together]
    assert words.count("held") == 1
    first = together[words.index("held")]
    for word in words:
        if word != "held":
            assert word.startswith(f"refused: {address} is in use by process")
            assert f" {first.pid} on " in word
    assert not is_lost(first)
    with first:
        pass  # its input ends
    assert "lease.json" not in gcs.list(address)


@pytest.mark.slow
def test_one_that_sleeps_too_long_loses_it(gcs: LocalGcs, start: Start) -> None:
    address = "gs://bucket/asleep"
    first = start(address)
    assert said(first) == "held"
    os.kill(first.pid, signal.SIGSTOP)
    content = json.loads(gcs.read(f"{address}/lease.json"))
    # Of another machine, which cannot be looked at.
    elsewhere = content | {"process": ["x", "y", "z"]}
    gcs.put(f"{address}/lease.json", json.dumps(elsewhere).encode())
    second = start(address)
    assert said(second) == "held"
    os.kill(first.pid, signal.SIGCONT)
    assert is_lost(first)
    assert not is_lost(second)


@pytest.mark.slow
def test_a_beat_that_fails_is_made_up_for(gcs: LocalGcs, start: Start) -> None:
    address = "gs://bucket/beats"
    first = start(address)
    assert said(first) == "held"
    fault = Fault("GET|POST|PUT", "lease.json", times=6, status=503)
    with gcs.failing(fault):
        second = start(address)
        assert said(second).startswith("refused: ")
    assert fault.met == 6
    assert not is_lost(first)
