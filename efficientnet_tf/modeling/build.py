"""The one builder: walks resolved blocks into a functional Keras model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import keras

from efficientnet_tf.errors import InputError, near
from efficientnet_tf.modeling.layers import BatchNorm, Dropout, Pointwise
from efficientnet_tf.networks import Activation, Block, Network, network

BATCH_NORM_MOMENTUM = 0.99
BATCH_NORM_EPSILON = 1e-3

Layers = Literal["keras", "training"]


class _Kinds(NamedTuple):
    """The layers that there are two of."""

    batch_norm: type[keras.Layer]
    dropout: type[keras.Layer]
    pointwise: type[keras.Layer]


_LAYERS: dict[Layers, _Kinds] = {
    "keras": _Kinds(
        keras.layers.BatchNormalization,
        keras.layers.Dropout,
        keras.layers.Conv2D,
    ),
    "training": _Kinds(BatchNorm, Dropout, Pointwise),
}

_ACTIVATIONS: dict[Activation, str] = {
    "swish": "silu",
    "relu": "relu",
    "relu6": "relu6",
}


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
) -> keras.Model:
    """Builds a network with fresh weights.

    Inputs are images already normalised, `[batch, pixels, pixels, channels]`;
    outputs are float32 logits `[batch, classes]`, whatever the dtype policy.

    Args:
        name: One of `variants()`.
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
            faster on a CPU or right across replicas. The weights are the
            same, name by name.

    Returns:
        A functional model with layers named as in keras.applications.

    Raises:
        InputError: The name is unknown or a value is out of its range.
    """
    resolved = network(
        name,
        classes=classes,
        pixels=pixels,
        dropout=dropout,
        drop_path=drop_path,
    )
    return build_network(
        resolved,
        channels=channels,
        batch_size=batch_size,
        batch_norm_momentum=batch_norm_momentum,
        dtype=dtype,
        layers=layers,
    )


def build_network(
    network: Network,
    *,
    channels: int = 3,
    batch_size: int | None = None,
    batch_norm_momentum: float = BATCH_NORM_MOMENTUM,
    dtype: str | keras.DTypePolicy | None = None,
    layers: Layers = "keras",
) -> keras.Model:
    """Builds a resolved network; see `build` for the arguments."""
    for field, value in (("channels", channels), ("batch_size", batch_size)):
        if value is not None and value < 1:
            raise InputError(f"{field} {value} must be at least 1")
    if not 0 <= batch_norm_momentum < 1:
        raise InputError(
            f"batch_norm_momentum {batch_norm_momentum} must be in [0, 1)"
        )
    if layers not in _LAYERS:
        raise InputError(f"unknown layers {layers!r}: {near(layers, _LAYERS)}")
    make = _Maker(
        activation=_ACTIVATIONS[network.activation],
        momentum=batch_norm_momentum,
        policy=keras.dtype_policies.get(dtype or keras.config.dtype_policy()),
        kinds=_LAYERS[layers],
    )
    shape = (network.pixels, network.pixels, channels)
    images = keras.Input(shape, batch_size=batch_size, name="images")
    x = make.conv(images, "stem_conv", network.stem, kernel=3, stride=2)
    x = make.norm(x, "stem_bn")
    x = make.act(x, "stem_activation")
    for block in network.blocks:
        x = make.block(x, block)
    x = make.conv(x, "top_conv", network.head)
    x = make.norm(x, "top_bn")
    x = make.act(x, "top_activation")
    x = make.pool(x, "avg_pool", keepdims=False)
    if network.classes:
        if network.dropout:
            x = make.drop(x, "top_dropout", network.dropout)
        x = make.dense(x, "predictions", network.classes)
    return keras.Model(images, x, name=network.name)


@dataclass(frozen=True)
class _Maker:
    """Makes the layers of one network; x is `[batch, height, width, c]`.

    Initial weights are the original's: normal, untruncated, by fan-out (a
    depthwise kernel counts one output), and uniform for the classifier.
    """

    activation: str
    momentum: float
    policy: keras.DTypePolicy
    kinds: _Kinds

    def block(self, x: keras.KerasTensor, block: Block) -> keras.KerasTensor:
        """A mobile inverted bottleneck, fused or not."""
        name = f"block{block.name}_"
        inputs = x
        if block.kind == "fused":
            x = self.conv(
                x,
                f"{name}expand_conv",
                block.expanded,
                kernel=block.kernel,
                stride=block.stride,
            )
            x = self.norm(x, f"{name}expand_bn")
            x = self.act(x, f"{name}expand_activation")
        else:
            if block.expanded != block.inputs:
                x = self.conv(x, f"{name}expand_conv", block.expanded)
                x = self.norm(x, f"{name}expand_bn")
                x = self.act(x, f"{name}expand_activation")
            x = self.depthwise(x, f"{name}dwconv", block.kernel, block.stride)
            x = self.norm(x, f"{name}bn")
            x = self.act(x, f"{name}activation")
        if block.squeeze:
            x = self.squeeze_excite(x, f"{name}se_", block)
        x = self.conv(x, f"{name}project_conv", block.outputs)
        x = self.norm(x, f"{name}project_bn")
        if block.residual:
            if block.drop_path:
                x = self.drop(
                    x, f"{name}drop", block.drop_path, (None, 1, 1, 1)
                )
            x = keras.layers.Add(name=f"{name}add", dtype=self.policy)(
                [x, inputs]
            )
        return x

    def squeeze_excite(
        self, x: keras.KerasTensor, name: str, block: Block
    ) -> keras.KerasTensor:
        """Scales channels by what the whole image says of them."""
        gate = self.pool(x, f"{name}squeeze", keepdims=True)
        gate = self.conv(gate, f"{name}reduce", block.squeeze, bias=True)
        gate = self.act(gate, f"{name}activation")
        gate = self.conv(gate, f"{name}expand", block.expanded, bias=True)
        gate = keras.layers.Activation(
            "sigmoid", name=f"{name}sigmoid", dtype=self.policy
        )(gate)
        return keras.layers.Multiply(name=f"{name}excite", dtype=self.policy)(
            [x, gate]
        )

    def conv(
        self,
        x: keras.KerasTensor,
        name: str,
        channels: int,
        *,
        kernel: int = 1,
        stride: int = 1,
        bias: bool = False,
    ) -> keras.KerasTensor:
        pointwise = kernel == stride == 1
        layer = self.kinds.pointwise if pointwise else keras.layers.Conv2D
        return layer(
            channels,
            kernel,
            strides=stride,
            padding="same",
            use_bias=bias,
            kernel_initializer=_by_fan_out(2.0, "untruncated_normal"),
            dtype=self.policy,
            name=name,
        )(x)

    def depthwise(
        self, x: keras.KerasTensor, name: str, kernel: int, stride: int
    ) -> keras.KerasTensor:
        return keras.layers.DepthwiseConv2D(
            kernel,
            strides=stride,
            padding="same",
            use_bias=False,
            depthwise_initializer=_by_fan_out(2.0, "untruncated_normal"),
            dtype=self.policy,
            name=name,
        )(x)

    def dense(
        self, x: keras.KerasTensor, name: str, classes: int
    ) -> keras.KerasTensor:
        return keras.layers.Dense(
            classes,
            kernel_initializer=_by_fan_out(1 / 3, "uniform"),
            dtype="float32",
            name=name,
        )(x)

    def norm(self, x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        return self.kinds.batch_norm(
            momentum=self.momentum,
            epsilon=BATCH_NORM_EPSILON,
            dtype=self.policy,
            name=name,
        )(x)

    def act(self, x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        return keras.layers.Activation(
            self.activation, dtype=self.policy, name=name
        )(x)

    def drop(
        self,
        x: keras.KerasTensor,
        name: str,
        rate: float,
        noise_shape: tuple[int | None, ...] | None = None,
    ) -> keras.KerasTensor:
        return self.kinds.dropout(
            rate, noise_shape=noise_shape, dtype=self.policy, name=name
        )(x)

    def pool(
        self, x: keras.KerasTensor, name: str, *, keepdims: bool
    ) -> keras.KerasTensor:
        return keras.layers.GlobalAveragePooling2D(
            keepdims=keepdims, dtype=self.policy, name=name
        )(x)


def _by_fan_out(
    scale: float, distribution: str
) -> keras.initializers.Initializer:
    return keras.initializers.VarianceScaling(
        scale, mode="fan_out", distribution=distribution
    )
