"""A rematerialised network against the network itself."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

from efficientnet_tf.modeling.build import build_network
from efficientnet_tf.modeling.moment import Moment, announced
from efficientnet_tf.modeling.remat import rematerialized
from efficientnet_tf.networks import families, network
from efficientnet_tf.networks.stages import Family, Stage, Variant

PIXELS = 32
# Blocks with and without squeeze-excite, residual and expansion.
STAGES = (
    Stage("mbconv", 1, 3, 1, 1, 8, se=0.25),
    Stage("fused", 1, 3, 2, 2, 8),
    Stage("mbconv", 2, 5, 2, 4, 16, se=0.25),
)
# A stem that pools, and no head behind the blocks.
OLDER_STAGES = (
    Stage("bottleneck", 2, 3, 1, 4, 32),
    Stage("bottleneck", 1, 3, 2, 4, 64, stride_first=True),
    Stage("separable", 2, 3, 1, 1, 32),
)


def one_step(
    model: keras.Model, forward: Callable[[tf.Tensor], tf.Tensor]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Gradients of a step, and the weights after it, statistics included."""
    before = model.get_weights()
    images = np.random.default_rng(0).normal(size=(4, PIXELS, PIXELS, 3))

    @tf.function
    def step(images: tf.Tensor) -> list[tf.Tensor]:
        moment = Moment(seed=0, step=tf.constant(3))
        with announced(moment), tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(forward(images)))
        # As in the training step, outside of the moment.
        return tape.gradient(loss, [w.value for w in model.trainable_weights])

    gradients = [g.numpy() for g in step(tf.constant(images, tf.float32))]
    after = model.get_weights()
    model.set_weights(before)
    return gradients, after


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    family = Family(STAGES, "swish", families.IMAGENET, stem=8, head=16)
    variant = Variant(family, 1.0, 1.0, PIXELS, 0.5)
    monkeypatch.setitem(families.VARIANTS, "tiny", variant)
    family = Family(
        OLDER_STAGES,
        "relu",
        families.IMAGENET,
        stem=8,
        head=0,
        stem_kernel=7,
        stem_pool=True,
        padding="symmetric",
    )
    variant = Variant(family, 1.0, 1.0, PIXELS, 0.5)
    monkeypatch.setitem(families.VARIANTS, "older", variant)


@pytest.mark.parametrize(
    "name",
    [
        "tiny",
        "older",
        *(
            pytest.param(f"efficientnet-{name}", marks=pytest.mark.slow)
            for name in ("b0", "edgetpu-S", "x-b0", "condconv-b0-4e")
        ),
    ],
)
def test_it_gives_the_same_gradients_and_statistics(name: str) -> None:
    keras.utils.set_random_seed(1)
    # Drops much, so that a second mask would show.
    resolved = network(
        name, classes=5, pixels=PIXELS, dropout=0.5, drop_path=0.5
    )
    model = build_network(resolved, layers="training")
    plain, statistics = one_step(model, lambda x: model(x, training=True))
    ours, moved = one_step(model, rematerialized(model, resolved))
    for got, expected, weight in zip(
        ours, plain, model.trainable_weights, strict=True
    ):
        scale = np.abs(expected).max() + 1e-6
        np.testing.assert_allclose(
            got / scale, expected / scale, atol=1e-3, err_msg=weight.path
        )
    for got, expected in zip(moved, statistics, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_it_needs_a_moment() -> None:
    resolved = network("tiny", classes=2)
    model = build_network(resolved, layers="training")
    forward = rematerialized(model, resolved)
    with pytest.raises(RuntimeError, match="outside a step"):
        forward(tf.zeros([1, PIXELS, PIXELS, 3]))
