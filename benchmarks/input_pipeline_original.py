"""The original's tf.data graph, in TensorFlow 2's words, as a peer.

Structure and ops are those of tensorflow/tpu `models/official/efficientnet`
(`preprocessing.py`, `autoaugment.py`, commit 7dc921f): one decode under each
branch, bytes into the resize, a `tf.cond` for every op or sub-policy that
might be chosen, `ImageProjectiveTransform` for what moves pixels (in place of
`tf.contrib.image`), a histogram for each channel. Crops are drawn from a seed,
so that they are everybody's. For speed alone: the pixels are tested elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from efficientnet_tf.data.augmentation.ops import OPS, Reach, argument
from efficientnet_tf.data.augmentation.policies import (
    AUTOAUGMENT,
    AUTOAUGMENT_REACH,
    RANDAUGMENT,
    RANDAUGMENT_REACH,
)

_LAYERS, _MAGNITUDE = 2, 10


def original_image(
    jpeg: tf.Tensor, seed: tf.Tensor, pixels: int, resize: str, policy: str
) -> tf.Tensor:
    """A training image, float32 `[pixels, pixels, 3]`."""
    crop_seed, flip_seed = tf.unstack(tf.random.split(seed, 2))
    shape = tf.image.extract_jpeg_shape(jpeg)
    begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
        shape,
        bounding_boxes=tf.constant([0.0, 0.0, 1.0, 1.0], shape=[1, 1, 4]),
        seed=crop_seed,
        min_object_covered=0.1,
        aspect_ratio_range=(3 / 4, 4 / 3),
        area_range=(0.08, 1.0),
        max_attempts=10,
        use_image_if_no_bounding_boxes=True,
    )
    kernel = {
        "bilinear": tf.compat.v1.image.resize_bilinear,
        "legacy_bicubic": tf.compat.v1.image.resize_bicubic,
    }.get(resize, tf.compat.v1.image.resize_bicubic)

    def cut(window: tf.Tensor) -> tf.Tensor:
        part = tf.image.decode_and_crop_jpeg(jpeg, window, channels=3)
        return kernel([part], [pixels, pixels])[0]

    side = tf.reduce_min(shape[:2]) * pixels // (pixels + 32)
    centre = tf.concat([(shape[:2] - side + 1) // 2, [side, side]], axis=0)
    image = tf.cond(
        tf.reduce_all(tf.equal(size, shape)),
        lambda: cut(centre),
        lambda: cut(tf.stack([begin[0], begin[1], size[0], size[1]])),
    )
    image = tf.image.stateless_random_flip_left_right(image, flip_seed)
    if policy == "none":
        return image
    image = tf.cast(tf.clip_by_value(image, 0.0, 255.0), tf.uint8)
    image = _POLICIES[policy](tf.ensure_shape(image, [pixels, pixels, 3]))
    return tf.cast(image, tf.float32)


def _randaugment(image: tf.Tensor) -> tf.Tensor:
    for _ in range(_LAYERS):
        chosen = tf.random.uniform([], maxval=len(RANDAUGMENT), dtype=tf.int32)
        before = image
        for place, op in enumerate(RANDAUGMENT):
            apply = _applied(op, _MAGNITUDE, RANDAUGMENT_REACH)
            image = tf.cond(
                tf.equal(chosen, place),
                lambda apply=apply, before=before: apply(before),
                lambda image=image: image,
            )
    return image


def _autoaugment(image: tf.Tensor) -> tf.Tensor:
    chosen = tf.random.uniform([], maxval=len(AUTOAUGMENT), dtype=tf.int32)

    def policy(steps: Any, image: tf.Tensor) -> tf.Tensor:
        for step in steps:
            apply = _applied(step.op, step.level, AUTOAUGMENT_REACH)
            image = tf.cond(
                tf.random.uniform([]) < step.probability,
                lambda apply=apply, image=image: apply(image),
                lambda image=image: image,
            )
        return image

    for place, steps in enumerate(AUTOAUGMENT):
        image = tf.cond(
            tf.equal(chosen, place),
            lambda steps=steps, image=image: policy(steps, image),
            lambda image=image: image,
        )
    return image


_POLICIES: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "randaugment": _randaugment,
    "autoaugment": _autoaugment,
}


def _applied(op: Any, level: float, reach: Reach) -> Callable[..., tf.Tensor]:
    value = argument(op, level, reach)

    def apply(image: tf.Tensor) -> tf.Tensor:
        if not OPS[op].signed:
            return _OPS[op](image, value)
        coin = tf.floor(tf.random.uniform([]) + 0.5) * 2 - 1
        return _OPS[op](image, coin * value)

    return lambda image: tf.ensure_shape(apply(image), image.shape)


def _blend(one: tf.Tensor, other: tf.Tensor, share: float) -> tf.Tensor:
    start = tf.cast(one, tf.float32)
    mixed = start + share * (tf.cast(other, tf.float32) - start)
    return tf.cast(tf.clip_by_value(mixed, 0.0, 255.0), tf.uint8)


def _grey(image: tf.Tensor) -> tf.Tensor:
    return tf.image.grayscale_to_rgb(tf.image.rgb_to_grayscale(image))


def _contrast(image: tf.Tensor, share: float) -> tf.Tensor:
    grey = tf.cast(tf.image.rgb_to_grayscale(image), tf.int32)
    histogram = tf.histogram_fixed_width(grey, [0, 255], nbins=256)
    mean = tf.reduce_sum(tf.cast(histogram, tf.float32)) / 256.0
    flat = tf.clip_by_value(tf.ones_like(grey, tf.float32) * mean, 0.0, 255.0)
    flat = tf.image.grayscale_to_rgb(tf.cast(flat, tf.uint8))
    return _blend(flat, image, share)


def _sharpness(image: tf.Tensor, share: float) -> tf.Tensor:
    weights = tf.constant([[1, 1, 1], [1, 5, 1], [1, 1, 1]], tf.float32) / 13
    kernel = tf.tile(weights[..., None, None], [1, 1, 3, 1])
    exact = tf.cast(image, tf.float32)[None]
    smooth = tf.nn.depthwise_conv2d(exact, kernel, [1, 1, 1, 1], "VALID")
    smooth = tf.cast(tf.clip_by_value(smooth, 0.0, 255.0), tf.uint8)[0]
    border = [[1, 1], [1, 1], [0, 0]]
    inside = tf.pad(tf.ones_like(smooth), border)
    degenerate = tf.where(tf.equal(inside, 1), tf.pad(smooth, border), image)
    return _blend(degenerate, image, share)


def _autocontrast(image: tf.Tensor, unused: float) -> tf.Tensor:
    def channel(values: tf.Tensor) -> tf.Tensor:
        exact = tf.cast(values, tf.float32)
        low, high = tf.reduce_min(exact), tf.reduce_max(exact)
        scale = 255.0 / (high - low)

        def stretched() -> tf.Tensor:
            moved = exact * scale - low * scale
            return tf.cast(tf.clip_by_value(moved, 0.0, 255.0), tf.uint8)

        return tf.cond(high > low, stretched, lambda: values)

    return tf.stack([channel(image[..., c]) for c in range(3)], axis=2)


def _equalize(image: tf.Tensor, unused: float) -> tf.Tensor:
    def channel(values: tf.Tensor) -> tf.Tensor:
        values = tf.cast(values, tf.int32)
        counts = tf.histogram_fixed_width(values, [0, 255], nbins=256)
        present = tf.gather(counts, tf.where(tf.not_equal(counts, 0)))[:, 0]
        step = (tf.reduce_sum(present) - present[-1]) // 255

        def table() -> tf.Tensor:
            found = (tf.cumsum(counts) + step // 2) // step
            found = tf.concat([[0], found[:-1]], axis=0)
            return tf.gather(tf.clip_by_value(found, 0, 255), values)

        changed = tf.cond(tf.equal(step, 0), lambda: values, table)
        return tf.cast(changed, tf.uint8)

    return tf.stack([channel(image[..., c]) for c in range(3)], axis=2)


def _moved(image: tf.Tensor, transform: list[Any]) -> tf.Tensor:
    """A fourth channel of ones tells what came from outside."""
    ones = tf.ones(image.shape[:2] + [1], image.dtype)
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.concat([image, ones], axis=2)[None],
        transforms=tf.stack([tf.cast(x, tf.float32) for x in transform])[None],
        output_shape=image.shape[:2],
        fill_value=0.0,
        interpolation="NEAREST",
        fill_mode="CONSTANT",
    )[0]
    shape = tf.shape(moved)
    flat = tf.reshape(moved, [-1, shape[2]])
    outside = tf.equal(flat[:, 3:], 0)
    grey = tf.fill(tf.shape(flat), tf.constant(128, image.dtype))
    filled = tf.where(outside, grey, flat)
    return tf.slice(tf.reshape(filled, shape), [0, 0, 0], image.shape)


def _rotate(image: tf.Tensor, degrees: tf.Tensor) -> tf.Tensor:
    angle = degrees * (math.pi / 180)
    cos, sin, half = tf.cos(angle), tf.sin(angle), (image.shape[0] - 1) / 2
    right = half - (cos * half - sin * half)
    down = half - (sin * half + cos * half)
    return _moved(image, [cos, -sin, right, sin, cos, down, 0, 0])


def _cutout(image: tf.Tensor, half: float) -> tf.Tensor:
    side = image.shape[0]
    centre = tf.random.uniform([2], maxval=side, dtype=tf.int32)
    before = tf.maximum(0, centre - int(half))
    after = tf.maximum(0, side - centre - int(half))
    hole = tf.zeros(side - (before + after), image.dtype)
    paddings = tf.stack([before, after], axis=1)
    mask = tf.pad(hole, paddings, constant_values=1)
    mask = tf.tile(mask[..., None], [1, 1, 3])
    return tf.where(tf.equal(mask, 0), tf.ones_like(image) * 128, image)


def _solarize_add(image: tf.Tensor, addition: float) -> tf.Tensor:
    added = tf.cast(image, tf.int64) + int(addition)
    added = tf.cast(tf.clip_by_value(added, 0, 255), tf.uint8)
    return tf.where(image < 128, added, image)


def _posterize(image: tf.Tensor, bits: float) -> tf.Tensor:
    shift = tf.constant(min((8 - int(bits)) % 256, 7), tf.uint8)
    lower = tf.bitwise.right_shift(image, shift)
    return tf.bitwise.left_shift(lower, shift)


_OPS: dict[str, Callable[..., tf.Tensor]] = {
    "AutoContrast": _autocontrast,
    "Equalize": _equalize,
    "Invert": lambda image, unused: 255 - image,
    "Rotate": _rotate,
    "Posterize": _posterize,
    "Solarize": lambda image, value: tf.where(
        image < int(value) % 256, image, 255 - image
    ),
    "Color": lambda image, share: _blend(_grey(image), image, share),
    "Contrast": _contrast,
    "Brightness": lambda image, share: _blend(
        tf.zeros_like(image), image, share
    ),
    "Sharpness": _sharpness,
    "ShearX": lambda image, x: _moved(image, [1, x, 0, 0, 1, 0, 0, 0]),
    "ShearY": lambda image, y: _moved(image, [1, 0, 0, y, 1, 0, 0, 0]),
    "TranslateX": lambda image, x: _moved(image, [1, 0, x, 0, 1, 0, 0, 0]),
    "TranslateY": lambda image, y: _moved(image, [1, 0, 0, 0, 1, y, 0, 0]),
    "Cutout": _cutout,
    "SolarizeAdd": _solarize_add,
}
