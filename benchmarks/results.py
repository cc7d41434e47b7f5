"""What a benchmark found, as JSON, as a table and as a file in results/."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.harness import Row
from benchmarks.machine import Machine
from efficientnet_tf.errors import InputError

RESULTS = Path(__file__).parent / "results"

# "estimated" is what a compiler says of a program that nobody has run.
Kind = Literal["measured", "estimated"]


@dataclass(frozen=True)
class Result:
    """All that a benchmark found in a run.

    Attributes:
        benchmark: Its name; that of its file in results/.
        command: What was run.
        machine: Where.
        settings: What was asked for: batch, pixels, threads.
        rows: The figures.
        missing: Peers that did not take part, and why.
        kind: Whether somebody ran it.
    """

    benchmark: str
    command: str
    machine: Machine
    settings: Mapping[str, str | int | float]
    rows: tuple[Row, ...]
    missing: Mapping[str, str] = field(default_factory=dict)
    kind: Kind = "measured"


def to_json(result: Result) -> str:
    """The text of a file in results/."""
    return json.dumps(dataclasses.asdict(result), indent=1) + "\n"


def from_json(text: str, source: str) -> Result:
    """Reads what `to_json` wrote.

    Args:
        text: JSON.
        source: Where it comes from, for the error.

    Raises:
        InputError: It is no such text.
    """
    try:
        said = json.loads(text)
        said["machine"] = Machine(**said["machine"])
        said["rows"] = tuple(Row(**row) for row in said["rows"])
        result = Result(**said)
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{source} is no benchmark's result: {error}"
        ) from None
    if result.kind not in get_args(Kind):
        raise InputError(
            f"{source}: kind {result.kind!r} must be one of "
            f"{', '.join(get_args(Kind))}"
        )
    return result


def load(path: Path) -> Result:
    """Reads a file of results/."""
    return from_json(path.read_text(encoding="utf-8"), path.name)


def save(result: Result, folder: Path) -> Path:
    """Writes `BENCHMARK.json`, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result.benchmark}.json"
    temporary = folder / f".{path.name}.{os.getpid()}.tmp"
    try:
        temporary.write_text(to_json(result), encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def show(result: Result) -> None:
    """Prints a table, the peers that are missing, and the machine."""
    width = None if sys.stdout.isatty() else 160
    console = Console(width=width, soft_wrap=False)
    console.print(_table(result))
    for name, reason in result.missing.items():
        console.print(f"missing: {name}: {reason}", markup=False)
    console.print(result.machine.line(), markup=False, highlight=False)


def number(value: float) -> str:
    """Four digits, without an exponent."""
    if abs(value) < 1000:
        return f"{value:.4g}"
    return f"{value:,.0f}"


def spread(row: Row) -> str:
    """The quartiles of a figure; empty where there are none worth a word."""
    if row.low is None or row.high is None or row.samples == 1:
        return ""
    return f"{number(row.low)} to {number(row.high)}"


def ratio_spread(row: Row) -> str:
    """As `spread`, of the ratio."""
    if row.ratio_low is None or row.ratio_high is None or row.samples == 1:
        return ""
    return f"{row.ratio_low:.2f} to {row.ratio_high:.2f}"


def _table(result: Result) -> Table:
    settings = ", ".join(f"{k} {v}" for k, v in result.settings.items())
    table = Table(
        title=f"{result.benchmark}: {settings}", box=box.SIMPLE, pad_edge=False
    )
    table.add_column("name", no_wrap=True)
    table.add_column("metric", no_wrap=True)
    for column in (result.kind, "quartiles", "ratio", "quartiles"):
        table.add_column(column, justify="right")
    table.add_column("to")
    for row in result.rows:
        table.add_row(*_cells(row))
    return table


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.name,
        row.metric,
        f"{number(row.value)} {row.unit}",
        spread(row),
        "" if row.ratio is None else f"{row.ratio:.2f}",
        ratio_spread(row),
        row.peer or "",
    )
