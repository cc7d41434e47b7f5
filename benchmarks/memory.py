"""What rematerialisation and microbatches save of memory, and cost in time.

    python -m benchmarks.memory
    python -m benchmarks.memory efficientnet-b4 --batch=16

Each way of training does the same steps in a fresh process, in turn and
several times over. Memory is the largest resident one beyond what the process
had before the first step. On a CPU; a TPU's compiler places tensors by itself,
so its figures are others.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.flags import add_flags, command_line, finish, positive, tell
from benchmarks.harness import WALL, Figures, alternate, rows, timed
from benchmarks.machine import this_machine
from benchmarks.results import Result
from benchmarks.train_call import TrainCall, recipe
from benchmarks.worker import fresh, serve
from efficientnet_tf.command_line import run
from efficientnet_tf.errors import RunError
from efficientnet_tf.networks import network

WAYS = {
    "plain": [],
    "remat": ["train.remat=true"],
    "4 microbatches": ["train.microbatches=4"],
    "both": ["train.remat=true", "train.microbatches=4"],
}
STEPS = 2
MEMORY = "resident_mebibytes"
UNITS = {MEMORY: "MiB", WALL: "s"}


def kibibytes(field: str) -> int:
    """VmHWM, the largest resident memory so far, or VmRSS, the present."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    raise RunError(f"/proc/self/status has no {field}")


def measure(given: argparse.Namespace) -> Figures:
    """Trains some steps on noise."""
    config = recipe(given.model, given.pixels, given.batch, *WAYS[given.way])
    call = TrainCall(config)
    before = kibibytes("VmRSS")
    call(1)
    found = timed(lambda: call(STEPS), STEPS)(0)
    return {
        MEMORY: (kibibytes("VmHWM") - before) / 1024,
        WALL: found[WALL],
    }


def main() -> None:
    """Measures every way in turn."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", nargs="?", default="efficientnet-b0")
    parser.add_argument("--pixels", type=positive, default=224)
    parser.add_argument("--batch", type=positive, default=32)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    add_flags(parser, rounds=3)
    given = parser.parse_args()
    if given.way:
        serve(lambda: (measure(given), None))
        return
    words = (given.model, f"--pixels={given.pixels}", f"--batch={given.batch}")
    turns = {
        way: fresh(way, "benchmarks.memory", *words, f"--way={way}")
        for way in WAYS
    }
    network(given.model, pixels=given.pixels)
    machine = this_machine(("tensorflow", "keras"))
    found = alternate(turns, rounds=given.rounds, warmup=0, tell=tell)
    plain, *others = WAYS
    result = Result(
        benchmark="memory",
        command=command_line("memory"),
        machine=machine,
        settings={
            "model": given.model,
            "pixels": given.pixels,
            "batch": given.batch,
        },
        rows=rows(found, UNITS, {way: [plain] for way in others}),
    )
    finish(result, given)


if __name__ == "__main__":
    sys.exit(run("memory.py", main))
