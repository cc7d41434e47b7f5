"""Progress of long work on stderr: a bar on a terminal, now and then a line."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

LINE_SECONDS = 30.0


class Advance(Protocol):
    """Tells how far the work is."""

    def __call__(self, done: int, note: str = "") -> None:
        """Says that `done` of all are done; `note` stands behind the bar."""


@contextmanager
def progress(what: str, total: int, done: int = 0) -> Iterator[Advance]:
    """Shows progress while the block runs.

    Args:
        what: The work, in a word or two.
        total: How many things there are to do.
        done: How many of them are done already.
    """
    shown = _bar if sys.stderr.isatty() else _lines
    with shown(what, total, done) as advance:
        yield advance


@contextmanager
def _bar(what: str, total: int, done: int) -> Iterator[Advance]:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total, completed=done, note="")

        def advance(done: int, note: str = "") -> None:
            bar.update(task, completed=done, note=note)

        yield advance


@contextmanager
def _lines(what: str, total: int, done: int) -> Iterator[Advance]:
    said = time.monotonic()

    def advance(done: int, note: str = "") -> None:
        nonlocal said
        now = time.monotonic()
        if now - said >= LINE_SECONDS:
            said = now
            print(f"{what} {done}/{total} {note}".rstrip(), file=sys.stderr)

    yield advance
