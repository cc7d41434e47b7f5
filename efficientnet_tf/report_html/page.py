"""The page around a report: its looks, its tables, its pictures."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np
from PIL import Image

PICTURE_PIXELS = 160
_QUALITY = 85

# The page loads nothing, and runs nothing that a name of a class might hold.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

_STYLE = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --panel: #f5f7f9; --ink: #1d2935; --soft: #5d6b78;
  --rule: #d8dfe5; --line0: #2a6fb0; --line1: #c2571a; --line2: #3d8a4d;
  --right: #2a6fb0; --wrong: #c2391a; --over: #ffffff; --mark: #fff3d6;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14191f; --panel: #1c232b; --ink: #e3e9ee; --soft: #9aa8b5;
    --rule: #36424d; --line0: #6db0ee; --line1: #f0975c; --line2: #7fcf8f;
    --right: #6db0ee; --wrong: #ff7d5e; --over: #10151a; --mark: #3d3415;
  }
}
@media print {
  :root {
    color-scheme: light;
    --paper: #ffffff; --panel: #ffffff; --ink: #000000; --soft: #444444;
    --rule: #bbbbbb; --line0: #2a6fb0; --line1: #c2571a; --line2: #3d8a4d;
    --right: #2a6fb0; --wrong: #c2391a; --over: #ffffff; --mark: #fff3d6;
  }
  body { font-size: 9.5pt; print-color-adjust: exact;
         -webkit-print-color-adjust: exact; }
  .scroll { overflow: visible !important; }
  .matrix { max-width: 100%; height: auto; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 76rem;
       background: var(--paper); color: var(--ink);
       font: 15px/1.45 system-ui, "Segoe UI", Roboto, "DejaVu Sans",
             sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .3rem;
     overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .7rem; padding-top: .8rem;
     border-top: 1px solid var(--rule); break-after: avoid; }
h3 { font-size: 1rem; margin: 1.2rem 0 .4rem; break-after: avoid; }
p { margin: .3rem 0 .8rem; color: var(--soft); overflow-wrap: anywhere; }
.tiles { display: grid; gap: .6rem; margin: 1rem 0;
         grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); }
.tile { background: var(--panel); border: 1px solid var(--rule);
        border-radius: .4rem; padding: .55rem .75rem; }
.tile b { display: block; font-size: 1.45rem; line-height: 1.25;
          font-weight: 600; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: .85rem; }
.charts { display: grid; gap: .8rem;
          grid-template-columns: repeat(auto-fill,
                                        minmax(min(20rem, 100%), 1fr)); }
figure { margin: 0; break-inside: avoid; }
.chart { background: var(--panel); border: 1px solid var(--rule);
         border-radius: .4rem; padding: .6rem .6rem .3rem; }
.chart svg { width: 100%; height: auto; display: block; }
.chart figcaption { font-weight: 600; font-size: .9rem; min-height: 1.5em; }
.key { font-weight: 400; color: var(--soft); margin-left: .7rem;
       white-space: nowrap; }
.key::before { content: ""; display: inline-block; width: .9rem;
               height: .2rem; margin-right: .3rem; vertical-align: middle;
               background: var(--line0); }
.key.line1::before { background: var(--line1); }
.key.line2::before { background: var(--line2); }
svg text { font: 11px system-ui, "Segoe UI", Roboto, "DejaVu Sans",
           sans-serif; fill: var(--soft); }
svg .end { text-anchor: end; }
svg .middle, svg .number { text-anchor: middle; }
svg .name { fill: var(--ink); }
svg .number { font-size: 10.5px; fill: var(--ink); }
svg .over { fill: var(--over); }
.grid { stroke: var(--rule); fill: none; }
path.line0, path.line1, path.line2 { fill: none; stroke-width: 2;
                                     stroke-linejoin: round; }
path.line0 { stroke: var(--line0); } circle.line0 { fill: var(--line0); }
path.line1 { stroke: var(--line1); } circle.line1 { fill: var(--line1); }
path.line2 { stroke: var(--line2); } circle.line2 { fill: var(--line2); }
rect.line0 { fill: var(--line0); } rect.line1 { fill: var(--line1); }
rect.line2 { fill: var(--line2); } rect.ground { fill: var(--panel); }
rect.right { fill: var(--right); } rect.wrong { fill: var(--wrong); }
rect.frame { fill: none; stroke: var(--rule); }
.scroll { overflow-x: auto; }
.matrix { display: block; }
table { border-collapse: collapse; font-size: .88rem; }
th, td { text-align: left; vertical-align: top; padding: .22rem .9rem .22rem 0;
         border-bottom: 1px solid var(--rule); overflow-wrap: break-word; }
th { color: var(--soft); font-weight: 600; white-space: nowrap; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums;
             white-space: nowrap; }
tr { break-inside: avoid; }
tr.marked td { background: var(--mark); }
.sections { columns: 2 22rem; column-gap: 2rem; }
.sections > div { break-inside: avoid; }
.sections h3 { margin-top: 0; padding-top: .6rem; }
.sections table { width: 100%; }
.images { display: grid; gap: .8rem;
          grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); }
.images figure { background: var(--panel); border: 1px solid var(--rule);
                 border-radius: .4rem; padding: .5rem; font-size: .85rem; }
.images img { display: block; width: 100%; aspect-ratio: 1;
              object-fit: contain; margin-bottom: .35rem;
              image-rendering: auto; }
.images img.small { image-rendering: pixelated; }
.images .class { font-weight: 600; }
.images div { display: flex; justify-content: space-between; gap: .5rem; }
.images div span:first-child { overflow-wrap: anywhere; }
.images div span:last-child { font-variant-numeric: tabular-nums; }
.images .said { color: var(--soft); }
.images .false { color: var(--wrong); }
pre { background: var(--panel); border: 1px solid var(--rule);
      border-radius: .4rem; padding: .6rem .8rem; overflow-x: auto;
      font: .85rem/1.5 ui-monospace, "DejaVu Sans Mono", monospace; }
details { margin-top: .6rem; } summary { cursor: pointer; }
"""


def page(title: str, body: Iterable[str]) -> str:
    """A whole HTML document that stands alone.

    Args:
        title: Plain text.
        body: HTML.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, '
        'initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{chr(10).join(body)}\n</body>\n</html>\n"
    )


def section(title: str, *content: str) -> str:
    """A heading and the HTML below it."""
    return (
        f"<section>\n<h2>{escape(title)}</h2>\n{''.join(content)}\n</section>"
    )


def paragraph(text: str) -> str:
    """A remark in plain text."""
    return f"<p>{escape(text)}</p>"


def commands(lines: Iterable[str]) -> str:
    """What is typed at a terminal, a line each."""
    return f"<pre>{escape(chr(10).join(lines))}</pre>"


def tiles(figures: Iterable[tuple[str, str]]) -> str:
    """Large numbers, each above its name."""
    shown = "".join(
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(name)}</span>'
        "</div>"
        for name, value in figures
    )
    return f'<div class="tiles">{shown}</div>'


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    numbers: frozenset[str] = frozenset(),
    marked: frozenset[int] = frozenset(),
) -> str:
    """A table of plain texts.

    Args:
        columns: What is above them; empty for no headings.
        rows: As many texts each.
        numbers: Columns that are set to the right.
        marked: Rows that are to be seen.
    """
    kinds = [' class="n"' if name in numbers else "" for name in columns]
    head = "".join(
        f"<th{kind}>{escape(name)}</th>"
        for name, kind in zip(columns, kinds, strict=True)
    )
    lines = []
    for place, row in enumerate(rows):
        cells = "".join(
            f"<td{kind}>{escape(text)}</td>"
            for text, kind in zip(row, kinds or [""] * len(row), strict=True)
        )
        mark = ' class="marked"' if place in marked else ""
        lines.append(f"<tr{mark}>{cells}</tr>")
    above = f"<thead><tr>{head}</tr></thead>" if columns else ""
    return (
        f'<div class="scroll"><table>{above}<tbody>{"".join(lines)}</tbody>'
        "</table></div>"
    )


def picture(pixels: np.ndarray, description: str) -> str:
    """An image inside the page.

    Args:
        pixels: uint8 `[height, width, 3]`; made smaller where it is large.
        description: What it shows, in plain text.
    """
    content = io.BytesIO()
    image = Image.fromarray(pixels)
    image.thumbnail((PICTURE_PIXELS, PICTURE_PIXELS))
    image.save(content, "JPEG", quality=_QUALITY, subsampling=0)
    encoded = base64.b64encode(content.getvalue()).decode()
    small = ' class="small"' if image.width < PICTURE_PIXELS // 2 else ""
    return (
        f'<img{small} src="data:image/jpeg;base64,{encoded}" '
        f'alt="{escape(description)}">'
    )
