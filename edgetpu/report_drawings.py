"""Drawings of an export's report, as SVG in the page's colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from efficientnet_tf.networks.edgetpu_memory import CACHE_BYTES, Memory

_CELL, _GAP, _MOST_ROWS = 22, 3, 8
_LABEL_UNITS = 6.4
_BAR_WIDTH, _BAR_HEIGHT = 700, 26
# What stands in a cell; of other operators the first letter.
_SIGNS = {"ADD": "+", "MUL": "\u00d7", "LOGISTIC": "\u03c3"}


@dataclass(frozen=True)
class Cell:
    """An operator of the diagram.

    Attributes:
        index: Its place in the file.
        operator: What it is, "CONV_2D".
        group: The block of the network that it belongs to.
        layer: The layer.
        on_edge_tpu: Whether it runs there.
        reason: Why, or why not.
    """

    index: int
    operator: str
    group: str
    layer: str
    on_edge_tpu: bool
    reason: str


def network_diagram(cells: Sequence[Cell]) -> str:
    """The network from left to right, a column for each block.

    Operators stand below each other in the order in which they run; those of a
    long block go on in a column beside.

    Args:
        cells: The operators in the file's order.

    Returns:
        An `<svg>` of its natural size.
    """
    groups = [(key, list(some)) for key, some in groupby(cells, _group)]
    rows = min(_MOST_ROWS, max(len(some) for _, some in groups))
    room = 8 + _LABEL_UNITS * max(len(name) for name, _ in groups)
    bottom = 2 + rows * (_CELL + _GAP)
    parts, left = [], 2.0
    for name, some in groups:
        columns = -(-len(some) // rows)
        width = columns * (_CELL + _GAP) - _GAP
        for place, cell in enumerate(some):
            column, row = divmod(place, rows)
            corner = left + column * (_CELL + _GAP), 2 + row * (_CELL + _GAP)
            parts.append(_cell(cell, *corner))
        parts.append(
            f'<text class="name end" transform="translate('
            f'{left + width / 2 + 4:.1f} {bottom + 4}) rotate(-90)">'
            f"{escape(name)}</text>"
        )
        left += width + 2 * _GAP
    height = bottom + room
    return (
        f'<svg class="matrix" width="{left:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {left:.1f} {height:.1f}" role="img" '
        f'aria-label="where each operator runs">{"".join(parts)}</svg>'
    )


def memory_bar(memory: Memory) -> str:
    """Parameters on the chip and streamed, against what the chip holds.

    Args:
        memory: Bytes of both.

    Returns:
        An `<svg>` as wide as the page.
    """
    widest = max(memory.parameter_bytes, CACHE_BYTES) * 1.02
    unit = _BAR_WIDTH / widest
    on_chip = memory.on_chip_bytes * unit
    streamed = memory.streamed_bytes * unit
    parts = [
        _bar("ground", 0, _BAR_WIDTH, "all that is shown", round(widest)),
        _bar("line0", 0, on_chip, "on the chip", memory.on_chip_bytes),
        _bar("line1", on_chip, streamed, "streamed", memory.streamed_bytes),
        f'<path class="line2" d="M{CACHE_BYTES * unit:.1f} 0'
        f'v{_BAR_HEIGHT + 8}"/>',
    ]
    return (
        '<figure class="chart"><svg preserveAspectRatio="none" '
        f'style="height:2.4rem" viewBox="0 0 {_BAR_WIDTH} {_BAR_HEIGHT + 8}" '
        'role="img" aria-label="memory for parameters">'
        f"{''.join(parts)}</svg></figure>"
    )


def _group(cell: Cell) -> str:
    return cell.group


def _cell(cell: Cell, left: float, top: float) -> str:
    kind = "line0" if cell.on_edge_tpu else "line1"
    title = f"{cell.index} {cell.operator}, {cell.layer}: {cell.reason}"
    said = f"<title>{escape(title)}</title>"
    sign = _SIGNS.get(cell.operator, cell.operator[0])
    return (
        f'<rect class="{kind}" x="{left:.1f}" y="{top:.1f}" width="{_CELL}" '
        f'height="{_CELL}">{said}</rect>'
        f'<text class="number over" x="{left + _CELL / 2:.1f}" '
        f'y="{top + _CELL / 2 + 4:.1f}">{escape(sign)}{said}</text>'
    )


def _bar(kind: str, left: float, width: float, name: str, count: int) -> str:
    return (
        f'<rect class="{kind}" x="{left:.1f}" y="4" width="{width:.1f}" '
        f'height="{_BAR_HEIGHT}"><title>{escape(name)}: {count:,} bytes'
        "</title></rect>"
    )
