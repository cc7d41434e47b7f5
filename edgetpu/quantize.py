"""From a float network to a file in which everything is int8."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from typing import Literal

import keras
import numpy as np
import tensorflow as tf
from tensorflow.lite.python.convert import mlir_quantize

from edgetpu.calibrated_file import clippable_ranges, with_ranges
from edgetpu.calibration_histograms import histograms
from edgetpu.ranges import chosen_range
from edgetpu.reader import read_graph
from edgetpu.run.quiet import quiet
from efficientnet_tf.data.preprocess import normalize
from efficientnet_tf.errors import InputError, RunError
from efficientnet_tf.modeling.build import build_network
from efficientnet_tf.networks import HEAD, Network, Normalization
from efficientnet_tf.networks.families import CENTERED
from efficientnet_tf.training.config import CalibrationRange

# The converted network's input is x = (pixel - 127) / 128. The uint8 with
# scale 1/128 and zero point 127 that stands for x is the pixel itself.
INPUT = CENTERED
INPUT_SCALE = 1 / 128
# Of int8 it stands for the pixel less 128.
INPUT_ZERO_POINTS = {"uint8": 127, "int8": -1}

# The layer of a network that gives the features.
POOLED = "avg_pool"

# What a file gives: probabilities, what they are the softmax of, or the pooled
# features, as for training on the device.
Head = Literal["softmax", "logits", "embedding"]
# What goes in and comes out. int8 spares the Edge TPU two QUANTIZE.
InferenceType = Literal["uint8", "int8"]


def quantize(
    network: Network,
    model: keras.Model,
    images: np.ndarray,
    *,
    head: Head = "softmax",
    inference_type: InferenceType = "uint8",
    calibration_range: CalibrationRange = "image_percentile",
) -> bytes:
    """Converts a network to full-integer TensorFlow Lite.

    The file takes `[1, pixels, pixels, 3]`: raw pixels as uint8, or pixels
    less 128 as int8. It gives, in the same type, `[1, classes]` of the softmax
    with scale 1/256 or of the logits, or the `[1, features]` that the
    classifier sees. The same network and images give the same bytes.

    Args:
        network: What the model was built from.
        model: Normalised images -> logits, as `build_network` makes it.
        images: uint8 `[n, pixels, pixels, 3]`, with an all-0 and an all-255
            image among them: see `calibration_images`.
        head: What the file gives.
        inference_type: Of its input and output.
        calibration_range: How the images set the int8 ranges.

    Returns:
        The content of a `.tflite` file.

    Raises:
        InputError: The network has no classes, or the images another size.
        RunError: The input's quantisation does not allow raw pixels.
    """
    if not network.classes and head != "embedding":
        raise InputError(
            f"classes 0: {network.name} without a classifier has no scores to "
            "export; give it classes, or take the head embedding"
        )
    side = network.pixels
    if images.dtype != np.uint8 or images.shape[1:] != (side, side, 3):
        raise InputError(
            f"calibration images are {images.dtype} {list(images.shape)}, "
            f"not uint8 [n, {side}, {side}, 3]"
        )

    def calibration() -> Iterator[list[np.ndarray]]:
        for image in images:
            yield [normalize(image[np.newaxis], INPUT).numpy()]

    with quiet(), warnings.catch_warnings():
        # It asks for statistics although it measures them by itself.
        warnings.filterwarnings("ignore", "Statistics for quantized inputs")
        converter = tf.lite.TFLiteConverter.from_keras_model(
            device_model(network, model, head)
        )
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = calibration
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.TFLITE_BUILTINS_INT8
        ]
        converter.inference_input_type = tf.as_dtype(inference_type)
        converter.inference_output_type = tf.as_dtype(inference_type)
        # Runtimes before TensorFlow Lite 2.10, Coral's own 2.5 among them,
        # silently compute garbage where a dense layer has a scale per channel.
        converter._experimental_disable_per_channel_quantization_for_dense_layers = (  # noqa: E501
            True
        )
        converter._experimental_calibrate_only = calibration_range != "minmax"
        content: bytes = converter.convert()
    if calibration_range != "minmax":
        inputs = (values for (values,) in calibration())
        content = _clipped(content, inputs, calibration_range, inference_type)
    _check_input(content, inference_type)
    return content


def _clipped(
    calibrated: bytes,
    inputs: Iterable[np.ndarray],
    method: CalibrationRange,
    inference_type: InferenceType,
) -> bytes:
    """Quantises by ranges of our own, which the converter has no option for.

    Args:
        calibrated: What the converter has noted the extremes in.
        inputs: Those that it was calibrated with.
        method: How the ranges are chosen.
        inference_type: Of the file's input and output.
    """
    # It leaves out whole images, not the ends of each.
    answers = method == "image_percentile"
    clippable = clippable_ranges(calibrated, answers=answers)
    counted = histograms(calibrated, clippable, inputs)
    ranges = {
        place: chosen_range(histogram, method)
        for place, histogram in counted.items()
    }
    with quiet():
        # The last step of the converter, as it takes it.
        content: bytes = mlir_quantize(
            with_ranges(calibrated, ranges),
            input_data_type=tf.as_dtype(inference_type),
            output_data_type=tf.as_dtype(inference_type),
            disable_per_channel_for_dense_layers=True,
        )
    return content


def device_model(
    network: Network, model: keras.Model, head: Head = "softmax"
) -> keras.Model:
    """Rebuilds a network as it goes to the device.

    Args:
        network: What the model was built from.
        model: Normalised images -> logits.
        head: What it is to give.

    Returns:
        A float32 model of a batch of one, whose every shape is static:
        x = (pixel - 127) / 128, `[1, pixels, pixels, 3]` -> softmax or logits
        `[1, classes]`, or `[1, features]`. Its name and its layers' are fixed:
        they end up in the file.
    """
    inner = build_network(network, batch_size=1, dtype="float32")
    _copy_weights(model, inner)
    shape = (network.pixels, network.pixels, 3)
    inputs = keras.Input(shape, batch_size=1, name="pixels")
    x = inputs
    if network.normalization != INPUT:
        x = _renormalize(x, network.normalization)
    outputs = _features(inner)(x) if head == "embedding" else inner(x)
    if head == "softmax":
        _centre(inner.get_layer(HEAD))
        outputs = keras.layers.Softmax(dtype="float32", name="scores")(outputs)
    return keras.Model(inputs, outputs, name=f"{network.name}-device")


def _centre(classifier: keras.layers.Dense) -> None:
    """Takes from all logits of an image what they have in common.

    The softmax is the same without it, and int8 need not hold it: on images
    that are far from the others it may be a hundred times what tells classes
    apart, and all of them would share its scale.
    """
    kernel, bias = classifier.get_weights()
    mean = kernel.mean(axis=1, keepdims=True, dtype=np.float64)
    classifier.set_weights(
        [kernel - mean.astype(np.float32), bias - bias.mean()]
    )


def _features(model: keras.Model) -> keras.Model:
    pooled = model.get_layer(POOLED).output
    return keras.Model(model.input, pooled, name=model.name)


def _renormalize(
    x: keras.KerasTensor, normalization: Normalization
) -> keras.KerasTensor:
    """Maps (pixel - 127) / 128 to (pixel - mean) / std, channel by channel.

    A depthwise 1x1 convolution runs on the Edge TPU, and having one weight
    and one scale per channel, int8 holds its weights exactly. Folded into the
    stem instead, the shift would be wrong at the border: the stem pads with
    zeros, which are the mean here and would be pixel 127 there.
    """
    mean, std = np.asarray(normalization.mean), np.asarray(normalization.std)
    layer = keras.layers.DepthwiseConv2D(
        1, dtype="float32", name="normalization"
    )
    x = layer(x)
    factor = np.asarray(INPUT.std) / std
    shift = (np.asarray(INPUT.mean) - mean) / std
    layer.set_weights([factor.reshape(1, 1, 3, 1), shift])
    return x


def _copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Copies by path: two models may list their weights in other orders."""
    values = {variable.path: variable for variable in source.weights}
    wanted = {variable.path for variable in target.weights}
    different = sorted(wanted ^ set(values))
    if different:
        raise InputError(
            f"the model's weights are not those of {target.name}: "
            f"{different[0]} is in one of them only"
        )
    for variable in target.weights:
        variable.assign(keras.ops.cast(values[variable.path], "float32"))


def _check_input(content: bytes, inference_type: InferenceType) -> None:
    graph = read_graph(content)
    tensor = graph.tensors[graph.inputs[0]]
    found = (tensor.dtype, tensor.scale, tensor.zero_point)
    zero_point = INPUT_ZERO_POINTS[inference_type]
    if found != (inference_type, (INPUT_SCALE,), (zero_point,)):
        raise RunError(
            f"the input came out as {tensor.dtype}, scale {tensor.scale}, "
            f"zero point {tensor.zero_point}, not {inference_type}, scale "
            f"1/128, zero point {zero_point}: calibrate with an all-0 and an "
            "all-255 image"
        )
