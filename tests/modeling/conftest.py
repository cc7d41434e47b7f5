"""The original's numbers: see tests/golden/README.md for their rules."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from efficientnet_tf.networks import Network, totals

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(autouse=True)
def _fresh_names() -> Iterator[None]:
    yield
    keras.backend.clear_session()


@pytest.fixture
def counted() -> Callable[[keras.Model, Network], None]:
    """Holds the weights of a model against the closed form's numbers."""

    def check(model: keras.Model, resolved: Network) -> None:
        def numbers(variables: list[keras.Variable]) -> int:
            return sum(int(np.prod(variable.shape)) for variable in variables)

        total = totals(resolved)
        assert numbers(model.trainable_weights) == total.trainable_parameters
        assert numbers(model.weights) == total.total_parameters
        assert model.output_shape == (None, resolved.classes)

    return check


@pytest.fixture
def golden() -> Callable[[str], dict[str, Any]]:
    """Reads what the original computed for a network."""

    def read(name: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(
            (GOLDEN / f"{name}.json").read_text()
        )
        return content

    return read


@pytest.fixture
def rebuilt() -> Callable[[str, tuple[int, ...]], np.ndarray]:
    """Makes a variable of the original by its full name and shape."""

    def rebuild(name: str, shape: tuple[int, ...]) -> np.ndarray:
        kind = name.rpartition("/")[2]
        rng = np.random.RandomState(zlib.crc32(name.encode()) & 0x7FFFFFFF)
        if kind == "moving_variance":
            values = rng.uniform(0.5, 1.5, shape)
        elif kind == "gamma":
            values = rng.uniform(0.7, 1.1, shape)
        elif kind in ("moving_mean", "beta", "bias"):
            values = rng.normal(0, 0.05, shape)
        else:
            fan = np.prod(shape[:2] if "depthwise" in kind else shape[:-1])
            values = rng.normal(0, np.sqrt(2 / fan), shape)
        return values.astype("float32")

    return rebuild


@pytest.fixture
def golden_images() -> Callable[[int], np.ndarray]:
    """Makes `[2, size, size, 3]` float32, already normalised."""

    def make(size: int) -> np.ndarray:
        rng = np.random.RandomState(7)
        tile = np.ones((1, size // 8, size // 8, 1))
        images = np.kron(rng.uniform(-2, 2, (2, 8, 8, 3)), tile)
        return images.astype("float32")

    return make


@pytest.fixture
def randomized() -> Callable[[keras.Model], None]:
    """Gives batch norms statistics that a forgotten one would show.

    Wilder ones blow a rounding error of a deep network up to the size of the
    logits; so would the sums of many residual branches that are not damped.
    """

    def randomize(model: keras.Model) -> None:
        rng = np.random.default_rng(0)
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                shape = layer.gamma.shape
                damping = 0.3 if layer.name.endswith("project_bn") else 1.0
                layer.set_weights(
                    [
                        damping * rng.uniform(0.7, 1.1, shape),
                        rng.normal(0, 0.05, shape),
                        rng.normal(0, 0.05, shape),
                        rng.uniform(0.5, 1.5, shape),
                    ]
                )

    return randomize
