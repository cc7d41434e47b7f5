"""Fields of a frozen section: their declared types, checked and parsed.

A declared type is `int`, `float`, `bool`, `str`, a `Literal` of words, a class
whose values no text gives, one of them `| None`, or `tuple[Literal, ...]`:
words, parted by commas as text.
"""

from __future__ import annotations

import dataclasses
import math
import types
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from efficientnet_tf.errors import InputError, near

_TRUTH = {"true": True, "false": False}
_EXAMPLES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
}


def declared(section: type[Any]) -> dict[str, Any]:
    """The declared type of each field of a section."""
    hints = get_type_hints(section)
    return {item.name: hints[item.name] for item in dataclasses.fields(section)}


def check_types(name: str, section: Any) -> None:
    """Raises InputError for a field whose value is not of its type.

    Args:
        name: What the section is called.
        section: A dataclass instance.
    """
    for field, kind in declared(type(section)).items():
        value = getattr(section, field)
        if not _is(value, kind):
            raise InputError(
                f"{name}.{field} {value!r} must be {describe(kind)}"
            )


def check_positive(name: str, value: float) -> None:
    """Raises InputError where a field's value is not above 0."""
    if value <= 0:
        raise InputError(f"{name} {value} must be above 0")


def check_at_least(name: str, value: float, lowest: int) -> None:
    """Raises InputError where a field's value is less."""
    if value < lowest:
        raise InputError(f"{name} {value} must be at least {lowest}")


def check_share(name: str, value: float, highest: float | None = None) -> None:
    """Raises InputError where a field's value is no share of anything.

    Args:
        name: What the field is called.
        value: Its value.
        highest: With it (0, highest] is allowed; without it [0, 1).
    """
    if highest is None:
        if not 0 <= value < 1:
            raise InputError(f"{name} {value} must be in [0, 1)")
    elif not 0 < value <= highest:
        raise InputError(f"{name} {value} must be in (0, {highest}]")


def parse(name: str, kind: Any, text: str) -> Any:
    """Turns text into a value of a declared type.

    Args:
        name: What the field is called, for the error.
        kind: Its declared type.
        text: What was given.

    Raises:
        InputError: The text is no such value.
    """
    choices, optional = _alternatives(kind)
    if optional and text.lower() == "none":
        return None
    if get_origin(choices) is tuple:
        word = get_args(choices)[0]
        return tuple(parse(name, word, part) for part in text.split(","))
    if get_origin(choices) is Literal:
        words = get_args(choices)
        if text in words:
            return text
        raise InputError(f"{name} {text!r}: {near(text, words)}")
    try:
        if choices is bool:
            return _TRUTH[text.lower()]
        value = choices(text)
    except (KeyError, ValueError):
        value = None
    if not _is(value, choices):
        raise InputError(f"{name} {text!r} must be {describe(kind)}")
    return value


def from_json(kind: Any, value: Any) -> Any:
    """A value of JSON as its field has it: JSON's lists are tuples here."""
    if isinstance(value, list) and get_origin(kind) is tuple:
        return tuple(value)
    return value


def describe(kind: Any) -> str:
    """A declared type in words: "a whole number or none"."""
    choices, optional = _alternatives(kind)
    if get_origin(choices) is tuple:
        words = f"a tuple of {describe(get_args(choices)[0])}"
    elif get_origin(choices) is Literal:
        words = " or ".join(repr(word) for word in get_args(choices))
    else:
        words = _EXAMPLES.get(choices, f"a {choices.__name__}")
    return f"{words} or none" if optional else words


def _alternatives(kind: Any) -> tuple[Any, bool]:
    """Splits `X | None` into X and whether None is allowed."""
    # `Literal[...] | None` is of the older kind.
    if get_origin(kind) in (types.UnionType, Union):
        (inner,) = (part for part in get_args(kind) if part is not type(None))
        return inner, True
    return kind, False


def _is(value: Any, kind: Any) -> bool:
    choices, optional = _alternatives(kind)
    if value is None:
        return optional
    if get_origin(choices) is tuple:
        word = get_args(choices)[0]
        return isinstance(value, tuple) and all(_is(v, word) for v in value)
    if get_origin(choices) is Literal:
        return value in get_args(choices)
    if choices is float:
        return (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and math.isfinite(value)
        )
    if choices is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, choices)
