"""The builder against keras.applications and against its own promises."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from efficientnet_tf.errors import InputError
from efficientnet_tf.modeling.build import build
from efficientnet_tf.networks import network, totals, variants

QUICK = "efficientnet-lite0"  # builds in half the time of B0
SMALL = 32  # the least an image may have, and all that a count needs

BIG = {f"efficientnet-{word}" for word in ("b5", "b6", "b7", "b8", "l2")}


@pytest.fixture(autouse=True)
def _fresh_names() -> Iterator[None]:
    yield
    keras.backend.clear_session()


def _numbers(variables: list[keras.Variable]) -> int:
    return sum(int(np.prod(variable.shape)) for variable in variables)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in BIG else ())
        for name in variants()
    ],
)
def test_keras_counts_what_the_closed_form_says(name: str) -> None:
    model = build(name, pixels=SMALL)
    total = totals(network(name))
    assert _numbers(model.trainable_weights) == total.trainable_parameters
    assert _numbers(model.weights) == total.total_parameters
    assert model.output_shape == (None, network(name).classes)


def _imagenet_statistics(model: keras.Model, name: str) -> None:
    """Gives Keras's preprocessing layers what ImageNet weights come with.

    Fresh, its Rescaling divides by 255 and its Normalization does nothing.
    """
    wanted = network(name).normalization
    layer = model.get_layer(index=2)
    assert isinstance(layer, keras.layers.Normalization)
    mean, std = np.array(wanted.mean) / 255, np.array(wanted.std) / 255
    layer.set_weights([mean, std**2, np.array(0)])
    layer.finalize_state()


def _batch_norm_weights(
    rng: np.random.Generator, shape: tuple[int, ...]
) -> list[np.ndarray]:
    """Scale, shift, mean and variance, such that deep networks stay tame.

    Wilder ones blow a rounding error up to the size of the logits.
    """
    return [
        rng.uniform(0.7, 1.1, shape),
        rng.normal(0, 0.05, shape),
        rng.normal(0, 0.05, shape),
        rng.uniform(0.5, 1.5, shape),
    ]


@pytest.mark.parametrize(
    "number",
    [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 8))],
)
@pytest.mark.parametrize(
    "pixels", [64, pytest.param(75, marks=pytest.mark.slow, id="odd")]
)
def test_keras_applications_computes_the_same(number: int, pixels: int) -> None:
    name = f"efficientnet-b{number}"
    rng = np.random.default_rng(number)
    theirs = getattr(keras.applications, f"EfficientNetB{number}")(
        weights=None,
        input_shape=(pixels, pixels, 3),
        classifier_activation=None,
    )
    _imagenet_statistics(theirs, name)
    ours = build(name, pixels=pixels)
    for layer in ours.layers:
        if not layer.weights:
            continue
        twin = theirs.get_layer(layer.name)
        if layer.name.endswith("bn"):
            twin.set_weights(_batch_norm_weights(rng, twin.gamma.shape))
        layer.set_weights(twin.get_weights())
    assert _numbers(ours.weights) == _numbers(theirs.weights) - 7

    pixel_values = rng.uniform(0, 255, (2, pixels, pixels, 3))
    wanted = network(name).normalization
    normalised = (pixel_values - wanted.mean) / wanted.std
    expected = np.asarray(theirs(pixel_values.astype("float32")))
    logits = np.asarray(ours(normalised.astype("float32")))
    np.testing.assert_allclose(
        logits, expected, rtol=0, atol=1e-4 * expected.std()
    )


@pytest.mark.parametrize("name", ["efficientnet-b0", "efficientnet-edgetpu-S"])
def test_initial_weights_are_the_originals(name: str) -> None:
    # Source: the original's initialisers. Normal, untruncated, by fan-out, of
    # which a depthwise kernel has one a tap; uniform for the classifier.
    keras.utils.set_random_seed(1)
    model = build(name, pixels=SMALL)
    truncated_at = 2 / 0.87962566103423978  # a truncated normal ends here
    tails = 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            std = np.sqrt(2 / np.prod(layer.kernel.shape[:2]))
        elif isinstance(layer, keras.layers.Conv2D):
            fan_out = np.prod(layer.kernel.shape[:2]) * layer.kernel.shape[3]
            std = np.sqrt(2 / fan_out)
        else:
            continue
        values = np.asarray(layer.kernel)
        # Five standard errors of a standard deviation.
        near = 5 / np.sqrt(2 * values.size)
        assert values.std() == pytest.approx(std, rel=near), layer.name
        assert abs(values.mean()) < 5 * std / np.sqrt(values.size)
        tails += int((abs(values) > truncated_at * std).sum())
        if layer.use_bias:
            assert not np.asarray(layer.bias).any()
    assert tails > 0

    dense = model.get_layer("predictions")
    values, limit = np.asarray(dense.kernel), dense.units**-0.5
    assert abs(values).max() == pytest.approx(limit, rel=1e-3)
    assert abs(values).max() <= limit
    assert values.std() == pytest.approx(limit / np.sqrt(3), rel=1e-2)
    assert not np.asarray(dense.bias).any()


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


_LOAD = """
import sys
import keras, numpy
model = keras.saving.load_model(sys.argv[1])
images = numpy.load(sys.argv[2])
numpy.save(sys.argv[3], model(images, training=False))
assert not any(name.startswith("efficientnet_tf") for name in sys.modules)
"""


def test_a_saved_model_loads_with_keras_alone(
    tmp_path: Path, randomized: Callable[[keras.Model], None]
) -> None:
    model = build("efficientnet-b0", pixels=64, classes=10)
    randomized(model)
    images = np.random.default_rng(0).normal(size=(2, 64, 64, 3))
    images = images.astype("float32")
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", images)
    files = ["model.keras", "images.npy", "logits.npy"]
    subprocess.run(
        [sys.executable, "-c", _LOAD, *files], cwd=tmp_path, check=True
    )
    np.testing.assert_allclose(
        np.load(tmp_path / "logits.npy"),
        np.asarray(model(images, training=False)),
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.fixture
def randomized() -> Callable[[keras.Model], None]:
    """Gives batch norms statistics that a forgotten one would show."""

    def randomize(model: keras.Model) -> None:
        rng = np.random.default_rng(0)
        for variable in model.weights:
            if "moving" in variable.path or "gamma" in variable.path:
                variable.assign(rng.uniform(0.5, 1.5, variable.shape))

    return randomize
