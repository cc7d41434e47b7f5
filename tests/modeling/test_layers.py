"""Batch norm, dropout and their random numbers, on one replica and on two."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

from efficientnet_tf.modeling.layers import (
    BatchNorm,
    Dropout,
    LeanActivation,
    swish,
)
from efficientnet_tf.modeling.moment import (
    Moment,
    announced,
    present_moment,
    replica_uniform,
)

SHAPE = (4, 5, 5, 3)


def features(dtype: str = "float32") -> tf.Tensor:
    """`[4, 5, 5, 3]`, examples apart from each other in mean and spread."""
    rng = np.random.default_rng(0)
    values = rng.normal(2.0, 3.0, SHAPE) * [[[[1]]], [[[2]]], [[[3]]], [[[4]]]]
    return tf.constant(values, dtype)


def weighted(outputs: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """A scalar whose gradient differs from place to place."""
    weights = np.random.default_rng(1).normal(size=SHAPE).astype("float32")
    return tf.reduce_sum(
        tf.cast(outputs, tf.float32) * tf.gather(weights, rows)
    )


def norm_of(kind: type[keras.layers.BatchNormalization]) -> keras.Layer:
    layer = kind(momentum=0.9, epsilon=1e-3, name="bn")
    layer.build(SHAPE)
    gamma, beta = [0.5, 1.0, 2.0], [-1.0, 0.0, 1.0]
    mean, variance = [0.1, 0.2, 0.3], [1.0, 2.0, 3.0]
    layer.set_weights([np.array(w) for w in (gamma, beta, mean, variance)])
    return layer


def close(ours: object, theirs: object, atol: float = 1e-5) -> None:
    np.testing.assert_allclose(
        np.asarray(ours), np.asarray(theirs), rtol=1e-5, atol=atol
    )


def test_batch_norm_has_the_variables_of_keras() -> None:
    paths = [variable.path for variable in norm_of(BatchNorm).variables]
    expected = norm_of(keras.layers.BatchNormalization).variables
    assert paths == [variable.path for variable in expected]


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_does_as_keras_on_one_replica(training: bool) -> None:
    ours, theirs = norm_of(BatchNorm), norm_of(keras.layers.BatchNormalization)
    results = []
    for layer in (ours, theirs):
        inputs = features()
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs, training=training)
            loss = weighted(outputs, tf.range(4))
        trained = [inputs, layer.gamma.value, layer.beta.value]
        results.append([outputs, *tape.gradient(loss, trained)])
    for got, expected in zip(*results, strict=True):
        close(got, expected)
    for got, expected in zip(ours.variables, theirs.variables, strict=True):
        close(got, expected)


def test_the_moving_variance_is_that_of_the_population() -> None:
    layer = norm_of(BatchNorm)
    layer(features(), training=True)
    population = np.var(features(), axis=(0, 1, 2))
    close(layer.moving_variance, 0.9 * np.array([1, 2, 3]) + 0.1 * population)
    # Bessel's correction would show.
    sample = np.var(features(), axis=(0, 1, 2), ddof=1)
    assert np.all(sample - population > 1e-2)


def test_one_value_a_channel_has_no_variance() -> None:
    layer = BatchNorm(name="bn")
    outputs = layer(tf.ones((1, 1, 1, 3)), training=True)
    assert np.isfinite(outputs).all()
    close(layer.moving_variance, [0.99] * 3)


def test_a_frozen_batch_norm_does_not_move() -> None:
    layer = norm_of(BatchNorm)
    layer.trainable = False
    before = layer.get_weights()
    trained = layer(features(), training=True)
    close(trained, layer(features(), training=False))
    for got, expected in zip(layer.get_weights(), before, strict=True):
        close(got, expected, atol=0)


def test_statistics_stay_float32_under_bfloat16() -> None:
    layer = BatchNorm(momentum=0.0, dtype="mixed_bfloat16", name="bn")
    outputs = layer(features("bfloat16"), training=True)
    assert outputs.dtype == tf.bfloat16
    assert layer.moving_variance.dtype == "float32"
    rounded = tf.cast(features("bfloat16"), tf.float32)
    close(layer.moving_mean, np.mean(rounded, axis=(0, 1, 2)), atol=1e-4)


def on_each(
    strategy: tf.distribute.Strategy, step: Callable[[tf.Tensor], object]
) -> object:
    """Runs a step on halves of four examples; joins what they gave."""
    halves = strategy.experimental_distribute_values_from_function(
        lambda context: tf.range(2) + 2 * context.replica_id_in_sync_group
    )
    result = tf.function(strategy.run)(step, (halves,))
    return tf.nest.map_structure(
        lambda parts: np.concatenate(
            strategy.experimental_local_results(parts)
        ),
        result,
    )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_two_replicas_share_statistics(
    mirrored: tf.distribute.Strategy, dtype: str
) -> None:
    theirs = norm_of(keras.layers.BatchNormalization)
    inputs = tf.cast(features(dtype), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        expected = theirs(inputs, training=True)
        loss = weighted(expected, tf.range(4))
    expected_gradient = tape.gradient(loss, inputs)

    with mirrored.scope():
        ours = norm_of(BatchNorm)

    def step(rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        part = tf.gather(features(dtype), rows)
        with tf.GradientTape() as tape:
            tape.watch(part)
            outputs = ours(part, training=True)
            loss = weighted(outputs, rows)
        return (
            tf.cast(outputs, tf.float32),
            tf.cast(tape.gradient(loss, part), tf.float32),
        )

    outputs, gradient = on_each(mirrored, step)
    atol = 1e-4 if dtype == "float32" else 5e-2
    close(outputs, expected, atol)
    close(gradient, expected_gradient, atol)
    for got, wanted in zip(ours.variables, theirs.variables, strict=True):
        close(got, wanted, 1e-4)


def drawn(seed: int, name: str, step: int) -> np.ndarray:
    with announced(Moment(seed, tf.constant(step, tf.int64))):
        return replica_uniform(name, SHAPE[0], SHAPE[1:]).numpy()


def test_numbers_depend_on_seed_name_and_step_only() -> None:
    numbers = drawn(1, "block2b_drop", 7)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    close(drawn(1, "block2b_drop", 7), numbers, atol=0)
    for other in [
        drawn(2, "block2b_drop", 7),
        drawn(1, "block3b_drop", 7),
        drawn(1, "block2b_drop", 8),
    ]:
        assert np.abs(other - numbers).max() > 0.1


def test_a_layer_outside_a_step_gets_no_numbers() -> None:
    assert present_moment() is None
    with pytest.raises(RuntimeError, match="block2b_drop"):
        replica_uniform("block2b_drop", SHAPE[0], SHAPE[1:])


def test_the_announcement_ends_with_its_step() -> None:
    with pytest.raises(KeyError), announced(Moment(0, tf.constant(0))):
        assert present_moment() is not None
        raise KeyError
    assert present_moment() is None


# A number an example, as for drop-path; a count that four divides, as for
# dropout; and one that it does not.
EACH = [(1, 1, 1), (1280,), (5, 5, 3)]


@pytest.mark.parametrize("each", EACH)
def test_two_replicas_draw_what_one_would(
    mirrored: tf.distribute.Strategy, each: tuple[int, ...]
) -> None:
    def step(rows: tf.Tensor) -> tf.Tensor:
        del rows
        with announced(Moment(3, tf.constant(5))):
            return replica_uniform("drop", tf.constant(2), each)

    with announced(Moment(3, tf.constant(5))):
        expected = replica_uniform("drop", 4, each)
    # The generator has 2**23 numbers, some of which come twice.
    assert len(np.unique(expected)) > 0.99 * expected.shape.num_elements()
    close(on_each(mirrored, step), expected, atol=0)


@pytest.mark.parametrize("each", EACH)
def test_microbatches_draw_what_the_batch_would(each: tuple[int, ...]) -> None:
    with announced(Moment(3, tf.constant(5))):
        expected = replica_uniform("drop", 6, each)
    found = []
    for part in range(3):
        with announced(Moment(3, tf.constant(5), tf.constant(part), 3)):
            found.append(replica_uniform("drop", 2, each))
    close(tf.concat(found, 0), expected, atol=0)


def dropped(layer: Dropout, step: int, shape: tuple[int, ...]) -> np.ndarray:
    with announced(Moment(0, tf.constant(step))):
        return layer(tf.ones(shape), training=True).numpy()


def test_dropout_keeps_the_mean() -> None:
    outputs = dropped(Dropout(0.2, name="top_dropout"), 0, (100, 1000))
    assert set(np.unique(outputs)) == {0.0, np.float32(1 / 0.8)}
    # Five standard errors of a share of 100,000.
    assert (outputs == 0).mean() == pytest.approx(0.2, abs=5 * 0.4 / 316)


def test_drop_path_drops_whole_examples() -> None:
    layer = Dropout(0.4, noise_shape=(None, 1, 1, 1), name="block2b_drop")
    outputs = dropped(layer, 0, (1000, 3, 3, 2))
    spread = outputs.max(axis=(1, 2, 3)) - outputs.min(axis=(1, 2, 3))
    assert not spread.any()
    share = (outputs[:, 0, 0, 0] == 0).mean()
    assert share == pytest.approx(0.4, abs=5 * 0.49 / 31.6)


def test_masks_repeat_by_step_and_differ_between_steps_and_layers() -> None:
    layer = Dropout(0.5, name="one")
    first = dropped(layer, 1, (8, 100))
    close(dropped(layer, 1, (8, 100)), first, atol=0)
    assert (dropped(layer, 2, (8, 100)) != first).any()
    assert (dropped(Dropout(0.5, name="two"), 1, (8, 100)) != first).any()


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_inference_drops_nothing(rate: float) -> None:
    with announced(Moment(0, tf.constant(0))):
        outputs = Dropout(rate, name="drop")(tf.ones((8, 8)), training=False)
    close(outputs, np.ones((8, 8)), atol=0)


def test_outside_a_step_dropout_is_that_of_keras() -> None:
    keras.utils.set_random_seed(0)
    ours = Dropout(0.5, seed=1)(tf.ones((8, 8)), training=True)
    theirs = keras.layers.Dropout(0.5, seed=1)(tf.ones((8, 8)), training=True)
    close(ours, theirs, atol=0)


def test_dropout_keeps_bfloat16() -> None:
    layer = Dropout(0.5, dtype="mixed_bfloat16", name="drop")
    with announced(Moment(0, tf.constant(0))):
        outputs = layer(tf.ones((8, 8), tf.bfloat16), training=True)
    assert outputs.dtype == tf.bfloat16


@pytest.mark.parametrize("compiled", [False, True])
def test_swish_and_its_gradient_are_those_of_the_formula(
    compiled: bool,
) -> None:
    inputs = np.concatenate(
        [np.linspace(-12, 12, 481), [-1e4, -100.0, 0.0, 100.0, 1e4]]
    ).astype("float32")
    upstream = np.random.default_rng(0).normal(size=inputs.shape)

    @tf.function(jit_compile=compiled)
    def both(inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = swish(inputs)
        seed = tf.constant(upstream, tf.float32)
        return outputs, tape.gradient(outputs, inputs, output_gradients=seed)

    outputs, gradient = both(tf.constant(inputs))
    x = inputs.astype("float64")
    gate = 0.5 * (1 + np.tanh(x / 2))
    np.testing.assert_allclose(outputs, x * gate, rtol=1e-5, atol=1e-6)
    slope = gate + x * gate * (1 - gate)
    np.testing.assert_allclose(gradient, upstream * slope, rtol=1e-5, atol=1e-5)


def test_the_gradient_of_swish_tells_its_layer() -> None:
    """So that what a compiler says of it can be told by layer."""
    layer = LeanActivation("silu", name="stem_activation")

    @tf.function
    def gradient(inputs: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs)
        return tape.gradient(outputs, inputs)

    graph = gradient.get_concrete_function(tf.TensorSpec([4])).graph
    names = [
        operation.name
        for operation in graph.get_operations()
        if operation.type not in ("Placeholder", "Identity", "NoOp")
    ]
    assert sum("SoftplusGrad" in name for name in names) == 2
    elsewhere = [name for name in names if "stem_activation" not in name]
    assert set(elsewhere) <= {"ones", "zeros"}


@pytest.mark.parametrize("name", ["silu", "relu", "relu6"])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_an_activation_does_as_keras(name: str, policy: str) -> None:
    results = []
    for kind in (LeanActivation, keras.layers.Activation):
        inputs = features("bfloat16" if "bfloat16" in policy else "float32")
        layer = kind(name, dtype=policy)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs)
        assert outputs.dtype == inputs.dtype
        gradient = tape.gradient(outputs, inputs)
        results.append([tf.cast(t, tf.float32) for t in (outputs, gradient)])
    # A sigmoid near one has eight bits in bfloat16, and is multiplied by x.
    atol = 0.1 if "bfloat16" in policy else 1e-5
    for got, expected in zip(*results, strict=True):
        np.testing.assert_allclose(
            got, expected, rtol=1e-2 * (atol > 1e-3) + 1e-5, atol=atol
        )
