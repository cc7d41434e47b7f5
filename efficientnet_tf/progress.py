"""Progress of long work on stderr: a bar on a terminal, now and then a line."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

LINE_SECONDS = 30.0

# A longer name leaves no room for the numbers.
_NAME_CHARACTERS = 24


class Advance(Protocol):
    """Tells how far the work is."""

    def __call__(self, done: int, note: str = "") -> None:
        """Says that `done` of all are done; `note` stands below the bar."""


def training_note(
    *,
    loss: float,
    images_per_second: float,
    input_wait_share: float,
    top1: float | None = None,
) -> str:
    """How a training goes, for `Advance`.

    Args:
        loss: The mean one since the last evaluation.
        images_per_second: Trained on, evaluation not counted.
        input_wait_share: Share of that time, 0 to 1, that the devices waited
            for images.
        top1: Of the last evaluation; None where there was none yet.
    """
    said = [f"loss {loss:.3f}"]
    if top1 is not None:
        said.append(f"top-1 {top1:.3f}")
    # Fewer digits of what changes from call to call.
    pace = f"{images_per_second:,.{0 if images_per_second >= 10 else 1}f}"
    said.append(f"{pace} images/s")
    said.append(f"input {100 * input_wait_share:.0f} %")
    return " | ".join(said)


@contextmanager
def progress(what: str, total: int, done: int = 0) -> Iterator[Advance]:
    """Shows progress while the block runs.

    Without a terminal it is a line now and then, and one at the end of what
    took longer or had notes.

    Args:
        what: The work, in a word or two.
        total: How many things there are to do.
        done: How many of them are done already.
    """
    shown = _bar if sys.stderr.isatty() else _lines
    with shown(what, total, done) as advance:
        yield advance


@contextmanager
def waiting(what: str) -> Iterator[Callable[[], None]]:
    """Shows the time while the block waits for what tells no progress.

    Without a terminal it is a line now and then. The block is given a function
    that moves it on, to be called every second or so.

    Args:
        what: What it waits for, in a few words.
    """
    began = said = time.monotonic()
    if sys.stderr.isatty():
        with Console(stderr=True).status(what) as status:
            yield lambda: status.update(
                f"{what} | {_clock(time.monotonic() - began)}"
            )
        return

    def tick() -> None:
        nonlocal said
        now = time.monotonic()
        if now - said >= LINE_SECONDS:
            said = now
            print(
                f"{what} | {_clock(now - began)}", file=sys.stderr, flush=True
            )

    yield tick


class _Bar(Progress):
    """A bar with its note on a line of its own, cut where the line ends."""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        for task in self.tasks:
            if task.fields["note"]:
                yield Text(
                    task.fields["note"], no_wrap=True, overflow="ellipsis"
                )


@contextmanager
def _bar(what: str, total: int, done: int) -> Iterator[Advance]:
    name = Column(no_wrap=True, overflow="ellipsis", max_width=_NAME_CHARACTERS)
    columns = (
        TextColumn("{task.description}", markup=False, table_column=name),
        BarColumn(bar_width=None),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        TimeElapsedColumn(table_column=Column(no_wrap=True)),
        TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True)),
    )
    with _Bar(*columns, console=Console(stderr=True), expand=True) as bar:
        task = bar.add_task(what, total=total, completed=done, note="")

        def advance(done: int, note: str = "") -> None:
            bar.update(task, completed=done, note=note)

        yield advance


@contextmanager
def _lines(what: str, total: int, done: int) -> Iterator[Advance]:
    began = said = time.monotonic()
    first = done
    unsaid = ""
    worth_a_line = False

    def advance(done: int, note: str = "") -> None:
        nonlocal said, unsaid, worth_a_line
        now = time.monotonic()
        words = [f"{what} {done:,}/{total:,}"]
        if first < done < total:
            left = (now - began) / (done - first) * (total - done)
            words.append(f"{_clock(left)} left")
        if note:
            words.append(note)
        unsaid = " | ".join(words)
        due = now - said >= LINE_SECONDS
        worth_a_line |= due or bool(note)
        if due:
            print(unsaid, file=sys.stderr, flush=True)
            said, unsaid = now, ""

    try:
        yield advance
    finally:
        # How far it came, whether it came to its end or not.
        if unsaid and worth_a_line:
            print(unsaid, file=sys.stderr, flush=True)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
