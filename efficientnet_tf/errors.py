"""Exceptions that a person reads, and the sentence that proposes a cure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """What the user gave cannot be used; the message says what would do.

    The command line prints the message as one line and exits with code 2.
    """

    exit_code = 2


def near(word: str, options: Iterable[str]) -> str:
    """Words the options near a mistyped word.

    Args:
        word: What was given.
        options: What there is.

    Returns:
        `"did you mean a, b?"`, or `"there is: a, b, c"` where nothing is near.
    """
    options = list(options)
    ending = [option for option in options if option.endswith(f"-{word}")]
    if len(ending) == 1:
        return f"did you mean {ending[0]}?"
    close = difflib.get_close_matches(word, options, n=3, cutoff=0.5)
    if close:
        return f"did you mean {', '.join(close)}?"
    return f"there is: {', '.join(options)}"


class RunError(RuntimeError):
    """The input was right and the run failed all the same.

    The command line prints the message as one line and exits with code 1.
    """

    exit_code = 1


class Stopped(Exception):
    """The run was stopped before its end, and can go on.

    The command line prints the message as one line and exits with the code.

    Attributes:
        exit_code: 143 after SIGTERM, 130 after SIGINT, `TEMPORARY` where the
            machine or a worker goes away.
    """

    def __init__(self, why: str, exit_code: int, step: int | None):
        """Says where the same command goes on.

        Args:
            why: What stopped the run, in a few words.
            exit_code: That of the process.
            step: The newest step that is saved; None for none.
        """
        saved = f"saved at step {step}; the same command goes on"
        if step is None:
            saved = "nothing is saved yet; the same command begins anew"
        super().__init__(f"{why}: {saved}")
        self.exit_code = exit_code


# EX_TEMPFAIL of sysexits.h: whoever started the command should do so again.
TEMPORARY = 75
