"""Jitter: torchvision's `ColorJitter`, written in NumPy and colorsys."""

from __future__ import annotations

import colorsys
import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from efficientnet_tf.data.augmentation.jitter import (
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
    jittered,
)
from efficientnet_tf.data.augmentation.recipe import Jitter

GREY = np.array([0.2989, 0.587, 0.114])
MOST_GREYS = 0.1


def brightness(image: np.ndarray, factor: float) -> np.ndarray:
    return image * factor


def contrast(image: np.ndarray, factor: float) -> np.ndarray:
    return factor * image + (1 - factor) * (image @ GREY).mean()


def saturation(image: np.ndarray, factor: float) -> np.ndarray:
    return factor * image + (1 - factor) * (image @ GREY)[..., None]


def hue(image: np.ndarray, turn: float) -> np.ndarray:
    def one(pixel: np.ndarray) -> tuple[float, ...]:
        h, s, v = colorsys.rgb_to_hsv(*(pixel / 255))
        return colorsys.hsv_to_rgb((h + turn) % 1.0, s, v)

    return 255 * np.apply_along_axis(one, -1, image)


CHANGES: list[tuple[Callable[..., tf.Tensor], Callable[..., np.ndarray]]] = [
    (adjust_brightness, brightness),
    (adjust_contrast, contrast),
    (adjust_saturation, saturation),
]


@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 1.7])
@pytest.mark.parametrize(("ours", "expected"), CHANGES)
def test_blends(
    ours: Callable[..., tf.Tensor],
    expected: Callable[..., np.ndarray],
    factor: float,
    made: list[np.ndarray],
) -> None:
    for image in made:
        found = ours(tf.constant(image, tf.float32), factor)
        wanted = expected(image.astype(float), factor).clip(0, 255)
        assert np.abs(found - wanted).max() < MOST_GREYS


@pytest.mark.parametrize("turn", [-0.5, -0.2, 0.0, 0.1, 0.5])
def test_hue(turn: float, made: list[np.ndarray]) -> None:
    for image in made[2:]:
        small = image[:32, :32]
        found = adjust_hue(tf.constant(small, tf.float32), turn)
        assert np.abs(found - hue(small, turn)).max() < MOST_GREYS


# torch cannot be imported into a process that has TensorFlow.
TORCHVISION = """
import sys
import numpy as np
import torch
import torchvision.transforms.functional as theirs

image = torch.tensor(np.load(sys.argv[1]) / 255, dtype=torch.float32)
image = image.permute(2, 0, 1)
changed = [
    theirs.adjust_brightness(image, 1.3),
    theirs.adjust_contrast(image, 1.6),
    theirs.adjust_saturation(image, 0.3),
    theirs.adjust_hue(image, -0.2),
]
np.save(sys.argv[2], torch.stack(changed).permute(0, 2, 3, 1).numpy() * 255)
"""


@pytest.mark.slow
def test_changes_are_torchvisions(
    made: list[np.ndarray], tmp_path: Path
) -> None:
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("needs torchvision")
    files = [str(tmp_path / name) for name in ("image.npy", "changed.npy")]
    np.save(files[0], made[0])
    subprocess.run([sys.executable, "-c", TORCHVISION, *files], check=True)
    image = tf.constant(made[0], tf.float32)
    ours = [
        adjust_brightness(image, 1.3),
        adjust_contrast(image, 1.6),
        adjust_saturation(image, 0.3),
        adjust_hue(image, -0.2),
    ]
    assert np.abs(np.stack(ours) - np.load(files[1])).max() < MOST_GREYS


def seeds(count: int) -> list[tf.Tensor]:
    return [tf.constant([5, number]) for number in range(count)]


def test_factors_are_uniform_around_one() -> None:
    grey = tf.fill([4, 4, 3], 100.0)
    factors = [
        float(jittered(grey, seed, Jitter(brightness=0.4))[0, 0, 0]) / 100
        for seed in seeds(300)
    ]
    assert 0.6 <= min(factors) < 0.62
    assert 1.38 < max(factors) <= 1.4
    for quantile in (0.25, 0.5, 0.75):
        assert np.quantile(factors, quantile) == pytest.approx(
            0.6 + 0.8 * quantile, abs=0.06
        )


def test_factors_are_not_below_zero() -> None:
    grey = tf.fill([4, 4, 3], 50.0)
    found = [
        float(jittered(grey, seed, Jitter(brightness=3.0))[0, 0, 0]) / 50
        for seed in seeds(200)
    ]
    # From 0 to 4, where torchvision's lower end is max(0, 1 - 3).
    assert 0 <= min(found) < 0.1
    assert 3.9 < max(found) <= 4.0


def test_hues_turn_both_ways() -> None:
    red = tf.constant([[[200.0, 50.0, 50.0]]])
    turned = [
        jittered(red, seed, Jitter(hue=0.1))[0, 0].numpy()
        for seed in seeds(200)
    ]
    # To yellow is green above blue; to violet the other way round.
    toward = [(pixel[1] - pixel[2]) / 150 / 6 for pixel in turned]
    assert -0.1 <= min(toward) < -0.095
    assert 0.095 < max(toward) <= 0.1


def test_the_order_is_random() -> None:
    # Brightness first clips at white, and contrast then finds nothing to do;
    # after it, the picture has two values still.
    image = np.zeros((2, 2, 3), np.float32)
    image[0], image[1] = 250, 200
    wanted = Jitter(brightness=0.9, contrast=0.9)
    orders = set()
    for seed in seeds(60):
        found = jittered(tf.constant(image), seed, wanted).numpy()
        uniform = tf.random.stateless_uniform([2, 2], seed).numpy()
        factors = 0.1 + 1.8 * uniform[:, 1]
        results = {}
        for name, order in {"bc": (0, 1), "cb": (1, 0)}.items():
            expected = image.astype(float)
            for number in order:
                change = (brightness, contrast)[number]
                expected = change(expected, factors[number]).clip(0, 255)
            results[name] = np.abs(found - expected).max()
        assert min(results.values()) < MOST_GREYS
        if abs(results["bc"] - results["cb"]) > 1:
            orders.add(min(results, key=lambda name: results[name]))
    assert orders == {"bc", "cb"}
