"""What an operator has to do: multiplications, parameters, values moved.

Sizes are those of an int8 model, a byte for each value, whatever the file
holds: so a float file that was converted for a look tells the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from edgetpu.graph import Graph, Operator

Kind = Literal["conv", "depthwise", "dense", "other"]

_KINDS: dict[str, Kind] = {
    "CONV_2D": "conv",
    "TRANSPOSE_CONV": "conv",
    "DEPTHWISE_CONV_2D": "depthwise",
    "FULLY_CONNECTED": "dense",
    "LSTM": "dense",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "dense",
}
# Which input holds the kernel.
_KERNEL = 1
# Channels that the Edge TPU computes side by side.
_LANES = 64
# Operators that only say the same values in other words.
_FREE = ("EXPAND_DIMS", "RESHAPE", "SQUEEZE")


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

    kind: Kind
    macs: int
    filled_macs: int
    weights: int
    values: int


def work(operator: Operator, graph: Graph) -> Work:
    """What an operator does.

    Args:
        operator: Of the graph.
        graph: Where it stands.
    """
    taken, given = graph.taken(operator), graph.given(operator)
    kind = _KINDS.get(operator.name, "other")
    moving = [tensor for tensor in (*taken, *given) if not tensor.constant]
    values = sum(tensor.elements for tensor in moving)
    if operator.name in _FREE:
        values = 0
    if kind == "other":
        return Work(kind, 0, 0, 0, values)
    shapes, places = kernels(operator, graph), _places(operator, graph)
    weights = sum(math.prod(shape) for shape in shapes)
    filled = sum(
        math.prod(shape[1:]) * -(-shape[0] // _LANES) * _LANES
        for shape in shapes
        if kind != "depthwise"
    )
    return Work(kind, weights * places, filled * places, weights, values)


def kernels(operator: Operator, graph: Graph) -> list[tuple[int, ...]]:
    """Shapes of an operator's kernels; those of an LSTM are many."""
    taken = graph.taken(operator)
    if _KINDS.get(operator.name, "other") == "other":
        return []
    if operator.name.endswith("LSTM"):
        return [
            tensor.shape
            for tensor in taken
            if tensor.constant and len(tensor.shape) == 2
        ]
    return [taken[_KERNEL].shape] if len(taken) > _KERNEL else []


def _places(operator: Operator, graph: Graph) -> int:
    """How often the kernel is applied to one input."""
    shape = graph.given(operator)[0].shape
    if operator.name == "TRANSPOSE_CONV":
        shape = graph.taken(operator)[2].shape
    return math.prod(shape[:-1])
