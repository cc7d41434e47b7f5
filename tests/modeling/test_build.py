"""The builder against keras.applications and against its own promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from efficientnet_tf.errors import InputError
from efficientnet_tf.modeling.build import build, build_network
from efficientnet_tf.networks import (
    NamedVariant,
    Network,
    find_variant,
    network,
    variants,
)

QUICK = "efficientnet-lite0"  # builds in half the time of B0
SMALL = 32  # the least an image may have, and all that a count needs

TRUNCATED_AT = 2 / 0.87962566103423978  # where a truncated normal ends
EXPERT_BLOCKS = {
    f"block{block.name}": block
    for block in network("efficientnet-condconv-b0-4e").blocks
}

# Built here in the default suite. The rest are counted where they are compared
# with the original or with Keras, or are those only deeper.
BUILT_BY_DEFAULT = {
    "efficientnet-condconv-b0-8e-depth",
    "efficientnet-x-tpu-b1",
    "efficientnet-h-b5",
    "mnasnet-a1",
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name, marks=() if name in BUILT_BY_DEFAULT else pytest.mark.slow
        )
        for name in variants()
    ],
)
def test_keras_counts_what_the_closed_form_says(
    name: str, counted: Callable[[keras.Model, Network], None]
) -> None:
    counted(build(name, pixels=SMALL), network(name))


def expected_spread(layer: keras.Layer) -> float | None:
    """Standard deviation of a layer's normal kernel; None for other layers.

    Source: the original's initialisers. By fan-out, of which a depthwise
    kernel has one a tap; an expert's kernel is drawn as if it were alone.
    """
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        fan_out = np.prod(layer.kernel_size)
    elif isinstance(layer, keras.layers.Conv2D):
        fan_out = np.prod(layer.kernel_size) * layer.filters
    elif isinstance(layer, keras.layers.Dense) and not layer.use_bias:
        channels_in = {"e": "inputs", "p": "expanded"}
        block = EXPERT_BLOCKS[layer.name.partition("_")[0]]
        part = layer.name.partition("_")[2][0]
        fan_out = layer.units // getattr(block, channels_in[part])
    else:
        return None
    return float(np.sqrt(2 / fan_out))


@pytest.mark.parametrize(
    "name",
    [
        "efficientnet-b0",
        "efficientnet-condconv-b0-4e",
        "efficientnet-edgetpu-S",
        "efficientnet-x-b0",
        "efficientnetv2-b0",
    ],
)
def test_initial_weights_are_the_originals(name: str) -> None:
    keras.utils.set_random_seed(1)
    model = build(name, pixels=SMALL)
    tails = 0
    for layer in model.layers:
        spread = expected_spread(layer)
        if spread is None:
            continue
        values = np.asarray(layer.kernel)
        # Five standard errors of a standard deviation.
        near = 5 / np.sqrt(2 * values.size)
        assert values.std() == pytest.approx(spread, rel=near), layer.name
        assert abs(values.mean()) < 5 * spread / np.sqrt(values.size)
        tails += int((abs(values) > TRUNCATED_AT * spread).sum())
        if layer.use_bias:
            assert not np.asarray(layer.bias).any()
    assert tails > 0

    dense = model.get_layer("predictions")
    values, limit = np.asarray(dense.kernel), dense.units**-0.5
    assert abs(values).max() == pytest.approx(limit, rel=1e-3)
    assert abs(values).max() <= limit
    assert values.std() == pytest.approx(limit / np.sqrt(3), rel=1e-2)
    assert not np.asarray(dense.bias).any()


def test_routing_starts_glorot_uniform() -> None:
    keras.utils.set_random_seed(1)
    model = build("efficientnet-condconv-b0-8e", pixels=SMALL)
    # Source: the default of a TF1 dense layer, sqrt(6 / (in + out)).
    for layer in model.layers:
        if layer.name.endswith("_routing"):
            values = np.asarray(layer.kernel)
            limit = np.sqrt(6 / sum(values.shape))
            assert 0.98 * limit < abs(values).max() <= limit
            assert values.std() == pytest.approx(limit / np.sqrt(3), rel=0.1)
            assert not np.asarray(layer.bias).any()


def test_depthwise_spread_by_its_number() -> None:
    model = build("efficientnet-b0", pixels=SMALL)
    # Source: sqrt(2 / 9) and sqrt(2 / 25).
    three = np.asarray(model.get_layer("block2b_dwconv").kernel)
    five = np.asarray(model.get_layer("block6b_dwconv").kernel)
    assert three.std() == pytest.approx(0.471, rel=0.1)
    assert five.std() == pytest.approx(0.283, rel=0.05)


@pytest.mark.parametrize("layers", ["keras", "training"])
def test_logits_are_float32_under_bfloat16(layers: str) -> None:
    model = build(
        QUICK,
        pixels=SMALL,
        classes=10,
        dtype="mixed_bfloat16",
        layers=layers,
    )
    logits = model(np.ones((2, SMALL, SMALL, 3), "float32"), training=True)
    assert logits.dtype == "float32"
    assert model.get_layer("top_conv").compute_dtype == "bfloat16"
    assert {variable.dtype for variable in model.weights} == {"float32"}


def test_the_global_policy_counts() -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build(QUICK, pixels=SMALL, classes=10)
    finally:
        keras.config.set_dtype_policy(before)
    assert model.get_layer("stem_conv").compute_dtype == "bfloat16"
    assert model.output.dtype == "float32"


def test_a_headless_backbone_gives_pooled_features() -> None:
    model = build(QUICK, pixels=SMALL, classes=0, dtype="mixed_bfloat16")
    assert model.output_shape == (None, 1280)
    assert model.output.dtype == "bfloat16"
    assert model.layers[-1].name == "avg_pool"


@pytest.mark.parametrize("channels", [1, 4])
def test_other_channels_and_a_fixed_batch(channels: int) -> None:
    model = build(
        QUICK, pixels=SMALL, classes=10, channels=channels, batch_size=2
    )
    assert model.get_layer("stem_conv").kernel.shape == (3, 3, channels, 32)
    assert model.input_shape == (2, SMALL, SMALL, channels)
    assert model.output_shape == (2, 10)
    images = np.zeros(model.input_shape, "float32")
    assert model(images).shape == (2, 10)


def test_rates_reach_the_layers() -> None:
    model = build(QUICK, pixels=SMALL, classes=10, dropout=0.5, drop_path=0.4)
    assert model.get_layer("top_dropout").rate == 0.5
    # Block 2b is the third of sixteen, counted from zero.
    drop = model.get_layer("block2b_drop")
    assert drop.rate == pytest.approx(0.4 * 2 / 16)
    assert drop.noise_shape == (None, 1, 1, 1)
    still = build(QUICK, pixels=SMALL, classes=10, dropout=0, drop_path=0)
    names = {layer.name for layer in still.layers}
    assert not any("drop" in name for name in names)


def test_batch_norm_momentum_reaches_every_layer() -> None:
    model = build(QUICK, pixels=SMALL, classes=10, batch_norm_momentum=0.9)
    norms = [
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert {norm.momentum for norm in norms} == {0.9}
    assert {norm.epsilon for norm in norms} == {1e-3}


def test_bad_input_is_refused_before_anything_is_built() -> None:
    with pytest.raises(InputError, match="did you mean efficientnet-b"):
        build("efficientnet-b9")
    with pytest.raises(InputError, match="channels"):
        build("efficientnet-b0", channels=0)
    with pytest.raises(InputError, match="batch_size"):
        build("efficientnet-b0", batch_size=0)
    with pytest.raises(InputError, match="layers"):
        build("efficientnet-b0", layers="replicate")
    with pytest.raises(InputError, match="head_init 'zero': did you mean"):
        build("efficientnet-b0", head_init="zero")
    with pytest.raises(InputError, match="batch_norm_momentum"):
        build("efficientnet-b0", batch_norm_momentum=1.5)


def test_replicated_layers_have_the_same_weights_and_inference(
    randomized: Callable[[keras.Model], None],
) -> None:
    plain = build("efficientnet-b0", pixels=64, classes=10)
    ours = build("efficientnet-b0", pixels=64, classes=10, layers="training")
    paths = [variable.path for variable in plain.weights]
    assert [variable.path for variable in ours.weights] == paths
    randomized(plain)
    ours.set_weights(plain.get_weights())
    images = np.random.default_rng(0).normal(size=(2, 64, 64, 3))
    np.testing.assert_allclose(
        np.asarray(ours(images.astype("float32"))),
        np.asarray(plain(images.astype("float32"))),
        atol=1e-5,
    )


@pytest.mark.parametrize(
    "pixels", [75, pytest.param(64, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize(
    "name",
    [
        "efficientnet-b0",
        "efficientnet-edgetpu-S",
        "efficientnet-x-b0",
        "efficientnetv2-b0",
        "mobilenet-v1",
    ],
)
def test_endpoints(name: str, pixels: int) -> None:
    model = build(name, pixels=pixels, classes=10, endpoints=True)
    outputs = model(np.zeros((2, pixels, pixels, 3), "float32"))
    sides = [-(-pixels // 2**level) for level in range(1, 6)]
    assert list(outputs) == [
        *(f"reduction_{level}" for level in range(1, 6)),
        "pooled_features",
        "logits",
    ]
    for level, side in enumerate(sides, 1):
        assert outputs[f"reduction_{level}"].shape[1:3] == (side, side)
    assert outputs["pooled_features"].shape == (2, network(name).features)
    assert outputs["logits"].shape == (2, 10)


def test_endpoints_of_b0_at_its_size() -> None:
    # Source: the original's endpoints.
    expected = [(112, 16), (56, 24), (28, 40), (14, 112), (7, 320)]
    model = build("efficientnet-b0", classes=0, endpoints=True)
    for level, (side, channels) in enumerate(expected, 1):
        shape = model.output[f"reduction_{level}"].shape
        assert shape == (None, side, side, channels)
    assert "logits" not in model.output


def test_the_endpoints_are_the_logits_own() -> None:
    keras.utils.set_random_seed(1)
    model = build(QUICK, pixels=SMALL, classes=10)
    named = build(QUICK, pixels=SMALL, classes=10, endpoints=True)
    named.set_weights(model.get_weights())
    images = np.random.default_rng(0).normal(size=(2, SMALL, SMALL, 3))
    images = images.astype("float32")
    outputs = named(images)
    np.testing.assert_array_equal(outputs["logits"], model(images))
    dense = named.get_layer("predictions")
    logits = outputs["pooled_features"] @ dense.kernel + dense.bias
    np.testing.assert_allclose(logits, outputs["logits"], atol=1e-5)


@pytest.mark.parametrize("pixels", [64, 75])
def test_a_projection_that_strides(
    pixels: int, randomized: Callable[[keras.Model], None]
) -> None:
    # Source: the original before its commit 32572cb: a 3x3 of stride 1, then
    # a 1x1 of stride 2.
    model = build(
        "efficientnet-edgetpu-S", pixels=pixels, fused_stride="project"
    )
    randomized(model)

    def tensor(layer: str) -> tf.Tensor:
        found: tf.Tensor = features[layer]
        return found

    names = ["block1a_project_bn", "block2a_project_bn"]
    taps = {name: model.get_layer(name).output for name in names}
    images = np.random.default_rng(0).normal(size=(2, pixels, pixels, 3))
    features = keras.Model(model.input, taps)(images.astype("float32"))
    x = tensor("block1a_project_bn")
    kernel = model.get_layer("block2a_expand_conv").kernel.value
    x = tf.nn.conv2d(x, kernel, strides=1, padding="SAME")
    x = tf.nn.relu(model.get_layer("block2a_expand_bn")(x))
    kernel = model.get_layer("block2a_project_conv").kernel.value
    x = tf.nn.conv2d(x, kernel, strides=2, padding="SAME")
    x = model.get_layer("block2a_project_bn")(x)
    np.testing.assert_allclose(x, tensor("block2a_project_bn"), atol=1e-4)
    # Even sides, 32 and 38, are sampled elsewhere by the usual placement.
    usual = build("efficientnet-edgetpu-S", pixels=pixels)
    usual.set_weights(model.get_weights())
    tap = usual.get_layer("block2a_project_bn").output
    other = keras.Model(usual.input, tap)(images.astype("float32"))
    assert np.abs(other - x).max() > 0.1 * np.std(x)


def test_every_image_has_experts_of_its_own() -> None:
    name, pixels = "efficientnet-condconv-b0-4e", 64
    model = build(name, pixels=pixels, classes=10)
    rng = np.random.default_rng(0)
    images = rng.normal(size=(3, pixels, pixels, 3)).astype("float32")
    together = np.asarray(model(images))
    for image, logits in zip(images, together, strict=True):
        alone = np.asarray(model(image[np.newaxis]))[0]
        np.testing.assert_allclose(alone, logits, atol=1e-5)


def test_experts_need_no_loop_over_images() -> None:
    name, pixels = "efficientnet-condconv-b0-4e", 32
    # A block or two a stage.
    shallow = replace(find_variant(name).variant, depth=0.3)
    resolved = network(NamedVariant(name, shallow), pixels=pixels, classes=10)
    operations = {}
    for batch in (1, 64, None):
        model = build_network(resolved, batch_size=batch)
        call = tf.function(model).get_concrete_function(
            tf.TensorSpec((batch, pixels, pixels, 3))
        )
        operations[batch] = len(call.graph.get_operations())
    # Keras leaves out three additions of a batch of one.
    assert operations[64] == pytest.approx(operations[1], abs=10)
    # Where the batch is open, every reshape asks for it.
    assert operations[None] < 1.5 * operations[1]


def test_a_classifier_that_starts_at_zero() -> None:
    model = build(QUICK, pixels=SMALL, classes=10, head_init="zeros")
    images = np.random.default_rng(0).normal(size=(2, SMALL, SMALL, 3))
    assert not np.asarray(model(images.astype("float32"))).any()
    assert np.asarray(model.get_layer("top_conv").kernel).any()
