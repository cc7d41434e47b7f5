"""Many small pictures in one, each with words under it."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from efficientnet_tf.plots import LOOK, layout, save

_INCHES = 1.7
_CHARACTERS = 24
_WORDS_INCHES = 0.19


@dataclass(frozen=True)
class Tile:
    """One of the pictures.

    Attributes:
        image: uint8 `[height, width, 3]`.
        title: What it is; a line.
        words: What more there is to say, of any length.
    """

    image: np.ndarray
    title: str
    words: str = ""


def save_sheet(
    path: str, tiles: Sequence[Tile], *, columns: int, title: str = ""
) -> None:
    """Draws pictures in rows.

    Args:
        path: A .png or .jpg file, local or gs://.
        tiles: The pictures, row by row; at least one.
        columns: Pictures in a row.
        title: What stands above all.
    """
    rows = math.ceil(len(tiles) / columns)
    said = [_lines(tile) for tile in tiles]
    height = _INCHES + _WORDS_INCHES * (1 + max(map(len, said)))
    with matplotlib.rc_context({**LOOK, "font.size": 8.0}):
        figure = Figure(
            figsize=(_INCHES * columns + 0.3, height * rows + 0.5),
            layout=layout(),
        )
        if title:
            figure.suptitle(title, x=0.02, ha="left", fontsize=11)
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for axes, tile, lines in zip(grid.flat, tiles, said, strict=False):
            axes.imshow(tile.image, interpolation="nearest")
            axes.set_title(tile.title, fontsize=8, pad=3)
            axes.text(
                0.5,
                -0.03,
                "\n".join(lines),
                transform=axes.transAxes,
                ha="center",
                va="top",
                fontsize=7,
            )
        save(figure, path)


def _lines(tile: Tile) -> list[str]:
    return textwrap.wrap(tile.words, _CHARACTERS)
