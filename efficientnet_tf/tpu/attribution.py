"""Which Keras layer a line of a compiled program was made from.

TensorFlow leaves the path of its operation in a line's metadata, such as
`gradient_tape/efficientnet-b0_1/block1a_dwconv_1/depthwise/...`. A fusion has
the path of one of the operations in it, so what is told by layer is told by
the operation that gave the fusion its name.
"""

from __future__ import annotations

import re
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
)
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from efficientnet_tf.tpu.hlo_text import (
    Computation,
    Instruction,
    Module,
    reachable,
)

Pass = Literal["forward", "recomputed", "backward", "update", "other"]

LOSS = "loss"
NO_LAYER = "other"

_SUFFIX = re.compile(r"_\d+$")
_LOSS = re.compile(r"(cross_entropy|loss)", re.I)
# The optimizer's: clipping measures gradients with an operation `L2Loss`.
_UPDATE = re.compile(r"(^|/)(global_norm|clip_by|Resource|Assign|cond\b)")
_GRADIENT = "gradient_tape/"
# They pass on what others made, whatever path they have themselves.
_VIEWS = frozenset({"get-tuple-element", "tuple", "bitcast"})


@dataclass(frozen=True)
class Place:
    """Where in training a line belongs.

    Attributes:
        layer: Name of a Keras layer, `loss`, or `other` where there is none.
        direction: `backward` for what a gradient tape made, `recomputed` for
            the forward pass of a block that runs again for its gradient,
            `forward` for the rest of the layers and the loss, `update` for
            what an optimizer does, `other` for what cannot be told.
    """

    layer: str
    direction: Pass


UNKNOWN = Place(NO_LAYER, "other")


def place_of_path(path: str, layers: Collection[str]) -> Place:
    """Where an operation belongs, by its path.

    Args:
        path: Of an operation, as TensorFlow writes it: a number, such as
            `_1`, may be appended to each of its parts.
        layers: Names of the Keras layers. Where several are in the path, the
            longest is taken.

    Returns:
        The place; UNKNOWN for a path that says nothing.
    """
    if not path or path == "XLA_Args":
        return UNKNOWN
    parts = path.split("/")
    names = [
        name
        for part in parts
        for name in (part, _SUFFIX.sub("", part))
        if name in layers
    ]
    direction: Pass = "backward" if _GRADIENT in path else "forward"
    if names:
        return Place(max(names, key=len), direction)
    if _LOSS.search(path) and not _UPDATE.search(path):
        return Place(LOSS, direction)
    if _GRADIENT in path:
        return Place(NO_LAYER, "backward")
    return Place(NO_LAYER, "update") if _UPDATE.search(path) else UNKNOWN


class Places:
    """Where the lines of a module belong.

    Args:
        module: The module.
        layers: Names of its Keras layers.
    """

    def __init__(self, module: Module, layers: Collection[str]) -> None:
        self._module = module
        self._layers = frozenset(layers)
        self._paths: dict[str, Place] = {}
        self._flows: dict[str, _Flow] = {}

    def of(self, computation: str, line: Instruction) -> Place:
        """Where a line belongs.

        A line that has no path of its own takes the place of the operations
        that were fused into it, else of those that read its result, else of
        those that it reads, where they are of one place.
        """
        own = self._named(line)
        if own != UNKNOWN:
            return own
        if computation not in self._flows:
            self._flows[computation] = _Flow(
                self._module.computations[computation]
            )
        flow = self._flows[computation]
        sides = (flow.readers(line), flow.read(line))
        for near in reversed(sides) if _moves(line) else sides:
            places = {self._named(each) for each in near} - {UNKNOWN}
            if len(places) == 1:
                return places.pop()
        return UNKNOWN

    @cached_property
    def _scopes(self) -> tuple[frozenset[str], frozenset[str]]:
        """Scopes that layers are in, such as `efficientnet-b0_1`.

        Those of forward passes, and those that gradients are taken in.
        """
        forward: set[str] = set()
        backward: set[str] = set()
        for computation in reachable(self._module, [self._module.entry]):
            for path in {each.op_name for each in computation.instructions}:
                scope, _, rest = path.removeprefix(_GRADIENT).partition("/")
                layer = rest.partition("/")[0]
                if {layer, _SUFFIX.sub("", layer)} & self._layers:
                    found = backward if path.startswith(_GRADIENT) else forward
                    found.add(scope)
        return frozenset(forward), frozenset(backward)

    @cached_property
    def _recomputed(self) -> frozenset[str]:
        """Scopes of blocks that run again for their gradient.

        A block is called twice, and the gradient is taken in the second call
        alone.
        """
        forward, backward = self._scopes
        once = {_SUFFIX.sub("", scope) for scope in forward - backward}
        return frozenset(
            scope
            for scope in forward & backward
            if _SUFFIX.sub("", scope) in once
        )

    def _named(self, line: Instruction) -> Place:
        place = self._path(line.op_name)
        if place == UNKNOWN and line.opcode == "fusion":
            bodies = self._module.called(line)
            inner = {
                self._path(each.op_name)
                for body in bodies
                for each in body.instructions
            } - {UNKNOWN}
            if len(inner) == 1:
                return inner.pop()
        return place

    def _path(self, path: str) -> Place:
        if path not in self._paths:
            place = place_of_path(path, self._layers)
            scope = path.partition("/")[0]
            if path and place == UNKNOWN and scope in self._scopes[0]:
                place = Place(NO_LAYER, "forward")
            if place.direction == "forward" and scope in self._recomputed:
                place = Place(place.layer, "recomputed")
            self._paths[path] = place
        return self._paths[path]


class _Flow:
    """Who reads whom in a computation, looking through what passes on."""

    def __init__(self, computation: Computation) -> None:
        self._lines: Mapping[str, Instruction] = computation.by_name
        self._readers: dict[str, list[Instruction]] = {}
        for line in computation.instructions:
            for name in line.operands:
                self._readers.setdefault(name, []).append(line)

    def readers(self, line: Instruction) -> Iterator[Instruction]:
        """Lines that read a line's result."""
        return self._beyond(lambda each: self._readers.get(each.name, ()), line)

    def read(self, line: Instruction) -> Iterator[Instruction]:
        """Lines that a line reads."""
        return self._beyond(
            lambda each: (self._lines[name] for name in each.operands), line
        )

    def _beyond(
        self,
        near: Callable[[Instruction], Iterable[Instruction]],
        line: Instruction,
    ) -> Iterator[Instruction]:
        queue, seen = [line], {line.name}
        while queue:
            for each in near(queue.pop()):
                if each.name not in seen:
                    seen.add(each.name)
                    if each.opcode in _VIEWS or (
                        _moves(each) and not each.op_name
                    ):
                        queue.append(each)
                    else:
                        yield each


def _moves(line: Instruction) -> bool:
    """It puts what another made into another place."""
    return line.opcode == "copy" or line.opcode.endswith(("-start", "-done"))
