"""Parameters, multiply-adds and activations in closed form.

Without TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple

from efficientnet_tf.networks.blocks import Block, Network
from efficientnet_tf.networks.stages import Kind


@dataclass(frozen=True)
class Convolution:
    """A convolution or a dense layer, and the batch norm that follows it.

    Attributes:
        inputs: Channels in.
        outputs: Channels out.
        kernel: Side of the kernel; 1 for a dense layer.
        pixels: Side of its output; 1 where it works on pooled features.
        depthwise: Each channel has a kernel of its own.
        bias: It adds a bias.
        batch_norm: A batch norm follows.
        experts: Kernels that are mixed into one for each image, 0 for a
            kernel of its own.
    """

    inputs: int
    outputs: int
    kernel: int = 1
    pixels: int = 1
    depthwise: bool = False
    bias: bool = False
    batch_norm: bool = False
    experts: int = 0

    @property
    def weights(self) -> int:
        """Numbers in the kernel that meets an image."""
        inputs = 1 if self.depthwise else self.inputs
        return self.kernel**2 * inputs * self.outputs

    @property
    def trainable_parameters(self) -> int:
        """Kernel, bias, and the scale and shift of the batch norm."""
        extra = self.bias + 2 * self.batch_norm
        return self.weights * max(1, self.experts) + extra * self.outputs

    @property
    def statistics(self) -> int:
        """Moving means and variances of the batch norm."""
        return 2 * self.outputs if self.batch_norm else 0

    @property
    def macs(self) -> int:
        """Multiply-adds for one image, the bias not counted."""
        return self.weights * (self.pixels**2 + self.experts)

    @property
    def activations(self) -> int:
        """Numbers that come out for one image."""
        return self.outputs * self.pixels**2


@dataclass(frozen=True)
class Cost:
    """One row of the network's table: the stem, a block or the head.

    Attributes:
        name: "stem", the block's name, or "head".
        stage: Number of the block's stage; None for stem and head.
        kind: What it is, in a word or two.
        pixels: Side of its output.
        channels: Channels of its output.
        trainable_parameters: Parameters that training changes.
        total_parameters: Those and the batch-norm statistics.
        macs: Multiply-adds for one image.
        activations: Numbers that the convolutions and dense layers in it give
            for one image.
    """

    name: str
    stage: int | None
    kind: str
    pixels: int
    channels: int
    trainable_parameters: int
    total_parameters: int
    macs: int
    activations: int


@dataclass(frozen=True)
class Totals:
    """The network as one row."""

    name: str
    pixels: int
    trainable_parameters: int
    total_parameters: int
    macs: int
    activations: int
    blocks: int


class _Counts(NamedTuple):
    """Sums over some convolutions; see `Cost`."""

    trainable_parameters: int
    statistics: int
    macs: int
    activations: int


class _Shape(NamedTuple):
    """Of a block, what its cost depends on."""

    kind: Kind
    kernel: int
    stride: int
    inputs: int
    space_to_depth: bool
    expands: bool
    expanded: int
    squeeze: int
    outputs: int
    experts: int
    bias: bool
    stride_first: bool
    projects: bool
    shortcut: bool


_shape = attrgetter(*_Shape._fields)


def costs(network: Network) -> tuple[Cost, ...]:
    """The rows of the network's table, from the stem to the head."""
    side = network.stem_kernel
    kind = f"conv {side}x{side}"
    if network.stem_pool:
        kind += ", max pool"
    pixels = _behind_stem(network)
    stem = _counts(_stem(network))
    rows = [_row("stem", None, kind, pixels, network.stem, stem)]
    for block in network.blocks:
        counts = _block_counts(_Shape(*_shape(block)), pixels)
        pixels = strided(pixels, 2 if block.halves else 1)
        kind = f"{block.kind} {block.kernel}x{block.kernel}"
        if block.experts:
            kind += f", {block.experts} experts"
        rows.append(
            _row(block.name, block.stage, kind, pixels, block.outputs, counts)
        )
    kind = "conv 1x1, pool" if network.head else "pool"
    channels = network.features
    if network.classes:
        kind += ", dense"
        channels = network.classes
    head = _counts(_head(network, pixels))
    return (*rows, _row("head", None, kind, 1, channels, head))


def totals(network: Network) -> Totals:
    """Sums of the network's table."""
    pixels = _behind_stem(network)
    parts = [_counts(_stem(network))]
    for block in network.blocks:
        parts.append(_block_counts(_Shape(*_shape(block)), pixels))
        if block.halves:
            pixels = strided(pixels, 2)
    parts.append(_counts(_head(network, pixels)))
    trainable, statistics, macs, activations = map(
        sum, zip(*parts, strict=True)
    )
    return Totals(
        name=network.name,
        pixels=network.pixels,
        trainable_parameters=trainable,
        total_parameters=trainable + statistics,
        macs=macs,
        activations=activations,
        blocks=len(network.blocks),
    )


def all_convolutions(network: Network) -> Iterator[Convolution]:
    """All that has weights, from the stem to the classifier."""
    pixels = _behind_stem(network)
    yield from _stem(network)
    for block in network.blocks:
        yield from _block_parts(_Shape(*_shape(block)), pixels)
        pixels = strided(pixels, 2 if block.halves else 1)
    yield from _head(network, pixels)


def _behind_stem(network: Network) -> int:
    """Side of what the first block gets."""
    pixels = strided(network.pixels, 2)
    return strided(pixels, 2) if network.stem_pool else pixels


def _stem(network: Network) -> list[Convolution]:
    return [
        Convolution(
            3,
            network.stem,
            network.stem_kernel,
            strided(network.pixels, 2),
            bias=network.stem_bias,
            batch_norm=True,
        )
    ]


def _head(network: Network, pixels: int) -> list[Convolution]:
    """What follows the blocks, which give maps of the given side."""
    parts = []
    if network.head:
        inputs = network.blocks[-1].outputs
        parts.append(
            Convolution(inputs, network.head, 1, pixels, batch_norm=True)
        )
    if network.classes:
        parts.append(Convolution(network.features, network.classes, bias=True))
    return parts


# Blocks of one stage are alike, and so are those of networks that a search
# compares.
@lru_cache(maxsize=2**16)
def _block_counts(block: _Shape, pixels: int) -> _Counts:
    return _counts(_block_parts(block, pixels))


@lru_cache(maxsize=2**12)
def _block_parts(block: _Shape, pixels: int) -> tuple[Convolution, ...]:
    return tuple(_PARTS[block.kind](block, pixels))


def strided(pixels: int, stride: int) -> int:
    """Side after a SAME convolution."""
    return -(-pixels // stride)


def convolutions(block: Block, pixels: int) -> Iterator[Convolution]:
    """What a block computes on an input of the given side, in order."""
    yield from _block_parts(_Shape(*_shape(block)), pixels)


def _inverted(block: _Shape, pixels: int) -> Iterator[Convolution]:
    """What an inverted bottleneck computes on an input of the given side."""
    inputs, experts = block.inputs, block.experts
    if experts:
        yield Convolution(inputs, experts, bias=True)
    if block.space_to_depth:
        pixels = strided(pixels, 2)
        yield Convolution(inputs, 4 * inputs, 2, pixels, batch_norm=True)
        inputs *= 4
    after = strided(pixels, block.stride)
    if block.kind == "fused":
        outputs = block.expanded if block.expands else block.outputs
        yield Convolution(inputs, outputs, block.kernel, after, batch_norm=True)
    else:
        if block.expands:
            yield Convolution(
                inputs,
                block.expanded,
                pixels=pixels,
                batch_norm=True,
                experts=experts,
            )
        yield Convolution(
            block.expanded,
            block.expanded,
            block.kernel,
            after,
            depthwise=True,
            batch_norm=True,
            experts=experts,
        )
    if block.squeeze:
        yield Convolution(block.expanded, block.squeeze, bias=True)
        yield Convolution(block.squeeze, block.expanded, bias=True)
    if block.projects:
        yield Convolution(
            block.expanded,
            block.outputs,
            pixels=after,
            batch_norm=True,
            experts=experts,
        )


def _bottleneck(block: _Shape, pixels: int) -> Iterator[Convolution]:
    """What a bottleneck computes."""
    inputs, inner, outputs = block.inputs, block.expanded, block.outputs
    after = strided(pixels, block.stride)
    narrow = after if block.stride_first else pixels
    shapes = [
        (inputs, inner, 1, narrow),
        (inner, inner, block.kernel, after),
        (inner, outputs, 1, after),
    ]
    if block.shortcut:
        shapes.append((inputs, outputs, 1, after))
    for shape in shapes:
        yield Convolution(*shape, bias=block.bias, batch_norm=True)


# A separable block is an inverted one that does not expand.
_PARTS: dict[Kind, Callable[[_Shape, int], Iterator[Convolution]]] = {
    "mbconv": _inverted,
    "fused": _inverted,
    "separable": _inverted,
    "bottleneck": _bottleneck,
}


def _counts(parts: Sequence[Convolution]) -> _Counts:
    return _Counts(
        sum(part.trainable_parameters for part in parts),
        sum(part.statistics for part in parts),
        sum(part.macs for part in parts),
        sum(part.activations for part in parts),
    )


def _row(
    name: str,
    stage: int | None,
    kind: str,
    pixels: int,
    channels: int,
    counts: _Counts,
) -> Cost:
    return Cost(
        name=name,
        stage=stage,
        kind=kind,
        pixels=pixels,
        channels=channels,
        trainable_parameters=counts.trainable_parameters,
        total_parameters=counts.trainable_parameters + counts.statistics,
        macs=counts.macs,
        activations=counts.activations,
    )
