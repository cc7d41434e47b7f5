"""What is said of a step that is not finite."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from efficientnet_tf.training.config import Config
from efficientnet_tf.training.config_files import override
from efficientnet_tf.training.divergence import first_not_finite
from efficientnet_tf.training.plan import plan
from efficientnet_tf.training.state import create_state
from efficientnet_tf.training.step import TrainStep

CLASSES = 3


def said(config: Config, spoil: str, value: float, where: str) -> str:
    """What is found where a value stands in a weight or an image."""
    network = config.network(CLASSES)
    state = create_state(network, config, "float32")
    images = np.full((8, 32, 32, 3), 100.0, np.float32)
    if spoil == "weight":
        (weight,) = (w for w in state.model.weights if w.path == where)
        values = weight.numpy()
        values.flat[0] = value
        weight.assign(values)
    else:
        images[5, 3, 3, 1] = value
    targets = np.full((8, CLASSES), 1 / CLASSES, np.float32)
    parts = config.train.microbatches
    batches = zip(
        np.split(images, parts), np.split(targets, parts), strict=True
    )
    return first_not_finite(
        state,
        TrainStep(state, network, config.train, plan(config, 40)),
        network,
        iter(batches),
        microbatches=parts,
        strategy=tf.distribute.get_strategy(),
    )


@pytest.mark.parametrize(
    ("spoil", "where", "expected"),
    [
        ("weight", "block1a_dwconv/kernel", "block1a_dwconv"),
        ("weight", "block2a_se_reduce/bias", "block2a_se_reduce"),
        ("weight", "predictions/bias", "predictions"),
        ("image", "", "images"),
    ],
)
@pytest.mark.parametrize("settings", [[], ["train.microbatches=2"]])
def test_the_first_layer_is_named(
    config: Config, spoil: str, where: str, expected: str, settings: list[str]
) -> None:
    found = said(override(config, settings), spoil, np.nan, where)
    assert found == f"the output of {expected}"


def test_a_gradient_is_named_where_all_outputs_are_finite(
    config: Config,
) -> None:
    # Squared in the loss, 1e30 is more than float32 holds.
    config = override(config, ["train.weight_decay=1e30"])
    found = said(config, "weight", 1e20, "predictions/bias")
    assert found == "the gradient of predictions/bias"


def test_a_sum_that_overflows(config: Config) -> None:
    assert said(config, "image", 255.0, "") == "the sum over all images"
