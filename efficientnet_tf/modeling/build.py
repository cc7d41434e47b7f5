"""The one builder: walks resolved blocks into a functional Keras model."""

from __future__ import annotations

import sys
from typing import Literal

import keras

from efficientnet_tf.errors import InputError, near
from efficientnet_tf.modeling.blocks import BLOCKS
from efficientnet_tf.modeling.maker import HEAD_INITS, LAYERS, Layers, Maker
from efficientnet_tf.networks import (
    HEAD,
    FusedStride,
    HeadInit,
    Network,
    network,
)

BATCH_NORM_MOMENTUM = 0.99

_RECURSION = 10_000


def build(
    name: str,
    *,
    classes: int | None = None,
    pixels: int | None = None,
    channels: int = 3,
    batch_size: int | None = None,
    dropout: float | None = None,
    drop_path: float | None = None,
    batch_norm_momentum: float = BATCH_NORM_MOMENTUM,
    dtype: str | keras.DTypePolicy | None = None,
    layers: Layers = "keras",
    fused_stride: FusedStride = "expand",
    head_init: HeadInit = "uniform",
    endpoints: bool = False,
    weights: Literal["imagenet"] | None = None,
) -> keras.Model:
    """Builds a network.

    Inputs are images already normalised, `[batch, pixels, pixels, channels]`;
    outputs are float32 logits `[batch, classes]`, whatever the dtype policy.

    Args:
        name: One of `variants()`, or the path of a variant file.
        classes: Number of logits; None for the published count. 0 builds a
            headless backbone whose output is the pooled features
            `[batch, head]` in the policy's compute dtype.
        pixels: Side of the input image; None for the published one.
        channels: Channels of the input image.
        batch_size: A fixed batch, or None for any.
        dropout: Probability of dropping a pooled feature in training; None
            for the published one.
        drop_path: Drop probability that the linear ramp over blocks aims at;
            None for the published one.
        batch_norm_momentum: Weight of the past in the moving statistics.
        dtype: Dtype policy; None for Keras's global one.
        layers: "keras" takes Keras's own layers, so that the model saves and
            loads with Keras alone. "training" takes ours where they are
            faster on a CPU or right across replicas, and "tpu" those whose
            gradients a TPU computes in fewer passes over memory. The weights
            are the same, name by name.
        fused_stride: Which convolution of a fused block carries its stride;
            see `efficientnet_tf.network`.
        head_init: How the classifier's kernel starts: "uniform" as the
            original's, or "zeros", which says the same of all classes.
        endpoints: Whether the outputs are a dictionary for detection and
            segmentation: `reduction_1` to `reduction_5`, the last features at
            a half to a 32nd of the image's side (rounded up), then
            `pooled_features` `[batch, head]` and `logits`.
        weights: None for fresh ones; "imagenet" for those that
            keras.applications has, downloaded and cached by Keras: see
            `load_imagenet_weights`.

    Returns:
        A functional model with layers named as in keras.applications.

    Raises:
        InputError: The name is unknown, a value is out of its range, or
            keras.applications has no such network.
        RunError: The weights cannot be downloaded.
    """
    if weights not in (None, "imagenet"):
        raise InputError(
            f'unknown weights {weights!r}; give "imagenet", or None for '
            "fresh ones"
        )
    resolved = network(
        name,
        classes=classes,
        pixels=pixels,
        dropout=dropout,
        drop_path=drop_path,
        fused_stride=fused_stride,
    )
    model = build_network(
        resolved,
        channels=channels,
        batch_size=batch_size,
        batch_norm_momentum=batch_norm_momentum,
        dtype=dtype,
        layers=layers,
        head_init=head_init,
        endpoints=endpoints,
    )
    if weights == "imagenet":
        # It imports keras.applications, which most callers do not need.
        from efficientnet_tf.modeling.keras_weights import (
            load_imagenet_weights,
        )

        load_imagenet_weights(model, resolved)
    return model


def build_network(
    network: Network,
    *,
    channels: int = 3,
    batch_size: int | None = None,
    batch_norm_momentum: float = BATCH_NORM_MOMENTUM,
    dtype: str | keras.DTypePolicy | None = None,
    layers: Layers = "keras",
    head_init: HeadInit = "uniform",
    endpoints: bool = False,
) -> keras.Model:
    """Builds a resolved network; see `build` for the arguments."""
    for field, value in (("channels", channels), ("batch_size", batch_size)):
        if value is not None and value < 1:
            raise InputError(f"{field} {value} must be at least 1")
    if not 0 <= batch_norm_momentum < 1:
        raise InputError(
            f"batch_norm_momentum {batch_norm_momentum} must be in [0, 1)"
        )
    if layers not in LAYERS:
        raise InputError(f"unknown layers {layers!r}: {near(layers, LAYERS)}")
    if head_init not in HEAD_INITS:
        raise InputError(
            f"unknown head_init {head_init!r}: {near(head_init, HEAD_INITS)}"
        )
    make = Maker(
        momentum=batch_norm_momentum,
        policy=keras.dtype_policies.get(dtype or keras.config.dtype_policy()),
        kinds=LAYERS[layers],
        head_init=head_init,
        epsilon=network.batch_norm_epsilon,
    )
    shape = (network.pixels, network.pixels, channels)
    images = keras.Input(shape, batch_size=batch_size, name="images")
    x = make.padded_conv(
        images,
        "stem",
        network.stem,
        kernel=network.stem_kernel,
        stride=2,
        bias=network.stem_bias,
        padding=network.stem_padding,
    )
    x = make.norm(x, "stem_bn")
    x = make.act(x, "stem_activation", network.activation)
    reductions, mean = [], None
    if network.stem_pool:
        reductions.append(x)
        x = make.max_pool(x, "stem_pool", network.stem_padding)
    for block in network.blocks:
        if block.halves:
            reductions.append(x)
        x, mean = BLOCKS[block.kind](make, x, block, mean)
    reductions.append(x)
    if network.head:
        x = make.conv(x, "top_conv", network.head)
        # No `ProductNorm`: the gradient of what is pooled is never in memory.
        x = make.norm(x, "top_bn")
        x = make.act(x, "top_activation", network.activation)
    pooled = x = make.pool(x, "avg_pool", keepdims=False)
    if network.classes:
        if network.dropout:
            x = make.drop(x, "top_dropout", network.dropout)
        x = make.dense(x, HEAD, network.classes)
    if not endpoints:
        return _model(images, x, network.name)
    outputs = {
        f"reduction_{number}": tensor
        for number, tensor in enumerate(reductions, 1)
    }
    outputs["pooled_features"] = pooled
    if network.classes:
        outputs["logits"] = x
    return _model(images, outputs, network.name)


def _model(
    images: keras.KerasTensor,
    outputs: keras.KerasTensor | dict[str, keras.KerasTensor],
    name: str,
) -> keras.Model:
    """A functional model, however deep.

    Keras walks the graph by recursion, a call or two for each layer:
    EfficientNetV2-XL has more of them in a row than Python allows by itself.
    """
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _RECURSION))
    try:
        return keras.Model(images, outputs, name=name)
    finally:
        sys.setrecursionlimit(before)
