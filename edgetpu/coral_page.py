"""The tables of docs/coral.md, computed.

python -m edgetpu.coral_page docs/coral.md

Published and measured figures come from the CSV files beside the page; those of
ours are computed here, without TensorFlow.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgetpu import latency_fit, rules
from edgetpu.advice import squeezes, swishes
from edgetpu.blueprint import blueprint
from edgetpu.forecast import forecast
from edgetpu.known_failures import KNOWN
from efficientnet_tf import marked_tables
from efficientnet_tf.errors import InputError
from efficientnet_tf.marked_tables import markdown
from efficientnet_tf.networks import network

LATENCY = "coral_latency.csv"
MEMORY = "coral_memory.csv"
EXPORTS = "coral_exports.csv"

# Networks in the table; the rest forecast alike by name.
_FAMILIES = (
    *(f"efficientnet-edgetpu-{size}" for size in "SML"),
    *(f"efficientnet-lite{number}" for number in range(5)),
    *(f"efficientnet-b{number}" for number in range(4)),
    *(f"efficientnetv2-b{number}" for number in range(4)),
    "efficientnetv2-s",
)
# MiB of Google's int8 files, as compiler 16.0's log gives them.
_PUBLISHED_MIB = {
    "efficientnet-edgetpu-S": 5.86,
    "efficientnet-edgetpu-M": 7.46,
}


def with_tables(text: str, folder: Path) -> str:
    """The page with each table between its two markers.

    Args:
        text: The page.
        folder: Where the CSV files are.

    Raises:
        InputError: The text lacks a marker.
    """
    return marked_tables.with_tables(
        text, {name: table(folder) for name, table in TABLES.items()}
    )


def operators_table(folder: Path) -> str:
    """A row for each operator that runs."""
    rows = []
    for name, limits in rules.OPERATORS.items():
        beyond = "; ".join(rules.LIMITS[limit].says for limit in limits)
        rows.append((f"`{name}`", beyond or "-"))
    return markdown(("operator", "stays on the CPU where"), "ll", rows)


def failures_table(folder: Path) -> str:
    """A row for each failure of the compiler that is known."""
    rows = []
    for known in KNOWN.values():
        cause = known.cause.format(
            name="an operator", version="N", seconds="so many"
        )
        rows.append((f"`{known.says}`", cause, known.cure))
    return markdown(("the compiler says", "cause", "cure"), "lll", rows)


def networks_table(folder: Path) -> str:
    """A row for each network: forecast, exported, published."""
    exports = _exports(folder / EXPORTS)
    published = {row.name: row for row in latency_fit.read(folder / LATENCY)}
    rows = []
    for name in _FAMILIES:
        model = blueprint(network(name))
        found = forecast(model)
        mapped = sum(operator.on_edge_tpu for operator in found.operators)
        sizes, known = found.memory, published.get(name)
        gates = len(swishes(model.main)), len(squeezes(model.main))
        rows.append(
            (
                name,
                f"{mapped} of {len(found.operators)}",
                _mib(sizes.parameter_bytes),
                _mib(sizes.streamed_bytes),
                f"{found.latency.milliseconds:.1f}" if found.latency else "-",
                f"{known.usb_ms:g}" if known and known.fitted else "",
                exports.get(name, ""),
                f"{_PUBLISHED_MIB[name]:.2f}" if name in _PUBLISHED_MIB else "",
                f"{gates[0]} swish, {gates[1]} SE" if any(gates) else "",
            )
        )
    return markdown(
        (
            "network",
            "on the Edge TPU",
            "parameters, MiB, est.",
            "streamed, MiB, est.",
            "ms, est.",
            "ms, published",
            "int8 file, MiB, ours",
            "int8 file, MiB, published",
            "int8 suffers from",
        ),
        "lrrrrrrrl",
        rows,
    )


def exports_table(folder: Path) -> str:
    """A row for each network that was exported whole."""
    rows = []
    for row in _read(folder / EXPORTS):
        rows.append(
            (
                row["name"],
                row["fused_stride"],
                row["pixels"],
                row["classes"],
                row["operators"],
                row["on_edge_tpu"],
                f"{int(row['bytes']):,}",
            )
        )
    return markdown(
        (
            "network",
            "stride of fused blocks",
            "pixels",
            "classes",
            "operators",
            "on the Edge TPU",
            "bytes",
        ),
        "llrrrrr",
        rows,
    )


def memory_table(folder: Path) -> str:
    """A row for each model whose parameter memory is known."""
    rows = []
    for row in _read(folder / MEMORY):
        measured = int(row["measured_bytes"])
        estimated = int(row["estimated_bytes"])
        rows.append(
            (
                row["name"],
                f"{measured:,}",
                f"{estimated:,}",
                f"{estimated / measured - 1:+.1%}",
                row["source"],
            )
        )
    return markdown(
        ("model", "bytes, measured", "bytes, est.", "error", "measured by"),
        "lrrrl",
        rows,
    )


def latency_table(folder: Path) -> str:
    """A row for each network with a published latency."""
    rows = latency_fit.read(folder / LATENCY)
    sources = {row["name"]: row["source"] for row in _read(folder / LATENCY)}
    fitted = [row for row in rows if row.fitted]
    rates, others = latency_fit.fit(fitted), latency_fit.errors(fitted)
    told = []
    for row in rows:
        estimate = latency_fit.foretold(row, rates)
        told.append(
            (
                row.name,
                f"{row.usb_ms:g}",
                f"{estimate:.1f}",
                f"{estimate / row.usb_ms - 1:+.1%}",
                f"{others[row.name]:+.1%}" if row.fitted else "not in the fit",
                sources[row.name],
            )
        )
    shares = np.abs(list(others.values()))
    summary = (
        f"\nFrom the others: {shares.mean():.1%} off on average, "
        f"{shares.max():.1%} at worst.\n"
    )
    header = (
        "network",
        "ms, published",
        "ms, est.",
        "error",
        "error, rates of the others",
        "published by",
    )
    return markdown(header, "lrrrrl", told) + summary


TABLES: dict[str, Callable[[Path], str]] = {
    "operators": operators_table,
    "failures": failures_table,
    "networks": networks_table,
    "exports": exports_table,
    "memory": memory_table,
    "latency": latency_table,
}


def _exports(path: Path) -> dict[str, str]:
    return {
        row["name"]: f"{int(row['bytes']) / 2**20:.2f}"
        for row in _read(path)
        if row["fused_stride"] == "expand"
    }


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _mib(count: int) -> str:
    return f"{count / 2**20:.2f}"


def _main(arguments: list[str]) -> None:
    if len(arguments) != 1:
        sys.exit("usage: python -m edgetpu.coral_page FILE")
    path = Path(arguments[0])
    try:
        text = with_tables(path.read_text(encoding="utf-8"), path.parent)
    except (InputError, OSError) as error:
        sys.exit(str(error))
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    _main(sys.argv[1:])
