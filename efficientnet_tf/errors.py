"""The one exception for bad input, and the sentence that proposes a cure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """What the user gave cannot be used; the message says what would do.

    The command line prints the message as one line and exits with code 2.
    """


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
