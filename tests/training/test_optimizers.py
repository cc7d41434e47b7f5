import keras
import numpy as np
import tensorflow as tf

from efficientnet_tf.training.averaging import follow
from efficientnet_tf.training.config import TrainConfig
from efficientnet_tf.training.optimizers import RMSProp

STEPS = 50


def test_rmsprop_equals_tf1s_over_fifty_steps():
    random = np.random.default_rng(0)
    start = random.normal(size=(3, 4)).astype(np.float32)
    gradients = random.normal(size=(STEPS, 3, 4)).astype(np.float32)
    rates = random.uniform(0.01, 0.2, STEPS).astype(np.float32)

    graph = tf.Graph()
    with graph.as_default():
        peer_weight = tf.compat.v1.get_variable("w", initializer=start)
        gradient = tf.compat.v1.placeholder(tf.float32, (3, 4))
        peer_rate = tf.compat.v1.placeholder(tf.float32, ())
        step = tf.compat.v1.train.RMSPropOptimizer(
            peer_rate, decay=0.9, momentum=0.9, epsilon=0.001
        ).apply_gradients([(gradient, peer_weight)])
        initialize = tf.compat.v1.global_variables_initializer()

    weight = keras.Variable(start, name="w")
    optimizer = RMSProp([weight], TrainConfig())
    session = tf.compat.v1.Session(graph=graph)
    session.run(initialize)
    for values, rate in zip(gradients, rates, strict=True):
        session.run(step, {gradient: values, peer_rate: rate})
        optimizer.apply([tf.constant(values)], tf.constant(rate))
        np.testing.assert_array_equal(weight.numpy(), session.run(peer_weight))
    session.close()
    assert np.abs(weight.numpy() - start).max() > 0.1


def test_rmsprop_starts_from_one_with_epsilon_inside_the_root():
    weight = keras.Variable(np.zeros(1, np.float32), name="w")
    optimizer = RMSProp([weight], TrainConfig())
    optimizer.apply([tf.constant([2.0])], tf.constant(0.1))
    square = 0.9 * 1.0 + 0.1 * 4.0
    expected = -0.1 * 2.0 / np.sqrt(square + 0.001)
    np.testing.assert_allclose(weight.numpy(), [expected], rtol=1e-6)


def test_averages_equal_tf1s_over_fifty_steps():
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
