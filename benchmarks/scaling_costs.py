"""How many scaled networks are costed in a minute, on one core.

    python -m benchmarks.scaling_costs

Half a minute, without TensorFlow. A candidate is scaled by exponents drawn at
random, rounded, resolved into blocks and costed: multiply-adds, parameters,
activations. None is met twice. Seconds are those of the process, so that others
on the machine matter little.
"""

from __future__ import annotations

import argparse
import random
import sys
import time

from benchmarks.flags import add_flags, command_line, finish, positive, tell
from benchmarks.harness import Figures, Turn, alternate, rows
from benchmarks.machine import this_machine
from benchmarks.results import Result
from efficientnet_tf.command_line import run
from efficientnet_tf.networks import (
    NamedVariant,
    find_variant,
    network,
    totals,
)
from efficientnet_tf.search.coefficients import (
    Coefficients,
    Exponents,
    scaled,
)

RATE = "candidates_per_minute"
# What is scaled, and the largest exponent.
SPACES = {
    "around efficientnet-b0": ("efficientnet-b0", 1.0),
    "efficientnet-b0 to b7": ("efficientnet-b0", 7.0),
    "around efficientnet-edgetpu-S": ("efficientnet-edgetpu-S", 1.0),
}


def rate(name: str, highest: float, count: int) -> Turn:
    """A turn that costs candidates of a base."""
    base = find_variant(name)

    def turn(number: int) -> Figures:
        draw = random.Random(f"{name} {highest} {number}")
        exponents = [
            Exponents(*(draw.uniform(0, highest) for _ in range(3)))
            for _ in range(count)
        ]
        began = time.process_time()
        for each in exponents:
            variant = scaled(base, Coefficients(), each)
            totals(network(NamedVariant(name, variant)))
        return {RATE: 60 * count / (time.process_time() - began)}

    return turn


def main() -> None:
    """Costs candidates of each space in turn."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--count", type=positive, default=2000, help="candidates of a turn"
    )
    add_flags(parser, rounds=5)
    given = parser.parse_args()
    machine = this_machine(())
    turns = {
        space: rate(name, highest, given.count)
        for space, (name, highest) in SPACES.items()
    }
    found = alternate(turns, rounds=given.rounds, tell=tell)
    result = Result(
        benchmark="scaling_costs",
        command=command_line("scaling_costs"),
        machine=machine,
        settings={"count": given.count},
        rows=rows(found, {RATE: "a minute"}),
    )
    finish(result, given)


if __name__ == "__main__":
    sys.exit(run("scaling_costs.py", main))
