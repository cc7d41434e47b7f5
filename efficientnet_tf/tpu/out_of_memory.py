"""What the TPU compiler says of a program that does not fit."""

from __future__ import annotations

import re
from dataclasses import dataclass

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SIZE = r"([\d.]+)([KMGT]?)B?\b"
_SUMMARY = re.compile(
    r"Ran out of memory in memory space (\w+)(?:\.\s+Used "
    + _SIZE
    + " of "
    + _SIZE
    + r")?"
)
# For the memories inside of the chip it names one operation instead.
_SCOPED = re.compile(
    r"while allocating on stack for (?P<line>.*)\. Scoped allocation with size "
    + _SIZE
    + " and limit "
    + _SIZE,
    re.S,
)
# It stops at once at a buffer that alone is larger than the memory.
_SINGLE = re.compile(
    r"Allocation \(size=(\d+)\) would exceed memory \(size=(\d+)\)"
    r".*?\[shape = '([^']*)', space=(\w+).*?tag = '([^']*)'",
    re.S,
)
_RESULT = re.compile(r"%?[\w.-]+ = (.*?) [a-z][\w-]*\(", re.S)
_ALLOCATION = re.compile(r"^ *\d+\. Size: ", re.M)
_OP_NAME = re.compile(r'op_name="([^"]*)"')


@dataclass(frozen=True)
class Allocation:
    """One of the largest allocations of a program that does not fit.

    Attributes:
        bytes: That it takes, padding and all; the compiler rounds it to three
            or four digits.
        padding_bytes: Of them, what only fills up tiles.
        op_name: Path of the operation that fills it, empty where it has none.
        shape: With its layout, as the compiler writes it.
        kind: `HLO temp`, `parameter` ..., `stack` for the scratch memory of
            one operation, or what else the compiler calls it.
    """

    bytes: int
    padding_bytes: int
    op_name: str
    shape: str
    kind: str


@dataclass(frozen=True)
class OutOfMemory:
    """What the compiler needs and has; None for what it does not tell.

    Attributes:
        space: `hbm`; any other, such as `vmem` or `smem`, is a memory inside
            of the chip: no smaller batch is sure to help there.
        used_bytes: What the program needs; where the compiler stopped at a
            single allocation, that one. It rounds most sizes.
        capacity_bytes: What there is.
        reserved_bytes: Of HBM, kept back by the system.
        program_bytes: Temporaries, and what else belongs to the program.
        arguments_bytes: What its caller holds.
        allocations: The largest, in the compiler's order.
    """

    space: str
    used_bytes: int | None
    capacity_bytes: int | None
    reserved_bytes: int | None
    program_bytes: int | None
    arguments_bytes: int | None
    allocations: tuple[Allocation, ...]


def out_of_memory(message: str) -> OutOfMemory | None:
    """Read a compiler's error; None if it is not about memory."""
    summary = _SUMMARY.search(message)
    if not summary:
        return _single(message)
    space, *sizes = summary.groups()
    _, *blocks = _ALLOCATION.split(message)
    allocations = [_allocation(block) for block in blocks]
    if scoped := _SCOPED.search(message):
        line, *sizes = scoped.groups()
        size = _bytes(*sizes[:2]) or 0
        shape = _RESULT.search(line)
        allocations = [
            Allocation(
                size, 0, _op_name(line), shape[1] if shape else "", "stack"
            )
        ]
    return OutOfMemory(
        space=space,
        used_bytes=_bytes(*sizes[:2]),
        capacity_bytes=_bytes(*sizes[2:]),
        reserved_bytes=_size(message, r"^ *reserved +"),
        program_bytes=_size(message, r"^ *program +"),
        arguments_bytes=_size(message, r"^ *arguments +"),
        allocations=tuple(allocations),
    )


def _single(message: str) -> OutOfMemory | None:
    match = _SINGLE.search(message)
    if not match:
        return None
    size, capacity, shape, space, kind = match.groups()
    return OutOfMemory(
        space=space,
        used_bytes=int(size),
        capacity_bytes=int(capacity),
        reserved_bytes=None,
        program_bytes=None,
        arguments_bytes=None,
        allocations=(Allocation(int(size), 0, "", shape, kind),),
    )


def _allocation(block: str) -> Allocation:
    return Allocation(
        bytes=_size(block, "^") or 0,
        padding_bytes=_size(block, "Extra memory due to padding: ") or 0,
        op_name=_op_name(block),
        shape=_line(block, "Shape"),
        kind=_line(block, "Allocation type"),
    )


def _op_name(text: str) -> str:
    match = _OP_NAME.search(text)
    return match[1] if match else ""


def _line(block: str, label: str) -> str:
    match = re.search(rf"^ *{label}: (.*?) *$", block, re.M)
    return match[1] if match else ""


def _size(text: str, before: str) -> int | None:
    """The size that stands behind a pattern, None if there is none."""
    match = re.search(before + _SIZE, text, re.M)
    return _bytes(match[1], match[2]) if match else None


def _bytes(number: str | None, unit: str | None) -> int | None:
    return None if number is None else round(float(number) * _UNITS[unit or ""])
