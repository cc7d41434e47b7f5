"""How long a network would take on an Edge TPU: an estimate in closed form.

Five rates, of a USB Accelerator at a desktop's USB 3.0, that suit what Google
published for ten networks (coral.ai/docs/edgetpu/benchmarks): what a run
costs at all, multiplications of convolutions with channels in whole blocks,
multiplications of depthwise ones, which leave most of the chip idle, values
that other operators move, and bytes that go over USB. `edgetpu.latency_fit`
finds the rates and how far they are off; docs/coral.md has the table.

`milliseconds` is for a network that is a table; `edgetpu.latency` has the same
for the operators of a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from efficientnet_tf.networks.blocks import Block, Network
from efficientnet_tf.networks.costs import Convolution, convolutions, strided
from efficientnet_tf.networks.edgetpu_memory import (
    KernelKind,
    kernel_bytes,
    memory,
)
from efficientnet_tf.networks.families import CENTERED
from efficientnet_tf.networks.stages import Activation, Padding

WorkKind = Literal["conv", "depthwise", "dense", "other"]

# By docs/coral_latency.csv; a test holds them against it.
RUN_MS = 0.952
MS_PER_GIGA_MAC = 0.540
MS_PER_MEGA_DEPTHWISE_MAC = 0.0484
MS_PER_MEGA_VALUE = 0.224
MS_PER_MEGABYTE = 2.000

# Each of the ten foretold by rates from the other nine.
MEAN_ERROR = 0.109
WORST_ERROR = 0.381

BASIS = (
    "the part on the Edge TPU only, of a USB Accelerator at USB 3.0, by rates "
    "that suit ten networks of coral.ai/docs/edgetpu/benchmarks; each of "
    f"them foretold from the others was off by {MEAN_ERROR:.0%} on average, "
    f"{WORST_ERROR:.0%} at worst"
)

# Channels that the Edge TPU computes side by side.
_LANES = 64
# Side of the window that follows some stems.
_POOL = 3


@dataclass(frozen=True)
class Work:
    """What one operator does for one input.

    Attributes:
        kind: What does most of it.
        macs: Multiply-adds of weights and values.
        filled_macs: The same where channels out come in whole blocks, as the
            Edge TPU computes them; 0 for a depthwise convolution.
        weights: Numbers in kernels.
        values: Numbers that go in and come out.
    """

    kind: WorkKind
    macs: int
    filled_macs: int
    weights: int
    values: int


def milliseconds(network: Network) -> float:
    """Estimates how long the int8 network would take, all of it on the chip.

    Swish and squeeze-and-excitation are taken for other operators, by the
    values that they move: none of the networks of the fit has them.

    Args:
        network: Of any kind. One that mixes its kernels for each image cannot
            run on an Edge TPU; it is taken for one that does not.
    """
    parts, values = _operators(network)
    needed = sum(_parameter_bytes(part) for part in parts)
    ports = 3 * network.pixels**2 + (network.classes or network.features)
    moved = memory(needed).streamed_bytes + ports
    return (
        RUN_MS
        + sum(operator_ms(_work(part)) for part in parts)
        + operator_ms(Work("other", 0, 0, 0, values))
        + moved / 1e6 * MS_PER_MEGABYTE
    )


def operator_ms(done: Work) -> float:
    """Estimates how long an operator takes on the chip."""
    if done.kind == "depthwise":
        return done.macs / 1e6 * MS_PER_MEGA_DEPTHWISE_MAC
    if done.kind == "other":
        return done.values / 1e6 * MS_PER_MEGA_VALUE
    return done.filled_macs / 1e9 * MS_PER_GIGA_MAC


def filled(outputs: int) -> int:
    """Channels out in whole blocks."""
    return -(-outputs // _LANES) * _LANES


def _operators(network: Network) -> tuple[list[Convolution], int]:
    """Convolutions and dense layers, and the values that all others move."""
    pixels, classes = network.pixels, network.classes
    # Pixels become int8, scores become bytes.
    values = 2 * 3 * pixels**2 + 2 * (classes or network.features)
    parts: list[Convolution] = []
    if network.normalization != CENTERED:
        parts.append(Convolution(3, 3, 1, pixels, depthwise=True))
    padding = network.stem_padding
    values += _padded(padding, network.stem_kernel, 3, pixels)
    pixels = strided(pixels, 2)
    parts.append(Convolution(3, network.stem, network.stem_kernel, pixels))
    values += _activated(network.activation, parts[-1].activations)
    if network.stem_pool:
        values += _padded(padding, _POOL, network.stem, pixels)
        side = pixels + (2 * (_POOL // 2) if padding == "symmetric" else 0)
        pixels = strided(pixels, 2)
        values += network.stem * (side**2 + pixels**2)
    for block in network.blocks:
        inside = list(convolutions(block, pixels))
        values += _block_values(block, inside, pixels)
        parts += inside
        pixels = strided(pixels, 2 if block.halves else 1)
    if network.head:
        inputs = network.blocks[-1].outputs
        parts.append(Convolution(inputs, network.head, 1, pixels))
        values += _activated(network.activation, parts[-1].activations)
    values += (pixels**2 + 1) * network.features
    if classes:
        parts.append(Convolution(network.features, classes))
        values += 2 * classes
    return parts, values


def _block_values(block: Block, parts: list[Convolution], pixels: int) -> int:
    """What a block's additions, activations, gates and paddings move."""
    if block.kind == "bottleneck":
        return _bottleneck_values(block, parts)
    # The projection of a separable block has an activation as well.
    silent = block.projects and block.kind != "separable"
    values = sum(
        _activated(block.activation, part.activations)
        for part in (parts[:-1] if silent else parts)
        # The second convolution of a gate has a sigmoid.
        if part.batch_norm or part.outputs == block.squeeze
    )
    after = strided(pixels, 2 if block.halves else 1)
    inputs, side = block.expanded, pixels
    if block.space_to_depth:
        side = strided(pixels, 2)
    if block.kind == "fused":
        inputs = block.inputs * (4 if block.space_to_depth else 1)
    values += _padded(block.padding, block.kernel, inputs, side)
    if block.squeeze:
        # A mean, a sigmoid, a product.
        values += 3 * after**2 * block.expanded + 4 * block.expanded
    if block.residual:
        values += 3 * after**2 * block.outputs
    return values


def _bottleneck_values(block: Block, parts: list[Convolution]) -> int:
    """The same of a bottleneck, whose activation comes after the sum."""
    first, kernel, last = parts[:3]
    values = _padded(block.padding, block.kernel, block.expanded, first.pixels)
    for part in (first, kernel, last):
        values += _activated(block.activation, part.activations)
    return values + (3 * last.activations if block.residual else 0)


def _padded(padding: Padding, kernel: int, channels: int, pixels: int) -> int:
    """What an operator moves that puts zeros around a map."""
    if padding == "same":
        return 0
    return channels * (pixels**2 + (pixels + 2 * (kernel // 2)) ** 2)


def _activated(activation: Activation, activations: int) -> int:
    """What an activation moves that is not a part of the operator before it.

    Swish is a sigmoid and a product.
    """
    return 5 * activations if activation == "swish" else 0


def _work(part: Convolution) -> Work:
    places = part.pixels**2
    macs = part.weights * places
    if part.depthwise:
        return Work("depthwise", macs, 0, part.weights, 0)
    kernel = part.kernel**2 * part.inputs
    return Work(
        "conv", macs, kernel * filled(part.outputs) * places, part.weights, 0
    )


def _parameter_bytes(part: Convolution) -> int:
    kind: KernelKind = "dense" if part.pixels == 1 else "conv"
    if part.depthwise:
        kind = "depthwise"
    return kernel_bytes(kind, part.kernel**2, part.inputs, part.outputs)
