"""How long the operators of a file would take on an Edge TPU: an estimate.

`efficientnet_tf.networks.edgetpu_latency` has the rates, what they stand on,
and the same for a network that is a table.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from edgetpu.graph import Graph, Operator
from edgetpu.work import work
from efficientnet_tf.networks.edgetpu_latency import (
    BASIS,
    MS_PER_MEGABYTE,
    RUN_MS,
    operator_ms,
)
from efficientnet_tf.networks.edgetpu_memory import Memory


@dataclass(frozen=True)
class Latency:
    """How long one input would take.

    Attributes:
        milliseconds: All of it.
        operators: Milliseconds of each operator, by its place; with what a
            run costs at all and what goes over USB they make the sum.
        basis: What the estimate stands on and how far it may be off.
    """

    milliseconds: float
    operators: dict[int, float]
    basis: str = BASIS


def latency(
    graph: Graph,
    mapped: Collection[int],
    sizes: Memory,
    *,
    parts: int = 1,
) -> Latency:
    """Estimates how long operators take on the Edge TPU.

    Args:
        graph: The model.
        mapped: Places of the operators that are on it.
        sizes: Where the parameters are.
        parts: How often the host hands over.
    """
    each = {
        place: operator_ms(work(graph.operators[place], graph))
        for place in sorted(mapped)
    }
    moved = sizes.streamed_bytes + _crossing(graph, mapped)
    total = parts * RUN_MS + sum(each.values()) + moved / 1e6 * MS_PER_MEGABYTE
    return Latency(total, each)


def _crossing(graph: Graph, mapped: Collection[int]) -> int:
    """Bytes that go in and out of the operators on the Edge TPU."""
    inside = [graph.operators[place] for place in mapped]
    others = [
        operator
        for place, operator in enumerate(graph.operators)
        if place not in mapped
    ]
    given, taken = _outputs(inside), _inputs(inside)
    needed = _inputs(others) | set(graph.outputs)
    crossing = (taken - given) | (given & needed)
    return sum(
        graph.tensors[place].elements
        for place in crossing
        if not graph.tensors[place].constant
    )


def _inputs(operators: list[Operator]) -> set[int]:
    return {place for operator in operators for place in operator.inputs}


def _outputs(operators: list[Operator]) -> set[int]:
    return {place for operator in operators for place in operator.outputs}
