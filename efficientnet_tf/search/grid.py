"""The networks of a grid of coefficients that cost about twice the base.

Source: arXiv 1905.11946, section 3.3, step 1: phi is 1, and alpha, beta and
gamma are searched under alpha * beta^2 * gamma^2 = 2. It gives no grid.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from efficientnet_tf.errors import InputError
from efficientnet_tf.networks import NamedVariant, Totals, network, totals
from efficientnet_tf.search.coefficients import (
    Coefficients,
    Exponents,
    scaled,
    scaled_name,
)

RATIO = 2.0
_ONE = Exponents(1.0, 1.0, 1.0)
# A finer grid has more points than anybody would wait for.
FINEST = 0.01


@dataclass(frozen=True)
class GridPoint:
    """A network of the grid.

    Attributes:
        coefficients: Its own; of those that round to the same network, the
            ones that the rule puts nearest to 2.
        named: The network.
        total: Its cost.
        ratio: Its multiply-adds by the base's, after rounding.
    """

    coefficients: Coefficients
    named: NamedVariant
    total: Totals
    ratio: float


@dataclass(frozen=True)
class Grid:
    """All of a grid that is worth training.

    Attributes:
        base: What is scaled.
        points: By alpha, then beta.
        near: Points at which the rule is near 2.
        beyond: Of those, the ones that cost something else after rounding.
        alike: Of the rest, the ones that round to a network that is there.
    """

    base: NamedVariant
    points: tuple[GridPoint, ...]
    near: int
    beyond: int
    alike: int


def grid(base: NamedVariant, step: float, tolerance: float) -> Grid:
    """Every (alpha, beta, gamma) that about doubles the cost of a base.

    Args:
        base: What is scaled; the images are its own by gamma.
        step: Between two values of a coefficient, from 1 on.
        tolerance: The largest share by which both alpha * beta^2 * gamma^2 and
            the cost after rounding may miss 2.

    Raises:
        InputError: There is none, or an argument is out of range.
    """
    if not FINEST <= step <= 1:
        raise InputError(f"--grid_step {step:g} must be from {FINEST} to 1")
    if not 0 < tolerance < 1:
        raise InputError(
            f"--grid_tolerance {tolerance:g} must be above 0 and below 1"
        )
    before = totals(network(base)).macs
    found: dict[object, GridPoint] = {}
    near = beyond = 0
    for coefficients in _near_two(step, tolerance):
        near += 1
        variant = scaled(base, coefficients, _ONE)
        named = NamedVariant(scaled_name(base, variant), variant)
        built = network(named)
        total = totals(built)
        point = GridPoint(coefficients, named, total, total.macs / before)
        if not _is_near(point.ratio, tolerance):
            beyond += 1
            continue
        same = built.stem, built.blocks, built.head, built.pixels
        if same not in found or _miss(point) < _miss(found[same]):
            found[same] = point
    if not found:
        raise InputError(
            f"--grid: no (alpha, beta, gamma) in steps of {step:g} gives "
            f"{base.name} {RATIO:g} times its cost to within {tolerance:.0%}; "
            "try a smaller --grid_step or a larger --grid_tolerance"
        )
    points = sorted(
        found.values(),
        key=lambda point: (point.coefficients.alpha, point.coefficients.beta),
    )
    return Grid(base, tuple(points), near, beyond, near - beyond - len(points))


def _near_two(step: float, tolerance: float) -> Iterator[Coefficients]:
    most = RATIO * (1 + tolerance)
    deepest = int((most - 1) / step + 1e-9)
    widest = int((most**0.5 - 1) / step + 1e-9)
    for deep, wide, large in itertools.product(
        range(deepest + 1), range(widest + 1), range(widest + 1)
    ):
        if deep == wide == large == 0:
            continue
        # 1.1 rather than 1.1000000000000001.
        alpha, beta, gamma = (
            round(1 + count * step, 6) for count in (deep, wide, large)
        )
        coefficients = Coefficients(alpha, beta, gamma)
        if _is_near(coefficients.nominal, tolerance):
            yield coefficients


def _is_near(ratio: float, tolerance: float) -> bool:
    # The edges belong to it, whatever they are in binary.
    return abs(ratio / RATIO - 1) <= tolerance + 1e-9


def _miss(point: GridPoint) -> float:
    return abs(point.coefficients.nominal - RATIO)
