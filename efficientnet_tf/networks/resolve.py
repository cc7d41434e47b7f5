"""From a scaled table to a flat tuple of blocks, every number final."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

from efficientnet_tf.errors import InputError, near
from efficientnet_tf.networks.families import NORMALIZATIONS, VARIANTS
from efficientnet_tf.networks.stages import (
    Activation,
    Kind,
    Normalization,
    NormalizationName,
    Stage,
    Variant,
)

MIN_PIXELS = 32


@dataclass(frozen=True)
class Block:
    """A block as it gets built.

    Attributes:
        name: Stage number and letter, as in keras.applications: "3b".
        stage: Number of the stage, from 1.
        kind: See `Stage`.
        kernel: Side of the kernel that filters space.
        stride: Its stride.
        inputs: Channels that come in.
        expanded: Channels between expansion and projection.
        squeeze: Channels of the squeeze-and-excitation bottleneck, 0 for none.
        outputs: Channels that go out.
        residual: Whether the input is added to the output.
        drop_path: Probability of dropping the branch in training.
    """

    name: str
    stage: int
    kind: Kind
    kernel: int
    stride: int
    inputs: int
    expanded: int
    squeeze: int
    outputs: int
    residual: bool
    drop_path: float


@dataclass(frozen=True)
class Network:
    """A network as it gets built: a stem, blocks, a head.

    Attributes:
        name: Name of the variant.
        pixels: Side of the square input image.
        classes: Number of logits; 0 ends with the pooled features.
        stem: Channels of the stem.
        blocks: The blocks in order.
        head: Channels of the head, before pooling.
        activation: Activation everywhere but after a projection.
        dropout: Probability of dropping a pooled feature in training.
        drop_path: Drop probability that the blocks' linear ramp aims at.
        normalization: What the family's published weights expect of pixels.
    """

    name: str
    pixels: int
    classes: int
    stem: int
    blocks: tuple[Block, ...]
    head: int
    activation: Activation
    dropout: float
    drop_path: float
    normalization: Normalization


def variants() -> list[str]:
    """Names that `network` and `build` accept."""
    return list(VARIANTS)


def network(
    name: str,
    *,
    classes: int | None = None,
    pixels: int | None = None,
    dropout: float | None = None,
    drop_path: float | None = None,
    normalization: NormalizationName | None = None,
) -> Network:
    """Looks a variant up and resolves it.

    Args:
        name: One of `variants()`.
        classes: Number of logits, at least 2; 0 for a headless backbone.
        pixels: Side of the input image, at least 32.
        dropout: Probability of dropping a pooled feature in training.
        drop_path: Drop probability that the linear ramp over blocks aims at.
        normalization: What is done to pixels before the network.
        Each of them left None takes the published value.

    Returns:
        The network with every number final.

    Raises:
        InputError: The name is unknown or a value is out of its range.
    """
    if name not in VARIANTS:
        raise InputError(f"unknown model {name!r}: {near(name, VARIANTS)}")
    if classes is not None and (classes < 0 or classes == 1):
        raise InputError(
            f"classes {classes} must be at least 2, or 0 for no classifier"
        )
    if pixels is not None and pixels < MIN_PIXELS:
        raise InputError(f"pixels {pixels} must be at least {MIN_PIXELS}")
    for field, value in (("dropout", dropout), ("drop_path", drop_path)):
        if value is not None and not 0 <= value < 1:
            raise InputError(f"{field} {value} must be in [0, 1)")
    if normalization is not None and normalization not in NORMALIZATIONS:
        raise InputError(
            f"unknown normalization {normalization!r}: "
            f"{near(normalization, NORMALIZATIONS)}"
        )

    variant = VARIANTS[name]
    family = variant.family
    if drop_path is not None:
        variant = replace(variant, family=replace(family, drop_path=drop_path))
    return Network(
        name=name,
        pixels=variant.pixels if pixels is None else pixels,
        classes=family.classes if classes is None else classes,
        stem=_end_width(variant, family.stem),
        blocks=resolve(variant),
        head=_end_width(variant, family.head),
        activation=family.activation,
        dropout=variant.dropout if dropout is None else dropout,
        drop_path=variant.family.drop_path,
        normalization=NORMALIZATIONS[normalization]
        if normalization
        else family.normalization,
    )


@cache
def resolve(variant: Variant) -> tuple[Block, ...]:
    """Scales and numbers the stages of a variant.

    Nothing after this function multiplies by a width or a depth.
    """
    family = variant.family
    stages = family.stages
    repeats = [
        stage.repeats
        if family.fixed_ends and position in (0, len(stages) - 1)
        else math.ceil(variant.depth * stage.repeats)
        for position, stage in enumerate(stages)
    ]
    # The original's ramp: block k of n drops with probability aim * k / n,
    # so the first never drops and the last not quite as often as aimed at.
    total = sum(repeats)
    blocks: list[Block] = []
    inputs = _end_width(variant, family.stem)
    for number, (stage, count) in enumerate(
        zip(stages, repeats, strict=True), start=1
    ):
        for repeat in range(count):
            first = repeat == 0
            block = _block(
                stage,
                number=number,
                repeat=repeat,
                stride=stage.stride if first else 1,
                inputs=inputs,
                declared=round_width(stage.expand_from, variant.width)
                if first and stage.expand_from
                else inputs,
                outputs=round_width(stage.width, variant.width),
                drop_path=family.drop_path * len(blocks) / total,
            )
            blocks.append(block)
            inputs = block.outputs
    return tuple(blocks)


def round_width(channels: int, width: float, divisor: int = 8) -> int:
    """Scales channels to a multiple of 8, losing at most a tenth.

    Source: the original's `round_filters`.
    """
    scaled = channels * width
    rounded = max(divisor, int(scaled + divisor / 2) // divisor * divisor)
    if rounded < 0.9 * scaled:
        rounded += divisor
    return rounded


def _end_width(variant: Variant, channels: int) -> int:
    if variant.family.fixed_ends:
        return channels
    return round_width(channels, variant.width)


def _block(
    stage: Stage,
    *,
    number: int,
    repeat: int,
    stride: int,
    inputs: int,
    declared: int,
    outputs: int,
    drop_path: float,
) -> Block:
    """A block, its ratios applied to the channels that the table declares."""
    return Block(
        name=f"{number}{chr(ord('a') + repeat)}",
        stage=number,
        kind=stage.kind,
        kernel=3 if stage.kind == "fused" else stage.kernel,
        stride=stride,
        inputs=inputs,
        expanded=declared * stage.expand,
        squeeze=max(1, int(declared * stage.se)) if stage.se else 0,
        outputs=outputs,
        residual=stage.skip and stride == 1 and declared == outputs,
        drop_path=drop_path,
    )
