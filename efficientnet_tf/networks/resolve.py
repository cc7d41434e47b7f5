"""From a scaled table to a flat tuple of blocks, every number final."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import get_args

from efficientnet_tf.errors import InputError, near
from efficientnet_tf.networks.blocks import Block, Network
from efficientnet_tf.networks.families import (
    ALIASES,
    NORMALIZATIONS,
    VARIANTS,
)
from efficientnet_tf.networks.stages import (
    MIN_PIXELS,
    Alias,
    FusedStride,
    NormalizationName,
    Rounding,
    Stage,
    Variant,
)
from efficientnet_tf.networks.variant_files import (
    SUFFIX,
    NamedVariant,
    read_variant,
)


def variants() -> list[str]:
    """Names of the networks."""
    return list(VARIANTS)


def alias(name: str) -> Alias | None:
    """What a name stands for that is another name of a variant."""
    return ALIASES.get(name)


def find_variant(word: str) -> NamedVariant:
    """Looks a variant up: the one door to a table.

    Args:
        word: One of `variants()`, an alias of one, or the path of a variant
            file, which ends in .json.

    Raises:
        InputError: The name is unknown, or the file is no variant file.
    """
    if word.endswith(SUFFIX):
        return read_variant(word)
    known = ALIASES.get(word)
    name = known.variant if known else word
    if name not in VARIANTS:
        raise InputError(f"unknown model {name!r}: {near(name, VARIANTS)}")
    return NamedVariant(name, VARIANTS[name])


def network(
    model: str | NamedVariant,
    *,
    classes: int | None = None,
    pixels: int | None = None,
    dropout: float | None = None,
    drop_path: float | None = None,
    normalization: NormalizationName | None = None,
    fused_stride: FusedStride = "expand",
) -> Network:
    """Looks a variant up and resolves it.

    Args:
        model: What `find_variant` takes, or a variant with its name.
        classes: Number of logits, at least 2; 0 for a headless backbone.
        pixels: Side of the input image, at least 32.
        dropout: Probability of dropping a pooled feature in training.
        drop_path: Drop probability that the linear ramp over blocks aims at.
        normalization: What is done to pixels before the network.
        Each of them left None takes the published value.
        fused_stride: Which convolution of a fused block carries its stride:
            the one that expands, or the projection. The EdgeTPU weights
            published in 2019 were trained with "project"; the shapes are the
            same. It is built in a cheaper form that computes the same: the
            expansion strides, with symmetric padding, because the projection
            would use no other of its outputs.

    Returns:
        The network with every number final.

    Raises:
        InputError: The name is unknown, a value is out of its range, or
            "project" is asked of a network without a strided fused block, or
            with one that squeezes and excites.
    """
    _check(classes, pixels, normalization, dropout=dropout, drop_path=drop_path)
    name, variant = find_variant(model) if isinstance(model, str) else model
    family = variant.family
    if drop_path is not None:
        family = replace(family, drop_path=drop_path)
        variant = replace(variant, family=family)
    return Network(
        name=name,
        pixels=variant.pixels if pixels is None else pixels,
        classes=family.classes if classes is None else classes,
        stem=_end_width(variant, family.stem),
        blocks=_with_fused_stride(name, resolve(variant), fused_stride),
        head=_head_width(variant),
        activation=family.activation,
        dropout=variant.dropout if dropout is None else dropout,
        drop_path=family.drop_path,
        normalization=NORMALIZATIONS[normalization]
        if normalization
        else family.normalization,
        stem_kernel=family.stem_kernel,
        stem_pool=family.stem_pool,
        stem_padding=family.padding,
        stem_bias=family.bias,
        batch_norm_epsilon=family.batch_norm_epsilon,
    )


# A search asks for many, each once or twice.
@lru_cache(maxsize=1024)
def resolve(variant: Variant) -> tuple[Block, ...]:
    """Scales and numbers the stages of a variant.

    Nothing after this function multiplies by a width or a depth.
    """
    repeats = _repeats(variant)
    total = sum(repeats)
    blocks: list[Block] = []
    inputs = _end_width(variant, variant.family.stem)
    # What the table says comes in: not what does, behind a stage of more
    # depth and less space.
    declared = inputs
    halved = False
    for number, (stage, count) in enumerate(
        zip(variant.family.stages, repeats, strict=True), start=1
    ):
        if stage.expand_from:
            declared = _width(variant, stage.expand_from)
        # The original's ramp: block k of n drops with probability aim * k / n,
        # so the first never drops and the last not quite as often as aimed at.
        aim = variant.family.drop_path
        drop_paths = [
            aim * ((len(blocks) + repeat) / total) for repeat in range(count)
        ]
        blocks += _blocks(
            variant, stage, number, drop_paths, inputs, declared, halved
        )
        inputs = blocks[-1].outputs
        # A bottleneck's outputs are rounded otherwise.
        declared = (
            inputs
            if stage.kind == "bottleneck"
            else _width(variant, stage.width)
        )
        halved = stage.space_to_depth
    return tuple(blocks)


def round_width(
    channels: int,
    width: float,
    divisor: int = 8,
    rounding: Rounding = "lose_a_tenth_at_most",
) -> int:
    """Scales channels to a whole number, most often to a multiple of 8.

    Source: the original's `round_filters`, and that of EfficientNetV2, which
    takes the nearest multiple even where it loses more than a tenth. For
    "truncate" MobileNetV1's `max(int(d * depth_multiplier), min_depth)`.
    """
    scaled = channels * width
    if rounding == "truncate":
        return max(divisor, int(scaled))
    rounded = max(divisor, int(scaled + divisor / 2) // divisor * divisor)
    if rounding == "lose_a_tenth_at_most" and rounded < 0.9 * scaled:
        rounded += divisor
    return rounded


def _check(
    classes: int | None,
    pixels: int | None,
    normalization: str | None,
    **probabilities: float | None,
) -> None:
    """Raises InputError for a value that no network can have."""
    if classes is not None and (classes < 0 or classes == 1):
        raise InputError(
            f"classes {classes} must be at least 2, or 0 for no classifier"
        )
    if pixels is not None and pixels < MIN_PIXELS:
        raise InputError(f"pixels {pixels} must be at least {MIN_PIXELS}")
    for field, value in probabilities.items():
        if value is not None and not 0 <= value < 1:
            raise InputError(f"{field} {value} must be in [0, 1)")
    if normalization is not None and normalization not in NORMALIZATIONS:
        raise InputError(
            f"unknown normalization {normalization!r}: "
            f"{near(normalization, NORMALIZATIONS)}"
        )


def _width(variant: Variant, channels: int) -> int:
    rounding = variant.family.rounding
    return round_width(channels, variant.width, rounding=rounding)


def _end_width(variant: Variant, channels: int) -> int:
    return channels if variant.family.fixed_ends else _width(variant, channels)


def _head_width(variant: Variant) -> int:
    family = variant.family
    fixed = {
        "scaled": family.fixed_ends,
        "grows": family.fixed_ends or variant.width < 1,
        "fixed": True,
    }[family.head_scaling]
    if fixed or not family.head:
        return family.head
    return _width(variant, family.head)


def _repeats(variant: Variant) -> list[int]:
    """Blocks in each stage."""
    stages = variant.family.stages
    ends = (0, len(stages) - 1) if variant.family.fixed_ends else ()
    return [
        stage.repeats
        if position in ends
        else math.ceil(variant.depth * stage.repeats)
        for position, stage in enumerate(stages)
    ]


def _blocks(
    variant: Variant,
    stage: Stage,
    number: int,
    drop_paths: Sequence[float],
    inputs: int,
    declared: int,
    halved: bool,
) -> Iterator[Block]:
    """The blocks of a stage.

    Args:
        variant: Gives the coefficients.
        stage: The row of the table.
        number: Of the stage, from 1.
        drop_paths: Of each of its blocks.
        inputs: Channels that come in.
        declared: Channels that the ratios of the first block are applied to.
        halved: The stage before has done this one's halving.
    """
    depth = 4 if stage.space_to_depth else 1
    outputs = _width(variant, stage.width) * depth
    inner = 0
    if stage.kind == "bottleneck":
        inner = _width(variant, stage.width // stage.expand)
        outputs = inner * stage.expand
    declared *= depth
    for repeat, drop_path in enumerate(drop_paths):
        first = repeat == 0
        moves_space = stage.space_to_depth and first
        stride = stage.stride if first and not halved else 1
        squeeze = int(declared * stage.se * variant.squeeze)
        yield Block(
            name=f"{number}{_letters(repeat)}",
            stage=number,
            kind=stage.kind,
            kernel=(stage.kernel + 1) // 2
            if stage.space_to_depth
            else stage.kernel,
            stride=stride,
            padding=variant.family.padding
            if stride > 1 and not stage.stride_first
            else "same",
            inputs=inputs,
            space_to_depth=moves_space,
            expands=stage.expand != 1,
            expanded=inner or declared * stage.expand,
            squeeze=max(1, squeeze // 4 if moves_space else squeeze)
            if stage.se
            else 0,
            outputs=outputs,
            activation=stage.activation or variant.family.activation,
            residual=stage.skip
            and (
                stage.kind == "bottleneck"
                or (stride == 1 and not moves_space and inputs == outputs)
            ),
            drop_path=drop_path,
            experts=variant.experts if stage.experts else 0,
            bias=variant.family.bias,
            stride_first=stage.stride_first,
        )
        inputs = declared = outputs


def _letters(repeat: int) -> str:
    """0 -> a, 25 -> z, 26 -> aa."""
    rounds, letter = divmod(repeat, 26)
    return "a" * rounds + chr(ord("a") + letter)


def _with_fused_stride(
    name: str, blocks: tuple[Block, ...], fused_stride: FusedStride
) -> tuple[Block, ...]:
    if fused_stride not in get_args(FusedStride):
        raise InputError(
            f"unknown fused_stride {fused_stride!r}: "
            f"{near(fused_stride, get_args(FusedStride))}"
        )
    if fused_stride == "expand":
        return blocks
    strided = {
        block
        for block in blocks
        if block.kind == "fused"
        and block.projects
        and block.stride > 1
        # Squeezing would see the positions that the projection leaves out.
        and not block.squeeze
    }
    if not strided:
        raise InputError(
            f"fused_stride {fused_stride!r}: {name} has no fused block whose "
            'stride could move; leave it at "expand"'
        )
    return tuple(
        replace(block, padding="symmetric") if block in strided else block
        for block in blocks
    )
