"""How long it takes to build each network, against keras.applications.

    python -m benchmarks.build_time
    python -m benchmarks.build_time --models=mobilenet-v1,mobilenet-v2

Some minutes, and 4 GB of memory for the largest. Each network is built, and
right after it the one of keras.applications where there is one; building
includes drawing the initial weights. Writes docs/build_seconds.csv, which the
table of docs/networks.md shows.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks.flags import add_flags, command_line, finish, tell
from benchmarks.harness import WALL, Row, Samples, Turn, alternate, rows, timed
from benchmarks.machine import this_machine
from benchmarks.results import Result
from efficientnet_tf.command_line import run
from efficientnet_tf.networks import find_variant, variants
from efficientnet_tf.networks.table import BUILD_SECONDS

OUT = Path(__file__).parents[1] / "docs" / BUILD_SECONDS


def building(make: Callable[[], object]) -> Turn:
    """A turn that builds once, and clears up."""
    turn = timed(make)

    def clean(number: int) -> dict[str, float]:
        import keras

        found = turn(number)
        keras.backend.clear_session()
        return {WALL: found[WALL]}

    return clean


def measure(
    names: Sequence[str], rounds: int
) -> tuple[Samples, dict[str, list[str]]]:
    """Builds some; returns what that took, and the peer of each."""
    import keras

    from efficientnet_tf.modeling.build import build
    from efficientnet_tf.modeling.keras_weights import APPLICATIONS

    def theirs(name: str) -> keras.Model:
        return getattr(keras.applications, name)(weights=None)

    # The first build of a process also starts TensorFlow.
    building(lambda: build("efficientnet-lite0"))(0)
    found: Samples = {}
    peers: dict[str, list[str]] = {}
    for name in names:
        turns = {name: building(partial(build, name))}
        if name in APPLICATIONS:
            peer = f"keras.applications {APPLICATIONS[name]}"
            turns[peer] = building(partial(theirs, APPLICATIONS[name]))
            peers[name] = [peer]
        found |= alternate(turns, rounds=rounds, warmup=0, tell=tell)
    return found, peers


def write_table(table: tuple[Row, ...], path: Path) -> None:
    """Writes the columns that docs/networks.md is made of.

    What was not measured stays as it was.
    """
    seconds = {row.name: row.value for row in table}
    lines: dict[str, tuple[str, ...]] = {}
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            lines = {line[0]: tuple(line) for line in csv.reader(file)}
    for row in table:
        peer = f"{seconds[row.peer]:.2f}" if row.peer else ""
        lines[row.name] = (row.name, f"{row.value:.2f}", peer)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("name", "seconds", "keras_applications_seconds"))
        writer.writerows(lines[name] for name in variants() if name in lines)


def main() -> None:
    """Builds all of them in turn."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_flags(parser, rounds=1)
    parser.add_argument(
        "--models", default="", help="NAME,NAME: these only; others stay"
    )
    given = parser.parse_args()
    names = given.models.split(",") if given.models else variants()
    for name in names:
        find_variant(name)
    machine = this_machine(("tensorflow", "keras"))
    found, peers = measure(names, given.rounds)
    table = rows(found, {WALL: "s"}, peers)
    write_table(table, OUT)
    result = Result(
        benchmark="build_time",
        command=command_line("build_time"),
        machine=machine,
        settings={"models": given.models, "rounds": given.rounds},
        rows=table,
    )
    finish(result, given)
    ratios = [row.ratio for row in table if row.ratio]
    if ratios:
        tell(f"median ratio, ours to theirs: {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    sys.exit(run("build_time.py", main))
