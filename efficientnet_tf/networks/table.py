"""The table of all networks in docs/networks.md, computed.

python -m efficientnet_tf.networks.table docs/networks.md
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from efficientnet_tf.errors import InputError
from efficientnet_tf.networks.costs import totals
from efficientnet_tf.networks.resolve import network, variants

BEGIN = "<!-- variants: begin -->"
END = "<!-- variants: end -->"
# Beside the page; written by benchmarks/build_time.py.
BUILD_SECONDS = "build_seconds.csv"

_HEADER = """\
| model | pixels | parameters | GMACs | MActs | MiB | blocks | classes | build |
|---|---:|---:|---:|---:|---:|---:|---:|---:|
"""
_FLOAT_BYTES = 4


def markdown_table(build_seconds: dict[str, float]) -> str:
    """A row for each variant.

    Args:
        build_seconds: How long `build` takes, by variant.

    Raises:
        InputError: A variant is missing in it.
    """
    missing = [name for name in variants() if name not in build_seconds]
    if missing:
        raise InputError(
            f"{BUILD_SECONDS} has no row for {missing[0]}: run "
            "benchmarks/build_time.py"
        )
    return _HEADER + "".join(
        _row(name, build_seconds[name]) for name in variants()
    )


def read_build_seconds(path: Path) -> dict[str, float]:
    """Seconds by variant, out of a file of `name,seconds,...`."""
    with path.open(newline="", encoding="utf-8") as file:
        return {
            row["name"]: float(row["seconds"]) for row in csv.DictReader(file)
        }


def with_table(text: str, build_seconds: dict[str, float]) -> str:
    """The text with the table between its two markers.

    Raises:
        InputError: The text does not have each marker once, in order.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise InputError(f"the text needs one {BEGIN!r} and one {END!r}")
    before, rest = text.split(BEGIN)
    if END not in rest:
        raise InputError(f"the text has {END!r} before {BEGIN!r}")
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{markdown_table(build_seconds)}{END}{after}"


def _row(name: str, seconds: float) -> str:
    resolved = network(name)
    total = totals(resolved)
    cells = (
        name,
        str(total.pixels),
        f"{total.trainable_parameters:,}",
        f"{total.macs / 1e9:.3f}",
        f"{total.activations / 1e6:.2f}",
        f"{total.activations * _FLOAT_BYTES / 2**20:.1f}",
        str(total.blocks),
        str(resolved.classes),
        f"{seconds:.1f} s",
    )
    return f"| {' | '.join(cells)} |\n"


def _main(arguments: list[str]) -> None:
    if len(arguments) != 1:
        sys.exit("usage: python -m efficientnet_tf.networks.table FILE")
    path = Path(arguments[0])
    try:
        seconds = read_build_seconds(path.with_name(BUILD_SECONDS))
        text = with_table(path.read_text(encoding="utf-8"), seconds)
    except (InputError, OSError) as error:
        sys.exit(str(error))
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    _main(sys.argv[1:])
