"""Which operands an HLO instruction writes its results over."""

from __future__ import annotations

import re

from efficientnet_tf.tpu.hlo_text import Computation, Instruction, Module

_ALIASING = re.compile(r"\{([\d, ]*)\}: \((\d+), \{([\d, ]*)\}")


def in_place(module: Module, line: Instruction) -> list[tuple[int, int]]:
    """Pairs of an output and the operand that it is written over."""
    if line.opcode == "dynamic-update-slice":
        return [(0, 0)]
    pairs = []
    if "output_to_operand_aliasing=" in line.attributes:
        text = line.attributes.partition("output_to_operand_aliasing=")[2]
        text = text.partition(")}")[0] + ")"
        for match in _ALIASING.finditer(text):
            pairs.append((int(match[1] or 0), int(match[2])))
    if line.opcode == "fusion":
        pairs += _updated_slices(module.called(line)[0])
    return pairs


def _updated_slices(body: Computation) -> list[tuple[int, int]]:
    """Outputs of a fusion that are slices put into an operand."""
    if "dynamic-update-slice(" not in body.text:
        return []
    names = body.root.operands if body.root.opcode == "tuple" else ()
    pairs = []
    for output, name in enumerate(names or (body.root.name,)):
        line = body.by_name[name]
        while line.opcode in ("bitcast", "dynamic-update-slice"):
            updates = line.opcode == "dynamic-update-slice"
            line = body.by_name[line.operands[0]]
            if updates and line.opcode == "parameter":
                pairs.append((output, int(line.argument)))
    return pairs
