"""The README's table of variants, computed.

python -m efficientnet_tf.networks.table README.md
"""

from __future__ import annotations

import sys
from pathlib import Path

from efficientnet_tf.errors import InputError
from efficientnet_tf.networks.costs import totals
from efficientnet_tf.networks.resolve import network, variants

BEGIN = "<!-- variants: begin -->"
END = "<!-- variants: end -->"

_HEADER = """\
| model | pixels | parameters | GMACs | blocks | classes |
|---|---:|---:|---:|---:|---:|
"""


def markdown_table() -> str:
    """A row for each variant: trainable parameters, multiply-adds an image."""
    return _HEADER + "".join(_row(name) for name in variants())


def with_table(text: str) -> str:
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
    return f"{before}{BEGIN}\n{markdown_table()}{END}{after}"


def _row(name: str) -> str:
    resolved = network(name)
    total = totals(resolved)
    cells = (
        name,
        str(total.pixels),
        f"{total.trainable_parameters:,}",
        f"{total.macs / 1e9:.3f}",
        str(total.blocks),
        str(resolved.classes),
    )
    return f"| {' | '.join(cells)} |\n"


def _main(arguments: list[str]) -> None:
    if len(arguments) != 1:
        sys.exit("usage: python -m efficientnet_tf.networks.table FILE")
    path = Path(arguments[0])
    try:
        text = with_table(path.read_text(encoding="utf-8"))
    except (InputError, OSError) as error:
        sys.exit(str(error))
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    _main(sys.argv[1:])
