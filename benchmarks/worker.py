"""Workers: processes of their own that stay warm and take turns.

Each framework has a process to itself, with its own memory and threads. A
worker starts, says in a line of JSON what its start was like, and then takes a
turn whenever it is sent a line, answering with a line of JSON; in between it
waits, so that one works at a time. It ends when its input does.

What a library prints cannot be mistaken for an answer: it goes to standard
error, which is shown where a worker dies.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from benchmarks.harness import Figures, Turn
from efficientnet_tf.errors import RunError

ROOT = Path(__file__).parents[1]
_PATIENCE_SECONDS = 10.0
_LAST_LINES = 5


class Worker:
    """A process that takes turns."""

    def __init__(self, name: str, module: str, *arguments: str):
        """Starts it, and waits until it is ready.

        Args:
            name: What an error calls it.
            module: Dotted; it ends in `serve`.
            arguments: Of its command line.

        Raises:
            RunError: It died.
        """
        self._name = name
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
        )
        # What `serve` was given as `started`.
        self.facts: Figures = self._answer()

    def turn(self, number: int) -> Figures:
        """Takes one; a `Turn` of the harness.

        Raises:
            RunError: It died.
        """
        if self._process.stdin is None:
            raise RuntimeError(f"{self._name} has no input")
        try:
            self._process.stdin.write(f"{number}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._dead() from None
        return self._answer()

    def close(self) -> None:
        """Ends it."""
        if self._process.stdin and not self._process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        self._said.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _answer(self) -> Figures:
        if self._process.stdout is None:
            raise RuntimeError(f"{self._name} has no output")
        line = self._process.stdout.readline()
        if not line:
            raise self._dead()
        return json.loads(line)

    def _dead(self) -> RunError:
        """What to raise; ends what is left of the process."""
        code = self._process.wait()
        self._said.seek(0)
        lines = self._said.read().strip().splitlines()[-_LAST_LINES:]
        self.close()
        said = " | ".join(lines) or "it said nothing"
        return RunError(
            f"the worker {self._name} died with exit code {code}: {said}"
        )


def fresh(name: str, module: str, *arguments: str) -> Turn:
    """A turn that is the start of a new process, for what happens but once."""

    def turn(_: int) -> Figures:
        with Worker(name, module, *arguments) as worker:
            return worker.facts

    return turn


def serve(
    start: Callable[[], tuple[Figures, Turn | None]],
) -> None:
    """The worker's side: starts, answers, and takes turns until it is closed.

    Args:
        start: Gives what the start was like, and how to take a turn; None for
            a worker whose start is all there is.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    facts, turn = start()
    print(json.dumps(facts), file=answers, flush=True)
    for line in sys.stdin:
        if turn is None:
            raise RuntimeError("this worker takes no turns")
        print(json.dumps(turn(int(line))), file=answers, flush=True)
