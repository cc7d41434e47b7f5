"""How long a model would take on an Edge TPU: an estimate.

Five rates, of a USB Accelerator at a desktop's USB 3.0, that suit what Google
published for ten networks (coral.ai/docs/edgetpu/benchmarks): what a run
costs at all, multiplications of convolutions with channels in whole blocks,
multiplications of depthwise ones, which leave most of the chip idle, values
that other operators move, and bytes that go over USB. `latency_fit.py` finds
the rates and how far they are off; docs/coral.md has the table.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from edgetpu.graph import Graph, Operator
from edgetpu.memory import Memory
from edgetpu.work import Work, work

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


def operator_ms(done: Work) -> float:
    """Estimates how long an operator takes on the chip.

    Args:
        done: What it does; see `edgetpu.work.work`.
    """
    if done.kind == "depthwise":
        return done.macs / 1e6 * MS_PER_MEGA_DEPTHWISE_MAC
    if done.kind == "other":
        return done.values / 1e6 * MS_PER_MEGA_VALUE
    return done.filled_macs / 1e9 * MS_PER_GIGA_MAC


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
