"""Compound scaling: depth, width and resolution grow together.

Source: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional
Neural Networks" (arXiv 1905.11946), equation 3: depth is alpha^phi, width
beta^phi and resolution gamma^phi, where alpha * beta^2 * gamma^2 is near 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from efficientnet_tf.errors import InputError
from efficientnet_tf.networks import MIN_PIXELS, NamedVariant
from efficientnet_tf.networks.stages import Variant

# What an exponent may be; the largest published network is at about 9.
MAX_PHI = 20.0
MAX_PIXELS = 8192
_MAX_COEFFICIENT = 4.0


@dataclass(frozen=True)
class Coefficients:
    """How much of each an exponent of 1 brings.

    Attributes:
        alpha: Factor of depth, at least 1.
        beta: Factor of width.
        gamma: Factor of resolution.
    """

    alpha: float = 1.2
    beta: float = 1.1
    gamma: float = 1.15

    def __post_init__(self) -> None:
        """Refuses what does not scale."""
        for name in ("alpha", "beta", "gamma"):
            value = getattr(self, name)
            # Also what is not a number.
            if not 1 <= value <= _MAX_COEFFICIENT:
                raise InputError(
                    f"--{name} {value} must be from 1 to {_MAX_COEFFICIENT:g}; "
                    f"the paper's is {getattr(Coefficients, name)}"
                )
        if self.nominal == 1:
            raise InputError(
                "--alpha, --beta and --gamma are all 1: one of them must be "
                "above it, or nothing grows"
            )

    @property
    def nominal(self) -> float:
        """Factor of multiply-adds, by the paper's rule."""
        return self.alpha * self.beta**2 * self.gamma**2


@dataclass(frozen=True)
class Exponents:
    """The phi of each of the three, which rounding may let differ.

    Attributes:
        depth: Of alpha.
        width: Of beta.
        pixels: Of gamma.
    """

    depth: float
    width: float
    pixels: float


def scaled(
    base: NamedVariant, coefficients: Coefficients, exponents: Exponents
) -> Variant:
    """The base with its coefficients and its image size multiplied.

    Channels and repeats are rounded where the variant is resolved, the image
    size is here.

    Raises:
        InputError: The images would be smaller or larger than any network's.
    """
    variant = base.variant
    side = scaled_pixels(base, coefficients, exponents.pixels)
    if not MIN_PIXELS <= side <= MAX_PIXELS:
        raise InputError(
            f"phi {exponents.pixels:g} gives images of {side} pixels; "
            f"a network takes {MIN_PIXELS} to {MAX_PIXELS}"
        )
    return replace(
        variant,
        depth=variant.depth * coefficients.alpha**exponents.depth,
        width=variant.width * coefficients.beta**exponents.width,
        pixels=side,
    )


def scaled_pixels(
    base: NamedVariant, coefficients: Coefficients, exponent: float
) -> int:
    """The side of the image, to the nearest pixel."""
    return math.floor(base.variant.pixels * coefficients.gamma**exponent + 0.5)


def scaled_name(base: NamedVariant, variant: Variant) -> str:
    """What a scaled network is called: its base and its own numbers."""
    return (
        f"{base.name}-d{variant.depth:.4g}-w{variant.width:.4g}"
        f"-{variant.pixels}px"
    )
