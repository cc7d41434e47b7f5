"""`.tflite` files for CPUs and GPUs: float32, float16, dynamic range."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Literal

import keras
import tensorflow as tf

from edgetpu.quantize import Head, device_model
from edgetpu.run.quiet import quiet
from efficientnet_tf.errors import InputError
from efficientnet_tf.files import write_bytes
from efficientnet_tf.networks import Network
from efficientnet_tf.training.trained import TrainedModel

Weights = Literal["float", "float16", "dynamic_range"]


def export_float(trained: TrainedModel, out: str, weights: Weights) -> str:
    """Writes `NAME_float.tflite`, or what the weights are in its place.

    Args:
        trained: The network.
        out: A folder, local or gs://.
        weights: What its weights are.

    Returns:
        The path of the file.

    Raises:
        InputError: The network has no classes.
    """
    path = os.path.join(out, f"{trained.network.name}_{weights}.tflite")
    write_bytes(path, float_tflite(trained.network, trained.model, weights))
    return path


def float_tflite(
    network: Network,
    model: keras.Model,
    weights: Weights = "float",
    head: Head = "softmax",
) -> bytes:
    """Converts a network to TensorFlow Lite that takes and gives float32.

    The file takes x = (pixel - 127) / 128, `[1, pixels, pixels, 3]`, which is
    what the uint8 of the int8 file stands for, and gives what the head gives,
    `[1, classes]`.

    Args:
        network: What the model was built from.
        model: Normalised images -> logits, as `build_network` makes it.
        weights: "float" for float32; "float16" for half the size, and the
            same arithmetic; "dynamic_range" for int8 where a layer has 1,024
            weights or more, whose input is then rounded to int8 by its present
            range.
        head: What the file gives.

    Returns:
        The content of a `.tflite` file.

    Raises:
        InputError: The network has no classes.
    """
    if not network.classes:
        raise InputError(
            f"classes 0: {network.name} without a classifier has no scores to "
            "export; give it classes"
        )
    with quiet():
        converter = tf.lite.TFLiteConverter.from_keras_model(
            device_model(network, model, head)
        )
        _SETTLE[weights](converter)
        content: bytes = converter.convert()
    return content


def _float16(converter: tf.lite.TFLiteConverter) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]


def _dynamic_range(converter: tf.lite.TFLiteConverter) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]


_SETTLE: dict[Weights, Callable[[tf.lite.TFLiteConverter], None]] = {
    "float": lambda converter: None,
    "float16": _float16,
    "dynamic_range": _dynamic_range,
}
