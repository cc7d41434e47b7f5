"""The command line that all benchmarks have in common."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from benchmarks.results import RESULTS, Result, save, show, to_json


def positive(text: str) -> int:
    """A whole number above 0; argparse words the error."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def add_flags(
    parser: argparse.ArgumentParser, *, rounds: int | None = None
) -> None:
    """Adds what every benchmark takes.

    Args:
        parser: Where to.
        rounds: By default; None where nothing is timed.
    """
    if rounds is not None:
        parser.add_argument(
            "--rounds",
            type=positive,
            default=rounds,
            help="turns of each that count",
        )
    parser.add_argument(
        "--json", action="store_true", help="print JSON, not a table"
    )
    parser.add_argument(
        "--save",
        type=Path,
        nargs="?",
        const=RESULTS,
        metavar="FOLDER",
        help="keep the result, in benchmarks/results if no other is named",
    )


def command_line(module: str) -> str:
    """The present command, as one would give it again."""
    words = [
        word
        for word in sys.argv[1:]
        if not word.startswith(("--save", "--js", "--files"))
    ]
    return shlex.join(["python", "-m", f"benchmarks.{module}", *words])


def tell(line: str) -> None:
    """Says how far a benchmark is; the standard output is the result's."""
    print(line, file=sys.stderr, flush=True)


def finish(result: Result, given: argparse.Namespace) -> None:
    """Prints a result, and keeps it where that was asked for."""
    if given.json:
        print(to_json(result), end="")
    else:
        show(result)
    if given.save:
        tell(f"saved {save(result, given.save)}")
