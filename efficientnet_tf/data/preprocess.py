"""From the bytes of a JPEG to the pixels that a network is given.

Training crops at random; everything else (evaluation, calibration, prediction,
the device) goes through `evaluation_image`, so that all see the same pixels.
Source: tensorflow/tpu `models/official/efficientnet/preprocessing.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import tensorflow as tf

from efficientnet_tf.data.augmentation.augment import (
    augmented,
    beyond_ops,
    drawn_ops,
)
from efficientnet_tf.data.augmentation.drawing import NO_OPS, Drawn
from efficientnet_tf.data.augmentation.fused import fused_image
from efficientnet_tf.data.augmentation.recipe import (
    NO_AUGMENTATION,
    Augmentation,
)
from efficientnet_tf.data.compiled import compiles, crop_to_image
from efficientnet_tf.data.cut import Cut, ResizeKernel
from efficientnet_tf.networks import Normalization

# From float32 `[1, height, width, 3]` to float32 `[1, pixels, pixels, 3]`. The
# modern three are what `tf.image.resize` runs, but for its returning a picture
# that has the size already as it came, in uint8.
_RESIZE: dict[ResizeKernel, Callable[..., tf.Tensor]] = {
    "legacy_bicubic": partial(
        tf.raw_ops.ResizeBicubic, half_pixel_centers=False
    ),
    "bicubic": partial(tf.raw_ops.ResizeBicubic, half_pixel_centers=True),
    "bilinear": partial(tf.raw_ops.ResizeBilinear, half_pixel_centers=True),
    "area": tf.raw_ops.ResizeArea,
}


@dataclass(frozen=True)
class TrainingCrop:
    """How a training image is cut out of a picture.

    Attributes:
        min_area: Smallest share of the picture that a crop may take.
        flip: Whether half of the images are mirrored.
        dct_scaling: Whether a crop that is at least twice, four or eight times
            as large as the image is decoded at a half, a quarter or an eighth
            of its size, by fewer cosines.
    """

    min_area: float = 0.08
    flip: bool = True
    dct_scaling: bool = False


def evaluation_image(encoded: tf.Tensor, cut: Cut) -> tf.Tensor:
    """Cuts the centre square out of a picture and resizes it.

    Args:
        encoded: A JPEG, scalar string; grey becomes RGB.
        cut: How much of the picture, and by which kernel.

    Returns:
        float32 `[pixels, pixels, 3]` on 0..255, which bicubic interpolation
        may overshoot.
    """
    shape = tf.image.extract_jpeg_shape(encoded)
    return _resized(_decoded(encoded, _centre(shape, cut)), cut)


def training_image(
    encoded: tf.Tensor,
    seed: tf.Tensor,
    cut: Cut,
    crop: TrainingCrop,
    augmentation: Augmentation = NO_AUGMENTATION,
) -> tf.Tensor:
    """Cuts a random part out of a picture, resizes, mirrors and changes it.

    The crop has an aspect of 3/4 to 4/3. Where ten tries find none, the
    picture is cut as for evaluation.

    Args:
        encoded: A JPEG, scalar string.
        seed: integer `[2]`; the same seed gives the same image.
        cut: The size and the kernel.
        crop: What part.
        augmentation: What is done to it then.

    Returns:
        float32 `[pixels, pixels, 3]` on 0..255, which bicubic interpolation
        may overshoot where there is no augmentation.
    """
    window, mirrored = training_window(encoded, seed, cut, crop)
    if crop.dct_scaling:
        part = _decoded_small(encoded, window, cut.pixels)
    else:
        part = _decoded(encoded, window)
    if augmentation.policy == "none":
        image = _unchanged(part, mirrored, cut)
    elif augmentation.arithmetic == "fused":
        image = _changed(part, mirrored, drawn_ops(seed, augmentation), cut)
        return beyond_ops(image, seed, augmentation)
    else:
        # These arithmetics are proven on TensorFlow's pixels, to the bit.
        image = _flipped(_resized(part, cut), mirrored)
    return augmented(image, seed, augmentation)


def training_window(
    encoded: tf.Tensor, seed: tf.Tensor, cut: Cut, crop: TrainingCrop
) -> tuple[tf.Tensor, tf.Tensor]:
    """The part of a picture that `training_image` takes.

    Args:
        encoded: A JPEG, scalar string.
        seed: As that of the image.
        cut: How the centre is cut out, where no crop is found.
        crop: What part.

    Returns:
        int32 `[4]`: top, left, height, width; and whether it is mirrored,
        bool scalar.
    """
    crop_seed, flip_seed = tf.unstack(tf.random.split(seed, 2))
    shape = tf.image.extract_jpeg_shape(encoded)
    begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
        shape,
        bounding_boxes=tf.zeros([1, 0, 4]),
        seed=crop_seed,
        min_object_covered=0.1,
        aspect_ratio_range=(3 / 4, 4 / 3),
        area_range=(crop.min_area, 1.0),
        max_attempts=10,
        use_image_if_no_bounding_boxes=True,
    )
    window = tf.where(
        # The whole picture is what the op answers when it found no crop. The
        # original's fallback is bicubic even where bilinear was asked for;
        # here all images of a run come from the same kernel.
        tf.reduce_all(tf.equal(size[:2], shape[:2])),
        _centre(shape, cut),
        tf.concat([begin[:2], size[:2]], axis=0),
    )
    mirrored = tf.constant(False)
    if crop.flip:
        mirrored = tf.random.stateless_uniform([], flip_seed) < 0.5
    return window, mirrored


def normalize(images: tf.Tensor, normalization: Normalization) -> tf.Tensor:
    """Brings pixels to what a network expects.

    Args:
        images: `[..., 3]` on 0..255, any dtype.
        normalization: Mean and deviation by channel.

    Returns:
        float32 of that shape.
    """
    mean = tf.constant(normalization.mean, tf.float32)
    std = tf.constant(normalization.std, tf.float32)
    return (tf.cast(images, tf.float32) - mean) / std


def _centre(shape: tf.Tensor, cut: Cut) -> tf.Tensor:
    """The window of the centre square: top, left, height, width, int32."""
    height, width = shape[0], shape[1]
    shorter = tf.cast(tf.minimum(height, width), tf.float32)
    # The original fails on a picture of one pixel, where this comes to none.
    side = tf.maximum(tf.cast(cut.share * shorter, tf.int32), 1)
    return tf.stack(
        [(height - side + 1) // 2, (width - side + 1) // 2, side, side]
    )


def _decoded(
    encoded: tf.Tensor, window: tf.Tensor, ratio: int = 1
) -> tf.Tensor:
    """Only the window: uint8 `[height // ratio, width // ratio, 3]`."""
    # libjpeg scales first, and the window is one of the small picture.
    return tf.image.decode_and_crop_jpeg(
        encoded, window // ratio, channels=3, ratio=ratio
    )


def _decoded_small(
    encoded: tf.Tensor, window: tf.Tensor, pixels: int
) -> tf.Tensor:
    """The window, scaled down as far as it still fills the image."""
    smaller = tf.reduce_min(window[2:])
    ratios = [1, 2, 4, 8]
    fits = [tf.cast(smaller >= r * pixels, tf.int32) for r in ratios[1:]]
    return tf.switch_case(
        tf.add_n(fits),
        [partial(_decoded, encoded, window, ratio) for ratio in ratios],
    )


def _unchanged(part: tf.Tensor, mirrored: tf.Tensor, cut: Cut) -> tf.Tensor:
    """A crop at the image's size, mirrored if so drawn."""
    if compiles(cut):
        return crop_to_image(part, mirrored, NO_OPS, cut, clip=False)
    return _flipped(_resized(part, cut), mirrored)


def _changed(
    part: tf.Tensor, mirrored: tf.Tensor, drawn: Drawn, cut: Cut
) -> tf.Tensor:
    """The same, and what was drawn is done to it as `fused` does."""
    if compiles(cut):
        return crop_to_image(part, mirrored, drawn, cut, clip=True)
    resized = partial(_within_bytes, cut=cut)
    return fused_image(part, resized, mirrored, drawn, cut.pixels)


def _flipped(image: tf.Tensor, mirrored: tf.Tensor) -> tf.Tensor:
    return tf.cond(mirrored, lambda: tf.reverse(image, [1]), lambda: image)


def _resized(part: tf.Tensor, cut: Cut) -> tf.Tensor:
    """uint8 `[height, width, 3]` -> float32 `[pixels, pixels, 3]`."""
    # The kernels count in float32 whatever they are given, and take bytes one
    # by one: with the cast they give the same pixels a third sooner.
    exact = tf.cast(part, tf.float32)
    size = [cut.pixels, cut.pixels]
    resized = _RESIZE[cut.resize](images=exact[tf.newaxis], size=size)
    return tf.ensure_shape(resized[0], [*size, 3])


def _within_bytes(part: tf.Tensor, cut: Cut) -> tf.Tensor:
    """The same on 0..255, where the kernel alone does not keep it there."""
    image = _resized(part, cut)
    if cut.resize in ("bilinear", "area"):
        return image
    return tf.clip_by_value(image, 0.0, 255.0)
