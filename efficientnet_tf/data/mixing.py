"""Mixup and cutmix: training images made of two, and labels to match.

Each image is mixed with its neighbour in the batch, not with the one at the
other end of a replica's share as in the original: so a run mixes the same
images on one device and on many.
"""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class Mixing:
    """How much training images are mixed.

    Attributes:
        mixup: Both parameters of the beta distribution of mixup (Zhang et al.
            2018); 0 for none.
        cutmix: The same of cutmix (Yun et al. 2019). Where both are given,
            each has half of the batches.
    """

    mixup: float = 0.0
    cutmix: float = 0.0

    def __bool__(self) -> bool:
        """Whether anything is mixed."""
        return bool(self.mixup or self.cutmix)


@dataclass(frozen=True)
class Rows:
    """Where a share of images stands in its global batch.

    Attributes:
        batch: Images of the global batch.
        numbers: int32 `[share]`, which of them each image of the share is.
    """

    batch: int
    numbers: tf.Tensor


def mix(
    images: tf.Tensor,
    targets: tf.Tensor,
    mixing: Mixing,
    *,
    seed: tf.Tensor,
    rows: Rows,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mixes each image of a share with its neighbour.

    Args:
        images: float32 `[share, pixels, pixels, 3]`, an even number of them.
        targets: float32 `[share, classes]`.
        mixing: How much; not nothing.
        seed: integer `[2]`, the same for all shares of a global batch.
        rows: Where the share stands.

    Returns:
        Images and targets of the same shapes.
    """
    coin, *seeds = tf.unstack(tf.random.split(seed, 5))

    def mixup() -> tuple[tf.Tensor, tf.Tensor]:
        # Folded, so that each image keeps the greater part of itself.
        drawn = _beta(mixing.mixup, seeds[:2], rows)
        kept = tf.maximum(drawn, 1 - drawn)
        weight = tf.reshape(kept, [-1, 1, 1, 1])
        return weight * images + (1 - weight) * _neighbours(images), kept

    def cutmix() -> tuple[tf.Tensor, tf.Tensor]:
        drawn = _beta(mixing.cutmix, seeds[:2], rows)
        patch = _patches(images.shape[1], drawn, seeds[2:], rows)
        kept = 1 - tf.reduce_mean(patch, [1, 2, 3])
        return patch * _neighbours(images) + (1 - patch) * images, kept

    if mixing.mixup and mixing.cutmix:
        heads = tf.random.stateless_uniform([], coin) < 0.5
        mixed, kept = tf.cond(heads, mixup, cutmix)
    else:
        mixed, kept = mixup() if mixing.mixup else cutmix()
    kept = kept[:, tf.newaxis]
    mixed = tf.ensure_shape(mixed, images.shape)
    return mixed, kept * targets + (1 - kept) * _neighbours(targets)


def _neighbours(values: tf.Tensor) -> tf.Tensor:
    """First and second, third and fourth, ... change places."""
    pairs = tf.reshape(values, tf.concat([[-1, 2], tf.shape(values)[1:]], 0))
    return tf.reshape(pairs[:, ::-1], tf.shape(values))


def _beta(alpha: float, seeds: list[tf.Tensor], rows: Rows) -> tf.Tensor:
    """float32 `[share]` of Beta(alpha, alpha), as a ratio of two gammas.

    Their logarithms are drawn: for a small alpha most are below what float32
    holds. A gamma of alpha is one of alpha + 1 times a uniform number to the
    power of 1 / alpha (Marsaglia and Tsang 2000, section 6).
    """
    logarithms = []
    for seed in seeds:
        gamma_seed, uniform_seed = tf.unstack(tf.random.split(seed, 2))
        gamma = tf.random.stateless_gamma([rows.batch], gamma_seed, alpha + 1)
        uniform = 1 - tf.random.stateless_uniform([rows.batch], uniform_seed)
        logarithms.append(tf.math.log(gamma) + tf.math.log(uniform) / alpha)
    ours, other = logarithms
    drawn = tf.sigmoid(ours - other)
    return tf.gather(drawn, rows.numbers)


def _patches(
    pixels: int, kept: tf.Tensor, seeds: list[tf.Tensor], rows: Rows
) -> tf.Tensor:
    """1 inside a square patch of each image, 0 elsewhere.

    A patch covers `1 - kept` of the image; its centre lies anywhere, and what
    reaches over the edge is lost, as in the paper.

    Args:
        pixels: Side of the images.
        kept: float32 `[share]`.
        seeds: Two of them.
        rows: Where the share stands.

    Returns:
        float32 `[share, pixels, pixels, 1]`.
    """
    half = tf.floor(tf.sqrt(1 - kept) * pixels) / 2
    place = tf.range(pixels, dtype=tf.float32) + 0.5
    inside = []
    for seed in seeds:
        drawn = tf.random.stateless_uniform([rows.batch], seed)
        centre = tf.floor(tf.gather(drawn, rows.numbers) * pixels)
        distance = tf.abs(place - centre[:, tf.newaxis])
        inside.append(tf.cast(distance < half[:, tf.newaxis], tf.float32))
    down, across = inside
    return (down[:, :, None] * across[:, None, :])[..., None]
