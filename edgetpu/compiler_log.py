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
    """The compiler's figures; None for what it did not say.

    Attributes:
        version: "16.0.384591198".
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
    on_chip_used_bytes: int | None
    on_chip_remaining_bytes: int | None
    off_chip_bytes: int | None
    subgraphs: int | None
    operators: int | None
    on_edge_tpu: int | None
    on_cpu: int | None
    rows: tuple[OperatorRow, ...]


def parse_output(output: str) -> CompilerLog:
    """Reads what edgetpu_compiler printed with `--show_operations`.

    Looks for each figure wherever it stands: versions differ in their lines,
    and when redirected the lines of its two processes mix.

    Args:
        output: Standard output, of one model.
    """
    rows = tuple(
        OperatorRow(name, int(count), status.rstrip())
        for name, count, status in _ROW.findall(output)
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
    version = re.search(r"Edge TPU Compiler version (\S+)", output)
    return CompilerLog(
        version=version[1] if version else None,
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
