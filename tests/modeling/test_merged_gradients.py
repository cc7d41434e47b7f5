"""Layers that have their gradients in common, against Keras's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from efficientnet_tf.modeling.build import build_network
from efficientnet_tf.modeling.layers import Pointwise
from efficientnet_tf.modeling.moment import Moment, announced
from efficientnet_tf.modeling.product_norm import MeanNorm, ProductNorm
from efficientnet_tf.modeling.remat import rematerialized
from efficientnet_tf.modeling.squeezed_norm import Excite, SqueezedNorm
from efficientnet_tf.networks import (
    NamedVariant,
    Network,
    find_variant,
    network,
)

BATCH, SIDE, INPUTS, CHANNELS = 4, 5, 3, 8


def drawn(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def features(channels: int, seed: int = 0) -> np.ndarray:
    """Far from zero, and different from image to image."""
    each = np.arange(1, BATCH + 1)[:, None, None, None]
    return 3.0 + each * drawn(seed, BATCH, SIDE, SIDE, channels)


def widened(merged: bool) -> keras.Model:
    """A convolution that widens, and its batch norm."""
    inputs = keras.Input((SIDE, SIDE, INPUTS))
    kind = Pointwise if merged else keras.layers.Conv2D
    convolution = kind(CHANNELS, 1, use_bias=False, name="conv")
    options = {"momentum": 0.9, "epsilon": 1e-3, "name": "bn"}
    x = convolution(inputs)
    if merged:
        x = ProductNorm(convolution, **options)(x, inputs)
    else:
        x = keras.layers.BatchNormalization(**options)(x)
    return keras.Model(inputs, x)


def told(merged: bool) -> keras.Model:
    """The same behind a batch norm, which knows the mean of what it gives."""
    inputs = keras.Input((SIDE, SIDE, INPUTS))
    kind = Pointwise if merged else keras.layers.Conv2D
    convolution = kind(CHANNELS, 1, use_bias=False, name="conv")
    options = {"momentum": 0.9, "epsilon": 1e-3}
    if merged:
        x, mean = MeanNorm(**options, name="before")(inputs)
        norm = ProductNorm(convolution, **options, name="bn")
        return keras.Model(inputs, norm(convolution(x), x, mean))
    x = keras.layers.BatchNormalization(**options, name="before")(inputs)
    x = keras.layers.BatchNormalization(**options, name="bn")(convolution(x))
    return keras.Model(inputs, x)


def excited(merged: bool) -> keras.Model:
    """Batch norm, swish and squeeze-excite."""
    inputs = keras.Input((SIDE, SIDE, CHANNELS))
    options = {"momentum": 0.9, "epsilon": 1e-3, "name": "bn"}
    if merged:
        x, scale, shift = SqueezedNorm(**options)(inputs)
    else:
        y = keras.layers.BatchNormalization(**options)(inputs)
        y = keras.layers.Activation("silu")(y)
        x = keras.layers.GlobalAveragePooling2D(keepdims=True)(y)
    x = keras.layers.Conv2D(2, 1, activation="silu", name="reduce")(x)
    gate = keras.layers.Conv2D(
        CHANNELS, 1, activation="sigmoid", name="expand"
    )(x)
    if merged:
        outputs = Excite(autocast=False)(inputs, scale, shift, gate)
    else:
        outputs = keras.layers.Multiply()([y, gate])
    return keras.Model(inputs, outputs)


PARTS = {"widened": widened, "told": told, "excited": excited}
WIDTHS = {"widened": INPUTS, "told": INPUTS, "excited": CHANNELS}
both = pytest.mark.parametrize("part", list(PARTS))


def filled(model: keras.Model, seed: int = 0) -> keras.Model:
    for number, weight in enumerate(model.weights):
        values = drawn(seed + number, *weight.shape)
        positive = "gamma" in weight.path or "variance" in weight.path
        weight.assign(1.5 + np.tanh(values) if positive else values)
    return model


def gradients(
    model: keras.Model, inputs: tf.Tensor, rows: tf.Tensor
) -> list[tf.Tensor]:
    """Outputs, the gradient of the inputs, and those of the weights."""
    weights = [weight.value for weight in model.trainable_weights]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = model(inputs, training=True)
        factors = tf.gather(drawn(9, *(BATCH, *outputs.shape[1:])), rows)
        loss = tf.reduce_sum(tf.cast(outputs, tf.float32) * factors)
    return [outputs, *tape.gradient(loss, [inputs, *weights])]


@contextmanager
def bfloat16() -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def distances(found: list[tf.Tensor], exact: list[tf.Tensor]) -> list[float]:
    """Of outputs, their gradient and the weights', as shares of their sizes."""
    off = []
    for part in (slice(1), slice(1, 2), slice(2, None)):
        ours, reference = (
            np.concatenate([np.ravel(tf.cast(t, tf.float64)) for t in each])
            for each in (found[part], exact[part])
        )
        off.append(
            float(np.linalg.norm(ours - reference) / np.linalg.norm(reference))
        )
    return off


def close(ours: object, theirs: object) -> None:
    theirs = np.asarray(theirs)
    largest = max(float(np.abs(theirs).max()), 1.0)
    np.testing.assert_allclose(np.asarray(ours), theirs, atol=2e-5 * largest)


@both
def test_outputs_gradients_and_statistics_are_keras_s(part: str) -> None:
    models = [filled(PARTS[part](merged)) for merged in (True, False)]
    paths = [[weight.path for weight in model.weights] for model in models]
    assert sorted(paths[0]) == sorted(paths[1])
    inputs = tf.constant(features(WIDTHS[part]))
    found = [gradients(model, inputs, tf.range(BATCH)) for model in models]
    for ours, theirs in zip(*found, strict=True):
        close(ours, theirs)
    for ours, theirs in zip(*(m.weights for m in models), strict=True):
        close(ours, theirs)
    inference = [model(inputs, training=False) for model in models]
    close(*inference)


@both
def test_in_bfloat16_they_are_as_near_to_float32_as_keras_s(part: str) -> None:
    """As TPUs compute; what one draw loses to rounding is chance."""
    off: list[list[list[float]]] = []
    rows = tf.range(BATCH)
    for seed in range(0, 900, 100):
        inputs = tf.constant(features(WIDTHS[part], seed))
        exact = gradients(filled(PARTS[part](False), seed), inputs, rows)
        with bfloat16():
            models = [
                filled(PARTS[part](merged), seed) for merged in (True, False)
            ]
            found = [gradients(model, inputs, rows) for model in models]
        off.append([distances(each, exact) for each in found])
    ours, theirs = np.median(off, axis=0)
    assert (ours < 1.5 * theirs).all()


@both
def test_frozen_they_do_as_in_inference(part: str) -> None:
    model = filled(PARTS[part](True))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    before = model.get_weights()
    inputs = tf.constant(features(WIDTHS[part]))
    close(model(inputs, training=True), model(inputs, training=False))
    for got, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(got, expected)


@both
def test_two_replicas_do_as_one(
    mirrored: tf.distribute.Strategy, part: str
) -> None:
    one = filled(PARTS[part](False))
    inputs = features(WIDTHS[part])
    outputs, to_inputs, *to_weights = gradients(
        one, tf.constant(inputs), tf.range(BATCH)
    )
    with mirrored.scope():
        shared = filled(PARTS[part](True))
    half = BATCH // 2

    def step(replica: tf.Tensor) -> list[tf.Tensor]:
        rows = replica * half + tf.range(half)
        outputs, to_inputs, *to_weights = gradients(
            shared, tf.gather(inputs, rows), rows
        )
        context = tf.distribute.get_replica_context()
        summed = context.all_reduce(tf.distribute.ReduceOp.SUM, to_weights)
        return [outputs, to_inputs, *summed]

    replicas = mirrored.experimental_distribute_values_from_function(
        lambda context: tf.constant(context.replica_id_in_sync_group)
    )
    found = tf.function(mirrored.run)(step, (replicas,))
    parts = [mirrored.experimental_local_results(each) for each in found]
    close(np.concatenate(parts[0]), outputs)
    close(np.concatenate(parts[1]), to_inputs)
    for ours, theirs in zip(parts[2:], to_weights, strict=True):
        close(ours[0], theirs)
    for ours, theirs in zip(shared.weights, one.weights, strict=True):
        close(ours, theirs)


def shallow(name: str, pixels: int) -> Network:
    """A network with a block or two a stage."""
    _, variant = find_variant(name)
    named = NamedVariant(name, replace(variant, depth=0.3))
    return network(named, pixels=pixels, classes=10)


@pytest.mark.parametrize(
    "name",
    [
        "efficientnet-b0",
        "efficientnet-lite0",
        "efficientnet-edgetpu-S",
        pytest.param("efficientnet-condconv-b0-4e", marks=pytest.mark.slow),
        pytest.param("efficientnet-x-b0", marks=pytest.mark.slow),
        pytest.param("efficientnetv2-b0", marks=pytest.mark.slow),
    ],
)
def test_a_network_for_a_tpu_has_the_same_weights_and_outputs(
    name: str, randomized: Callable[[keras.Model], None]
) -> None:
    resolved = shallow(name, 64)
    plain = build_network(resolved)
    ours = build_network(resolved, layers="tpu")
    paths = [variable.path for variable in plain.weights]
    assert [variable.path for variable in ours.weights] == paths
    randomized(plain)
    ours.set_weights(plain.get_weights())
    images = drawn(0, 2, 64, 64, 3)
    np.testing.assert_allclose(ours(images), plain(images), atol=1e-4)


def test_a_network_for_a_tpu_can_be_rematerialised() -> None:
    resolved = shallow("efficientnet-b0", 32)
    model = build_network(resolved, layers="tpu")
    images = tf.constant(drawn(0, 4, 32, 32, 3))
    forwards = [
        lambda images: model(images, training=True),
        rematerialized(model, resolved),
    ]
    weights = [weight.value for weight in model.trainable_weights]
    before = model.get_weights()
    found = []
    for forward in forwards:
        model.set_weights(before)
        with announced(Moment(seed=0, step=tf.constant(3))):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(tf.square(forward(images)))
            found.append([loss, *tape.gradient(loss, weights)])
    for once, twice in zip(*found, strict=True):
        close(twice, once)
