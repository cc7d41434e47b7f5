"""Mixup and cutmix: what an image is made of is what its label says."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from efficientnet_tf.data.mixing import Mixing, Rows, mix

SHARE = 64
PIXELS = 40
SEED = tf.constant([3, 7], tf.int64)


def batch(rows: slice = slice(0, SHARE)) -> tuple[tf.Tensor, tf.Tensor]:
    """Image k is of brightness k everywhere and of class k."""
    bright = np.arange(SHARE, dtype=np.float32)[rows]
    images = np.broadcast_to(
        bright[:, None, None, None], (len(bright), PIXELS, PIXELS, 3)
    )
    return tf.constant(images), tf.one_hot(bright.astype(int), SHARE)


def mixed(mixing: Mixing, seed: tf.Tensor = SEED) -> tuple[np.ndarray, ...]:
    images, targets = batch()
    rows = Rows(SHARE, tf.range(SHARE))
    found = mix(images, targets, mixing, seed=seed, rows=rows)
    return tuple(value.numpy() for value in found)


@pytest.mark.parametrize("mixing", [Mixing(mixup=0.4), Mixing(cutmix=1.0)])
def test_targets_are_the_shares_of_what_is_in_the_image(
    mixing: Mixing,
) -> None:
    images, targets = mixed(mixing)
    np.testing.assert_allclose(targets.sum(1), 1, atol=1e-6)
    # A brightness is its class, so the mean brightness is the mean class.
    np.testing.assert_allclose(
        images.mean((1, 2, 3)), targets @ np.arange(SHARE), rtol=1e-5, atol=1e-4
    )
    neighbours = np.arange(SHARE) ^ 1
    kept = targets[np.arange(SHARE), np.arange(SHARE)]
    np.testing.assert_allclose(
        targets[np.arange(SHARE), neighbours], 1 - kept, atol=1e-6
    )
    assert len(np.unique(kept)) > SHARE / 2


def test_mixup_blends_and_keeps_the_greater_part() -> None:
    images, targets = mixed(Mixing(mixup=0.4))
    assert np.all(images.std((1, 2, 3)) < 1e-4)
    assert np.all(targets.max(1) == np.diagonal(targets))


def test_cutmix_pastes_a_rectangle() -> None:
    images, _ = mixed(Mixing(cutmix=1.0))
    for number, image in enumerate(images):
        pasted = image[..., 0] == number ^ 1
        assert set(np.unique(image)) <= {number, number ^ 1}
        rows, columns = pasted.any(1), pasted.any(0)
        np.testing.assert_array_equal(pasted, rows[:, None] & columns)
        assert np.abs(np.diff(rows.astype(int))).sum() <= 2


@pytest.mark.parametrize("alpha", [0.001, 0.2, 1.0, 8.0])
def test_shares_are_beta_distributed(alpha: float) -> None:
    kept = []
    for number in range(40):
        seed = tf.constant([number, 0], tf.int64)
        kept += list(np.diagonal(mixed(Mixing(mixup=alpha), seed)[1]))
    # Of Beta(a, a) folded at a half: NumPy's draws.
    drawn = np.random.default_rng(0).beta(alpha, alpha, 100_000)
    expected = np.maximum(drawn, 1 - drawn)
    for quantile in (0.1, 0.25, 0.5, 0.75):
        assert np.quantile(kept, quantile) == pytest.approx(
            np.quantile(expected, quantile), abs=0.02
        )


def test_both_share_the_batches() -> None:
    blended = 0
    for number in range(60):
        seed = tf.constant([number, 1], tf.int64)
        images, _ = mixed(Mixing(mixup=0.4, cutmix=1.0), seed)
        blended += bool(np.all(images.std((1, 2, 3)) < 1e-4))
    assert 15 < blended < 45


@pytest.mark.parametrize("mixing", [Mixing(mixup=0.4), Mixing(cutmix=1.0)])
def test_shares_of_a_batch_are_mixed_as_the_whole(mixing: Mixing) -> None:
    whole = mixed(mixing)
    for first in range(0, SHARE, 16):
        images, targets = batch(slice(first, first + 16))
        rows = Rows(SHARE, tf.range(first, first + 16))
        part = mix(images, targets, mixing, seed=SEED, rows=rows)
        for got, expected in zip(part, whole, strict=True):
            np.testing.assert_array_equal(got, expected[first : first + 16])
