"""The ops in float32, for speed: what `clean` does, but for roundings.

Where it is compiled, `data/kernels` does the same in a third of the time.

It differs from `clean` in this:

- Affine ops come before all other ops, whatever their order; so these change
  the grey from outside too. Translations alone move the image as `clean` does.
  Others are composed and the picture is sampled once. Where the crop is at
  least as large as the image, that is done in the crop itself in place of a
  resize; so pixels are not interpolated then, and lie within half a pixel of
  the crop, not of the image, of where they should.
- Values are not rounded between ops, nor at the end.
- `Sharpness` does not round its smooth image, nor `Color` and `Contrast` their
  grey.

The README says how much that is.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from efficientnet_tf.data.augmentation import colours
from efficientnet_tf.data.augmentation.applying import cutout_patch
from efficientnet_tf.data.augmentation.clean import GREY_WEIGHTS
from efficientnet_tf.data.augmentation.drawing import NAMES, Drawn
from efficientnet_tf.data.augmentation.moves import (
    SHIFTED,
    STILL,
    TURNED,
    composed,
    into,
    motion,
    sampled,
    shift,
    shifted,
)
from efficientnet_tf.data.augmentation.ops import GREY, Op

# From float32 `[height, width * 3]` on 0..255, the op's argument and a centre
# to such rows.
_RowsFunction = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]

_GREYS = np.array(GREY_WEIGHTS, np.float32) / 65536


def fused_image(
    source: tf.Tensor,
    resized: Callable[[tf.Tensor], tf.Tensor],
    mirrored: tf.Tensor,
    drawn: Drawn,
    pixels: int,
) -> tf.Tensor:
    """Resizes a crop, mirrors it and does to it what was drawn.

    Args:
        source: The crop, uint8 `[height, width, 3]`.
        resized: Brings it to float32 `[pixels, pixels, 3]` on 0..255.
        mirrored: bool scalar, whether the image is mirrored.
        drawn: Its ops.
        pixels: Side of the image.

    Returns:
        float32 `[pixels, pixels, 3]` on 0..255.
    """
    image = tf.switch_case(
        motion(drawn),
        {
            STILL: lambda: _still(resized(source), mirrored),
            SHIFTED: lambda: shifted(
                _still(resized(source), mirrored), shift(drawn)
            ),
            TURNED: lambda: _turned(source, resized, mirrored, drawn, pixels),
        },
    )
    rows = tf.reshape(image, [pixels, pixels * 3])
    for layer in range(drawn.ops.shape[0]):
        rows = _one(rows, drawn, layer)
    return tf.reshape(rows, [pixels, pixels, 3])


def _still(image: tf.Tensor, mirrored: tf.Tensor) -> tf.Tensor:
    return tf.cond(mirrored, lambda: tf.reverse(image, [1]), lambda: image)


def _turned(
    source: tf.Tensor,
    resized: Callable[[tf.Tensor], tf.Tensor],
    mirrored: tf.Tensor,
    drawn: Drawn,
    pixels: int,
) -> tf.Tensor:
    moved = composed(drawn, pixels)

    def of_crop() -> tf.Tensor:
        way = into(source, mirrored, pixels) @ moved
        return tf.cast(sampled(source, way, pixels), tf.float32)

    def of_image() -> tf.Tensor:
        image = resized(source)
        return sampled(image, into(image, mirrored, pixels) @ moved, pixels)

    # Of a small crop the pixels would show as blocks.
    return tf.cond(
        tf.reduce_min(tf.shape(source)[:2]) >= pixels, of_crop, of_image
    )


def _one(rows: tf.Tensor, drawn: Drawn, layer: int) -> tf.Tensor:
    """Applies the op of a layer, unless it is an affine one or none."""
    argument, centre = drawn.arguments[layer], drawn.centres[layer]

    def branch(function: _RowsFunction) -> Callable[[], tf.Tensor]:
        return lambda: tf.ensure_shape(
            function(rows, argument, centre), rows.shape
        )

    places = np.full(len(NAMES) + 1, len(_FUNCTIONS), np.int32)
    for place, name in enumerate(_FUNCTIONS):
        places[NAMES.index(name)] = place
    branches = [branch(function) for function in _FUNCTIONS.values()]
    return tf.switch_case(
        tf.gather(tf.constant(places), drawn.ops[layer]),
        [*branches, lambda: rows],
    )


def _clipped(rows: tf.Tensor) -> tf.Tensor:
    return tf.minimum(tf.maximum(rows, 0.0), 255.0)


def _autocontrast(rows: tf.Tensor) -> tf.Tensor:
    lowest, highest = (
        reduce(tf.reshape(reduce(rows, axis=0), [-1, 3]), axis=0)
        for reduce in (tf.reduce_min, tf.reduce_max)
    )
    # Less than a grey level is rounding; such a channel stays as it is.
    flat = highest - lowest < 1
    scale = tf.where(flat, 1.0, 255 / tf.where(flat, 1.0, highest - lowest))
    offset = tf.where(flat, 0.0, -lowest * scale)
    return _clipped(
        rows * colours.along(rows, scale) + colours.along(rows, offset)
    )


def _equalize(rows: tf.Tensor) -> tf.Tensor:
    image = tf.reshape(tf.cast(rows, tf.uint8), [rows.shape[0], -1, 3])
    equal = tf.reshape(colours.equalize(image), rows.shape)
    return tf.cast(equal, tf.float32)


def _posterize(rows: tf.Tensor, bits: tf.Tensor) -> tf.Tensor:
    step = tf.pow(2.0, 8 - tf.clip_by_value(bits, 1.0, 8.0))
    return tf.floor(rows * (1 / step)) * step


def _solarize(rows: tf.Tensor, threshold: tf.Tensor) -> tf.Tensor:
    # From 256 on no value is high enough.
    high = tf.cast(rows >= threshold, tf.float32)
    return rows + high * (255 - 2 * rows)


def _solarize_add(rows: tf.Tensor, addition: tf.Tensor) -> tf.Tensor:
    raised = rows + tf.cast(rows < 128, tf.float32) * addition
    return tf.minimum(raised, 255.0)


def _color(rows: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    mixing = share * tf.eye(3) + (1 - share) * np.tile(_GREYS[:, None], 3)
    return _clipped(tf.reshape(tf.reshape(rows, [-1, 3]) @ mixing, rows.shape))


def _contrast(rows: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    columns = tf.reshape(tf.reduce_mean(rows, axis=0), [-1, 3])
    mean = tf.reduce_sum(tf.reduce_mean(columns, axis=0) * _GREYS)
    return _clipped(rows * share + (1 - share) * mean)


def _sharpness(rows: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    inside = rows[1:-1, 3:-3]
    columns = rows[:-2] + rows[1:-1] + rows[2:]
    squares = columns[:, :-6] + columns[:, 3:-3] + columns[:, 6:]
    # The smooth image is (squares + 4 * inside) / 13.
    change = (inside * 9 - squares) * ((share - 1) / 13)
    return _clipped(rows + tf.pad(change, [[1, 1], [3, 3]]))


def _cutout(rows: tf.Tensor, half: tf.Tensor, centre: tf.Tensor) -> tf.Tensor:
    down, across = cutout_patch(rows.shape[0], rows.shape[1] // 3, half, centre)
    patch = down[:, tf.newaxis] * across
    return rows + tf.cast(patch, tf.float32) * (GREY - rows)


_FUNCTIONS: dict[Op, _RowsFunction] = {
    "AutoContrast": lambda rows, unused, at: _autocontrast(rows),
    "Equalize": lambda rows, unused, at: _equalize(rows),
    "Invert": lambda rows, unused, at: 255 - rows,
    "Posterize": lambda rows, bits, at: _posterize(rows, bits),
    "Solarize": lambda rows, value, at: _solarize(rows, value),
    "Color": lambda rows, share, at: _color(rows, share),
    "Contrast": lambda rows, share, at: _contrast(rows, share),
    "Brightness": lambda rows, share, at: _clipped(rows * share),
    "Sharpness": lambda rows, share, at: _sharpness(rows, share),
    "Cutout": _cutout,
    "SolarizeAdd": lambda rows, addition, at: _solarize_add(rows, addition),
}
