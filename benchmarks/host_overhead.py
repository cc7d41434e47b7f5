"""What the host adds to a step of training.

    python -m benchmarks.host_overhead

Half a minute. A network so small that nothing but overhead is left
(EfficientNet-Lite0, 32 pixels, batch 1) trains for a number of steps in one
call and, in turn, for as many in a call each. A step of the first is what
TensorFlow needs to get through the operations of a step; the second adds what
Python and the call add, which a training pays once in `train.steps_per_call`
steps.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.flags import add_flags, command_line, finish, positive, tell
from benchmarks.harness import SECONDS, alternate, rows, timed
from benchmarks.machine import this_machine
from benchmarks.results import Result
from benchmarks.train_call import BARE, TrainCall, recipe
from efficientnet_tf.command_line import run

ONE_CALL, MANY_CALLS = "a step within a call", "a call of one step"
DIFFERENCE = "the call itself"


def main() -> None:
    """Measures both in turn, and their difference round by round."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--steps", type=positive, default=50, help="of a turn")
    add_flags(parser, rounds=9)
    given = parser.parse_args()
    machine = this_machine(("tensorflow", "keras"))
    call = TrainCall(recipe("efficientnet-lite0", 32, 1, *BARE))
    steps = given.steps

    def many_calls() -> None:
        for _ in range(steps):
            call(1)

    turns = {
        ONE_CALL: timed(lambda: call(steps), steps),
        MANY_CALLS: timed(many_calls, steps),
    }
    found = alternate(turns, rounds=given.rounds, tell=tell)
    found[DIFFERENCE] = [
        {metric: many[metric] - one[metric] for metric in SECONDS}
        for one, many in zip(found[ONE_CALL], found[MANY_CALLS], strict=True)
    ]
    result = Result(
        benchmark="host_overhead",
        command=command_line("host_overhead"),
        machine=machine,
        settings={"pixels": 32, "batch": 1, "steps": steps},
        rows=rows(found, SECONDS, {MANY_CALLS: [ONE_CALL]}),
    )
    finish(result, given)


if __name__ == "__main__":
    sys.exit(run("host_overhead.py", main))
