"""The text of a scheduled, optimised HLO module.

It is what the TPU compiler returns: computations of one instruction a line,
the entry's lines in the order in which they will run. A computation is read
when it is first asked for, so the many bodies of fusions cost next to nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

from efficientnet_tf.errors import InputError
from efficientnet_tf.tpu.hlo_shapes import Shape, parse_shape

_HEADER = re.compile(r"^(ENTRY )?%?([\w.-]+) [^\n]*\{\n", re.M)
_INSTRUCTION = re.compile(r"^ +(ROOT )?%?([\w.-]+) = ")
_OPCODE = re.compile(r" ([a-z][a-z0-9_-]*)\(")
_OPERAND = re.compile(r"%([\w.-]+)")
_ALIAS = re.compile(r"\{([\d, ]*)\}: \((\d+), \{([\d, ]*)\}")
_OP_NAME = re.compile(r'op_name="([^"]*)"')
_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')
_CALLS = re.compile(
    r"\b(?:calls|to_apply|body|condition|true_computation|false_computation"
    r"|branch_computations|called_computations)=(\{[^}]*\}|%?[\w.-]+)"
)


@dataclass(frozen=True)
class Instruction:
    """One line of a computation.

    Attributes:
        name: Unique in the module.
        opcode: `fusion`, `while`, `all-reduce-start` ...
        shape_text: The shape of what it returns, as written.
        operands: Names of the instructions whose results it takes.
        argument: What stands between its parentheses, as written.
        attributes: The rest of the line.
        root: The computation returns its result.
    """

    name: str
    opcode: str
    shape_text: str
    operands: tuple[str, ...]
    argument: str
    attributes: str
    root: bool

    @property
    def shape(self) -> Shape:
        """The shape of what it returns."""
        return parse_shape(self.shape_text)

    @property
    def op_name(self) -> str:
        """The path of the operation it was made from, or nothing."""
        match = _OP_NAME.search(self.attributes)
        return match[1] if match else ""

    @property
    def estimated_cycles(self) -> int:
        """The compiler's estimate for this line, 0 where it gives none."""
        match = _CYCLES.search(self.attributes)
        return int(match[1]) if match else 0

    @cached_property
    def called(self) -> tuple[str, ...]:
        """Names of the computations it calls, in order."""
        before = self.attributes.partition("metadata={")[0]
        return tuple(
            name.strip().lstrip("%")
            for match in _CALLS.finditer(before)
            for name in match[1].strip("{}").split(",")
            if name.strip()
        )

    def attribute(self, name: str) -> str:
        """A plain attribute such as `index` or `body`; empty if absent."""
        match = re.search(rf"\b{name}=%?([\w.-]+)", self.attributes)
        return match[1] if match else ""


@dataclass(frozen=True)
class Computation:
    """A computation: its name and its lines, which are read when asked for."""

    name: str
    text: str

    @cached_property
    def instructions(self) -> tuple[Instruction, ...]:
        """Its instructions in the order in which they run."""
        return tuple(
            _instruction(line)
            for line in self.text.split("\n")
            if _INSTRUCTION.match(line)
        )

    @cached_property
    def by_name(self) -> Mapping[str, Instruction]:
        """Its instructions by their names."""
        return {each.name: each for each in self.instructions}

    @property
    def root(self) -> Instruction:
        """The instruction whose result it returns."""
        for each in reversed(self.instructions):
            if each.root:
                return each
        raise InputError(f"HLO computation {self.name} has no ROOT line")

    @cached_property
    def parameters(self) -> Mapping[int, Instruction]:
        """Its parameters by their numbers."""
        return {
            int(each.argument): each
            for each in self.instructions
            if each.opcode == "parameter"
        }


@dataclass(frozen=True)
class Alias:
    """An output that is written over a parameter.

    Attributes:
        output: Index of the output, empty where there is only one.
        parameter: Number of the parameter.
        parameter_index: Index inside of the parameter, where it is a tuple.
    """

    output: tuple[int, ...]
    parameter: int
    parameter_index: tuple[int, ...]


@dataclass(frozen=True)
class Module:
    """An HLO module.

    Attributes:
        entry: Name of the computation that runs first.
        computations: All computations by their names.
        aliases: Outputs that are written over parameters.
        scheduled: The order of the lines is the order in which they run.
    """

    entry: str
    computations: Mapping[str, Computation]
    aliases: tuple[Alias, ...]
    scheduled: bool

    @classmethod
    def parse(cls, text: str) -> Module:
        """Read the text of a module.

        Raises:
            InputError: If it is not one.
        """
        found, entry = {}, ""
        position = 0
        while match := _HEADER.search(text, position):
            end = text.find("\n}", match.end() - 1)
            if end < 0:
                raise InputError(f"HLO text ends inside of {match[2]}")
            found[match[2]] = Computation(match[2], text[match.end() : end])
            if match[1]:
                entry = match[2]
            position = end + 2
        if not entry:
            raise InputError(
                "HLO text: no ENTRY computation; pass what"
                " `hlo_modules()[0].to_string()` returns"
            )
        header = text[: text.find("\n")]
        return cls(
            entry, found, _aliases(header), "is_scheduled=true" in header
        )

    def called(self, instruction: Instruction) -> tuple[Computation, ...]:
        """The computations that an instruction calls."""
        return tuple(self.computations[name] for name in instruction.called)


def _aliases(header: str) -> tuple[Alias, ...]:
    begin = header.find("input_output_alias={")
    if begin < 0:
        return ()
    end = header.find(") }", begin)
    return tuple(
        Alias(_index(match[1]), int(match[2]), _index(match[3]))
        for match in _ALIAS.finditer(header, begin, end + 1)
    )


def _index(text: str) -> tuple[int, ...]:
    return tuple(int(n) for n in text.split(",") if n.strip())


def _instruction(line: str) -> Instruction:
    start = _INSTRUCTION.match(line)
    opcode = _OPCODE.search(line, start.end() - 1 if start else 0)
    if start is None or opcode is None:
        raise InputError(f"not an HLO instruction: {line[:120]}")
    close = _closing(line, opcode.end())
    argument = line[opcode.end() : close]
    literal = opcode[1] in ("constant", "parameter")
    return Instruction(
        name=start[2],
        opcode=opcode[1],
        shape_text=line[start.end() : opcode.start()],
        operands=() if literal else tuple(_OPERAND.findall(argument)),
        argument=argument,
        attributes=line[close + 1 :],
        root=bool(start[1]),
    )


def _closing(line: str, begin: int) -> int:
    """Where the parenthesis that was opened before `begin` closes."""
    close = line.find(")", begin)
    opened = line.count("(", begin, close)
    while opened and close >= 0:
        following = line.find(")", close + 1)
        opened += line.count("(", close + 1, following) - 1
        close = following
    return close if close >= 0 else len(line)


def reachable(
    module: Module, names: Collection[str]
) -> tuple[Computation, ...]:
    """Computations that run when these do, those of fusions left out."""
    seen: dict[str, Computation] = {}
    queue = list(names)
    while queue:
        name = queue.pop()
        if name not in seen:
            seen[name] = module.computations[name]
            for each in seen[name].instructions:
                if each.opcode != "fusion":
                    queue.extend(each.called)
    return tuple(seen.values())
