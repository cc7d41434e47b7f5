"""Parameters, multiply-adds and activations in closed form.

Without TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

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


def costs(network: Network) -> tuple[Cost, ...]:
    """The rows of the network's table, from the stem to the head."""
    pixels = strided(network.pixels, 2)
    side = network.stem_kernel
    stem = Convolution(
        3,
        network.stem,
        side,
        pixels,
        bias=network.stem_bias,
        batch_norm=True,
    )
    kind = f"conv {side}x{side}"
    if network.stem_pool:
        pixels = strided(pixels, 2)
        kind += ", max pool"
    rows = [_cost("stem", None, kind, pixels, network.stem, [stem])]
    for block in network.blocks:
        parts = list(convolutions(block, pixels))
        pixels = strided(pixels, 2 if block.halves else 1)
        kind = f"{block.kind} {block.kernel}x{block.kernel}"
        if block.experts:
            kind += f", {block.experts} experts"
        rows.append(
            _cost(block.name, block.stage, kind, pixels, block.outputs, parts)
        )
    return (*rows, _head(network, pixels))


def totals(network: Network) -> Totals:
    """Sums of the network's table."""
    rows = costs(network)
    return Totals(
        name=network.name,
        pixels=network.pixels,
        trainable_parameters=sum(row.trainable_parameters for row in rows),
        total_parameters=sum(row.total_parameters for row in rows),
        macs=sum(row.macs for row in rows),
        activations=sum(row.activations for row in rows),
        blocks=len(network.blocks),
    )


def _head(network: Network, pixels: int) -> Cost:
    """The row behind the blocks, which give maps of the given side."""
    parts, kind, channels = [], "pool", network.features
    if network.head:
        inputs = network.blocks[-1].outputs
        parts.append(
            Convolution(inputs, network.head, 1, pixels, batch_norm=True)
        )
        kind = "conv 1x1, pool"
    if network.classes:
        parts.append(Convolution(channels, network.classes, bias=True))
        kind += ", dense"
        channels = network.classes
    return _cost("head", None, kind, 1, channels, parts)


def strided(pixels: int, stride: int) -> int:
    """Side after a SAME convolution."""
    return -(-pixels // stride)


def convolutions(block: Block, pixels: int) -> Iterator[Convolution]:
    """What a block computes on an input of the given side, in order."""
    return _PARTS[block.kind](block, pixels)


def _inverted(block: Block, pixels: int) -> Iterator[Convolution]:
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


def _bottleneck(block: Block, pixels: int) -> Iterator[Convolution]:
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
_PARTS: dict[Kind, Callable[[Block, int], Iterator[Convolution]]] = {
    "mbconv": _inverted,
    "fused": _inverted,
    "separable": _inverted,
    "bottleneck": _bottleneck,
}


def _cost(
    name: str,
    stage: int | None,
    kind: str,
    pixels: int,
    channels: int,
    parts: list[Convolution],
) -> Cost:
    trainable = sum(part.trainable_parameters for part in parts)
    return Cost(
        name=name,
        stage=stage,
        kind=kind,
        pixels=pixels,
        channels=channels,
        trainable_parameters=trainable,
        total_parameters=trainable + sum(part.statistics for part in parts),
        macs=sum(part.macs for part in parts),
        activations=sum(part.activations for part in parts),
    )
