"""Work in a process of its own, which may crash without harm."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import NamedTuple, ParamSpec, TypeVar

from efficientnet_tf.errors import InputError, RunError
from efficientnet_tf.progress import waiting

Given = ParamSpec("Given")
Result = TypeVar("Result")

_TAIL_LINES = 5
# <sys/prctl.h>
_PR_SET_PDEATHSIG = 1


def apart(
    what: str,
    function: Callable[Given, Result],
    *arguments: Given.args,
    **named: Given.kwargs,
) -> Result:
    """Calls a function in a fresh process and shows how long it takes.

    What the process prints is kept, and its last words are told where it fails.
    It ends with its parent, whatever ends that.

    Args:
        what: The work, in a few words.
        function: One of a module; its arguments and its result travel.
        arguments: Of the function.
        named: Of the function.

    Raises:
        InputError: The function raised it.
        RunError: The function raised anything else, or the process died.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    with tempfile.NamedTemporaryFile("r", suffix=".log") as log:
        process = context.Process(
            target=_answer,
            args=(sender, log.name, function, arguments, named),
            daemon=True,
        )
        process.start()
        sender.close()
        try:
            with waiting(what) as tick:
                while not receiver.poll(1.0):
                    tick()
            succeeded, outcome = receiver.recv()
        except EOFError:
            process.join()
            raise RunError(
                f"{what}: the process died ({_died(process.exitcode)}); its "
                f"last words: {_tail(log.read())}"
            ) from None
        finally:
            process.kill()
            process.join()
        said = _tail(log.read())
    if isinstance(outcome, _Unexpected):
        raise RunError(f"{what}: {outcome.text}; its last words: {said}")
    if not succeeded:
        raise outcome
    result: Result = outcome
    return result


def _answer(
    sender: Connection,
    log: str,
    function: Callable[..., object],
    arguments: tuple[object, ...],
    named: dict[str, object],
) -> None:
    """The process: sends (True, result) or (False, error)."""
    end_with_parent()
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(descriptor, stream.fileno())
    try:
        answer: tuple[bool, object] = True, function(*arguments, **named)
    except (InputError, RunError) as error:
        answer = False, error
    except Exception as error:
        # Errors of TensorFlow and XLA cannot travel.
        text = " ".join(str(error).split())
        answer = False, _Unexpected(f"{type(error).__name__}: {text}")
    with contextlib.suppress(BrokenPipeError):
        sender.send(answer)


class _Unexpected(NamedTuple):
    """An error that is nobody's answer."""

    text: str


def end_with_parent() -> None:
    """Has Linux kill this process where its parent is gone."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _died(code: int | None) -> str:
    if code is not None and code < 0:
        return f"signal {-code}"
    return f"exit code {code}"


def _tail(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " / ".join(lines[-_TAIL_LINES:]) or "none"
