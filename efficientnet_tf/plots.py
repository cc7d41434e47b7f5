"""Pictures of what a network says, as PNG files.

Figures are drawn on a canvas of their own: no window, no state that is shared.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Sequence

import matplotlib
import numpy as np
import tensorflow as tf
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

from efficientnet_tf.data.images import read_jpeg
from efficientnet_tf.files import replacing
from efficientnet_tf.predict import CLASSES_SAID, Prediction

# Up to as many classes have their names, and their shares, in the picture.
NAMED_CLASSES = 40
NUMBERED_CLASSES = 20
# A class has as many pixels at least, up to the sides that follow.
PIXELS_PER_CLASS = 2
DPI = 150

_LABEL_CHARACTERS = 28
_PICTURE_PIXELS = 600
_BLUE, _GREY, _INK = "#2a6fb0", "#b8c4d0", "#22303c"
LOOK = {
    # A dollar in a label is a dollar.
    "text.parse_math": False,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": "#8a97a3",
    "xtick.color": _INK,
    "ytick.color": _INK,
    "font.size": 10.0,
}


def save_prediction(path: str, prediction: Prediction) -> None:
    """Draws an image beside the probabilities of its likeliest classes.

    Args:
        path: A PNG file, local or gs://.
        prediction: The answer to an image that could be read.

    Raises:
        InputError: The image is there no more.
    """
    encoded = read_jpeg(prediction.image).encoded
    with (
        Image.open(io.BytesIO(encoded)) as picture,
        matplotlib.rc_context(LOOK),
    ):
        picture.thumbnail((_PICTURE_PIXELS, _PICTURE_PIXELS))
        figure = Figure(figsize=(9, 3.6), layout=layout())
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
        left.imshow(picture)
        left.set_axis_off()
        _draw_bars(right, prediction)
        save(figure, path)


def save_confusion(
    path: str,
    confusion: np.ndarray,
    labels: Sequence[str],
    *,
    first: int = 0,
    title: str = "",
) -> None:
    """Draws which classes are taken for which, each row's shares of 1.

    Shares are coloured by a root of theirs, so that rare errors are seen.

    Args:
        path: A PNG file, local or gs://.
        confusion: `[classes, classes]`, images by their class and by the
            likeliest one.
        labels: Names of the classes.
        first: The first class that has a row; 1 where 0 is the background.
        title: What stands above it.
    """
    images = confusion.sum(axis=1, keepdims=True)
    shares = (confusion / np.maximum(images, 1))[first:]
    count = len(labels)
    # Of many classes each still has its pixels.
    inches = max(5.0 + 0.24 * min(count, NAMED_CLASSES), _inches(count))
    named = count <= NAMED_CLASSES
    size = 10.0 if named else 0.9 * inches
    with matplotlib.rc_context({**LOOK, "font.size": size}):
        figure = Figure(figsize=(inches + 1, inches), layout=layout())
        axes = figure.subplots()
        drawn = axes.imshow(
            shares,
            cmap="Blues",
            norm=PowerNorm(1 / 2 if named else 1 / 3, 0.0, 1.0),
            interpolation="nearest",
            extent=(-0.5, count - 0.5, count - 0.5, first - 0.5),
        )
        axes.set_title(title, loc="left")
        axes.set_xlabel("predicted class")
        axes.set_ylabel("class")
        if named:
            _name_ticks(axes, labels, first)
        if count <= NUMBERED_CLASSES:
            _write_shares(axes, shares, first)
        bar = figure.colorbar(drawn, ax=axes, fraction=0.04, pad=0.02)
        bar.set_ticks([0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1])
        bar.set_label("share of the class's images")
        save(figure, path)


def _draw_bars(axes: Axes, prediction: Prediction) -> None:
    """Horizontal bars, the likeliest class on top."""
    places = range(len(prediction.top))
    shares = [guess.probability for guess in prediction.top]
    colours = [_BLUE, *[_GREY] * (len(shares) - 1)]
    axes.barh(places, shares, height=0.62, color=colours)
    for place, share in zip(places, shares, strict=True):
        axes.text(share + 0.015, place, f"{share:.1%}", va="center")
    names = [_class_name(guess.label) for guess in prediction.top]
    axes.set_yticks(places, names)
    # Few classes have no thicker bars.
    axes.set_ylim(max(len(places), CLASSES_SAID) - 0.5, -0.5)
    # Room for the number beside the longest bar.
    axes.set_xlim(0, 1.14)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "50%", "", "100%"])
    axes.spines["bottom"].set_bounds(0, 1)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    name = os.path.basename(prediction.image)
    axes.set_title(_short(name, 2 * _LABEL_CHARACTERS), loc="left")


def _name_ticks(axes: Axes, labels: Sequence[str], first: int) -> None:
    names = [_class_name(label) for label in labels]
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(first, len(names)), names[first:])
    axes.tick_params(length=0)


def _write_shares(axes: Axes, shares: np.ndarray, first: int) -> None:
    """Per cent in each cell that is not empty, white on dark."""
    for (row, column), share in np.ndenumerate(shares):
        if share:
            shown = f"{100 * share:.0f}" if share >= 0.01 else "<1"
            colour = "white" if share > 0.35 else _INK
            axes.text(
                column,
                row + first,
                shown,
                ha="center",
                va="center",
                color=colour,
                fontsize=8,
            )


def _inches(classes: int) -> float:
    """Side of a figure whose axes give each class its pixels."""
    return classes * PIXELS_PER_CLASS / DPI / 0.8


def _class_name(label: str) -> str:
    """The first of ImageNet's several names."""
    return _short(label.split(", ")[0])


def _short(text: str, most: int = _LABEL_CHARACTERS) -> str:
    """Text that is cut where it is long."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def layout() -> ConstrainedLayoutEngine:
    """No words over others, and a margin, in inches."""
    return ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)


def save(figure: Figure, path: str) -> None:
    """Writes a .png or .jpg, local or gs://, whole or not at all."""
    kind = os.path.splitext(path)[1][1:]
    content = io.BytesIO()
    canvas = FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        # Of writing that the font lacks there are boxes, and no more words.
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        canvas.print_figure(content, dpi=DPI, format=kind)
    with (
        replacing(path) as temporary,
        tf.io.gfile.GFile(temporary, "wb") as file,
    ):
        file.write(content.getvalue())
