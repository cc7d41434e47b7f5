"""The network of a phi, and the largest network within a budget.

Costs are those of the rounded network: between two roundings nothing changes,
and at one of them depth can bring a third at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace

from efficientnet_tf.errors import InputError
from efficientnet_tf.networks import (
    MIN_PIXELS,
    NamedVariant,
    Network,
    Totals,
    Variant,
    network,
    totals,
)
from efficientnet_tf.search.budget import Budget
from efficientnet_tf.search.coefficients import (
    MAX_PHI,
    MAX_PIXELS,
    Coefficients,
    Exponents,
    scaled,
    scaled_name,
    scaled_pixels,
)

# Exponents are tried in hundredths.
STEPS = 100
# How far the three exponents may be apart, in such steps: those of the shipped
# B7 are from 6.2 to 7.3.
SPREAD = 50
# Blocks of a network up to which every step of depth and width is tried; of one
# that has n times as many it is every n-th, or it would take minutes.
_FINE_BLOCKS = 100
# Fewest decimals of a coefficient; more where fewer make another network.
_DECIMALS = 3


@dataclass(frozen=True)
class Scaled:
    """A scaled network.

    Attributes:
        base: What was scaled.
        coefficients: By what.
        exponents: Of each coefficient, the phi.
        named: The result as a variant; its coefficients give the network.
        network: The same, resolved.
    """

    base: NamedVariant
    coefficients: Coefficients
    exponents: Exponents
    named: NamedVariant
    network: Network

    @property
    def phi(self) -> float:
        """The mean of the exponents that change anything."""
        given = self.coefficients
        active = [
            exponent
            for factor, exponent in (
                (given.alpha, self.exponents.depth),
                (given.beta, self.exponents.width),
                (given.gamma, self.exponents.pixels),
            )
            if factor > 1
        ]
        return sum(active) / len(active)

    @property
    def total(self) -> Totals:
        """Its cost, counted after rounding."""
        return totals(self.network)

    @property
    def nominal_ratio(self) -> float:
        """Multiply-adds by the base's, as the rule of the paper has it."""
        given, exponents = self.coefficients, self.exponents
        return float(
            given.alpha**exponents.depth
            * given.beta ** (2 * exponents.width)
            * given.gamma ** (2 * exponents.pixels)
        )

    @property
    def real_ratio(self) -> float:
        """The same, counted after rounding."""
        return self.total.macs / totals(network(self.base)).macs


def by_phi(
    base: NamedVariant, coefficients: Coefficients, phi: float
) -> Scaled:
    """The network of one phi for all three.

    Args:
        base: What is scaled; its own coefficients are multiplied.
        coefficients: By what.
        phi: The exponent; below 0 for a network smaller than the base.

    Raises:
        InputError: It is out of range.
    """
    if not -MAX_PHI <= phi <= MAX_PHI:
        raise InputError(
            f"--phi {phi:g} must be from {-MAX_PHI:g} to {MAX_PHI:g}"
        )
    return _scaled(base, coefficients, Exponents(phi, phi, phi))


def by_budget(
    base: NamedVariant, coefficients: Coefficients, budget: Budget
) -> Scaled:
    """The largest network within a budget.

    The three exponents are whole hundredths, the image a whole number of
    pixels, and none is more than `SPREAD` from another. Of all those networks
    that cost no more than the budget it is the one that costs most; of several,
    the one whose exponents are closest together. Of networks of hundreds of
    blocks not all hundredths of depth and width are tried.

    Raises:
        InputError: Not even the base is within the budget, or no network that
            may be is beyond it.
    """
    search = _Search(base, coefficients, budget)
    largest = search.on_the_ray()
    return _scaled(base, coefficients, search.around(largest))


class _Search:
    """The rounded networks of a base, and which of them a budget allows."""

    def __init__(
        self, base: NamedVariant, coefficients: Coefficients, budget: Budget
    ):
        self._base = base
        self._given = coefficients
        self._budget = budget

    def on_the_ray(self) -> int:
        """The largest step of one phi for all three that the budget allows."""
        if not self._allows(self._on_ray(0)):
            raise InputError(self._too_small())
        last = round(MAX_PHI * STEPS)
        if self._given.gamma > 1:
            most = math.log(MAX_PIXELS / self._base.variant.pixels)
            last = min(last, int(STEPS * most / math.log(self._given.gamma)))
        # Networks far beyond the budget may have thousands of blocks.
        beyond = SPREAD
        while beyond < last and self._allows(self._on_ray(beyond)):
            beyond += SPREAD
        beyond = min(beyond, last)
        if self._allows(self._on_ray(beyond)):
            raise InputError(self._too_large(self._on_ray(beyond), beyond))
        return _last(
            lambda step: self._allows(self._on_ray(step)),
            max(0, beyond - SPREAD),
            beyond,
        )

    def around(self, ray: int) -> Exponents:
        """The exponents of the largest network near a step of the ray."""
        best = (-1.0, 0.0)
        chosen = Exponents(ray / STEPS, ray / STEPS, ray / STEPS)
        depths = self._distinct(ray, self._given.alpha, self._depth)
        widths = self._distinct(ray, self._given.beta, self._width)
        for width in widths:
            for depth in depths:
                if abs(width - depth) > SPREAD:
                    continue
                found = self._with_pixels(depth, width)
                if found is None:
                    continue
                cost, spread, pixels = found
                if (cost, -spread) > best:
                    best = cost, -spread
                    chosen = Exponents(depth / STEPS, width / STEPS, pixels)
        return chosen

    def _with_pixels(
        self, depth: int, width: int
    ) -> tuple[float, float, float] | None:
        """The largest image that a depth and a width leave budget for.

        Returns:
            The cost, how far the exponents are apart, and that of the image;
            None where no image is small enough.
        """
        # Blocks are the same at all sizes.
        built = _network(self._base, self._at(depth, width))

        def cost_at(side: int) -> float:
            return self._budget.cost(replace(built, pixels=side))

        middle = (depth + width) / 2
        lowest, highest = (
            scaled_pixels(self._base, self._given, max(step, 0) / STEPS)
            for step in (
                max(depth, width) - SPREAD,
                min(depth, width) + SPREAD,
            )
        )
        lowest, highest = max(lowest, MIN_PIXELS), min(highest, MAX_PIXELS)
        if lowest > highest or cost_at(lowest) > self._budget.most:
            return None
        largest = _last(
            lambda side: cost_at(side) <= self._budget.most,
            lowest,
            highest + 1,
        )
        cost = cost_at(largest)
        # A convolution of stride 2 does as much on one pixel less.
        smallest = largest
        if cost_at(lowest) == cost:
            smallest = lowest
        elif cost_at(largest - 1) == cost:
            smallest = largest - 1
        wished = scaled_pixels(self._base, self._given, middle / STEPS)
        side = min(max(wished, smallest), largest)
        pixels = middle / STEPS
        if side != wished:
            pixels = math.log(side / self._base.variant.pixels) / math.log(
                self._given.gamma
            )
        spread = max(abs(depth - width) / STEPS, abs(pixels - middle / STEPS))
        return cost, spread, pixels

    def _distinct(
        self, ray: int, factor: float, rounded: Callable[[int], Hashable]
    ) -> list[int]:
        """Steps near the ray's that make different networks.

        Of all steps that make the same one it is the nearest to the ray.
        """
        if factor == 1:
            return [ray]
        found: dict[Hashable, int] = {}
        blocks = len(_network(self._base, self._at(ray, 0)).blocks)
        apart = math.ceil(blocks / _FINE_BLOCKS)
        lowest = max(0, ray - SPREAD)
        # The ray's own is among them.
        steps = range(ray - (ray - lowest) // apart * apart, ray + SPREAD + 1)
        for step in sorted(steps[::apart], key=lambda step: abs(step - ray)):
            found.setdefault(rounded(step), step)
        return sorted(found.values())

    def _depth(self, step: int) -> Hashable:
        blocks = _network(self._base, self._at(step, 0)).blocks
        return tuple(block.stage for block in blocks)

    def _width(self, step: int) -> Hashable:
        return tuple(_channels(_network(self._base, self._at(0, step))))

    def _at(self, depth: int, width: int, pixels: int = 0) -> Variant:
        exponents = Exponents(depth / STEPS, width / STEPS, pixels / STEPS)
        return scaled(self._base, self._given, exponents)

    def _on_ray(self, step: int) -> Variant:
        return self._at(step, step, step)

    def _allows(self, variant: Variant) -> bool:
        return self._cost(variant) <= self._budget.most

    def _cost(self, variant: Variant) -> float:
        return self._budget.cost(_network(self._base, variant))

    def _too_small(self) -> str:
        budget = self._budget
        name, variant = self._base
        least = budget.shown(_above(self._cost(variant)))
        smaller = self._smaller()
        return (
            f"--budget {budget.text} is less than {name} itself takes at "
            f"{variant.pixels} pixels; give at least --budget={least}, a "
            f"smaller --base, or {smaller}"
        )

    def _smaller(self) -> str:
        """What to say of networks that are smaller than the base."""
        step = 0
        while step > -MAX_PHI * STEPS:
            step -= 10
            if (
                scaled_pixels(self._base, self._given, step / STEPS)
                < MIN_PIXELS
            ):
                break
            variant = self._on_ray(step)
            if self._allows(variant):
                cost = self._budget.shown(self._cost(variant))
                return (
                    f"scale it down: --phi={step / STEPS:g} without a budget "
                    f"takes {cost}"
                )
        variant = self._on_ray(step + 10)
        cost = self._budget.shown(_above(self._cost(variant)))
        return (
            f"images of fewer pixels: scaled down to {variant.pixels} pixels, "
            f"by --phi={(step + 10) / STEPS:g}, it still takes {cost}"
        )

    def _too_large(self, variant: Variant, step: int) -> str:
        budget = self._budget
        cost = budget.shown(self._cost(variant))
        return (
            f"--budget {budget.text} is more than {self._base.name} takes at "
            f"phi {step / STEPS:g}, {variant.pixels} pixels: {cost}; give a "
            "smaller budget, or coefficients by which "
            f"its {budget.measure} grow"
        )


def _scaled(
    base: NamedVariant, coefficients: Coefficients, exponents: Exponents
) -> Scaled:
    """With coefficients of as few decimals as make the same network."""
    exact = scaled(base, coefficients, exponents)
    wanted = _network(base, exact)
    variant = exact
    for field in ("width", "depth"):
        for decimals in range(_DECIMALS, 12):
            short = {field: round(getattr(exact, field), decimals)}
            if short[field] <= 0:
                continue
            candidate = replace(variant, **short)
            # Stem and head too, which round at widths of their own.
            if _network(base, candidate) == wanted:
                variant = candidate
                break
    name = scaled_name(base, variant)
    named = NamedVariant(name, variant)
    return Scaled(base, coefficients, exponents, named, network(named))


def _network(base: NamedVariant, variant: Variant) -> Network:
    return network(NamedVariant(base.name, variant))


def _channels(network: Network) -> Iterator[int]:
    """All that a width rounds to."""
    yield from (network.stem, network.head)
    for block in network.blocks:
        yield from (block.inputs, block.expanded, block.squeeze, block.outputs)


def _last(allowed: Callable[[int], bool], first: int, beyond: int) -> int:
    """The last of the whole numbers from `first` that is allowed.

    The first is, and none is behind one that is not; `beyond` is not asked.
    """
    while beyond - first > 1:
        middle = (first + beyond) // 2
        if allowed(middle):
            first = middle
        else:
            beyond = middle
    return first


def _above(cost: float) -> float:
    """A little more, of as many digits as are shown."""
    digits = 3 - math.floor(math.log10(cost))
    scale = 10.0**digits
    return math.ceil(cost * scale) / scale
