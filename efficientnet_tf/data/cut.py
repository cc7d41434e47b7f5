"""The words for how a picture becomes a square. No TensorFlow here.

Source: tensorflow/tpu `models/official/efficientnet/preprocessing.py`, at
commit 7dc921f and as it was before 22d5cab.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

CropRule = Literal["pad32", "fraction", "whole"]
ResizeKernel = Literal["legacy_bicubic", "bicubic", "bilinear", "area"]

# Context that is left out around the centre square, in pixels of the result,
# from the result's side.
_PADDING: dict[CropRule, Callable[[int], int]] = {
    "pad32": lambda pixels: 32,
    # 1 / 0.875 - 1 = 1 / 7 of the side.
    "fraction": lambda pixels: round(pixels / 7),
    "whole": lambda pixels: 0,
}


@dataclass(frozen=True)
class Cut:
    """How pictures are brought to the size of a network's input.

    Attributes:
        pixels: Side of the result.
        crop: How much of the picture's shorter side the centre square takes:
            "pad32" pixels / (pixels + 32) of it, as all figures that were
            published before November 2021; "fraction" close to 0.875 of it,
            the original's rule since; "whole" all of it. A random crop takes
            what it likes.
        resize: The kernel, for centre squares and random crops alike:
            "legacy_bicubic" is TensorFlow 1's, a = -0.75 and no half pixels,
            which the original has to this day; "bicubic" (a = -0.5),
            "bilinear" and "area" are those of `tf.image.resize`. None of them
            smooths what it shrinks, as `antialias` would; "area" averages.
    """

    pixels: int
    crop: CropRule
    resize: ResizeKernel

    @property
    def share(self) -> float:
        """Side of the centre square over the picture's shorter side."""
        return self.pixels / (self.pixels + _PADDING[self.crop](self.pixels))
