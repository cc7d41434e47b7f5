"""What candidates cost, against counts by hand and against order."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from efficientnet_tf.networks import Network, network
from efficientnet_tf.networks.blocks import Block
from efficientnet_tf.networks.families import IMAGENET
from efficientnet_tf.search.costs import COSTS, Priced
from efficientnet_tf.search.synflow import synflow
from efficientnet_tf.training.config import Config, ModelConfig, TrainConfig

# A stem of 8 at 16 x 16, one convolution 3 x 3 of 8 to 16, a head of 32.
BLOCK = Block(
    name="1a",
    stage=1,
    kind="fused",
    kernel=3,
    stride=1,
    padding="same",
    inputs=8,
    space_to_depth=False,
    expands=False,
    expanded=8,
    squeeze=0,
    outputs=16,
    activation="relu",
    residual=False,
    drop_path=0.0,
    experts=0,
    bias=False,
    stride_first=False,
)
TINY = Network(
    name="tiny",
    pixels=32,
    classes=10,
    stem=8,
    blocks=(BLOCK,),
    head=32,
    activation="relu",
    dropout=0.0,
    drop_path=0.0,
    normalization=IMAGENET,
    stem_kernel=3,
    stem_pool=False,
    stem_padding="same",
    stem_bias=False,
    batch_norm_epsilon=1e-3,
)
CONFIG = Config(model=ModelConfig(pixels=32), train=TrainConfig(batch=8))
PRICED = Priced(TINY, CONFIG, "v5e:1x1")
PLACES = 16 * 16


@pytest.mark.parametrize(
    ("name", "by_hand"),
    [
        (
            "macs",
            PLACES * (27 * 8 + 9 * 8 * 16 + 16 * 32) + 32 * 10,
        ),
        (
            "parameters",
            27 * 8 + 9 * 8 * 16 + 16 * 32 + 2 * (8 + 16 + 32) + 33 * 10,
        ),
        ("activation_memory", 4 * (PLACES * (8 + 16 + 32) + 10)),
    ],
)
def test_costs_by_hand(name, by_hand):
    assert COSTS[name].measure(PRICED) == by_hand


@pytest.mark.slow
def test_a_larger_network_takes_longer_in_litert(capfd):
    large = network("efficientnet-lite0", pixels=64, classes=10)
    times = [
        COSTS["litert_ms"].measure(replace(PRICED, network=each))
        for each in (TINY, large)
    ]
    assert 0 < times[0] < times[1]
    # Where --json is printed.
    assert capfd.readouterr().out == ""


@pytest.mark.slow
def test_the_compilers_cycles():
    pytest.importorskip("libtpu")
    cycles = COSTS["tpu_cycles"].measure(PRICED)
    assert cycles > 0


def test_every_cost_says_what_it_is():
    assert all(cost.means for cost in COSTS.values())


def test_synflow_by_hand():
    """Of a network of only ones and no padding at all, but for its ends.

    A weight's flow is the sum over all ways through it, so that every layer
    has the same flow, that of the output; a bias that is 0 has none. Batch
    norms scale by a weight too, and their shifts are 0.
    """
    import keras

    from efficientnet_tf.modeling.build import build_network

    keras.utils.set_random_seed(3)
    model = build_network(replace(TINY, classes=0), dtype="float64")
    for weight in model.trainable_variables:
        weight.assign(np.abs(weight.numpy()))
    output = float(model(np.ones((1, 32, 32, 3)), training=False).numpy().sum())
    # Stem, block and head; three batch norms.
    assert synflow(TINY, seed=3) == pytest.approx(
        math.log10(6 * output), abs=1e-9
    )


def test_synflow_grows_with_depth():
    small = network("efficientnet-lite0", pixels=32, classes=10)
    blocks = (*small.blocks[:2], replace(small.blocks[2], name="2c"))
    deeper = replace(small, blocks=(*blocks, *small.blocks[2:]))
    assert synflow(deeper) > synflow(small)


def test_synflow_is_beyond_float32():
    """B0 at 64 pixels: more than 10 ** 38."""
    assert synflow(network("efficientnet-b0", pixels=64)) > 38.5
