"""A contender of benchmarks/input_pipeline.py, in a process of its own."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.harness import Figures, Turn
from benchmarks.input_pipeline_job import Job
from benchmarks.input_pipeline_peers import CONTENDERS
from benchmarks.worker import serve

IMAGES_PER_CORE = "images_per_core_second"
IMAGES_PER_SECOND = "images_per_second"

# Batches that are taken before the clock on the wall starts.
_AHEAD = 2
# A process that waits for work still polls now and then.
_WAIT_SECONDS, _IDLE_SHARE = 0.2, 0.1


def start(job: Job) -> tuple[Figures, Turn]:
    """Makes the contender, and how it takes a turn."""
    batches: Iterator[Any] = CONTENDERS[job.contender](job)
    next(batches)
    spent = [settled()]

    count = max(1, job.images // job.batch)

    def turn(_: int) -> Figures:
        """What is prepared ahead of need counts too."""
        # That was prepared ahead, and then as fast as they come.
        for _ in range(_AHEAD):
            next(batches)
        begin = time.perf_counter()
        for _ in range(count):
            next(batches)
        wall = time.perf_counter() - begin
        now = settled()
        seconds, spent[0] = now - spent[0], now
        return {
            IMAGES_PER_CORE: (count + _AHEAD) * job.batch / seconds,
            IMAGES_PER_SECOND: count * job.batch / wall,
        }

    return {}, turn


def settled() -> float:
    """CPU seconds once nobody prepares anything ahead any more."""
    before, now = -math.inf, _cpu_seconds()
    while now - before > _IDLE_SHARE * _WAIT_SECONDS:
        time.sleep(_WAIT_SECONDS)
        before, now = now, _cpu_seconds()
    return now


def _cpu_seconds() -> float:
    """Of this process and those that it has started and that still run."""
    ticks = 0
    for child in multiprocessing.active_children():
        # After the name, which may hold anything, user and system time are the
        # 12th and 13th word (man 5 proc).
        stat = Path(f"/proc/{child.pid}/stat").read_text()
        words = stat.rpartition(")")[2].split()
        ticks += int(words[11]) + int(words[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    serve(lambda: start(Job(**json.loads(sys.argv[1]))))
