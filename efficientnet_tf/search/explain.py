"""The shipped B0 to B7 beside what the rule of the paper would give.

The coefficients that ship were rounded by hand, and no phi is published with
them (tensorflow/tpu issues 390, 640 and 738).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from efficientnet_tf.networks import NamedVariant, find_variant, network, totals
from efficientnet_tf.search.coefficients import Coefficients

BASE = "efficientnet-b0"
SHIPPED = tuple(f"efficientnet-b{number}" for number in range(8))


@dataclass(frozen=True)
class Explained:
    """A shipped network beside the rule.

    Attributes:
        name: Its name.
        phi: Its number, which many take for its phi.
        depth: The shipped coefficient.
        width: The same.
        pixels: The same.
        rule_depth: alpha^phi.
        rule_width: beta^phi.
        rule_pixels: The base's pixels by gamma^phi.
        depth_phi: The exponent that would give the shipped depth; None where
            its coefficient is 1.
        width_phi: The same of the width.
        pixels_phi: The same of the image.
        macs: Multiply-adds, counted.
        step_ratio: `macs` by those of the network before; None for the first.
        ratio: `macs` by those of the first.
        macs_phi: The exponent at which the rule gives that ratio.
    """

    name: str
    phi: int
    depth: float
    width: float
    pixels: int
    rule_depth: float
    rule_width: float
    rule_pixels: float
    depth_phi: float | None
    width_phi: float | None
    pixels_phi: float | None
    macs: int
    step_ratio: float | None
    ratio: float
    macs_phi: float


def explain(coefficients: Coefficients) -> list[Explained]:
    """A row for each shipped network, from B0 on."""
    rows: list[Explained] = []
    base = find_variant(BASE)
    first = totals(network(base)).macs
    for phi, name in enumerate(SHIPPED):
        found: NamedVariant = find_variant(name)
        variant = found.variant
        macs = totals(network(found)).macs
        rows.append(
            Explained(
                name=name,
                phi=phi,
                depth=variant.depth,
                width=variant.width,
                pixels=variant.pixels,
                rule_depth=coefficients.alpha**phi,
                rule_width=coefficients.beta**phi,
                rule_pixels=base.variant.pixels * coefficients.gamma**phi,
                depth_phi=_exponent(variant.depth, coefficients.alpha),
                width_phi=_exponent(variant.width, coefficients.beta),
                pixels_phi=_exponent(
                    variant.pixels / base.variant.pixels, coefficients.gamma
                ),
                macs=macs,
                step_ratio=macs / rows[-1].macs if rows else None,
                ratio=macs / first,
                macs_phi=math.log(macs / first)
                / math.log(coefficients.nominal),
            )
        )
    return rows


def _exponent(value: float, factor: float) -> float | None:
    return None if factor == 1 else math.log(value) / math.log(factor)
