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

from efficientnet_tf import marked_tables
from efficientnet_tf.command_line import run
from efficientnet_tf.errors import InputError
from efficientnet_tf.marked_tables import filled, markdown
from efficientnet_tf.search.search_plots import save_front, save_history

SEARCHES = ("random", "evolution")
PROXIES = "proxies.json"
# A difference that luck makes more often than so is none.
_LUCK = 0.05

_NAMES = {
    "short": "`short`, a quarter of the training",
    "synflow": "`synflow`, before any training",
    "trainable_parameters": "number of parameters, for comparison",
    "macs": "multiply-adds, for comparison",
}


def with_tables(text: str, folder: Path) -> str:
    """The page with each table between its two markers.

    Args:
        text: The page.
        folder: Where the saved searches are.

    Raises:
        InputError: The text lacks a marker.
    """
    return marked_tables.with_tables(
        text, {name: table(folder) for name, table in TABLES.items()}
    )


def searches(folder: Path) -> dict[str, dict[str, Any]]:
    """The saved searches by name, each up to as many ended trials."""
    found = {
        name: json.loads((folder / f"{name}.json").read_text("utf-8"))
        for name in SEARCHES
    }
    count = min(len(each["trials"]) for each in found.values())
    return {name: first(each, count) for name, each in found.items()}


def first(found: dict[str, Any], count: int) -> dict[str, Any]:
    """A search as it was after so many ended trials."""
    rows = sorted(found["trials"], key=lambda row: row["ended"])[:count]
    good = [row for row in rows if row["state"] == "complete"]
    return {
        **found,
        "trials": rows,
        "best": max(good, key=lambda row: row["reward"])["number"],
        "failed": sum(row["state"] == "fail" for row in rows),
        "reused": sum(row["same_as"] is not None for row in rows),
        "retried": sum(bool(row["retry_of"]) for row in rows),
    }


def searches_table(folder: Path) -> str:
    """A row for each figure, a column for each search."""
    found = tuple(searches(folder).values())
    rows = [
        (words, *(figure(each) for each in found))
        for words, figure in _FIGURES.items()
    ]
    return markdown(("", *SEARCHES), "lrr", rows) + "\n" + _verdict(*found)


def _verdict(chance: dict[str, Any], evolved: dict[str, Any]) -> str:
    """What the difference is worth, in words."""
    ours, theirs = _late(evolved), _late(chance)
    probability = mannwhitneyu(ours, theirs, alternative="two-sided").pvalue
    better = statistics.median(ours) > statistics.median(theirs)
    if probability > _LUCK:
        says = "Neither beats the other by more than luck explains"
    elif better:
        says = "Evolution beats chance in its second half"
    else:
        says = "Chance beats evolution in its second half"
    most = max(_rewards(evolved)) - max(_rewards(chance))
    text = (
        f"{says}: that the rewards of both second halves are drawn alike has a "
        f"probability of {probability:.2g} (Mann and Whitney). The best that "
        f"evolution found is {abs(most):.4f} {'above' if most > 0 else 'below'}"
        " the best of chance. The test takes the trials of an evolution for "
        "independent, which children of each other are not, and rests on one "
        "seed of each: another may say something else."
    )
    return filled(text) + "\n"


def proxies_table(folder: Path) -> str:
    """A row for each proxy, once there are any figures."""
    if not (folder / PROXIES).exists():
        return (
            "Not measured yet: `python -m efficientnet_tf.search.proxies`, "
            "whose\nproxies.json belongs into `docs/search/`.\n"
        )
    found = json.loads((folder / PROXIES).read_text("utf-8"))
    rows = [
        (
            words,
            f"{found['spearman'][name]:+.2f}",
            f"{found['kendall'][name]:+.2f}",
        )
        for name, words in _NAMES.items()
    ]
    return markdown(
        (f"proxy, {len(found['networks'])} networks", "Spearman", "Kendall"),
        "lrr",
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


def _late(found: dict[str, Any]) -> list[float]:
    """Of its second half, which the sampler has had time to shape."""
    rewards = _rewards(found)
    return rewards[len(rewards) // 2 :]


def _best(found: dict[str, Any]) -> dict[str, Any]:
    (row,) = [r for r in found["trials"] if r["number"] == found["best"]]
    return row


_FIGURES: dict[str, Callable[[dict[str, Any]], str]] = {
    "trials that ended": lambda found: f"{len(found['trials'])}",
    "of them with the figures of an equal network": (
        lambda found: f"{found['reused']}"
    ),
    "of them taken over from a killed worker": (
        lambda found: f"{found['retried']}"
    ),
    "of them failed": lambda found: f"{found['failed']}",
    "best reward": lambda found: f"{max(_rewards(found)):.4f}",
    "its top-1": lambda found: f"{_best(found)['score']:.3f}",
    "its multiply-adds": lambda found: f"{_best(found)['macs'] / 1e6:.2f} M",
    "median reward": lambda found: f"{statistics.median(_rewards(found)):.4f}",
    "median reward of the second half": (
        lambda found: f"{statistics.median(_late(found)):.4f}"
    ),
}


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
