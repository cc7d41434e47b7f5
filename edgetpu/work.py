"""What an operator has to do: multiplications, parameters, values moved.

Sizes are those of an int8 model, a byte for each value, whatever the file
holds: so a float file that was converted for a look tells the same.
"""

from __future__ import annotations

import math

from edgetpu.graph import Graph, Operator
from efficientnet_tf.networks.edgetpu_latency import Work, WorkKind, filled

_KINDS: dict[str, WorkKind] = {
    "CONV_2D": "conv",
    "TRANSPOSE_CONV": "conv",
    "DEPTHWISE_CONV_2D": "depthwise",
    "FULLY_CONNECTED": "dense",
    "LSTM": "dense",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "dense",
}
# Which input holds the kernel.
_KERNEL = 1
# Operators that only say the same values in other words.
_FREE = ("EXPAND_DIMS", "RESHAPE", "SQUEEZE")


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
    macs = sum(
        math.prod(shape[1:]) * filled(shape[0])
        for shape in shapes
        if kind != "depthwise"
    )
    return Work(kind, weights * places, macs * places, weights, values)


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
