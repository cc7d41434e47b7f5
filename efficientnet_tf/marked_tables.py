"""Generated pages: tables, filled text, and what stands between markers."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from efficientnet_tf.errors import InputError

_WIDTH = 80


def with_tables(text: str, tables: Mapping[str, str]) -> str:
    """A page with each table between its two markers.

    Args:
        text: The page; `<!-- NAME: begin -->` and `<!-- NAME: end -->` for
            each table.
        tables: By their names.

    Raises:
        InputError: The text lacks a marker.
    """
    for name, table in tables.items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise InputError(f"the text needs {begin!r} and then {end!r}")
        text = f"{before}{begin}\n{table}{end}{after}"
    return text


def markdown(
    header: Sequence[str], sides: str, rows: Sequence[Sequence[str]]
) -> str:
    """A table in Markdown.

    Args:
        header: Names of the columns.
        sides: "l" or "r" for each.
        rows: As many texts each.
    """
    rule = ["---:" if side == "r" else "---" for side in sides]
    lines = [header, rule, *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def filled(text: str) -> str:
    """A paragraph in lines of the page's width; no word is cut."""
    return textwrap.fill(
        text, _WIDTH, break_on_hyphens=False, break_long_words=False
    )


def saved(file: Path, writer: str) -> dict[str, Any]:
    """What a command has left for a page.

    Args:
        file: JSON.
        writer: Who writes it, for the error.

    Raises:
        InputError: It is missing.
    """
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except OSError:
        raise InputError(f"{file} is missing: {writer} writes it") from None
    return found
