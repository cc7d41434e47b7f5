"""Optimizers against TensorFlow 1's, Keras's and NumPy, over fifty steps."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

from efficientnet_tf.training.averaging import follow
from efficientnet_tf.training.config import TrainConfig
from efficientnet_tf.training.optimizers import make_optimizer

STEPS = 50

_random = np.random.default_rng(0)
START = _random.normal(size=(3, 4)).astype(np.float32)
GRADIENTS = _random.normal(size=(STEPS, 3, 4)).astype(np.float32)
RATES = _random.uniform(0.01, 0.2, STEPS).astype(np.float32)


def ours(config: TrainConfig, name: str = "w") -> list[np.ndarray]:
    """What a weight is after each of the fifty steps."""
    weight = keras.Variable(START, name=name)
    optimizer = make_optimizer([weight], config)
    found = []
    for step, (gradient, rate) in enumerate(zip(GRADIENTS, RATES, strict=True)):
        optimizer.apply(
            [tf.constant(gradient)], tf.constant(rate), tf.constant(step)
        )
        found.append(weight.numpy())
    assert np.abs(found[-1] - START).max() > 0.1
    return found


def of_tensorflow_1(
    make: Callable[[tf.Tensor], tf.compat.v1.train.Optimizer],
) -> list[np.ndarray]:
    """The same of an optimizer of `tf.compat.v1.train`."""
    found = []
    with (
        tf.Graph().as_default(),
        tf.compat.v1.Session() as session,
    ):
        weight = tf.compat.v1.get_variable("w", initializer=START)
        gradient = tf.compat.v1.placeholder(tf.float32, (3, 4))
        rate = tf.compat.v1.placeholder(tf.float32, ())
        step = make(rate).apply_gradients([(gradient, weight)])
        session.run(tf.compat.v1.global_variables_initializer())
        for values, now in zip(GRADIENTS, RATES, strict=True):
            session.run(step, {gradient: values, rate: now})
            found.append(session.run(weight))
    return found


def of_keras(peer: keras.optimizers.Optimizer) -> list[np.ndarray]:
    """The same of an optimizer of Keras, by its own `apply`."""
    weight = keras.Variable(START, name="w")
    found = []
    for gradient, rate in zip(GRADIENTS, RATES, strict=True):
        peer.learning_rate = rate
        peer.apply([tf.constant(gradient)], [weight])
        found.append(weight.numpy())
    return found


v1 = tf.compat.v1.train


@pytest.mark.parametrize(
    ("config", "peer"),
    [
        (
            TrainConfig(),
            lambda rate: v1.RMSPropOptimizer(
                rate, decay=0.9, momentum=0.9, epsilon=0.001
            ),
        ),
        (
            TrainConfig(optimizer="momentum"),
            lambda rate: v1.MomentumOptimizer(rate, 0.9),
        ),
        (TrainConfig(optimizer="sgd"), v1.GradientDescentOptimizer),
    ],
    ids=["rmsprop", "momentum", "sgd"],
)
def test_it_equals_tensorflow_1s_bit_for_bit(
    config: TrainConfig,
    peer: Callable[[tf.Tensor], tf.compat.v1.train.Optimizer],
) -> None:
    np.testing.assert_array_equal(ours(config), of_tensorflow_1(peer))


@pytest.mark.parametrize(
    ("config", "peer"),
    [
        (
            TrainConfig(optimizer="adamw", weight_decay=0.1),
            lambda: keras.optimizers.AdamW(weight_decay=0.1, epsilon=1e-6),
        ),
        (
            TrainConfig(optimizer="lamb", weight_decay=0.1, adam_beta_2=0.99),
            lambda: keras.optimizers.Lamb(
                weight_decay=0.1, epsilon=1e-6, beta_2=0.99
            ),
        ),
    ],
    ids=["adamw", "lamb"],
)
def test_it_equals_keras_s(
    config: TrainConfig, peer: Callable[[], keras.optimizers.Optimizer]
) -> None:
    np.testing.assert_allclose(ours(config), of_keras(peer()), rtol=1e-5)


@pytest.mark.parametrize("optimizer", ["adamw", "lamb"])
def test_batch_norm_does_not_shrink(optimizer: str) -> None:
    config = TrainConfig(optimizer=optimizer, weight_decay=0.1)
    none = TrainConfig(optimizer=optimizer, weight_decay=0)
    np.testing.assert_array_equal(ours(config, "gamma"), ours(none, "gamma"))
    assert np.abs(ours(config, "bias")[-1] - ours(none, "bias")[-1]).max() > 0.1


@pytest.mark.parametrize(
    ("name", "adapts"), [("kernel", True), ("gamma", False), ("bias", False)]
)
def test_lars_equals_its_formula(name: str, adapts: bool) -> None:
    # The original: eta 0.001, momentum 0.9, weight decay 1e-5 here 0.01.
    config = TrainConfig(optimizer="lars", lars_weight_decay=0.01)
    weight, buffer = START.astype(np.float64), 0.0
    expected = []
    for gradient, rate in zip(GRADIENTS.astype(np.float64), RATES, strict=True):
        ratio = 1.0
        if adapts:
            norm = np.linalg.norm(weight)
            ratio = 0.001 * norm / (np.linalg.norm(gradient) + 0.01 * norm)
            gradient = gradient + 0.01 * weight
        buffer = 0.9 * buffer + rate * ratio * gradient
        weight = weight - buffer
        expected.append(weight)
    kernel = keras.Variable(START, name=name)
    optimizer = make_optimizer([kernel], config)
    for step, now in enumerate(expected):
        optimizer.apply(
            [tf.constant(GRADIENTS[step])],
            tf.constant(RATES[step]),
            tf.constant(step),
        )
        np.testing.assert_allclose(kernel.numpy(), now, rtol=1e-4, atol=1e-6)


def test_lars_takes_a_plain_step_where_a_norm_is_zero() -> None:
    kernel = keras.Variable(np.zeros(3, np.float32), name="kernel")
    optimizer = make_optimizer([kernel], TrainConfig(optimizer="lars"))
    gradient = tf.constant([1.0, -2.0, 0.0])
    optimizer.apply([gradient], tf.constant(0.5), tf.constant(0))
    np.testing.assert_array_equal(kernel.numpy(), [-0.5, 1.0, 0.0])


def test_rmsprop_starts_from_one_with_epsilon_inside_the_root() -> None:
    weight = keras.Variable(np.zeros(1, np.float32), name="w")
    optimizer = make_optimizer([weight], TrainConfig())
    optimizer.apply([tf.constant([2.0])], tf.constant(0.1), tf.constant(0))
    square = 0.9 * 1.0 + 0.1 * 4.0
    expected = -0.1 * 2.0 / np.sqrt(square + 0.001)
    np.testing.assert_allclose(weight.numpy(), [expected], rtol=1e-6)


def test_averages_equal_tensorflow_1s() -> None:
    random = np.random.default_rng(1)
    values = random.normal(size=(STEPS, 5)).astype(np.float32)

    def network():
        model = keras.Sequential(
            [
                keras.Input((5,)),
                keras.layers.BatchNormalization(scale=False, name="norm"),
            ],
            name="network",
        )
        return model

    model, averaged = network(), network()
    beta, mean, _ = model.weights
    graph = tf.Graph()
    with graph.as_default():
        variable = tf.compat.v1.get_variable(
            "v", initializer=np.zeros(5, np.float32)
        )
        done = tf.compat.v1.placeholder(tf.int64, ())
        value = tf.compat.v1.placeholder(tf.float32, (5,))
        average = tf.train.ExponentialMovingAverage(0.95, num_updates=done)
        assign = variable.assign(value)
        with tf.control_dependencies([assign]):
            update = average.apply([variable])
        shadow = average.average(variable)
        initialize = tf.compat.v1.global_variables_initializer()
    session = tf.compat.v1.Session(graph=graph)
    session.run(initialize)
    for step, new in enumerate(values, start=1):
        session.run(update, {value: new, done: step})
        beta.assign(new)
        mean.assign(new)
        follow(averaged, model, 0.95, tf.constant(step, tf.int64))
        expected = session.run(shadow)
        # Batch-norm statistics are averaged as weights are.
        for ours in averaged.weights[:2]:
            np.testing.assert_allclose(ours.numpy(), expected, atol=1e-6)
    session.close()
