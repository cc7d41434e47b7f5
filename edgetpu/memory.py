"""How much of the Edge TPU's memory a model's parameters take.

An estimate: the layout is Google's secret. Kernels are stored in whole blocks,
of channels in and out; each channel out has eight bytes besides, and each
operator fills whole lines. The sizes of the blocks were found by trying, so
that they suit compiled files and the compiler's figures for
EfficientNet-EdgeTPU-S and M; docs/coral.md has what is off by how much.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgetpu.graph import Graph, Operator
from edgetpu.work import kernels

# A kernel's channels are filled up to a multiple of these.
_CONV_IN, _CONV_OUT = 16, 64
_DENSE_IN, _DENSE_OUT = 16, 16
_GATE_IN, _GATE_OUT = 64, 64
_DEPTHWISE, _DEPTHWISE_COPIES = 16, 4
# The bias, and how sums become int8 again.
_CHANNEL_BYTES = 8
_LINE_BYTES = 64

# Of the 8 MiB on the chip, what is left for parameters. The compiler's "used"
# and "remaining" add up to 7.41 MiB for EfficientNet-EdgeTPU-S and M, and to
# between 6.74 MiB (large activations) and 7.85 MiB (tiny models) in other logs.
CACHE_BYTES = round(7.41 * 2**20)
SMALLEST_CACHE_BYTES = round(6.74 * 2**20)


@dataclass(frozen=True)
class Memory:
    """Where the parameters would be.

    Attributes:
        parameter_bytes: All of them, as the chip stores them.
        on_chip_bytes: Those that stay on the chip.
        streamed_bytes: Those that are sent anew for each input.
    """

    parameter_bytes: int
    on_chip_bytes: int
    streamed_bytes: int


def memory(parameter_bytes: int) -> Memory:
    """Divides parameters between the chip and the host.

    Args:
        parameter_bytes: Sum of `parameter_bytes` of all operators.
    """
    cached = min(parameter_bytes, CACHE_BYTES)
    return Memory(parameter_bytes, cached, parameter_bytes - cached)


def parameter_bytes(operator: Operator, graph: Graph) -> int:
    """Estimates what an operator's parameters take on the chip.

    Args:
        operator: Of the graph.
        graph: Where it stands.
    """
    shapes = kernels(operator, graph)
    if not shapes:
        constants = sum(
            tensor.elements
            for tensor in graph.taken(operator)
            if tensor.constant and tensor.dtype != "int32"
        )
        return _up(constants, _LINE_BYTES)
    return sum(_kernel_bytes(operator, graph, shape) for shape in shapes)


def _kernel_bytes(
    operator: Operator, graph: Graph, shape: tuple[int, ...]
) -> int:
    if operator.name == "DEPTHWISE_CONV_2D":
        outputs = shape[-1]
        filled = math.prod(shape[1:3]) * _up(outputs, _DEPTHWISE)
        filled *= _DEPTHWISE_COPIES
    else:
        outputs, inputs = shape[0], shape[-1]
        block_in, block_out = _blocks(operator, graph)
        filled = math.prod(shape[1:-1]) * _up(inputs, block_in)
        filled *= _up(outputs, block_out)
    return _up(filled + _CHANNEL_BYTES * outputs, _LINE_BYTES)


def _blocks(operator: Operator, graph: Graph) -> tuple[int, int]:
    if operator.name.endswith("LSTM"):
        return _GATE_IN, _GATE_OUT
    places = math.prod(graph.given(operator)[0].shape[:-1])
    if operator.name == "FULLY_CONNECTED" or places == 1:
        return _DENSE_IN, _DENSE_OUT
    return _CONV_IN, _CONV_OUT


def _up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple
