"""What edgetpu_compiler says about a model, as numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass

MAPPED = "Mapped to Edge TPU"

_SIZE = r"([\d.]+)(B|KiB|MiB|GiB)"
_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}

# Known statuses first: the compiler's two processes write to one stream, and
# a line of the other one may follow without a line break.
_STATUSES = (
    MAPPED,
    "More than one subgraph is not supported",
    "Operation is otherwise supported, but not mapped due to some unspecified "
    "limitation",
    "Operation is working on an unsupported data type",
    "Operation not supported",
    "Operation version not supported",
)
_ROW = re.compile(
    r"^([A-Za-z]\S*)[ \t]+(\d+)[ \t]+("
    + "|".join(map(re.escape, _STATUSES))
    + r"|[A-Z][^\n]*)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class OperatorRow:
    """A row of the table of operators.

    Attributes:
        operator: "CONV_2D".
        count: How many of them have this status; an operator has one row for
            each of its statuses.
        status: "Mapped to Edge TPU", or why not.
    """

    operator: str
    count: int
    status: str


@dataclass(frozen=True)
class CompilerLog:
    """The compiler's figures of one file; None for what it did not say.

    Attributes:
        version: "16.0.384591198".
        milliseconds: What compiling took, all models together.
        input_model: Name of the model that was given, or of a segment.
        input_bytes: Its size.
        output_model: Name of the file that was made.
        output_bytes: Its size.
        on_chip_used_bytes: Parameters kept in the Edge TPU's memory.
        on_chip_remaining_bytes: What is free there.
        off_chip_bytes: Parameters that are sent anew for each image.
        subgraphs: Parts of the model that run on the Edge TPU.
        operators: All operators.
        on_edge_tpu: Operators that run on the Edge TPU.
        on_cpu: Operators that run on the host.
        rows: The table of operators; sizes above are rounded by the compiler.
    """

    version: str | None
    milliseconds: int | None
    input_model: str | None
    input_bytes: int | None
    output_model: str | None
    output_bytes: int | None
    on_chip_used_bytes: int | None
    on_chip_remaining_bytes: int | None
    off_chip_bytes: int | None
    subgraphs: int | None
    operators: int | None
    on_edge_tpu: int | None
    on_cpu: int | None
    rows: tuple[OperatorRow, ...]


@dataclass(frozen=True)
class Attempt:
    """One try of a search for what can be compiled.

    Attributes:
        operators: Those that were to be on the Edge TPU.
        intermediate_tensors: Where its part was cut off; empty in the first
            try, which is the whole model.
    """

    operators: int
    intermediate_tensors: tuple[str, ...]


def parse_attempts(output: str) -> tuple[Attempt, ...]:
    """Reads the tries of `--search_delegate`, in their order."""
    pieces = re.split(r"Try to compile segment with (\d+) ops", output)
    return tuple(
        Attempt(int(operators), _names(said))
        for operators, said in zip(pieces[1::2], pieces[2::2], strict=True)
    )


def parse_output(output: str, *, table: str = "") -> tuple[CompilerLog, ...]:
    """Reads what edgetpu_compiler printed with `--show_operations`.

    Looks for each figure wherever it stands: versions differ in their lines,
    and when redirected the lines of its two processes mix.

    Args:
        output: Standard output.
        table: The log that it wrote beside one file, whose table counts before
            the printed one; empty if there is none.

    Returns:
        One for each file that was made, in the order of the output; one that
        knows nothing where the output tells of none.
    """
    head, *blocks = re.split(r"(?=Input model: )", output)
    version = re.search(r"Edge TPU Compiler version (\S+)", head or table)
    taken = re.search(r"compiled successfully in (\d+) ms", output)
    return tuple(
        _parse(
            block,
            table or block,
            version=version[1] if version else None,
            milliseconds=int(taken[1]) if taken else None,
        )
        for block in blocks or [head]
    )


def _parse(
    output: str, table: str, *, version: str | None, milliseconds: int | None
) -> CompilerLog:
    """What it says of one file."""
    rows = tuple(
        OperatorRow(name, int(count), status.rstrip())
        for name, count, status in _ROW.findall(table)
    )
    total = _count(output, "Total number of operations")
    mapped = _count(output, "Number of operations that will run on Edge TPU")
    host = _count(output, "Number of operations that will run on CPU")
    if mapped is None and rows:
        # The two lines are there only where something stayed on the CPU.
        mapped = sum(row.count for row in rows if row.status == MAPPED)
    if host is None and mapped is not None and total is not None:
        host = total - mapped
    caching = "for caching model parameters"
    return CompilerLog(
        version=version,
        milliseconds=milliseconds,
        input_model=_text(output, "Input model"),
        input_bytes=_bytes(output, "Input size"),
        output_model=_text(output, "Output model"),
        output_bytes=_bytes(output, "Output size"),
        on_chip_used_bytes=_bytes(output, f"On-chip memory used {caching}"),
        on_chip_remaining_bytes=_bytes(
            # Version 2.0 says available.
            output,
            rf"On-chip memory (?:remaining|available) {caching}",
        ),
        off_chip_bytes=_bytes(
            output,
            "Off-chip memory used for streaming uncached model parameters",
        ),
        subgraphs=_count(output, "Number of Edge TPU subgraphs"),
        operators=total,
        on_edge_tpu=mapped,
        on_cpu=host,
        rows=rows,
    )


def _count(output: str, words: str) -> int | None:
    found = re.search(rf"{words}: (\d+)", output)
    return int(found[1]) if found else None


def _bytes(output: str, words: str) -> int | None:
    found = re.search(rf"{words}: {_SIZE}", output)
    return round(float(found[1]) * _UNITS[found[2]]) if found else None


def _text(output: str, words: str) -> str | None:
    found = re.search(rf"{words}: ([^\n]+)", output)
    return found[1].strip() if found else None


def _names(output: str) -> tuple[str, ...]:
    """Tensors, parted by commas."""
    said = _text(output, "Intermediate tensors")
    return tuple(said.split(",")) if said else ()
