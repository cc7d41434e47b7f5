"""A picture of accuracy over the constraint surface.

alpha * beta^2 * gamma^2 = 2 is a surface that alpha and beta span: gamma
follows from them, and stands at every point.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from efficientnet_tf.plots import LOOK, layout, save
from efficientnet_tf.search.grid import RATIO, Grid, GridPoint

_MARKER_AREA = 260.0
# Between two points of one alpha and beta, in alphas.
_SHIFT = 0.03
_BEST_COLOUR = "#c8442c"
_GREY = "#8a97a3"


class _Tried(Protocol):
    """A network and how good it is."""

    @property
    def point(self) -> GridPoint: ...

    @property
    def top1(self) -> float | None: ...


def save_grid(path: str, grid: Grid, tried: Sequence[_Tried]) -> None:
    """Draws top-1 by alpha and beta; gamma is written below each point.

    Args:
        path: A PNG file, local or gs://.
        grid: What was tried.
        tried: What came out; the best first.
    """
    with matplotlib.rc_context(LOOK):
        figure = Figure(figsize=(8.5, 6), layout=layout())
        axes = figure.subplots()
        shown = [each for each in tried if each.top1 is not None]
        alphas = _apart(shown)
        betas = [each.point.coefficients.beta for each in shown]
        drawn = axes.scatter(
            alphas,
            betas,
            c=[each.top1 for each in shown],
            s=_MARKER_AREA,
            cmap="viridis",
            edgecolors="white",
            zorder=3,
        )
        _draw_gammas(axes)
        _name_points(axes, shown)
        axes.scatter(
            alphas[:1],
            betas[:1],
            s=1.9 * _MARKER_AREA,
            facecolors="none",
            edgecolors=_BEST_COLOUR,
            linewidths=2,
            zorder=4,
        )
        axes.margins(0.12)
        axes.set_xlabel("alpha (depth)")
        axes.set_ylabel("beta (width)")
        axes.set_title(
            f"{grid.base.name} at {grid.base.variant.pixels} pixels, "
            f"{RATIO:g} times its cost: top-1 by (alpha, beta), gamma beside",
            loc="left",
        )
        axes.spines[["top", "right"]].set_visible(False)
        figure.colorbar(drawn, ax=axes, pad=0.02).set_label("top-1")
        save(figure, path)


def _apart(shown: Sequence[_Tried]) -> list[float]:
    """Alphas, moved to the right where another point is in their place."""
    places: list[float] = []
    taken: Counter[tuple[float, float]] = Counter()
    for each in shown:
        given = each.point.coefficients
        place = given.alpha, given.beta
        places.append(given.alpha + taken[place] * _SHIFT)
        taken[place] += 1
    return places


def _draw_gammas(axes: Axes) -> None:
    """Lines of one gamma on the surface, which end where gamma is 1."""
    alphas = np.linspace(1.0, RATIO, 200)
    for gamma in (1.0, 1.1, 1.2, 1.3):
        betas = np.sqrt(RATIO / (alphas * gamma**2))
        above = betas >= 1.0
        axes.plot(
            alphas[above], betas[above], color=_GREY, linewidth=0.8, zorder=1
        )
        axes.annotate(
            f"gamma {gamma:g}",
            (float(alphas[above][-1]), 1.0),
            xytext=(2, 6),
            textcoords="offset points",
            ha="left",
            fontsize=8,
            color=_GREY,
        )


def _name_points(axes: Axes, shown: Sequence[_Tried]) -> None:
    """The points of one place, a line each: gamma and top-1."""
    places: dict[tuple[float, float], list[str]] = {}
    for each in shown:
        given = each.point.coefficients
        said = f"{given.gamma:g}: {each.top1:.3f}"
        places.setdefault((given.alpha, given.beta), []).append(said)
    for place, lines in places.items():
        axes.annotate(
            "\n".join(lines),
            place,
            xytext=(0, -11),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=8,
        )
