"""The original code's numbers on weights that anyone can rebuild.

The rule for weights and images is in tests/golden/README.md.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from efficientnet_tf.modeling.build import build
from efficientnet_tf.modeling.tf1_names import canonical, original_names
from efficientnet_tf.networks import Network, network

NAMES = [
    path.stem
    for path in sorted((Path(__file__).parents[1] / "golden").glob("*.json"))
]
TOLERANCE = 1e-3


def endpoints(model: keras.Model, resolved: Network) -> dict[str, Any]:
    """Tensors of ours by the original's names of them."""

    def output(layer: str) -> Any:
        return model.get_layer(layer).output

    found = {"stem": output("stem_activation")}
    reduction = 0
    for number, block in enumerate(resolved.blocks):
        if block.halves:
            reduction += 1
            _reduction(found, reduction, number - 1)
        projection = model.get_layer(f"block{block.name}_project_conv")
        parts = [f"block_{number}", f"block_{number}/expansion_output"]
        found[parts[0]] = output(
            f"block{block.name}_{'add' if block.residual else 'project_bn'}"
        )
        found[parts[1]] = (
            output(f"block{block.name}_se_excite")
            if block.squeeze
            else projection.input
        )
    _reduction(found, reduction + 1, len(resolved.blocks) - 1)
    return found | {
        "features": found[f"block_{len(resolved.blocks) - 1}"],
        "head_1x1": output("top_activation"),
        "pooled_features": output("avg_pool"),
        "global_pool": output("avg_pool"),
        "head": model.output,
    }


def _reduction(found: dict[str, Any], number: int, block: int) -> None:
    """What comes before a halving: a block, or the stem."""
    source = f"block_{block}" if block >= 0 else "stem"
    for part in ("", "/expansion_output"):
        if source + part in found:
            found[f"reduction_{number}{part}"] = found[source + part]


def test_some_files_are_there() -> None:
    assert len(NAMES) >= 7


@pytest.mark.parametrize("name", NAMES)
def test_the_original_computes_the_same(
    name: str,
    golden: Callable[[str], dict[str, Any]],
    rebuilt: Callable[[str, tuple[int, ...]], np.ndarray],
    golden_images: Callable[[int], np.ndarray],
    counted: Callable[[keras.Model, Network], None],
) -> None:
    original = golden(name)
    size = original["image_size"]
    assert original["source"]
    model = build(name, pixels=size)
    counted(model, network(name))
    theirs = {full: tuple(shape) for full, shape in original["variables"]}
    full_names = {short: full for full, short in canonical(theirs).items()}
    ours = original_names(model)
    assert {known.name for known in ours.values()} == full_names.keys()
    for variable in model.weights:
        known = ours[variable.path]
        full = full_names[known.name]
        assert theirs[full] == known.shape, full
        values = rebuilt(full, known.shape)
        variable.assign(known.ours(values, tuple(variable.shape)))

    outputs = endpoints(model, network(name, pixels=size))
    found = keras.Model(model.input, {"logits": model.output, **outputs})(
        golden_images(size), training=False
    )
    logits = np.asarray(found.pop("logits"))
    expected = np.array(original["logits"])
    error = np.abs(logits[:, : expected.shape[1]] - expected).max()
    assert error <= TOLERANCE * original["logits_std"]
    assert logits.std() == pytest.approx(original["logits_std"], rel=TOLERANCE)

    assert found.keys() == original["endpoints"].keys()
    for key, tensor in found.items():
        value = np.asarray(tensor)
        mean, std = (original["endpoints"][key][w] for w in ("mean", "std"))
        # A mean near zero is as exact as its tensor is wide.
        assert value.mean() == pytest.approx(mean, abs=TOLERANCE * std), key
        assert value.std() == pytest.approx(std, rel=TOLERANCE), key
