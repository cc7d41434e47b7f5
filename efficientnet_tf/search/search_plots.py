"""Pictures of searches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

from efficientnet_tf.plots import LOOK, layout, save
from efficientnet_tf.search.costs import COSTS
from efficientnet_tf.search.objective import front

_COLOURS = ("#2a6fb0", "#c8662b", "#4a8f4a", "#8a5aa8")


def save_history(path: str, searches: Mapping[str, dict[str, Any]]) -> None:
    """Draws each trial's reward, and the best so far.

    Args:
        path: A PNG file, local or gs://.
        searches: What `outcome` gave, by a name.
    """
    with matplotlib.rc_context(LOOK):
        figure = Figure(figsize=(7.2, 4.2), layout=layout())
        axes = figure.subplots()
        for (name, found), colour in _coloured(searches):
            rewards = [row["reward"] for row in _ended(found)]
            places = range(1, len(rewards) + 1)
            axes.plot(places, rewards, "o", ms=3.5, alpha=0.45, color=colour)
            so_far = [max(rewards[:place]) for place in places]
            axes.step(
                places,
                so_far,
                where="post",
                color=colour,
                label=f"{name}, best so far",
            )
        _finish(axes, "trials that have ended", "reward")
        save(figure, path)


def save_front(path: str, searches: Mapping[str, dict[str, Any]]) -> None:
    """Draws scores over costs, and those that no other beats as a line."""
    with matplotlib.rc_context(LOOK):
        figure = Figure(figsize=(7.2, 4.2), layout=layout())
        axes = figure.subplots()
        means = ""
        for (name, found), colour in _coloured(searches):
            points = [(row["score"], row["cost"]) for row in _ended(found)]
            scores = [score for score, _ in points]
            costs = [cost for _, cost in points]
            axes.plot(costs, scores, "o", ms=3.5, alpha=0.45, color=colour)
            kept = front(points)
            axes.step(
                [costs[place] for place in kept],
                [scores[place] for place in kept],
                where="post",
                marker="o",
                ms=5,
                color=colour,
                label=f"{name}, not beaten",
            )
            means = COSTS[found["settings"]["cost"]].means
        axes.set_xscale("log")
        # "2 M" instead of powers, which would be set as formulae.
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(EngFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
        _finish(axes, means, "score")
        save(figure, path)


def _coloured(
    searches: Mapping[str, dict[str, Any]],
) -> list[tuple[tuple[str, dict[str, Any]], str]]:
    return [
        (item, _COLOURS[place % len(_COLOURS)])
        for place, item in enumerate(searches.items())
    ]


def _ended(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Complete trials in the order in which they ended."""
    rows = [row for row in found["trials"] if row["state"] == "complete"]
    return sorted(rows, key=lambda row: row["ended"])


def _finish(axes: Axes, across: str, up: str) -> None:
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e4e9ee", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, loc="lower right")
