"""keras.applications computes what we do, on the same weights."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest

from efficientnet_tf import InputError, RunError, copy_keras_weights
from efficientnet_tf.modeling.build import build
from efficientnet_tf.modeling.keras_weights import load_imagenet_weights
from efficientnet_tf.networks import Network, network

TOLERANCE = 1e-4


def theirs_of(name: str, pixels: int, **options: object) -> keras.Model:
    family, _, size = name.partition("-")
    kind = {"efficientnet": "EfficientNet", "efficientnetv2": "EfficientNetV2"}
    application = getattr(keras.applications, kind[family] + size.upper())
    return application(
        weights=None,
        input_shape=(pixels, pixels, 3),
        classifier_activation=None,
        **options,
    )


def imagenet_statistics(model: keras.Model, name: str) -> None:
    """Gives Keras's preprocessing layers what ImageNet weights come with.

    Fresh, the Normalization of a B network does nothing.
    """
    wanted = network(name).normalization
    layer = model.get_layer(index=2)
    if not name.startswith("efficientnetv2"):
        assert isinstance(layer, keras.layers.Normalization)
        mean, std = np.array(wanted.mean) / 255, np.array(wanted.std) / 255
        layer.set_weights([mean, std**2, np.array(0)])
        layer.finalize_state()


@pytest.mark.parametrize(
    "name",
    [
        "efficientnet-b0",
        "efficientnetv2-b0",
        *(
            pytest.param(f"efficientnet-b{n}", marks=pytest.mark.slow)
            for n in range(1, 8)
        ),
        *(
            pytest.param(f"efficientnetv2-{n}", marks=pytest.mark.slow)
            for n in ("b1", "b2", "b3", "s", "m", "l")
        ),
    ],
)
@pytest.mark.parametrize(
    "pixels", [64, pytest.param(75, marks=pytest.mark.slow, id="odd")]
)
def test_keras_applications_computes_the_same(
    name: str,
    pixels: int,
    randomized: Callable[[keras.Model], None],
    counted: Callable[[keras.Model, Network], None],
) -> None:
    theirs = theirs_of(name, pixels)
    imagenet_statistics(theirs, name)
    randomized(theirs)
    ours = build(name, pixels=pixels)
    counted(ours, network(name))
    report = copy_keras_weights(ours, theirs)
    assert report.assigned.keys() == {w.path for w in ours.weights}
    assert not report.fresh
    # What is left over is its preprocessing.
    assert all("normalization" in path for path in report.unused)

    rng = np.random.default_rng(0)
    pixel_values = rng.uniform(0, 255, (2, pixels, pixels, 3))
    wanted = network(name).normalization
    normalised = (pixel_values - wanted.mean) / wanted.std
    expected = np.asarray(theirs(pixel_values.astype("float32")))
    logits = np.asarray(ours(normalised.astype("float32")))
    np.testing.assert_allclose(
        logits, expected, rtol=0, atol=TOLERANCE * expected.std()
    )


def test_a_head_of_other_classes_is_left_fresh() -> None:
    ours = build("efficientnet-b0", pixels=32, classes=10)
    before = np.asarray(ours.get_layer("predictions").kernel).copy()
    report = copy_keras_weights(ours, theirs_of("efficientnet-b0", 32))
    assert set(report.fresh) == {"predictions/kernel", "predictions/bias"}
    assert "10 classes, the source 1000" in str(report)
    np.testing.assert_array_equal(ours.get_layer("predictions").kernel, before)


def test_another_network_is_refused() -> None:
    ours = build("efficientnet-b2", pixels=32)
    before = ours.get_weights()
    for source, words in (
        ("efficientnetv2-b0", "has no layer block1a_dwconv"),
        ("efficientnet-b1", r"is \[.*\], in efficientnetb1 it is \["),
    ):
        with pytest.raises(InputError, match=words):
            copy_keras_weights(ours, theirs_of(source, 32))
    for now, then in zip(ours.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("classes", [1000, 5])
def test_imagenet_weights_are_downloaded_once(
    classes: int,
    keras_mirror: Callable[..., keras.Model],
    capsys: pytest.CaptureFixture[str],
) -> None:
    top = classes == 1000
    published = keras_mirror(top=top)
    model = build(
        "efficientnet-b0", pixels=32, classes=classes, weights="imagenet"
    )
    np.testing.assert_array_equal(
        model.get_layer("block3a_dwconv").kernel,
        published.get_layer("block3a_dwconv").kernel,
    )
    heard = capsys.readouterr()
    assert "Downloading" in heard.err
    assert not heard.out
    resolved = network("efficientnet-b0", classes=classes)
    report = load_imagenet_weights(model, resolved)
    assert bool(report.fresh) == (not top)
    assert "Downloading" not in capsys.readouterr().err


def test_without_a_network_it_says_so(
    keras_mirror: Callable[..., keras.Model],
) -> None:
    with pytest.raises(RunError, match=r"cannot be had: .*~/\.keras/models"):
        build("efficientnet-b0", pixels=32, weights="imagenet")


def test_what_keras_does_not_publish() -> None:
    with pytest.raises(InputError, match="no ImageNet weights of .*lite0"):
        build("efficientnet-lite0", pixels=32, weights="imagenet")
    with pytest.raises(InputError, match="channels 1"):
        build("efficientnet-b0", pixels=32, channels=1, weights="imagenet")
    with pytest.raises(InputError, match="unknown weights 'noisy'"):
        build("efficientnet-b0", pixels=32, weights="noisy")
