"""What the fields of a variant file may hold."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple, get_args

from efficientnet_tf.networks.stages import (
    IMAGENET_CLASSES,
    MIN_PIXELS,
    Activation,
    FusedStride,
    HeadScaling,
    Kind,
    NormalizationName,
    Padding,
    Rounding,
)

# Names become names of files.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Rule(NamedTuple):
    """What a value must be.

    `fits` is asked of a value as JSON has it; `means` follows "must be".
    """

    fits: Callable[[Any], bool]
    means: str


def _number(lowest: float, highest: float, *, above: bool = False) -> Rule:
    """Both ends may be taken, but for the lowest where it must be above.

    NaN is in no range, and a whole number of any length can be compared.
    """

    def fits(value: Any) -> bool:
        return (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and (lowest < value if above else lowest <= value)
            and value <= highest
        )

    ends = f"above {lowest:g} and at most" if above else f"from {lowest:g} to"
    return Rule(fits, f"a number {ends} {highest:g}")


def _whole(lowest: int, highest: int) -> Rule:
    def fits(value: Any) -> bool:
        return (
            isinstance(value, int)
            and not isinstance(value, bool)
            and lowest <= value <= highest
        )

    return Rule(fits, f"a whole number from {lowest} to {highest}")


def _word(words: tuple[str, ...]) -> Rule:
    quoted = " or ".join(f'"{word}"' for word in words)
    return Rule(lambda value: value in words, quoted)


def _or_null(rule: Rule) -> Rule:
    return Rule(
        lambda value: value is None or rule.fits(value),
        f"{rule.means}, or null",
    )


_TRUTH = Rule(lambda value: isinstance(value, bool), "true or false")
# A network needs some features to drop, and some paths.
_DROPS = Rule(
    lambda value: _number(0, 1).fits(value) and value < 1,
    "a number from 0 to below 1",
)
_COEFFICIENT = _number(0, 100, above=True)
_MOST_CHANNELS = 100_000
_CHANNELS = _whole(1, _MOST_CHANNELS)

_KERNEL = _whole(1, 31)

STAGE: dict[str, Rule] = {
    "kind": _word(get_args(Kind)),
    "repeats": _whole(1, 1000),
    "kernel": _KERNEL,
    "stride": _whole(1, 2),
    "expand": _whole(1, 100),
    "width": _CHANNELS,
    "se": _number(0, 1),
    "expand_from": _or_null(_CHANNELS),
    "skip": _TRUTH,
    "activation": _or_null(_word(get_args(Activation))),
    "space_to_depth": _TRUTH,
    "experts": _TRUTH,
    "stride_first": _TRUTH,
}

# Fields that say something of some kinds of stages only.
OF_KINDS: dict[str, tuple[Kind, ...]] = {
    "se": ("mbconv", "fused", "separable"),
    "expand_from": ("mbconv", "fused"),
    "space_to_depth": ("mbconv",),
    "experts": ("mbconv",),
    "stride_first": ("bottleneck",),
}

FAMILY: dict[str, Rule] = {
    "activation": _word(get_args(Activation)),
    "normalization": _word(get_args(NormalizationName)),
    "classes": Rule(
        lambda value: (
            value != 1 and _whole(0, 1000 * IMAGENET_CLASSES).fits(value)
        ),
        "a whole number of at least 2, or 0 for no classifier",
    ),
    "stem": _CHANNELS,
    "head": _whole(0, _MOST_CHANNELS),
    "fixed_ends": _TRUTH,
    "drop_path": _DROPS,
    "rounding": _word(get_args(Rounding)),
    "published_stride": _word(get_args(FusedStride)),
    "head_scaling": _word(get_args(HeadScaling)),
    "stem_kernel": _KERNEL,
    "stem_pool": _TRUTH,
    "padding": _word(get_args(Padding)),
    "bias": _TRUTH,
    "batch_norm_epsilon": _number(0, 1, above=True),
}

VARIANT: dict[str, Rule] = {
    "width": _COEFFICIENT,
    "depth": _COEFFICIENT,
    "pixels": _whole(MIN_PIXELS, 8192),
    "dropout": _DROPS,
    "squeeze": _whole(1, 100),
    "experts": _whole(0, 100),
}

NAME = Rule(
    lambda value: (
        isinstance(value, str)
        and bool(_NAME.fullmatch(value))
        and not value.endswith((".json", ".keras", ".tflite"))
    ),
    "up to 100 letters, digits, dots, dashes and underscores, and not end "
    "like a file's",
)
