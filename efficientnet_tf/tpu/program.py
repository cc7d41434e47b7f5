"""What a compiled TPU program will cost, by the compiler's own text.

Cycles are the compiler's estimates: its scheduler's model of the chip, not a
measurement. Where they are summed, a fusion's figure stands for all that is
in it; a conditional and a loop have none of their own, so the computations
that they call are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from efficientnet_tf.tpu.attribution import Pass, Place, Places
from efficientnet_tf.tpu.hlo_shapes import HBM
from efficientnet_tf.tpu.hlo_text import Computation, Instruction, Module
from efficientnet_tf.tpu.loops import trip_count

COLLECTIVES = (
    "all-reduce",
    "all-gather",
    "reduce-scatter",
    "all-to-all",
    "collective-permute",
)
# Lines that move nothing: they name what lies somewhere already.
_STILL = frozenset(
    {
        "parameter",
        "constant",
        "tuple",
        "get-tuple-element",
        "bitcast",
        "optimization-barrier",
        "while",
        "conditional",
        "call",
    }
)
_SCATTERING = "all-reduce-scatter"
# Bodies of fusions that go on with a collective which another has started.
_GOES_ON = "async_collective_fusion"
_ENDS = 'custom_call_target="AsyncCollectiveDone"'


@dataclass(frozen=True)
class Collective:
    """The collectives of one kind.

    Attributes:
        kind: One of COLLECTIVES.
        count: How many run in one run of the program.
        operand_bytes: What each replica puts into them, all told, padded as
            it is laid out.
    """

    kind: str
    count: int
    operand_bytes: int


@dataclass(frozen=True)
class LayerCost:
    """What a layer costs in one pass.

    Attributes:
        layer: Its name, `loss`, or `other`.
        direction: As in `Place`.
        estimated_cycles: The compiler's estimates, added.
        moved_bytes: Operands and results in HBM of each line, padded as they
            are laid out; an estimate of our own, which takes every line to
            read and write all of them.
    """

    layer: str
    direction: Pass
    estimated_cycles: int
    moved_bytes: int


def estimated_cycles(module: Module) -> int:
    """The compiler's estimates for one run of the program, added.

    A conditional counts as its dearest branch. A loop counts as often as it
    runs, or once where the text does not tell: see `unknown_loops`.
    """
    return _Schedule(module).cycles(module.entry)


def unknown_loops(module: Module) -> tuple[str, ...]:
    """Names of the loops of which the text does not tell how often they run.

    All that is counted in this module counts them once.
    """
    schedule = _Schedule(module)
    running = schedule.running(module.entry, every_branch=True)
    found = {
        line.name
        for computation, line, _ in running
        if line.opcode == "while"
        and trip_count(module, computation, line) is None
    }
    return tuple(sorted(found))


def collectives(module: Module) -> tuple[Collective, ...]:
    """The collectives of one run of the program, by kind.

    An asynchronous pair counts once, a line with several operands once, one
    in a loop as often as the loop runs, and those in all branches of a
    conditional count.
    """
    counts: Counter[str] = Counter()
    moved: Counter[str] = Counter()
    schedule = _Schedule(module)
    for computation, line, times in schedule.running(
        module.entry, every_branch=True
    ):
        for kind, bytes_ in _collectives_of(module, computation, line):
            counts[kind] += times
            moved[kind] += times * bytes_
    return tuple(
        Collective(kind, counts[kind], moved[kind])
        for kind in COLLECTIVES
        if counts[kind]
    )


def by_layer(module: Module, layers: Collection[str]) -> tuple[LayerCost, ...]:
    """What each layer costs in each pass, dearest first.

    Args:
        module: A module made by TensorFlow, with its metadata.
        layers: Names of the Keras layers, without what a model wraps them in.

    Returns:
        Costs whose cycles add up to `estimated_cycles`.
    """
    cycles: Counter[Place] = Counter()
    moved: Counter[Place] = Counter()
    places = Places(module, layers)
    for computation, line, times in _Schedule(module).running(module.entry):
        line_cycles = times * line.estimated_cycles
        line_bytes = times * _moved_bytes(computation, line)
        if line_cycles or line_bytes:
            place = places.of(computation.name, line)
            cycles[place] += line_cycles
            moved[place] += line_bytes
    costs = [
        LayerCost(place.layer, place.direction, cycles[place], moved[place])
        for place in cycles
    ]
    return tuple(
        sorted(costs, key=lambda c: (-c.estimated_cycles, -c.moved_bytes))
    )


class _Schedule:
    """What runs in a module, and how often."""

    def __init__(self, module: Module) -> None:
        self._module = module
        self._cycles: dict[str, int] = {}

    def cycles(self, name: str) -> int:
        """Estimated cycles of one run of a computation."""
        if name not in self._cycles:
            self._cycles[name] = sum(
                times * line.estimated_cycles
                for _, line, times in self.running(name)
            )
        return self._cycles[name]

    def running(
        self, name: str, every_branch: bool = False
    ) -> Iterator[tuple[Computation, Instruction, int]]:
        """Lines that run when a computation does, and how often each does.

        Args:
            name: Of the computation.
            every_branch: All branches of a conditional; else the dearest.
        """
        computation = self._module.computations[name]
        for line in computation.instructions:
            yield computation, line, 1
            if line.estimated_cycles:
                continue  # its figure stands for what it calls
            for called, times in self._calls(computation, line, every_branch):
                for inside, each, inner in self.running(called, every_branch):
                    yield inside, each, times * inner

    def _calls(
        self, computation: Computation, line: Instruction, every_branch: bool
    ) -> list[tuple[str, int]]:
        if line.opcode == "while":
            body, test = line.attribute("body"), line.attribute("condition")
            trips = trip_count(self._module, computation, line)
            if trips is None:
                return [(test, 1), (body, 1)]
            return [(test, trips + 1), (body, trips)]
        if line.opcode == "conditional":
            if every_branch:
                return [(branch, 1) for branch in line.called]
            return [(max(line.called, key=self.cycles), 1)]
        if line.opcode in ("call", "async-start"):
            return [(called, 1) for called in line.called]
        return []


def _collectives_of(
    module: Module, computation: Computation, line: Instruction
) -> Iterator[tuple[str, int]]:
    """Kind and operand bytes of the collectives that a line is or holds."""
    kind = line.opcode.removesuffix("-start")
    if kind in COLLECTIVES:
        yield kind, _operand_bytes(computation, line)
    elif line.opcode == "fusion":
        for body in module.called(line):
            if not any(f" {kind}" in body.text for kind in COLLECTIVES):
                continue
            if body.name.startswith(_GOES_ON) or _ENDS in body.text:
                continue
            for inner in body.instructions:
                scatters = body.name.startswith(_SCATTERING)
                for kind, bytes_ in _collectives_of(module, body, inner):
                    yield ("reduce-scatter" if scatters else kind), bytes_


def _operand_bytes(computation: Computation, line: Instruction) -> int:
    return sum(
        array.bytes
        for name in line.operands
        for array in computation.by_name[name].shape.arrays
    )


def _moved_bytes(computation: Computation, line: Instruction) -> int:
    if line.opcode in _STILL or line.opcode.endswith("-done"):
        return 0
    if line.opcode in ("copy-start", "slice-start"):
        return _transferred_bytes(computation, line)
    read = sum(
        computation.by_name[name].shape.hbm_bytes
        for name in dict.fromkeys(line.operands)
    )
    if line.opcode.endswith("-start"):
        # Its result holds its operands too.
        return max(read, line.shape.hbm_bytes)
    return read + line.shape.hbm_bytes


def _transferred_bytes(computation: Computation, line: Instruction) -> int:
    """Bytes in HBM that a transfer in the background reads and writes."""
    source = computation.by_name[line.operands[0]].shape.arrays[0]
    made = line.shape.arrays[0 if line.opcode == "copy-start" else 1]
    return made.hbm_bytes + (made.bytes if source.space == HBM else 0)
