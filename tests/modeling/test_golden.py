"""The original code's numbers on weights that anyone can rebuild.

The rule for weights and images is in tests/golden/README.md.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from efficientnet_tf.modeling.build import build
from efficientnet_tf.networks import Block, Network, network

FILES = sorted((Path(__file__).parents[1] / "golden").glob("*.json"))
TOLERANCE = 1e-3

# Variables of the original by those of Keras, where the names differ.
_KINDS = {"DepthwiseConv2D": {"kernel": "depthwise_kernel"}}


def original_scopes(resolved: Network) -> Iterator[tuple[str, str]]:
    """Our layers, and the original's scope of each."""
    yield "stem_conv", "stem/conv2d"
    yield "stem_bn", "stem/tpu_batch_normalization"
    for number, block in enumerate(resolved.blocks):
        for layer, scope in _block_scopes(block):
            yield f"block{block.name}_{layer}", f"blocks_{number}/{scope}"
    yield "top_conv", "head/conv2d"
    yield "top_bn", "head/tpu_batch_normalization"
    yield "predictions", "head/dense"


def _block_scopes(block: Block) -> Iterator[tuple[str, str]]:
    """TF1 numbers the layers of a scope in the order of their calls."""
    if block.kind == "fused" or block.expanded != block.inputs:
        convs = {"expand_conv": "conv2d", "project_conv": "conv2d_1"}
    else:
        convs = {"project_conv": "conv2d"}
    yield from convs.items()
    if block.kind == "mbconv":
        yield "dwconv", "depthwise_conv2d"
    if block.squeeze:
        yield "se_reduce", "se/conv2d"
        yield "se_expand", "se/conv2d_1"
    norms = ["project_bn"]
    if block.kind == "mbconv":
        norms.insert(0, "bn")
    if "expand_conv" in convs:
        norms.insert(0, "expand_bn")
    for position, norm in enumerate(norms):
        suffix = f"_{position}" if position else ""
        yield norm, f"tpu_batch_normalization{suffix}"


def rebuilt(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A variable by the rule of the golden files."""
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


def images(size: int) -> np.ndarray:
    """`[2, size, size, 3]` float32, already normalised."""
    rng = np.random.RandomState(7)
    tile = np.ones((1, size // 8, size // 8, 1))
    return np.kron(rng.uniform(-2, 2, (2, 8, 8, 3)), tile).astype("float32")


def rebuild(model: keras.Model, resolved: Network) -> None:
    """Fills every weight of the model, and fails if one is left out."""
    filled = set()
    for layer_name, scope in original_scopes(resolved):
        layer = model.get_layer(layer_name)
        kinds = _KINDS.get(type(layer).__name__, {})
        for variable in layer.variables:
            kind = kinds.get(variable.name, variable.name)
            full = f"{resolved.name}/{scope}/{kind}"
            variable.assign(rebuilt(full, variable.shape))
            filled.add(variable.path)
    assert filled == {variable.path for variable in model.weights}


def endpoints(model: keras.Model, resolved: Network) -> dict[str, Any]:
    """Tensors of ours by the original's names of them."""
    layers = {"stem": "stem_activation"}
    for number, block in enumerate(resolved.blocks):
        last = "add" if block.residual else "project_bn"
        layers[f"block_{number}"] = f"block{block.name}_{last}"
    layers |= {"head_1x1": "top_activation", "pooled_features": "avg_pool"}
    return {key: model.get_layer(name).output for key, name in layers.items()}


def test_some_files_are_there() -> None:
    assert len(FILES) >= 5


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_original_computes_the_same(path: Path) -> None:
    golden = json.loads(path.read_text())
    name, size = golden["name"], golden["image_size"]
    assert golden["source"]
    model = build(name, pixels=size)
    resolved = network(name, pixels=size)
    rebuild(model, resolved)
    outputs = {"logits": model.output, **endpoints(model, resolved)}
    results = keras.Model(model.input, outputs)(images(size), training=False)
    values = {key: np.asarray(result) for key, result in results.items()}

    logits = values.pop("logits")
    expected = np.array(golden["logits"])
    error = np.abs(logits[:, : expected.shape[1]] - expected).max()
    assert error <= TOLERANCE * golden["logits_std"]
    assert logits.std() == pytest.approx(golden["logits_std"], rel=TOLERANCE)

    assert values.keys() == golden["endpoints"].keys()
    for key, value in values.items():
        mean, std = (golden["endpoints"][key][word] for word in ("mean", "std"))
        # A mean near zero is as exact as its tensor is wide.
        assert value.mean() == pytest.approx(mean, abs=TOLERANCE * std), key
        assert value.std() == pytest.approx(std, rel=TOLERANCE), key
