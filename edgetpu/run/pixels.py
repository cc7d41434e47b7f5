"""From a picture file to the pixels that a network is given, by NumPy.

The same as `efficientnet_tf.data.preprocess.evaluation_image`, which a board
without TensorFlow cannot run; a test holds one against the other. The crop
rules are those of `efficientnet_tf.data.cut`.

Source of the kernels: tensorflow/core/kernels/image, resize_bicubic_op.cc,
resize_bilinear_op.cc and resize_area_op.cc.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps

# Context left out around the centre square, in pixels of the result.
_PADDING = {
    "pad32": lambda pixels: 32,
    "fraction": lambda pixels: round(pixels / 7),
    "whole": lambda pixels: 0,
}
CROPS = tuple(_PADDING)

# TensorFlow looks the cubic up at so many places between two pixels.
_CUBIC_STEPS = 1024


def read_picture(path: str) -> np.ndarray:
    """Reads a picture file, turned upright.

    Args:
        path: What Pillow can read.

    Returns:
        uint8 `[height, width, 3]`, RGB.

    Raises:
        ValueError: It is missing, or no whole picture.
    """
    try:
        with Image.open(path) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    # Pillow's decoders raise whatever a broken file makes them stumble over.
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} is no picture: {reason}") from error


def network_pixels(
    picture: np.ndarray, pixels: int, crop: str, resize: str
) -> np.ndarray:
    """Cuts the centre square out of a picture and resizes it.

    Args:
        picture: uint8 `[height, width, 3]`.
        pixels: Side of the result.
        crop: One of `CROPS`.
        resize: One of `KERNELS`.

    Returns:
        uint8 `[pixels, pixels, 3]`.
    """
    height, width = picture.shape[:2]
    share = np.float32(pixels / (pixels + _PADDING[crop](pixels)))
    side = max(int(share * np.float32(min(height, width))), 1)
    top, left = (height - side + 1) // 2, (width - side + 1) // 2
    square = picture[top : top + side, left : left + side].astype(np.float32)
    taps = KERNELS[resize](side, pixels)
    rows = _weighed(square, *taps)
    columns = _weighed(rows.transpose(1, 0, 2), *taps).transpose(1, 0, 2)
    rounded: np.ndarray = np.clip(np.rint(columns), 0, 255)
    return rounded.astype(np.uint8)


def _weighed(
    lines: np.ndarray, places: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Sums of lines: `[n, ...]`, int and float32 `[m, taps]` -> `[m, ...]`."""
    total = np.zeros((len(places), *lines.shape[1:]), np.float32)
    for tap in range(places.shape[1]):
        weight = weights[:, tap, np.newaxis, np.newaxis]
        total += weight * lines[places[:, tap]]
    return total


def _centres(side: int, pixels: int) -> np.ndarray:
    """Where the results' middles fall, float32 `[pixels]`."""
    scale = np.float32(side) / np.float32(pixels)
    numbers = np.arange(pixels, dtype=np.float32)
    return (numbers + np.float32(0.5)) * scale - np.float32(0.5)


def _bilinear(side: int, pixels: int) -> tuple[np.ndarray, np.ndarray]:
    centres = _centres(side, pixels)
    below = np.floor(centres)
    share = centres - below
    places = np.stack([below, np.ceil(centres)], axis=1).astype(np.int64)
    weights = np.stack([1 - share, share], axis=1)
    return places.clip(0, side - 1), weights


def _bicubic(side: int, pixels: int) -> tuple[np.ndarray, np.ndarray]:
    places, weights = _cubic(_centres(side, pixels), -0.5)
    inside = (places >= 0) & (places < side)
    weights = np.where(inside, weights, np.float32(0))
    weights = weights / weights.sum(axis=1, keepdims=True)
    return places.clip(0, side - 1), weights


def _legacy_bicubic(side: int, pixels: int) -> tuple[np.ndarray, np.ndarray]:
    scale = np.float32(side) / np.float32(pixels)
    corners = np.arange(pixels, dtype=np.float32) * scale
    places, weights = _cubic(corners, -0.75)
    return places.clip(0, side - 1), weights


def _cubic(centres: np.ndarray, a: float) -> tuple[np.ndarray, np.ndarray]:
    """Four neighbours of each place, and the cubic's weights for them."""
    below = np.floor(centres)
    steps = np.rint((centres - below) * _CUBIC_STEPS)
    share = steps / _CUBIC_STEPS
    near = [share, 1 - share]
    inner = [((a + 2) * x - (a + 3)) * x * x + 1 for x in near]
    outer = [
        ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
        for x in (1 + share, 2 - share)
    ]
    weights = np.stack([outer[0], *inner, outer[1]], axis=1)
    places = below[:, np.newaxis] + np.arange(-1, 3)
    return places.astype(np.int64), weights.astype(np.float32)


def _area(side: int, pixels: int) -> tuple[np.ndarray, np.ndarray]:
    scale = np.float32(side) / np.float32(pixels)
    begin = np.arange(pixels, dtype=np.float32) * scale
    end = np.arange(1, pixels + 1, dtype=np.float32) * scale
    taps = int(np.ceil(scale)) + 1
    places = np.floor(begin)[:, np.newaxis] + np.arange(taps)
    covered = np.minimum(places + 1, end[:, np.newaxis]) - np.maximum(
        places, begin[:, np.newaxis]
    )
    weights = (covered.clip(0) / scale).astype(np.float32)
    return places.clip(0, side - 1).astype(np.int64), weights


# From the sides of square and result to the lines that make a line, int64
# `[pixels, taps]`, and their weights, float32 of that shape.
KERNELS = {
    "legacy_bicubic": _legacy_bicubic,
    "bicubic": _bicubic,
    "bilinear": _bilinear,
    "area": _area,
}
