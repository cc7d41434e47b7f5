"""Weights of keras.applications for our networks."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout

import keras
import numpy as np

from efficientnet_tf.errors import InputError, RunError
from efficientnet_tf.modeling.keras_names import naming_of, their_names
from efficientnet_tf.modeling.load_report import LoadReport
from efficientnet_tf.networks import HEAD, IMAGENET_CLASSES, Network

RGB = 3
STEM = "stem_conv"

APPLICATIONS = {
    **{f"efficientnet-b{n}": f"EfficientNetB{n}" for n in range(8)},
    **{f"efficientnetv2-b{n}": f"EfficientNetV2B{n}" for n in range(4)},
    **{f"efficientnetv2-{n}": f"EfficientNetV2{n.upper()}" for n in "sml"},
    "mobilenet-v1": "MobileNet",
    "mobilenet-v2": "MobileNetV2",
    "resnet-50": "ResNet50",
    "resnet-152": "ResNet152",
}
# Layers that EfficientNetV2 has by another name there.
_THEIR_SUFFIX = ("_dwconv", "_dwconv2")


def copy_keras_weights(model: keras.Model, source: keras.Model) -> LoadReport:
    """Copies the weights of a keras.applications model into ours.

    Layers are paired by name. Where the numbers of classes differ, or one of
    the two has no classifier, ours stays fresh. What Keras's networks do to
    pixels is no part of ours: see `Network.normalization`. A stem there that
    takes blue first (ResNet) takes red first here.

    Args:
        model: What `build` made.
        source: EfficientNetB0 to B7, EfficientNetV2B0 to L, MobileNet,
            MobileNetV2 or a ResNet, with the same channels of input.

    Returns:
        What each variable was given.

    Raises:
        InputError: A layer is missing or has another shape. Then nothing was
            copied.
    """
    theirs = {layer.name: layer for layer in source.layers}
    naming = naming_of(source.name)
    names = [layer.name for layer in model.layers]
    known = their_names(names, naming) if naming else {}
    blue_first = naming is not None and naming.blue_first
    values: list[tuple[keras.Variable, np.ndarray]] = []
    assigned: dict[str, str] = {}
    fresh: dict[str, str] = {}
    for layer in model.layers:
        if not layer.weights:
            continue
        name = known.get(layer.name, layer.name)
        twin = theirs.get(name) or theirs.get(name.replace(*_THEIR_SUFFIX))
        if layer.name == HEAD and not _same_classes(layer, twin):
            reason = _other_classes(layer, twin)
            fresh |= {variable.path: reason for variable in layer.weights}
            continue
        if twin is None:
            raise InputError(f"{source.name} has no layer {name}")
        for ours, given in zip(layer.weights, twin.weights, strict=True):
            value = keras.ops.convert_to_numpy(given)
            if layer.name == HEAD:
                # MobileNet classifies by a 1x1 convolution.
                value = value.reshape(value.shape[-ours.ndim :])
            if ours.shape != value.shape:
                raise InputError(
                    f"{ours.path} is {list(ours.shape)}, in {source.name} it "
                    f"is {list(given.shape)}"
                )
            if layer.name == STEM and blue_first and ours.ndim > 1:
                value = value[:, :, ::-1]
            values.append((ours, value))
            assigned[ours.path] = given.path
    for variable, value in values:
        variable.assign(value)
    taken = set(assigned.values())
    unused = {
        weight.path: "our network has no such variable"
        for weight in source.weights
        if weight.path not in taken
    }
    return LoadReport(source.name, assigned, fresh, unused)


def load_imagenet_weights(model: keras.Model, network: Network) -> LoadReport:
    """Gives a model the ImageNet weights that Keras publishes.

    Keras downloads them into its own cache, `~/.keras/models` unless
    KERAS_HOME says otherwise. A classifier of other than 1000 classes stays
    fresh.

    Args:
        model: What `build_network` made of the network.
        network: One that keras.applications has.

    Returns:
        What each variable was given.

    Raises:
        InputError: Keras has no such weights, or the model's input is not RGB.
        RunError: They can neither be found in the cache nor downloaded.
    """
    check_published(network)
    channels = model.input_shape[-1]
    if channels != RGB:
        raise InputError(
            f"channels {channels}: the ImageNet weights take {RGB}; build "
            "with 3, or with fresh weights"
        )
    application = getattr(keras.applications, APPLICATIONS[network.name])
    top = network.classes == IMAGENET_CLASSES
    try:
        # Keras writes of a download to the standard output.
        with redirect_stdout(sys.stderr):
            source = application(
                weights="imagenet",
                include_top=top,
                classifier_activation=None,
            )
    # Keras raises a bare Exception where a download fails.
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise RunError(
            f"the ImageNet weights of {network.name} cannot be had: {reason}; "
            "without a network, put Keras's file into ~/.keras/models"
        ) from error
    return copy_keras_weights(model, source)


def check_published(network: Network) -> None:
    """Raises InputError where Keras has no ImageNet weights of a network."""
    if network.name not in APPLICATIONS:
        raise InputError(
            f"Keras has no ImageNet weights of {network.name}; it has them of "
            f"{', '.join(APPLICATIONS)}"
        )


def _same_classes(layer: keras.Layer, twin: keras.Layer | None) -> bool:
    return twin is not None and layer.units == _classes(twin)


def _other_classes(layer: keras.Layer, twin: keras.Layer | None) -> str:
    theirs = "no classifier" if twin is None else f"{_classes(twin)} classes"
    return f"the model has {layer.units} classes, the source {theirs}"


def _classes(layer: keras.Layer) -> int:
    """Of a classifier there, which may be a 1x1 convolution."""
    return int(layer.weights[-1].shape[-1])
