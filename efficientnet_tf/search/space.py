"""Spaces of networks, as data, and the network that a choice in them is.

A space is a table of stages and, for each column, what may stand there. A
candidate is the `Variant` of a table that was filled in, so that whatever
walks over blocks (costs, the builder, forecasts) takes it as any other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from efficientnet_tf.errors import InputError, near
from efficientnet_tf.networks import Network, Variant
from efficientnet_tf.networks.families import CENTERED, IMAGENET, MOBILENET_V2
from efficientnet_tf.networks.resolve import round_width
from efficientnet_tf.networks.stages import Family, Kind, Stage

SpaceName = Literal["mnas", "edgetpu", "small"]
Choice = str | int | float | bool

# What a stage does, in a word: the kind of its blocks and how much they
# expand. A fused block that does not expand is a convolution; an mbconv block
# that does not is a depthwise convolution and a projection.
OPERATIONS: dict[str, tuple[Kind, int]] = {
    "conv": ("fused", 1),
    "separable": ("mbconv", 1),
    "mbconv3": ("mbconv", 3),
    "mbconv4": ("mbconv", 4),
    "mbconv6": ("mbconv", 6),
    "mbconv8": ("mbconv", 8),
    "fused4": ("fused", 4),
    "fused8": ("fused", 8),
}


@dataclass(frozen=True)
class Space:
    """What may stand in each stage of a table.

    Attributes:
        base: The table that stages start from; strides are its own.
        operations: Words of `OPERATIONS`.
        kernels: Sides of the kernel that filters space.
        squeezes: Squeeze-and-excitation channels per input channel.
        repeats: Blocks more or fewer than the base has, of which a stage
            keeps one.
        widths: Multiples of the base's channels.
        skips: Whether blocks may have a residual connection.
        dropout: Probability of dropping a pooled feature in training.
        pixels: Side of the image that the space was published for.
    """

    base: Family
    operations: tuple[str, ...]
    kernels: tuple[int, ...]
    squeezes: tuple[float, ...]
    repeats: tuple[int, ...]
    widths: tuple[float, ...]
    skips: tuple[bool, ...]
    dropout: float = 0.2
    pixels: int = 224

    @property
    def columns(self) -> dict[str, tuple[Choice, ...]]:
        """What is chosen in each stage, and of what."""
        return {
            "operation": self.operations,
            "kernel": self.kernels,
            "squeeze": self.squeezes,
            "repeats": self.repeats,
            "width": self.widths,
            "skip": self.skips,
        }

    @property
    def size(self) -> int:
        """Ways to fill in the table; several may be the same network."""
        each = 1
        for options in self.columns.values():
            each *= len(options)
        return int(each ** len(self.base.stages))


# fmt: off

# The stages and strides of EfficientNet-EdgeTPU-S.
_EDGETPU = (
    Stage("fused",    1,      3,     1,     4,     24),
    Stage("fused",    2,      3,     2,     8,     32),
    Stage("fused",    4,      3,     2,     8,     48),
    Stage("mbconv",   5,      5,     2,     8,     96),
    Stage("mbconv",   4,      5,     1,     8,    144),
    Stage("mbconv",   2,      5,     2,     8,    192),
)
# Ours, for images of 32 pixels on a CPU.
_SMALL = (
    Stage("mbconv",   1,      3,     1,     1,     16),
    Stage("mbconv",   1,      3,     2,     4,     24),
    Stage("mbconv",   2,      3,     2,     4,     40),
    Stage("mbconv",   1,      3,     1,     4,     80),
)

SPACES: dict[SpaceName, Space] = {
    # Tan et al. 2019, section 4.1: conv, depthwise conv and MBConv; kernels 3
    # and 5; squeeze ratios 0 and 0.25; a skip by identity or none; filters by
    # 0.75, 1 and 1.25 and one layer fewer or more than MobileNetV2 has. Left
    # out: a skip by pooling, of which the paper has the word and no more.
    # Expansions 3 and 6 are those of MnasNet-A1.
    "mnas": Space(
        # What MnasNet's space lies around.
        Family(MOBILENET_V2.stages, activation="relu", normalization=IMAGENET),
        operations=("conv", "separable", "mbconv3", "mbconv6"),
        kernels=(3, 5),
        squeezes=(0.0, 0.25),
        repeats=(-1, 0, 1),
        widths=(0.75, 1.0, 1.25),
        skips=(True, False),
    ),
    # Gupta and Akin 2020: fused convolutions besides, without what the chip
    # does badly, swish and squeeze-and-excitation.
    "edgetpu": Space(
        Family(_EDGETPU, activation="relu", normalization=CENTERED),
        operations=("conv", "mbconv4", "mbconv8", "fused4", "fused8"),
        kernels=(3, 5),
        squeezes=(0.0,),
        repeats=(-1, 0, 1),
        widths=(0.75, 1.0, 1.25),
        skips=(True, False),
    ),
    # No one's but ours: small enough that a trial takes seconds. Widths are
    # far apart, so that a minute of training shows the difference.
    "small": Space(
        Family(_SMALL, activation="relu", normalization=IMAGENET, stem=16,
               head=128),
        operations=("conv", "separable", "mbconv3", "mbconv6", "fused4"),
        kernels=(3, 5),
        squeezes=(0.0, 0.25),
        repeats=(0, 1),
        widths=(0.5, 1.0, 2.0),
        skips=(True, False),
        pixels=32,
    ),
}
# fmt: on


def find_space(name: str) -> Space:
    """Looks a space up.

    Raises:
        InputError: There is none of that name.
    """
    for known in get_args(SpaceName):
        if name == known:
            return SPACES[known]
    raise InputError(f"unknown --space {name!r}: {near(name, SPACES)}")


def choose(
    space: Space, pick: Callable[[str, Sequence[Choice]], Choice]
) -> dict[str, Choice]:
    """Fills in a table.

    Args:
        space: What may stand where.
        pick: Given the name of a place, such as "stage3.kernel", and what may
            stand there, says what does. A place with one option is left out.
    """
    return {
        name: options[0] if len(options) == 1 else pick(name, options)
        for number in range(1, len(space.base.stages) + 1)
        for column, options in space.columns.items()
        for name in (f"stage{number}.{column}",)
    }


def candidate(space: Space, chosen: Mapping[str, Choice]) -> Variant:
    """The network of a table that was filled in.

    Args:
        space: Where the choices are from.
        chosen: What `choose` gave.
    """
    stages = tuple(
        _stage(stage, {c: chosen[f"stage{number}.{c}"] for c in space.columns})
        for number, stage in enumerate(space.base.stages, 1)
    )
    family = replace(space.base, stages=stages)
    return Variant(family, 1.0, 1.0, space.pixels, space.dropout)


def base(space: Space) -> Variant:
    """The network that the space lies around."""
    return Variant(space.base, 1.0, 1.0, space.pixels, space.dropout)


def fingerprint(network: Network) -> str:
    """What is the same for candidates that are the same network.

    Roundings make many: the same blocks behind other choices.

    Returns:
        Twelve hexadecimal digits.
    """
    text = repr(replace(network, name=""))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _stage(stage: Stage, chosen: Mapping[str, Choice]) -> Stage:
    kind, expand = OPERATIONS[str(chosen["operation"])]
    return replace(
        stage,
        kind=kind,
        expand=expand,
        kernel=int(chosen["kernel"]),
        se=float(chosen["squeeze"]),
        repeats=max(1, stage.repeats + int(chosen["repeats"])),
        width=round_width(stage.width, float(chosen["width"])),
        skip=bool(chosen["skip"]),
    )
