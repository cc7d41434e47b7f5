"""The compiled half of the input pipeline: from a crop to an image in one op.

What it computes is said in TensorFlow's words elsewhere (`preprocess`,
`augmentation.fused`), and both are tested against each other. It is compiled
as the package is installed, where there is a C compiler; its source is in
`kernels/`.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
from types import ModuleType

import tensorflow as tf

from efficientnet_tf.data.augmentation.drawing import Drawn
from efficientnet_tf.data.cut import Cut

_LIBRARY = "efficientnet_tf.data._crop_to_image"
_RESIZES = ("bilinear", "bicubic", "legacy_bicubic")


def compiles(cut: Cut) -> bool:
    """Whether `crop_to_image` can be used for images that are cut so."""
    return cut.resize in _RESIZES and load_kernel() is not None


def crop_to_image(
    part: tf.Tensor, mirrored: tf.Tensor, drawn: Drawn, cut: Cut, *, clip: bool
) -> tf.Tensor:
    """Resizes a crop, mirrors it and does to it what was drawn.

    Args:
        part: The crop, uint8 `[height, width, 3]`.
        mirrored: bool scalar, whether the image is mirrored.
        drawn: Its ops, in the arithmetic `fused`.
        cut: How it is resized; `compiles` must hold.
        clip: Whether it is kept within 0..255 before the ops, as bicubic
            interpolation does not.

    Returns:
        float32 `[pixels, pixels, 3]`; within 1e-3 of what TensorFlow's own
        kernels give.
    """
    library = load_kernel()
    if library is None:
        raise ValueError(f"{_LIBRARY} is not compiled")
    image = library.crop_to_image(
        part, mirrored, *drawn, pixels=cut.pixels, resize=cut.resize, clip=clip
    )
    image.set_shape([cut.pixels, cut.pixels, 3])
    return image


@functools.cache
def load_kernel() -> ModuleType | None:
    """Makes the op known to TensorFlow, as a process that runs a graph needs.

    Returns:
        The op's module; None where it was not compiled, which is told once.
    """
    spec = importlib.util.find_spec(_LIBRARY)
    if spec is None or spec.origin is None:
        _tell("was not compiled as this was installed")
        return None
    try:
        library: ModuleType = tf.load_op_library(spec.origin)
    except (tf.errors.OpError, RuntimeError) as error:
        _tell(f"cannot be loaded ({error})")
        return None
    if not hasattr(library, "crop_to_image"):
        _tell("does not fit this TensorFlow")
        return None
    return library


def _tell(why: str) -> None:
    print(
        f"the image kernel {why}: images are prepared by TensorFlow's own, "
        "which take longer; install this package anew where a C compiler is",
        file=sys.stderr,
    )
