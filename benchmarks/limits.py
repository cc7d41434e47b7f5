"""The most that this machine does in TensorFlow: arithmetic and bandwidth.

    python -m benchmarks.limits

Seconds. A large float32 matrix product, and `x += y` over arrays that no cache
holds: two numbers are read and one is written. Shown is the best of the
rounds, not their median, by the second of CPU time, times the threads: it
stands for a limit, and others on the machine must not lower it. `bounds.py`
makes images per second of it; give both this and train_step.py the same
--threads.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys

from benchmarks.flags import add_flags, command_line, finish, positive, tell
from benchmarks.harness import CPU, Figures, Turn, alternate, rows, timed
from benchmarks.machine import this_machine, usable_cores
from benchmarks.results import Result
from benchmarks.train_call import use_threads
from efficientnet_tf.command_line import run

SIDE = 2048
NUMBERS = 2**26
_BYTES_PER_NUMBER = 3 * 4
PRODUCT, SUM = "matrix product", "x += y"
ARITHMETIC, BANDWIDTH = "arithmetic", "bandwidth"
UNITS = {ARITHMETIC: "GFLOP/s", BANDWIDTH: "GB/s"}


def turns(threads: int) -> dict[str, Turn]:
    """Both measurements."""
    import tensorflow as tf

    use_threads(threads)
    matrix = tf.random.stateless_normal([SIDE, SIDE], (1, 2))
    numbers = tf.ones([NUMBERS])
    total = tf.Variable(tf.zeros([NUMBERS]))

    @tf.function
    def product() -> tf.Tensor:
        return tf.matmul(matrix, matrix)[0, 0]

    @tf.function
    def add() -> tf.Tensor:
        total.assign_add(numbers)
        return tf.constant(0)

    return {
        PRODUCT: _rate(
            timed(lambda: product().numpy()),
            ARITHMETIC,
            2 * SIDE**3 * threads,
        ),
        SUM: _rate(
            timed(lambda: add().numpy()),
            BANDWIDTH,
            _BYTES_PER_NUMBER * NUMBERS * threads,
        ),
    }


def _rate(turn: Turn, metric: str, amount: int) -> Turn:
    """What a turn does by the CPU's second, in 1e9, in place of it."""

    def rated(number: int) -> Figures:
        found = turn(number)
        return {metric: amount / 1e9 / found[CPU]}

    return rated


def main() -> None:
    """Measures both in turn."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--threads", type=positive, default=usable_cores())
    add_flags(parser, rounds=15)
    given = parser.parse_args()
    machine = this_machine(("tensorflow",))
    found = alternate(turns(given.threads), rounds=given.rounds, tell=tell)
    table = [
        dataclasses.replace(
            row, value=max(run[row.metric] for run in found[row.name])
        )
        for row in rows(found, UNITS)
    ]
    result = Result(
        benchmark="limits",
        command=command_line("limits"),
        machine=machine,
        settings={"threads": given.threads},
        rows=tuple(table),
    )
    finish(result, given)


if __name__ == "__main__":
    sys.exit(run("limits.py", main))
