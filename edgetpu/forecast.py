"""What edgetpu_compiler 16.0 would make of a file, without the compiler."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from edgetpu import limits, rules
from edgetpu.advice import advice
from edgetpu.compiler_log import MAPPED
from edgetpu.failures import failures
from edgetpu.graph import EDGE_TPU_OPERATOR, Graph, Model, Operator
from edgetpu.known_failures import Failure
from edgetpu.latency import Latency, latency
from edgetpu.memory import parameter_bytes
from edgetpu.partition import Part, parts
from edgetpu.work import work
from efficientnet_tf.errors import InputError
from efficientnet_tf.networks.edgetpu_memory import Memory, memory


@dataclass(frozen=True)
class OperatorForecast:
    """Where an operator would run.

    Attributes:
        index: Its place in the file.
        name: "CONV_2D".
        on_edge_tpu: Whether it would be on the Edge TPU.
        reason: What the compiler would say; where it does not map it, then
            why in our words and what would do.
    """

    index: int
    name: str
    on_edge_tpu: bool
    reason: str


@dataclass(frozen=True)
class Forecast:
    """What would become of a model.

    Attributes:
        operators: Where each would run, in the order of the file.
        subgraphs: Parts of the model on the Edge TPU.
        compiles: Whether the compiler would make a file at all.
        failures: Why not.
        memory: Where parameters would be; an estimate.
        latency: How long the part on the Edge TPU would take; an estimate.
            None where nothing is on it.
        cautions: What else is worth knowing.
    """

    operators: tuple[OperatorForecast, ...]
    subgraphs: int
    compiles: bool
    failures: tuple[Failure, ...]
    memory: Memory
    latency: Latency | None
    cautions: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether every operator would be on the Edge TPU."""
        return all(operator.on_edge_tpu for operator in self.operators)

    @property
    def problems(self) -> tuple[str, ...]:
        """Why it would not run whole on the Edge TPU, each reason once."""
        said = {
            f"operator {operator.name}: {operator.reason}": None
            for operator in self.operators
            if not operator.on_edge_tpu
        }
        refused = (
            f"{failure.message} {failure.cause}; {failure.cure}"
            for failure in self.failures
        )
        return tuple(refused) or tuple(said)

    def to_dict(self) -> dict[str, Any]:
        """The forecast as plain values, for JSON."""
        plain = dataclasses.asdict(self)
        plain["operators"] = list(plain["operators"])
        sizes, taking = plain.pop("memory"), plain.pop("latency")
        named = {name: plain.pop(name) for name in ("failures", "cautions")}
        return {
            **plain,
            **sizes,
            "latency_ms": taking["milliseconds"] if taking else None,
            "latency_basis": taking["basis"] if taking else None,
            **named,
        }


def forecast(model: Model, *, multiple_subgraphs: bool = False) -> Forecast:
    """Says what edgetpu_compiler 16.0 would make of a model.

    Args:
        model: A file that was not compiled yet.
        multiple_subgraphs: As the compiler's -a, which is experimental: all
            that can run on the Edge TPU does, in several parts.

    Raises:
        InputError: It is compiled already.
    """
    graph = model.main
    if EDGE_TPU_OPERATOR in graph.counts():
        raise InputError(
            "the file is compiled for the Edge TPU already; look at it with "
            "`python -m edgetpu show`, or give the file it was compiled from"
        )
    refused = failures(graph)
    faults = {
        place: fault
        for place, operator in enumerate(graph.operators)
        if (fault := _fault(operator, graph))
    }
    taken = frozenset(range(len(graph.operators))) - set(faults)
    cut = parts(graph, taken)
    mapped = _mapped(cut, multiple_subgraphs)
    places = frozenset().union(*(part.operators for part in mapped))
    if refused:
        places, mapped = frozenset(), ()
    needed = sum(
        parameter_bytes(graph.operators[place], graph) for place in places
    )
    sizes = memory(needed)
    return Forecast(
        operators=tuple(
            OperatorForecast(
                place,
                operator.name,
                place in places,
                _reason(place, places, faults, refused, graph),
            )
            for place, operator in enumerate(graph.operators)
        ),
        subgraphs=len(mapped),
        compiles=not refused,
        failures=refused,
        memory=sizes,
        latency=latency(graph, places, sizes, parts=len(mapped))
        if places
        else None,
        cautions=() if refused else advice(graph, places, sizes),
    )


def _mapped(cut: tuple[Part, ...], every: bool) -> tuple[Part, ...]:
    """The parts that go on the Edge TPU: the first one, without -a."""
    delegated = tuple(part for part in cut if part.delegated)
    return delegated if every else delegated[:1]


def _fault(operator: Operator, graph: Graph) -> str | None:
    """Why an operator cannot run on the Edge TPU, or None."""
    wrong = _wrong_type(operator, graph)
    if wrong and operator.name == "QUANTIZE":
        return _said(rules.UNSPECIFIED, wrong, operator)
    if wrong:
        return _said(rules.UNSUPPORTED_TYPE, wrong, operator)
    if operator.custom or operator.name not in rules.OPERATORS:
        known = "is not among the operators that Coral documents"
        return _said(rules.UNSUPPORTED, f"{operator.name} {known}", operator)
    wrong = _wrong_rank(operator, graph)
    if wrong:
        return f"{rules.UNSUPPORTED_RANK}: {wrong}; use a batch of 1"
    try:
        return _beyond(operator, graph)
    except IndexError:
        return (
            f"{rules.UNSPECIFIED}: it lacks an input or a dimension; convert "
            "the file anew"
        )


def _beyond(operator: Operator, graph: Graph) -> str | None:
    if not operator.inputs or not operator.outputs:
        raise IndexError
    for limit in rules.OPERATORS[operator.name]:
        if limits.beyond(limit, operator, graph):
            explained = rules.LIMITS[limit]
            return f"{rules.UNSPECIFIED}: {explained.says}; {explained.cure}"
    # What cannot be measured cannot be run either.
    work(operator, graph)
    parameter_bytes(operator, graph)
    return None


def _said(status: str, says: str, operator: Operator) -> str:
    cure = rules.CURES.get(operator.name)
    return f"{status}: {says}" + (f"; {cure}" if cure else "")


def _wrong_type(operator: Operator, graph: Graph) -> str | None:
    allowed = rules.DTYPES
    for tensor in (*graph.taken(operator), *graph.given(operator)):
        state = tensor.variable and operator.name.endswith("LSTM")
        if tensor.dtype in allowed or (
            state and tensor.dtype in rules.STATE_DTYPES
        ):
            continue
        # Biases, axes and shapes.
        if tensor.dtype == "int32" and tensor.constant:
            continue
        return (
            f"{tensor.name!r} is {tensor.dtype}; the Edge TPU works on int8 "
            "and uint8"
        )
    return None


def _wrong_rank(operator: Operator, graph: Graph) -> str | None:
    for tensor in (*graph.taken(operator), *graph.given(operator)):
        outer = tensor.shape[: -rules.INNER_DIMENSIONS]
        if not tensor.constant and any(size > 1 for size in outer):
            return f"{tensor.name!r} has the shape {list(tensor.shape)}"
    return None


def _reason(
    place: int,
    mapped: frozenset[int],
    faults: dict[int, str],
    refused: tuple[Failure, ...],
    graph: Graph,
) -> str:
    if refused:
        return f"{refused[0].message} {refused[0].cause}; {refused[0].cure}"
    if place in mapped:
        return MAPPED
    if place in faults:
        return faults[place]
    blocking = _blocking(place, mapped, faults, graph)
    if blocking is None:
        return f"{rules.ANOTHER_SUBGRAPH}: it is not next to the first part"
    name = graph.operators[blocking].name
    return (
        f"{rules.ANOTHER_SUBGRAPH}: it comes after operator {blocking}, "
        f"{name}, which stays on the CPU; mend that one, or compile with -a"
    )


def _blocking(
    place: int, mapped: frozenset[int], faults: dict[int, str], graph: Graph
) -> int | None:
    """The first operator on the way to this one that cannot be mapped.

    One that runs before all that is mapped does not count.
    """
    givers = {
        tensor: giver
        for giver, operator in enumerate(graph.operators)
        for tensor in operator.outputs
    }
    seen, left = set(), [place]
    while left:
        here = left.pop()
        for tensor in graph.operators[here].inputs:
            giver = givers.get(tensor)
            if giver is not None and giver not in seen:
                seen.add(giver)
                left.append(giver)
    first = min(mapped, default=-1)
    return min(
        (giver for giver in seen & set(faults) if giver > first), default=None
    )
