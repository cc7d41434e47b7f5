"""Networks as LiteRT files, for `benchmarks.efficiency`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

FORMS = ("float", "int8")

_CALIBRATION_IMAGES = 4


def file_of(folder: str, name: str, application: str, form: str) -> Path:
    """Where a form of a network is.

    Args:
        folder: That of all of them.
        name: Ours.
        application: That of keras.applications; empty for ours.
        form: One of `FORMS`.
    """
    return Path(folder) / f"{name}-{application or 'ours'}-{form}.tflite"


def convert(
    name: str, application: str, pixels: int | None, folder: str
) -> float:
    """Writes all forms of a network with fresh weights.

    Args:
        name: Ours.
        application: Its name in keras.applications, whose network is to be
            taken; empty for ours.
        pixels: Side of its image; None for the published one.
        folder: Where the files go.

    Returns:
        Millions of trainable parameters.
    """
    import keras
    import numpy as np

    from edgetpu.run.quiet import quiet
    from efficientnet_tf.modeling.build import build
    from efficientnet_tf.networks import network

    side = network(name, pixels=pixels).pixels
    inputs = keras.Input((side, side, 3), batch_size=1)
    if application:
        theirs = getattr(keras.applications, application)
        inner = theirs(
            weights=None,
            input_shape=(side, side, 3),
            classifier_activation=None,
        )
    else:
        inner = build(name, pixels=side, batch_size=1)
    model = keras.Model(inputs, inner(inputs))
    make = {"float": _float, "int8": _int8}
    for form in FORMS:
        with quiet():
            content = make[form](model, side)
        file_of(folder, name, application, form).write_bytes(content)
    return sum(int(np.prod(w.shape)) for w in model.trainable_weights) / 1e6


def _float(model: Any, side: int) -> bytes:
    return _converter(model).convert()


def _int8(model: Any, side: int) -> bytes:
    """By the settings of `edgetpu.quantize`, calibrated on noise."""
    import tensorflow as tf

    converter = _converter(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = _noise(side)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.uint8
    converter.inference_output_type = tf.uint8
    return converter.convert()


def _converter(model: Any) -> Any:
    import tensorflow as tf

    return tf.lite.TFLiteConverter.from_keras_model(model)


def _noise(side: int) -> Callable[[], Iterator[list[Any]]]:
    import numpy as np

    def images() -> Iterator[list[Any]]:
        rng = np.random.default_rng(0)
        for _ in range(_CALIBRATION_IMAGES):
            yield [rng.normal(size=(1, side, side, 3)).astype("float32")]

    return images
