"""Keeps what C++ libraries print away from the terminal."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

_KEPT_CHARACTERS = 2000


@contextmanager
def quiet() -> Iterator[None]:
    """Holds back standard output and error, of Python and of the process.

    Where the block raises, the end of what was held back becomes a note of
    the exception: it often is the only explanation.
    """
    with tempfile.TemporaryFile("w+b") as bytes_held:
        # Of what may be any bytes.
        held = io.TextIOWrapper(bytes_held, errors="replace")
        try:
            with _into(held.fileno()), redirect_stdout(held):
                with redirect_stderr(held):
                    yield
                held.flush()
        except Exception as error:
            held.flush()
            held.seek(0)
            words = held.read().strip()[-_KEPT_CHARACTERS:]
            # Python has notes since 3.11.
            if words and hasattr(error, "add_note"):
                error.add_note(words)
            raise


@contextmanager
def _into(target: int) -> Iterator[None]:
    """Points file descriptors 1 and 2 elsewhere."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = {descriptor: os.dup(descriptor) for descriptor in (1, 2)}
    try:
        for descriptor in kept:
            os.dup2(target, descriptor)
        yield
    finally:
        for descriptor, copy in kept.items():
            os.dup2(copy, descriptor)
            os.close(copy)
