"""What EfficientNet came from, against keras.applications."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from efficientnet_tf import InputError, build, copy_keras_weights
from efficientnet_tf.modeling.build import build_network
from efficientnet_tf.networks import (
    NamedVariant,
    Network,
    find_variant,
    network,
    totals,
)

TOLERANCE = 1e-4
THEIRS = {
    "mobilenet-v1": keras.applications.MobileNet,
    "mobilenet-v2": keras.applications.MobileNetV2,
    "resnet-50": keras.applications.ResNet50,
    "resnet-152": keras.applications.ResNet152,
}
PREPROCESS = {
    "mobilenet-v1": keras.applications.mobilenet.preprocess_input,
    "mobilenet-v2": keras.applications.mobilenet_v2.preprocess_input,
    "resnet-50": keras.applications.resnet.preprocess_input,
    "resnet-152": keras.applications.resnet.preprocess_input,
}
# Those that keras.applications publishes weights of, and one it does not; but
# for those that are compared as a whole.
WIDTHS = {
    "mobilenet-v1": (0.25, 0.75, 1.3),
    "mobilenet-v2": (0.5, 0.75, 1.3),
}


def theirs_of(name: str, pixels: int, width: float = 1.0) -> keras.Model:
    scaled = {"alpha": width} if name in WIDTHS else {}
    return THEIRS[name](
        weights=None,
        input_shape=(pixels, pixels, 3),
        classifier_activation=None,
        **scaled,
    )


def ours_of(name: str, pixels: int, width: float = 1.0) -> Network:
    _, variant = find_variant(name)
    scaled = replace(variant, width=width)
    return network(NamedVariant(name, scaled), pixels=pixels)


@pytest.mark.parametrize(
    ("name", "pixels", "width"),
    [
        ("mobilenet-v1", 64, 1.0),
        ("mobilenet-v1", 96, 0.5),
        ("mobilenet-v2", 64, 1.0),
        ("mobilenet-v2", 75, 0.35),
        ("mobilenet-v2", 64, 1.4),
        ("resnet-50", 75, 1.0),
        pytest.param("resnet-50", 64, 1.0, marks=pytest.mark.slow),
        pytest.param("resnet-152", 75, 1.0, marks=pytest.mark.slow),
    ],
)
def test_keras_applications_computes_the_same(
    name: str,
    pixels: int,
    width: float,
    randomized: Callable[[keras.Model], None],
    counted: Callable[[keras.Model, Network], None],
) -> None:
    theirs = theirs_of(name, pixels, width)
    randomized(theirs)
    resolved = ours_of(name, pixels, width)
    ours = build_network(resolved)
    counted(ours, resolved)
    report = copy_keras_weights(ours, theirs)
    assert report.assigned.keys() == {w.path for w in ours.weights}
    assert not report.fresh
    assert not report.unused

    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (2, pixels, pixels, 3)).astype("float32")
    expected = np.asarray(theirs(PREPROCESS[name](images.copy())))
    wanted = resolved.normalization
    logits = ours(((images - wanted.mean) / wanted.std).astype("float32"))
    assert expected.std() > 0
    np.testing.assert_allclose(
        logits, expected, rtol=0, atol=TOLERANCE * expected.std()
    )


@pytest.mark.parametrize(
    ("name", "width"),
    [(name, width) for name, widths in WIDTHS.items() for width in widths],
)
def test_widths_round_as_theirs(name: str, width: float) -> None:
    counted = totals(ours_of(name, 32, width))
    assert counted.total_parameters == theirs_of(name, 32, width).count_params()


@pytest.mark.parametrize("name", ["mobilenet-v1", "mobilenet-v2"])
def test_a_head_of_other_classes_is_left_fresh(name: str) -> None:
    ours = build(name, pixels=32, classes=10)
    report = copy_keras_weights(ours, theirs_of(name, 32))
    assert set(report.fresh) == {"predictions/kernel", "predictions/bias"}
    assert "10 classes, the source 1000" in str(report)


def test_another_network_is_refused() -> None:
    ours = build("mobilenet-v1", pixels=32)
    second = theirs_of("mobilenet-v2", 32)
    with pytest.raises(InputError, match=r"block1a_project_conv/kernel is \["):
        copy_keras_weights(ours, second)
    with pytest.raises(InputError, match=r"stem_conv/kernel is \[.*16\]"):
        copy_keras_weights(
            build_network(ours_of("mobilenet-v1", 32, 0.5)),
            theirs_of("mobilenet-v1", 32),
        )


def test_the_kernel_strides_in_v15(
    randomized: Callable[[keras.Model], None],
) -> None:
    # Source: torchvision's Bottleneck, written out: the 3x3 has the stride
    # and one zero on each side.
    model = build("resnet-50-v1.5", pixels=64)
    randomized(model)
    names = ("block2a_activation", "block1c_activation")
    taps = {name: model.get_layer(name).output for name in names}
    images = np.random.default_rng(0).normal(size=(2, 64, 64, 3))
    found = keras.Model(model.input, taps)(images.astype("float32"))
    x = found["block1c_activation"]

    def part(x: tf.Tensor, name: str, stride: int = 1) -> tf.Tensor:
        kernel = model.get_layer(f"block2a_{name}_conv").kernel.value
        margin = kernel.shape[0] // 2
        zeros = [[0, 0], [margin, margin], [margin, margin], [0, 0]]
        x = tf.nn.conv2d(tf.pad(x, zeros), kernel, stride, "VALID")
        return model.get_layer(f"block2a_{name}_bn")(x)

    y = tf.nn.relu(part(x, "reduce"))
    y = tf.nn.relu(part(y, "filter", stride=2))
    y = tf.nn.relu(part(y, "project") + part(x, "shortcut", stride=2))
    np.testing.assert_allclose(y, found["block2a_activation"], atol=1e-4)


def test_endpoints_of_a_resnet() -> None:
    # Source: the paper's table 1, and its stem's 112 x 112.
    expected = [(112, 64), (56, 256), (28, 512), (14, 1024), (7, 2048)]
    model = build("resnet-50", classes=0, endpoints=True)
    for level, (side, channels) in enumerate(expected, 1):
        shape = model.output[f"reduction_{level}"].shape
        assert shape == (None, side, side, channels)
    assert model.output["pooled_features"].shape == (None, 2048)


@pytest.mark.parametrize("name", ["mobilenet-v1", "mnasnet-a1"])
def test_depth_and_pixels_scale_too(name: str) -> None:
    _, variant = find_variant(name)
    scaled = replace(variant, width=0.5, depth=2.0, pixels=96)
    resolved = network(NamedVariant("scaled", scaled), classes=10)
    assert len(resolved.blocks) == 2 * len(network(name).blocks)
    model = build_network(resolved)
    assert model.count_params() == totals(resolved).total_parameters
    assert model.input_shape == (None, 96, 96, 3)


@pytest.mark.parametrize("name", ["mobilenet-v1", "resnet-50"])
@pytest.mark.parametrize("layers", ["training", "tpu"])
def test_layers_for_training_compute_the_same(
    name: str, layers: str, randomized: Callable[[keras.Model], None]
) -> None:
    _, variant = find_variant(name)
    # A block or two a stage.
    shallow = NamedVariant(name, replace(variant, depth=0.3))
    resolved = network(shallow, pixels=64, classes=10)
    plain = build_network(resolved)
    randomized(plain)
    ours = build_network(resolved, layers=layers)
    paths = [variable.path for variable in plain.weights]
    assert [variable.path for variable in ours.weights] == paths
    ours.set_weights(plain.get_weights())
    images = np.random.default_rng(0).normal(size=(2, 64, 64, 3))
    expected = np.asarray(plain(images.astype("float32")))
    np.testing.assert_allclose(
        ours(images.astype("float32")),
        expected,
        atol=TOLERANCE * expected.std(),
    )
