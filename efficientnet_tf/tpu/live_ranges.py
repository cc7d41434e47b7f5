"""When the buffers of a scheduled HLO module are needed.

The rules are XLA's, as far as they can be read from the text: a buffer lives
from the line that fills it to the last line that reads it, views own nothing,
and what is updated in place stays where it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from efficientnet_tf.errors import InputError
from efficientnet_tf.tpu.hlo_shapes import Array
from efficientnet_tf.tpu.hlo_text import Computation, Instruction, Module
from efficientnet_tf.tpu.in_place import in_place

# Their result is their operand, or parts of it.
_VIEWS = frozenset(
    {"tuple", "get-tuple-element", "bitcast", "optimization-barrier"}
)
# Its operands were made in their places in its result.
_JOINED = 'custom_call_target="ConcatBitcast"'

Values = list[int]
Span = tuple[int, int]


@dataclass(frozen=True)
class Buffer:
    """Memory that one value lies in, or several that take turns.

    Attributes:
        array: The largest of them.
        filled_by: Line that fills it first.
        computation: Name of the computation which that line is in.
        parameter: Its number, where it is one of the program's.
        output: The program returns it.
        spans: When it is needed: first and last moments, in order.
    """

    array: Array
    filled_by: Instruction
    computation: str
    parameter: int | None
    output: bool
    spans: tuple[Span, ...]

    @property
    def held(self) -> bool:
        """The program's caller holds it, so it never goes."""
        return self.output or self.parameter is not None

    def alive(self, moment: int) -> bool:
        """It is needed at a moment."""
        return any(first <= moment <= last for first, last in self.spans)


@dataclass(frozen=True)
class LiveRanges:
    """What is in memory, and when.

    Attributes:
        buffers: All of them.
        lines: The line that runs at each moment.
    """

    buffers: tuple[Buffer, ...]
    lines: tuple[Instruction, ...]

    def peak(self, space: int) -> tuple[int, int]:
        """Most bytes at once in a memory space, and the moment."""
        change = [0] * (len(self.lines) + 1)
        for buffer in self.buffers:
            if buffer.array.space == space:
                for first, last in buffer.spans:
                    change[first] += buffer.array.bytes
                    change[last + 1] -= buffer.array.bytes
        most = moment = now = 0
        for time, step in enumerate(change[:-1]):
            now += step
            if now > most:
                most, moment = now, time
        return most, moment


def live_ranges(module: Module) -> LiveRanges:
    """Walk through a module's schedule.

    The computations that a line calls are walked where it stands: both
    branches of a conditional, a loop's body once.

    Raises:
        InputError: If the module has no schedule.
    """
    if not module.scheduled:
        raise InputError(
            "the HLO module is not scheduled; pass the text of a compiled one,"
            " whose first line says is_scheduled=true"
        )
    walk = _Walk(module)
    walk.run()
    return LiveRanges(walk.merged(), tuple(walk.lines))


@dataclass
class _Value:
    """A value: the line that makes it, and when it is needed."""

    array: Array
    line: Instruction
    computation: str
    parameter: int | None
    first: int
    last: int


@dataclass
class _Walk:
    """A run through the schedule.

    Attributes:
        module: What is run.
        values: All that were met.
        owner: For each, the one whose memory it lies in, or itself.
        outputs: Those that the program returns.
        lines: The line that runs at each moment.
    """

    module: Module
    values: list[_Value] = field(default_factory=list)
    owner: list[int] = field(default_factory=list)
    outputs: Values = field(default_factory=list)
    lines: list[Instruction] = field(default_factory=list)

    def run(self) -> None:
        """Walk the entry and all that it calls."""
        entry = self.module.computations[self.module.entry]
        arguments = {
            number: [
                self._make(entry, line, array, number)
                for array in line.shape.arrays
            ]
            for number, line in entry.parameters.items()
        }
        self.outputs = self._computation(entry, arguments)
        spans = entry.root.shape.spans
        for alias in self.module.aliases:
            if len(alias.output) > 1 or alias.parameter_index:
                continue  # nested tuples: neither TensorFlow nor jax has them
            first = spans[alias.output[0]][0] if spans and alias.output else 0
            self._share(arguments[alias.parameter][0], self.outputs[first])

    def merged(self) -> tuple[Buffer, ...]:
        """Values that share memory as one buffer."""
        groups: dict[int, list[_Value]] = {}
        for number, value in enumerate(self.values):
            groups.setdefault(self._find(number), []).append(value)
        outputs = {self._find(number) for number in self.outputs}
        return tuple(
            self._buffer(group, owner in outputs)
            for owner, group in groups.items()
        )

    def _buffer(self, group: list[_Value], output: bool) -> Buffer:
        first = min(group, key=lambda value: value.first)
        numbers = [each.parameter for each in group]
        parameter = next((n for n in numbers if n is not None), None)
        spans = [(value.first, value.last) for value in group]
        if output or parameter is not None:
            spans = [(0, len(self.lines) - 1)]
        return Buffer(
            array=max((value.array for value in group), key=lambda a: a.bytes),
            filled_by=first.line,
            computation=first.computation,
            parameter=parameter,
            output=output,
            spans=_joined(spans),
        )

    def _make(
        self,
        computation: Computation,
        line: Instruction,
        array: Array,
        parameter: int | None = None,
    ) -> int:
        """A new value."""
        now = max(0, len(self.lines) - 1)
        name = computation.name
        self.values.append(_Value(array, line, name, parameter, now, now))
        self.owner.append(len(self.owner))
        return len(self.owner) - 1

    def _find(self, number: int) -> int:
        while self.owner[number] != number:
            self.owner[number] = self.owner[self.owner[number]]
            number = self.owner[number]
        return number

    def _share(self, kept: int, merged: int) -> None:
        """Put a value where another lies; never one parameter on another."""
        a, b = self._find(kept), self._find(merged)
        one, other = self.values[a], self.values[b]
        if other.parameter is not None:
            a, b, one, other = b, a, other, one
        if other.parameter is None and one.array.space == other.array.space:
            self.owner[b] = a

    def _use(self, values: Values) -> None:
        for value in values:
            self.values[value].last = len(self.lines) - 1

    def _computation(
        self, computation: Computation, arguments: dict[int, Values]
    ) -> Values:
        """Walk a computation; return the buffers of its result."""
        values: dict[str, Values] = {}
        for line in computation.instructions:
            self.lines.append(line)
            if line.opcode == "parameter":
                values[line.name] = arguments[int(line.argument)]
                continue
            operands = [values[name] for name in line.operands]
            values[line.name] = self._line(computation, line, operands)
        result = values[computation.root.name]
        self._use(result)
        return result

    def _line(
        self,
        computation: Computation,
        line: Instruction,
        operands: list[Values],
    ) -> Values:
        flat = [value for operand in operands for value in operand]
        if line.opcode == "get-tuple-element":
            return self._element(computation, line, operands[0])
        if line.opcode in _VIEWS:
            return flat[: len(line.shape.arrays)]
        self._use(flat)
        if line.opcode == "while":
            return self._while(line, flat)
        if line.opcode == "conditional":
            return self._conditional(computation, line, operands)
        if line.opcode == "call":
            called = self.module.called(line)[0]
            return self._computation(called, dict(enumerate(operands)))
        if line.opcode.endswith(("-done", "-update")):
            return self._done(computation, line, flat)
        if line.opcode.endswith("-start"):
            return self._start(computation, line, flat)
        results = [
            self._make(computation, line, array) for array in line.shape.arrays
        ]
        if _JOINED in line.attributes:
            for value in flat:
                self._share(results[0], value)
        for output, operand in in_place(self.module, line):
            if output < len(results) and operand < len(operands):
                self._share(operands[operand][0], results[output])
        return results

    def _element(
        self, computation: Computation, line: Instruction, values: Values
    ) -> Values:
        source = computation.by_name[line.operands[0]].shape.spans or ()
        first, last = source[int(line.attribute("index"))]
        return values[first:last]

    def _while(self, line: Instruction, state: Values) -> Values:
        """A round's result lies where its state did.

        Between a state's last reader and the line that makes its successor
        its memory is free: so the compiler's own peak has it.
        """
        test = self.module.computations[line.attribute("condition")]
        body = self.module.computations[line.attribute("body")]
        self._computation(test, {0: state})
        result = self._computation(body, {0: state})
        for kept, merged in zip(state, result, strict=True):
            self._share(kept, merged)
        return result

    def _conditional(
        self,
        computation: Computation,
        line: Instruction,
        operands: list[Values],
    ) -> Values:
        results = []
        for branch, operand in zip(
            self.module.called(line), operands[1:], strict=True
        ):
            results.append(self._computation(branch, {0: operand}))
        outputs = [
            self._make(computation, line, array) for array in line.shape.arrays
        ]
        for result in results:
            for kept, merged in zip(outputs, result, strict=True):
                self._share(kept, merged)
        return outputs

    def _start(
        self, computation: Computation, line: Instruction, flat: Values
    ) -> Values:
        """An asynchronous start may return its operands beside its results."""
        passed = dict(enumerate(flat))
        if line.opcode == "all-reduce-start":
            passed = {}
        elif line.opcode == "copy-start":
            passed = {1: flat[0]}
        results: Values = []
        for position, array in enumerate(line.shape.arrays):
            value = passed.get(position)
            if value is None or self.values[value].array != array:
                value = self._make(computation, line, array)
            results.append(value)
        return results

    def _done(
        self, computation: Computation, line: Instruction, flat: Values
    ) -> Values:
        """What the start has filled: the last buffers of these shapes."""
        results: Values = []
        source = computation.by_name[line.operands[0]]
        copies = source.opcode == "copy-start"
        candidates = flat if copies else flat[::-1]
        wanted = line.shape.arrays if copies else line.shape.arrays[::-1]
        for array in wanted:
            for position, value in enumerate(candidates):
                if self.values[value].array == array:
                    results.append(value)
                    candidates = candidates[position + 1 :]
                    break
            else:
                results.append(self._make(computation, line, array))
        return results if copies else results[::-1]


def _joined(spans: list[Span]) -> tuple[Span, ...]:
    """Spans in order and apart from each other."""
    joined: list[Span] = []
    for first, last in sorted(spans):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return tuple(joined)
