"""Curves and matrices as SVG that takes its colours from the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

# More classes than this are drawn in groups.
NAMED_CLASSES = 50
NUMBERED_CLASSES = 20

_WIDTH, _HEIGHT = 380, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 10, 34
_MARKED_POINTS = 60
# Steps of an axis, in powers of ten.
_MOST_STEPS = 5
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_LABEL_CHARACTERS = 18
_CHARACTER_UNITS = 6.4
# Of an axis; what needs more is written as a power of ten.
_MOST_DIGITS = 5


@dataclass(frozen=True)
class Series:
    """A line of a chart: its name, and points from left to right."""

    name: str
    points: tuple[tuple[float, float], ...]


def line_chart(
    title: str, series: Sequence[Series], across: str = "epoch"
) -> str:
    """Draws lines, over epochs or something else.

    Args:
        title: What is drawn.
        series: One to three lines, which have a point at least.
        across: What is counted from left to right.

    Returns:
        A `<figure>`.
    """
    points = [point for one in series for point in one.points]
    epochs, values = zip(*points, strict=True)
    heights = _ticks(min(values), max(values))
    widths = _ticks(min(epochs), max(epochs))
    if len(set(epochs)) > 1:
        # From the first point to the last one, or a round number close by.
        first, last = min(epochs), max(epochs)
        near = 0.03 * (last - first)
        widths = [x for x in widths if first - near <= x <= last + near]
    first, last = min(*epochs, *widths), max(*epochs, *widths)
    ticks = [widths, heights]
    scales = [
        _Scale(first, last, _LEFT, _WIDTH - _RIGHT),
        _Scale(heights[0], heights[-1], _HEIGHT - _BOTTOM, _TOP),
    ]
    parts = [*_grid(ticks, scales, across)]
    for number, one in enumerate(series):
        parts += _line(one, number, scales, across)
    legend = "".join(
        f'<span class="key line{number}">{escape(one.name)}</span>'
        for number, one in enumerate(series)
        if len(series) > 1
    )
    return (
        f'<figure class="chart"><figcaption>{escape(title)} {legend}'
        f'</figcaption><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(title)}">{"".join(parts)}</svg></figure>'
    )


def matrix(shares: np.ndarray, names: Sequence[str], *, first: int = 0) -> str:
    """Draws which classes are taken for which.

    Args:
        shares: `[classes - first, classes]`, each row's shares of 1. Groups
            of classes are as good as classes.
        names: Of the columns, and from `first` on of the rows.
        first: The first class that has a row.

    Returns:
        An `<svg>` of its natural size.
    """
    rows, columns = shares.shape
    numbered = columns <= NUMBERED_CLASSES
    cell = 30 if numbered else 15
    short = [_short(name) for name in names]
    margin = 12 + _CHARACTER_UNITS * max(map(len, short))
    width, height = margin + columns * cell + 2, margin + rows * cell + 2
    parts = []
    for place, name in enumerate(short):
        middle = margin + (place + 0.5) * cell
        parts.append(
            f'<text class="name" transform="translate({middle + 4:.1f} '
            f'{margin - 6:.1f}) rotate(-90)">{escape(name)}</text>'
        )
    for place, name in enumerate(short[first:]):
        middle = margin + (place + 0.5) * cell
        parts.append(
            f'<text class="name end" x="{margin - 6:.1f}" '
            f'y="{middle + 4:.1f}">{escape(name)}</text>'
        )
    for (row, column), share in np.ndenumerate(shares):
        if share > 0:
            parts.append(
                _cell(
                    float(share),
                    right=row + first == column,
                    title=f"{names[row + first]} \u2192 {names[column]}",
                    corner=(margin + column * cell, margin + row * cell),
                    side=cell,
                    numbered=numbered,
                )
            )
    parts.append(
        f'<rect class="frame" x="{margin:.1f}" y="{margin:.1f}" '
        f'width="{columns * cell}" height="{rows * cell}"/>'
    )
    return (
        f'<svg class="matrix" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.1f} {height:.1f}" role="img" '
        f'aria-label="confusion matrix">{"".join(parts)}</svg>'
    )


def grouped(
    confusion: np.ndarray, names: Sequence[str], groups: int = NAMED_CLASSES
) -> tuple[np.ndarray, list[str]]:
    """Puts neighbouring classes together.

    Args:
        confusion: `[classes, classes]`, images.
        names: Of the classes.
        groups: At most so many.

    Returns:
        The images by group, and what the groups are called.
    """
    size = math.ceil(len(names) / groups)
    starts = np.arange(0, len(names), size)
    rows = np.add.reduceat(confusion, starts, axis=0)
    called = [
        f"{start}\u2013{min(start + size, len(names)) - 1}"
        if start + 1 < len(names)
        else str(start)
        for start in starts.tolist()
    ]
    return np.add.reduceat(rows, starts, axis=1), called


def _cell(
    share: float,
    *,
    right: bool,
    title: str,
    corner: tuple[float, float],
    side: int,
    numbered: bool,
) -> str:
    """A square as dark as the root of its share, so that rare errors show."""
    left, top = corner
    said = f"<title>{escape(title)}: {share:.1%}</title>"
    square = (
        f'<rect class="{"right" if right else "wrong"}" x="{left + 0.5:.1f}" '
        f'y="{top + 0.5:.1f}" width="{side - 1}" height="{side - 1}" '
        f'fill-opacity="{max(0.08, math.sqrt(share)):.2f}">{said}</rect>'
    )
    if not numbered:
        return square
    number = f"{100 * share:.0f}" if share >= 0.01 else "&lt;1"
    return (
        f'{square}<text class="number{" over" if share > 0.3 else ""}" '
        f'x="{left + side / 2:.1f}" y="{top + side / 2 + 4:.1f}">'
        f"{number}{said}</text>"
    )


class _Scale:
    """From values to places in a drawing."""

    def __init__(self, low: float, high: float, start: float, end: float):
        self._low, self._start = low, start
        self._unit = (end - start) / (high - low)

    def __call__(self, value: float) -> float:
        return self._start + (value - self._low) * self._unit


def _grid(
    ticks: list[list[float]], scales: list[_Scale], across: str
) -> list[str]:
    """Both axes, and lines to read heights by."""
    parts = []
    for value, shown in zip(ticks[1], _numbers(ticks[1]), strict=True):
        y = scales[1](value)
        parts.append(
            f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>'
            f'<text class="tick end" x="{_LEFT - 6}" y="{y + 4:.1f}">'
            f"{shown}</text>"
        )
    bottom = _HEIGHT - _BOTTOM
    for value, shown in zip(ticks[0], _numbers(ticks[0]), strict=True):
        x = scales[0](value)
        parts.append(
            f'<path class="grid" d="M{x:.1f} {bottom}v4"/>'
            f'<text class="tick middle" x="{x:.1f}" y="{bottom + 17}">'
            f"{shown}</text>"
        )
    parts.append(
        f'<text class="tick middle" x="{(_LEFT + _WIDTH - _RIGHT) / 2}" '
        f'y="{_HEIGHT - 3}">{escape(across)}</text>'
    )
    return parts


def _line(
    one: Series, number: int, scales: list[_Scale], across: str
) -> list[str]:
    places = [
        f"{scales[0](epoch):.1f} {scales[1](value):.1f}"
        for epoch, value in one.points
    ]
    parts = [f'<path class="line{number}" d="M{"L".join(places)}"/>']
    if len(places) <= _MARKED_POINTS:
        for (epoch, value), place in zip(one.points, places, strict=True):
            x, y = place.split()
            parts.append(
                f'<circle class="line{number}" cx="{x}" cy="{y}" r="2.6">'
                f"<title>{escape(one.name)}, {escape(across)} {epoch:.4g}: "
                f"{value:.4g}"
                "</title></circle>"
            )
    return parts


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers, evenly apart, that enclose both."""
    if high <= low:
        # One value: it goes to the middle.
        room = abs(low) / 2 or 0.5
        low, high = low - room, high + room
    power = 10.0 ** math.floor(math.log10((high - low) / _MOST_STEPS))
    step = next(
        s * power for s in _STEPS if (high - low) / (s * power) <= _MOST_STEPS
    )
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, last + 1)]


def _numbers(ticks: list[float]) -> list[str]:
    """Ticks in as few digits as tell them apart."""
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    for digits in range(_MOST_DIGITS + 1):
        units = step * 10**digits
        if units > 0.9 and abs(units - round(units)) < 0.01:
            return [f"{tick:,.{digits}f}" for tick in ticks]
    return [f"{tick:.2g}" for tick in ticks]


def _short(name: str) -> str:
    name = name.split(", ")[0]
    if len(name) <= _LABEL_CHARACTERS:
        return name
    return f"{name[: _LABEL_CHARACTERS - 1]}\u2026"
