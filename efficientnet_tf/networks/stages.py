"""The words of the network tables: a stage, a family, a variant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["mbconv", "fused", "separable", "bottleneck"]
Activation = Literal["swish", "relu", "relu6"]
FusedStride = Literal["expand", "project"]
Padding = Literal["same", "symmetric"]
Rounding = Literal["lose_a_tenth_at_most", "nearest", "truncate"]
HeadScaling = Literal["scaled", "grows", "fixed"]
HeadInit = Literal["uniform", "zeros"]
NormalizationName = Literal[
    "imagenet", "centered127", "centered128", "unit", "caffe"
]

IMAGENET_CLASSES = 1000
# Side of the smallest input image that a network takes.
MIN_PIXELS = 32


@dataclass(frozen=True)
class Stage:
    """One row of a paper's architecture table, before any scaling.

    Attributes:
        kind: "mbconv" expands by 1x1, filters by depthwise, projects by 1x1;
            "fused" expands by a full convolution, then projects. A fused
            block that does not expand is that one convolution. "separable"
            (MobileNetV1) filters by depthwise, then mixes by 1x1, both with
            an activation. "bottleneck" (ResNet) narrows by 1x1, filters by a
            full convolution, widens by 1x1; where its input does not fit its
            output, a 1x1 convolution makes it, and the activation comes after
            the sum.
        repeats: Blocks in the stage; the first one carries the stride.
        kernel: Side of the kernel that filters space.
        stride: Stride of the first block.
        expand: Expanded channels per input channel; of a bottleneck, output
            channels per channel that is filtered.
        width: Output channels.
        se: Squeeze-and-excitation channels per input channel, 0 for none.
        expand_from: Channels that `expand` multiplies in the first block,
            where they are not the channels that really come in.
        skip: Whether blocks may have a residual connection.
        activation: Of the stage's blocks, where it is not the family's.
        space_to_depth: The stage works at half the resolution on four times
            the channels, and with kernels half as wide: a 2x2 convolution
            takes it there. The next stage then has no stride of its own.
        experts: The kernels are mixed for each image (CondConv), of as many
            experts as the variant has.
        stride_first: A bottleneck's first 1x1 convolution has the stride, as
            in the ResNet paper, not its kernel ("v1.5").
    """

    kind: Kind
    repeats: int
    kernel: int
    stride: int
    expand: int
    width: int
    se: float = 0.0
    expand_from: int | None = None
    skip: bool = True
    activation: Activation | None = None
    space_to_depth: bool = False
    experts: bool = False
    stride_first: bool = False


@dataclass(frozen=True)
class Normalization:
    """What a network expects of pixels: `(pixel - mean) / std` by channel.

    Attributes:
        name: What configs call it.
        mean: Red, green and blue, on the scale 0 to 255.
        std: The same.
    """

    name: NormalizationName
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True)
class Family:
    """What the members of a family share.

    Attributes:
        stages: The unscaled network.
        activation: Of the stem, of the head and, unless a stage has its own,
            of the blocks.
        normalization: What the published weights expect of the pixels.
        classes: Logits of the published weights.
        stem: Unscaled channels of the stride-2 stem.
        head: Unscaled channels of the 1x1 head; 0 for none: what the blocks
            give is pooled.
        fixed_ends: Stem and head keep their width and the first and last
            stage their repeats, whatever the coefficients.
        drop_path: Drop probability that the blocks' linear ramp aims at.
        rounding: How scaled channels become a whole number: a multiple of 8,
            or of what is scaled the integer part, 8 at least.
        published_stride: Where fused blocks had their stride when the
            published weights were trained; see `network`.
        head_scaling: Whether the head scales with the width as all else does,
            with one above 1 only, or never.
        stem_kernel: Side of the stem's kernel.
        stem_pool: Whether a 3x3 max pooling of stride 2 follows the stem.
        padding: Where kernels with a stride find their zeros; see `Block`.
        bias: Whether the convolutions of the stem and of bottlenecks have a
            bias, though a batch norm follows.
        batch_norm_epsilon: Added to variances.
    """

    stages: tuple[Stage, ...]
    activation: Activation
    normalization: Normalization
    classes: int = IMAGENET_CLASSES
    stem: int = 32
    head: int = 1280
    fixed_ends: bool = False
    drop_path: float = 0.2
    rounding: Rounding = "lose_a_tenth_at_most"
    published_stride: FusedStride = "expand"
    head_scaling: HeadScaling = "scaled"
    stem_kernel: int = 3
    stem_pool: bool = False
    padding: Padding = "same"
    bias: bool = False
    batch_norm_epsilon: float = 1e-3


@dataclass(frozen=True)
class Variant:
    """A member of a family: its scaling coefficients and its image size.

    Attributes:
        width: Multiplier of channels.
        depth: Multiplier of repeats.
        pixels: Side of the published input image.
        dropout: Probability of dropping a pooled feature in training.
        squeeze: Multiplier of squeeze-and-excitation channels.
        experts: Kernels that each convolution of a CondConv stage mixes.
    """

    family: Family
    width: float
    depth: float
    pixels: int
    dropout: float
    squeeze: int = 1
    experts: int = 0


@dataclass(frozen=True)
class Alias:
    """Another name of a variant.

    Attributes:
        variant: The name in the table.
        why: What a person who used the other name should know.
    """

    variant: str
    why: str
