"""How much of the Edge TPU's memory an operator's parameters take.

An estimate; `efficientnet_tf.networks.edgetpu_memory` has what it stands on.
"""

from __future__ import annotations

import math

from edgetpu.graph import Graph, Operator
from edgetpu.work import kernels
from efficientnet_tf.networks.edgetpu_memory import (
    KernelKind,
    kernel_bytes,
    lines,
)


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
        return lines(constants)
    kind = _kind(operator, graph)
    return sum(_bytes(kind, shape) for shape in shapes)


def _bytes(kind: KernelKind, shape: tuple[int, ...]) -> int:
    if kind == "depthwise":
        return kernel_bytes(kind, math.prod(shape[1:3]), 1, shape[-1])
    return kernel_bytes(kind, math.prod(shape[1:-1]), shape[-1], shape[0])


def _kind(operator: Operator, graph: Graph) -> KernelKind:
    if operator.name == "DEPTHWISE_CONV_2D":
        return "depthwise"
    if operator.name.endswith("LSTM"):
        return "gate"
    places = math.prod(graph.given(operator)[0].shape[:-1])
    if operator.name == "FULLY_CONNECTED" or places == 1:
        return "dense"
    return "conv"
