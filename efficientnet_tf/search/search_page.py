"""The figures of docs/search.md, of saved searches.

    python -m efficientnet_tf.search.search_page docs/search.md

reads evolution.json and random.json, which are search.json of a finished search
each, and proxies.json, from the folder that is named like the page; it writes
the tables between their markers, and the pictures into the folder.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from scipy.stats import mannwhitneyu

from efficientnet_tf.command_line import run
from efficientnet_tf.errors import InputError
from efficientnet_tf.search.search_plots import save_front, save_history

SEARCHES = ("random", "evolution")
PROXIES = "proxies.json"
# Trials at the end of a search that its sampler has had time to shape.
_LATE = 20

_NAMES = {
    "short": "`short`, a quarter of the training",
    "synflow": "`synflow`, before any training",
    "trainable_parameters": "number of parameters, for comparison",
    "macs": "multiply-adds, for comparison",
}


def with_tables(text: str, folder: Path) -> str:
    """The page with each table between its two markers.

    Args:
        text: The page; `<!-- NAME: begin -->` and `<!-- NAME: end -->` for
            each table.
        folder: Where the saved searches are.

    Raises:
        InputError: The text lacks a marker.
    """
    for name, table in TABLES.items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise InputError(f"the text needs {begin!r} and then {end!r}")
        text = f"{before}{begin}\n{table(folder)}{end}{after}"
    return text


def searches(folder: Path) -> dict[str, dict[str, Any]]:
    """The saved searches by name."""
    return {
        name: json.loads((folder / f"{name}.json").read_text("utf-8"))
        for name in SEARCHES
    }


def searches_table(folder: Path) -> str:
    """A row for each search, and what the difference is worth."""
    found = searches(folder)
    header = ("", *SEARCHES)
    rows = [
        ("trials that ended", *(f"{len(f['trials'])}" for f in found.values())),
        *(
            (words, *(f"{f[key]}" for f in found.values()))
            for words, key in (
                ("of them with the result of an equal network", "reused"),
                ("of them taken over from a killed worker", "retried"),
                ("of them failed", "failed"),
            )
        ),
        ("best reward", *(f"{max(_rewards(f)):.4f}" for f in found.values())),
        ("its top-1", *(_best(f, "score") for f in found.values())),
        ("its multiply-adds", *(_best(f, "macs") for f in found.values())),
        (
            "median reward",
            *(f"{statistics.median(_rewards(f)):.4f}" for f in found.values()),
        ),
        (
            f"median reward of the last {_LATE}",
            *(
                f"{statistics.median(_rewards(f)[-_LATE:]):.4f}"
                for f in found.values()
            ),
        ),
    ]
    table = _markdown(header, rows)
    late = [_rewards(found[name])[-_LATE:] for name in SEARCHES]
    chance = mannwhitneyu(*late, alternative="two-sided").pvalue
    return table + (
        f"\nThat the last {_LATE} rewards of the two are drawn alike has, by "
        f"the test of Mann and\nWhitney, a probability of {chance:.2g}. "
        "It says nothing of another seed.\n"
    )


def proxies_table(folder: Path) -> str:
    """A row for each proxy."""
    found = json.loads((folder / PROXIES).read_text("utf-8"))
    rows = [
        (
            words,
            f"{found['spearman'][name]:+.2f}",
            f"{found['kendall'][name]:+.2f}",
        )
        for name, words in _NAMES.items()
    ]
    return _markdown(
        (f"proxy, {len(found['networks'])} networks", "Spearman", "Kendall"),
        rows,
    )


TABLES: dict[str, Callable[[Path], str]] = {
    "searches": searches_table,
    "proxies": proxies_table,
}


def _rewards(found: dict[str, Any]) -> list[float]:
    """In the order in which trials ended."""
    rows = [row for row in found["trials"] if row["state"] == "complete"]
    return [row["reward"] for row in sorted(rows, key=lambda row: row["ended"])]


def _best(found: dict[str, Any], name: str) -> str:
    (row,) = [r for r in found["trials"] if r["number"] == found["best"]]
    return f"{row[name] / 1e6:.1f} M" if name == "macs" else f"{row[name]:.3f}"


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---", *["---:"] * (len(header) - 1)]
    lines = [header, rule, *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _main(arguments: Sequence[str]) -> None:
    if len(arguments) != 1:
        raise InputError(
            "usage: python -m efficientnet_tf.search.search_page FILE"
        )
    path = Path(arguments[0])
    folder = path.with_suffix("")
    try:
        text = with_tables(path.read_text(encoding="utf-8"), folder)
    except OSError as error:
        raise InputError(f"{error.filename}: {error.strerror}") from None
    path.write_text(text, encoding="utf-8")
    save_history(str(folder / "history.png"), searches(folder))
    save_front(str(folder / "front.png"), searches(folder))


if __name__ == "__main__":
    sys.exit(run("search_page", lambda: _main(sys.argv[1:])))
