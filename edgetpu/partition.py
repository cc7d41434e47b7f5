"""How TensorFlow Lite cuts a graph between a delegate and the CPU.

The compiler is a delegate: TensorFlow Lite asks it which operators it takes,
and hands it whole parts. `tensorflow/lite/graph_info.cc`
(PartitionGraphIntoIndependentNodeSubsets) makes them in epochs: the first
operator whose inputs are there says whether the epoch is the delegate's or
the CPU's, and all operators of its kind that can follow join it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from edgetpu.graph import Graph


@dataclass(frozen=True)
class Part:
    """Operators that run together.

    Attributes:
        delegated: Whether the delegate takes them.
        operators: Their places in the graph.
    """

    delegated: bool
    operators: frozenset[int]


def parts(graph: Graph, taken: Collection[int]) -> tuple[Part, ...]:
    """Cuts a graph.

    Args:
        graph: What to cut.
        taken: Places of the operators that the delegate would take.

    Returns:
        The parts in the order in which they run.
    """
    waiting = dict(enumerate(graph.operators))
    # What no operator gives is there from the start.
    missing = {
        place for operator in graph.operators for place in operator.outputs
    }
    found: list[Part] = []
    while waiting:
        part: set[int] = set()
        delegated: bool | None = None
        grew = True
        while grew:
            grew = False
            for place, operator in list(waiting.items()):
                if not missing.isdisjoint(operator.inputs):
                    continue
                if delegated is None:
                    delegated = place in taken
                if delegated == (place in taken):
                    part.add(place)
                    missing.difference_update(operator.outputs)
                    del waiting[place]
                    grew = True
        if delegated is None:
            # Operators that wait for each other: no order can run them.
            break
        found.append(Part(delegated, frozenset(part)))
    return tuple(found)
