"""What a network is given in training, as a picture for people."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

SHOWN = 16

# A tile's side: large enough for its words, small enough for a page.
_SMALLEST, _LARGEST = 144, 256
_GAP = 8
_FONT_PIXELS = 14
_LINE_PIXELS = 20
_PAPER, _INK = (255, 255, 255), (34, 48, 60)


def draw_inputs(
    images: np.ndarray, labels: np.ndarray, names: Sequence[str]
) -> Image.Image:
    """Draws the first 16 images of a batch in a square, each above its class.

    Args:
        images: `[batch, height, width, 3]` on 0..255; what resizing overshot
            is cut off.
        labels: The class of each, `[batch]`, or its shares of all classes,
            `[batch, classes]`, of which the two largest are written.
        names: Of the classes.
    """
    count = min(SHOWN, len(images))
    columns = math.ceil(math.sqrt(count))
    pixels = np.rint(np.clip(np.asarray(images[:count], np.float32), 0, 255))
    side = min(max(_SMALLEST, pixels.shape[1]), _LARGEST)
    captions = [_caption(label, names) for label in np.asarray(labels)[:count]]
    lines = max(map(len, captions))
    width, height = side + _GAP, side + _GAP + lines * _LINE_PIXELS
    rows = math.ceil(count / columns)
    grid = Image.new(
        "RGB", (columns * width + _GAP, rows * height + _GAP), _PAPER
    )
    draw = ImageDraw.Draw(grid)
    font = _font()
    for place, (image, caption) in enumerate(
        zip(pixels.astype(np.uint8), captions, strict=True)
    ):
        row, column = divmod(place, columns)
        left, top = _GAP + column * width, _GAP + row * height
        grid.paste(_tile(image, side), (left, top))
        for number, line in enumerate(caption):
            draw.text(
                (left, top + side + 2 + number * _LINE_PIXELS),
                _fitting(line, font, side),
                font=font,
                fill=_INK,
            )
    return grid


def _caption(label: np.ndarray, names: Sequence[str]) -> list[str]:
    """A class's name, or the names and shares of those that were blended."""
    if label.ndim == 0:
        return [names[int(label)]]
    largest = [i for i in np.argsort(-label, kind="stable")[:2] if label[i]]
    if len(largest) == 1:
        return [names[largest[0]]]
    return [f"{label[i]:.0%} {names[i]}" for i in largest]


def _tile(pixels: np.ndarray, side: int) -> Image.Image:
    image = Image.fromarray(pixels)
    # Pixels that are made larger stay pixels.
    larger = side > image.width
    kernel = Image.Resampling.NEAREST if larger else Image.Resampling.LANCZOS
    return image.resize((side, side), kernel)


def _fitting(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Text that is cut where it would reach into the next column."""
    # Of ImageNet's several names the first.
    text = " ".join(text.split(", ")[0].split())
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"


def _font() -> ImageFont.FreeTypeFont:
    """Matplotlib's font, which knows more letters than Pillow's own."""
    folder = os.path.join(matplotlib.get_data_path(), "fonts", "ttf")
    return ImageFont.truetype(
        os.path.join(folder, "DejaVuSans.ttf"), _FONT_PIXELS
    )
