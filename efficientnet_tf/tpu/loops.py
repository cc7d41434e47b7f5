"""How often the loops of an HLO module run."""

from __future__ import annotations

import re

from efficientnet_tf.tpu.hlo_text import Computation, Instruction, Module

_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"')


def trip_count(
    module: Module, computation: Computation, loop: Instruction
) -> int | None:
    """How often a loop's body runs, None where the text does not tell.

    Told by the compiler's own note, else by a counter that starts at a
    constant, grows by a constant and is compared with a constant.
    """
    noted = _TRIPS.search(loop.attributes)
    if noted:
        return int(noted[1])
    test = module.computations[loop.attribute("condition")]
    body = module.computations[loop.attribute("body")]
    compare = test.root
    if compare.opcode != "compare" or len(compare.operands) != 2:
        return None
    counter, bound = (test.by_name[name] for name in compare.operands)
    limit = _constant(test, bound)
    if counter.opcode != "get-tuple-element" or limit is None:
        return None
    position = int(counter.attribute("index"))
    start = _constant(computation, _element(computation, loop, position))
    step = _step(body, position)
    if start is None or not step:
        return None
    return _runs(start, step, limit, compare.attribute("direction"))


def _runs(start: int, step: int, limit: int, direction: str) -> int | None:
    if direction in ("LE", "GE"):
        limit += 1 if direction == "LE" else -1
    if (direction in ("LT", "LE") and step > 0) or (
        direction in ("GT", "GE") and step < 0
    ):
        return max(0, -((start - limit) // step))
    return None


def _element(
    computation: Computation, loop: Instruction, position: int
) -> Instruction | None:
    """What an element of a loop's state is at first."""
    state = computation.by_name[loop.operands[0]]
    if state.opcode != "tuple":
        return None
    return computation.by_name[state.operands[position]]


def _constant(computation: Computation, line: Instruction | None) -> int | None:
    """The whole number that a line gives, where it is a constant or a copy."""
    while line is not None and line.opcode in ("copy", "bitcast"):
        line = computation.by_name[line.operands[0]]
    if line is None or line.opcode != "constant":
        return None
    try:
        return int(line.argument)
    except ValueError:
        return None


def _step(body: Computation, position: int) -> int | None:
    """By how much a body changes an element of its state."""
    if body.root.opcode != "tuple":
        return None
    add = body.by_name[body.root.operands[position]]
    if add.opcode != "add":
        return None
    one, other = (body.by_name[name] for name in add.operands)
    if one.opcode == "constant":
        one, other = other, one
    if (
        one.opcode != "get-tuple-element"
        or int(one.attribute("index")) != position
    ):
        return None
    return _constant(body, other)
