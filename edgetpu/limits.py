"""Whether an operator is beyond a limit of `rules.py`."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from edgetpu import rules
from edgetpu.graph import Graph, Operator, Tensor


def beyond(limit: rules.Limit, operator: Operator, graph: Graph) -> bool:
    """Whether an operator is beyond a limit.

    Args:
        limit: One of its kind's.
        operator: Of the graph.
        graph: Where it stands.
    """
    return _TESTS[limit](operator, graph)


def averaged_places(operator: Operator, graph: Graph) -> int:
    """Over how many places of height and width a MEAN averages."""
    shape = graph.taken(operator)[0].shape
    spatial = {axis for axis in _axes(operator, graph) if 0 < axis < 3}
    return math.prod(shape[axis] for axis in spatial) if len(shape) == 4 else 1


def _activation(operator: Operator, graph: Graph) -> bool:
    return operator.options.activation != "NONE"


def _batch_axis(operator: Operator, graph: Graph) -> bool:
    rank = len(graph.taken(operator)[0].shape)
    return rank > 1 and 0 in _axes(operator, graph)


def _batch_pack(operator: Operator, graph: Graph) -> bool:
    rank = len(graph.given(operator)[0].shape)
    return rank > 1 and (operator.options.axis or 0) % rank == 0


def _batch_pad(operator: Operator, graph: Graph) -> bool:
    padding = _constant(operator, graph, 1)
    return padding is not None and len(padding) > 1 and bool(padding[0].any())


def _batch_split(operator: Operator, graph: Graph) -> bool:
    axis = _constant(operator, graph, 0)
    rank = len(graph.taken(operator)[1].shape)
    return axis is not None and rank > 1 and int(axis.flat[0]) % rank == 0


def _constant_parameters(operator: Operator, graph: Graph) -> bool:
    taken = graph.taken(operator)
    parameters: tuple[Tensor, ...] = taken[1:]
    if operator.name == "TRANSPOSE_CONV":
        parameters = taken[1:2] + taken[3:]
    return not all(tensor.constant for tensor in parameters)


def _constant_concatenation(operator: Operator, graph: Graph) -> bool:
    taken = graph.taken(operator)
    constants = [tensor for tensor in taken if tensor.constant]
    if not constants:
        return False
    if len(taken) != 2 or len(constants) != 1:
        return True
    values = constants[0].values()
    zero = (constants[0].zero_point or (0,))[0]
    return values is None or bool(np.any(values != zero))


def _dilation(operator: Operator, graph: Graph) -> bool:
    dilation = operator.options.dilation
    if dilation is None:
        return False
    # Where the kernel has one row, its rows cannot be apart.
    kernel = graph.taken(operator)[1].shape[1:3]
    apart = {
        step for step, size in zip(dilation, kernel, strict=True) if size > 1
    }
    return len(apart) > 1


def _mean_depth(operator: Operator, graph: Graph) -> bool:
    shape = graph.taken(operator)[0].shape
    last = len(shape) - 1
    return (
        last in _axes(operator, graph)
        and shape[last] % rules.MEAN_DEPTH_MULTIPLE != 0
    )


def _mean_size(operator: Operator, graph: Graph) -> bool:
    places = averaged_places(operator, graph)
    return places >= rules.MEAN_PLACES_NOT_MAPPED


def _one_dimension_out(operator: Operator, graph: Graph) -> bool:
    return _large_dimensions(graph.given(operator)[0]) > 1


def _prelu_alpha(operator: Operator, graph: Graph) -> bool:
    return any(size > 1 for size in graph.taken(operator)[1].shape[:-1])


def _resize(operator: Operator, graph: Graph) -> bool:
    before = graph.taken(operator)[0].shape[1:3]
    after = graph.given(operator)[0].shape[1:3]
    if before == after:
        return False
    return before == (1, 1) or max(after) > rules.RESIZE_SIDE_MAPPED


def _slice_masks(operator: Operator, graph: Graph) -> bool:
    options = operator.options
    return bool(options.ellipsis_mask or options.new_axis_mask)


def _slice_strides(operator: Operator, graph: Graph) -> bool:
    strides = _constant(operator, graph, 3)
    return strides is not None and bool(np.any(strides != 1))


def _softmax(operator: Operator, graph: Graph) -> bool:
    tensor = graph.taken(operator)[0]
    return (
        _large_dimensions(tensor) > 1 or tensor.elements > rules.SOFTMAX_VALUES
    )


def _weights_format(operator: Operator, graph: Graph) -> bool:
    return operator.options.weights_format != "DEFAULT"


def _axes(operator: Operator, graph: Graph) -> set[int]:
    """Of a reduction, counted from the front."""
    rank = len(graph.taken(operator)[0].shape)
    axes = _constant(operator, graph, 1)
    if axes is None or not rank:
        return set()
    return {int(axis) % rank for axis in axes.flat}


def _constant(
    operator: Operator, graph: Graph, place: int
) -> np.ndarray | None:
    """Values of an input, if it is there and constant."""
    taken = graph.taken(operator)
    return taken[place].values() if place < len(taken) else None


def _large_dimensions(tensor: Tensor) -> int:
    return sum(size > 1 for size in tensor.shape)


_TESTS: dict[rules.Limit, Callable[[Operator, Graph], bool]] = {
    "activation": _activation,
    "batch_axis": _batch_axis,
    "batch_pack": _batch_pack,
    "batch_pad": _batch_pad,
    "batch_split": _batch_split,
    "constant_parameters": _constant_parameters,
    "constant_concatenation": _constant_concatenation,
    "dilation": _dilation,
    "mean_depth": _mean_depth,
    "mean_size": _mean_size,
    "one_dimension_out": _one_dimension_out,
    "prelu_alpha": _prelu_alpha,
    "resize": _resize,
    "slice_masks": _slice_masks,
    "slice_strides": _slice_strides,
    "softmax": _softmax,
    "weights_format": _weights_format,
}
