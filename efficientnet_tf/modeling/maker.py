"""The layers of a network in Keras, as its blocks ask for them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import keras

from efficientnet_tf.modeling.layers import (
    BatchNorm,
    Dropout,
    LeanActivation,
    Pointwise,
)
from efficientnet_tf.networks import Activation, Block, HeadInit
from efficientnet_tf.networks.stages import Padding

Layers = Literal["keras", "training", "tpu"]


class Kinds(NamedTuple):
    """The layers that there are two of.

    `merges` is whether neighbours have their gradients in common where that
    takes fewer passes over memory: see `ProductNorm` and `SqueezedNorm`.
    """

    activation: type[keras.Layer]
    batch_norm: type[keras.Layer]
    dropout: type[keras.Layer]
    pointwise: type[keras.Layer]
    merges: bool


LAYERS: dict[Layers, Kinds] = {
    "keras": Kinds(
        keras.layers.Activation,
        keras.layers.BatchNormalization,
        keras.layers.Dropout,
        keras.layers.Conv2D,
        merges=False,
    ),
    "training": Kinds(
        LeanActivation, BatchNorm, Dropout, Pointwise, merges=False
    ),
    "tpu": Kinds(LeanActivation, BatchNorm, Dropout, Pointwise, merges=True),
}

HEAD_INITS: dict[HeadInit, Callable[[], keras.initializers.Initializer]] = {
    # Within 1 / sqrt(classes) of zero: wide where there are few classes.
    "uniform": lambda: keras.initializers.VarianceScaling(
        1 / 3, mode="fan_out", distribution="uniform"
    ),
    "zeros": keras.initializers.Zeros,
}

_ACTIVATIONS: dict[Activation, str] = {
    "swish": "silu",
    "relu": "relu",
    "relu6": "relu6",
}


@dataclass(frozen=True)
class Maker:
    """Makes the layers of one network; x is `[batch, height, width, c]`.

    Initial weights are the original's: normal, untruncated, by fan-out (a
    depthwise kernel counts one output), and uniform for the classifier, unless
    it is to start at zero.

    Attributes:
        momentum: Of batch norm.
        policy: Keras's dtype policy of all layers but the classifier.
        kinds: Which layers are taken.
        head_init: How the classifier's kernel starts.
        epsilon: Of batch norm.
    """

    momentum: float
    policy: keras.DTypePolicy
    kinds: Kinds
    head_init: HeadInit
    epsilon: float

    def join(
        self, x: keras.KerasTensor, inputs: keras.KerasTensor, block: Block
    ) -> keras.KerasTensor:
        """Adds what came in to a branch that may be dropped."""
        name = f"block{block.name}_"
        if block.drop_path:
            x = self.drop(x, f"{name}drop", block.drop_path, (None, 1, 1, 1))
        return keras.layers.Add(name=f"{name}add", dtype=self.policy)(
            [x, inputs]
        )

    def excite(
        self, x: keras.KerasTensor, name: str, block: Block
    ) -> keras.KerasTensor:
        """Scales channels by what the whole image says of them, if at all."""
        if not block.squeeze:
            return x
        squeezed = self.pool(x, f"{name}squeeze", keepdims=True)
        gate = self.gate(squeezed, name, block)
        return keras.layers.Multiply(name=f"{name}excite", dtype=self.policy)(
            [x, gate]
        )

    def gate(
        self, squeezed: keras.KerasTensor, name: str, block: Block
    ) -> keras.KerasTensor:
        """What the mean over an image, `[batch, 1, 1, c]`, scales it by."""
        gate = self.conv(squeezed, f"{name}reduce", block.squeeze, bias=True)
        gate = self.act(gate, f"{name}activation", block.activation)
        gate = self.conv(gate, f"{name}expand", squeezed.shape[-1], bias=True)
        return keras.layers.Activation(
            "sigmoid", name=f"{name}sigmoid", dtype=self.policy
        )(gate)

    def depthwise(
        self,
        x: keras.KerasTensor,
        name: str,
        block: Block,
        routing: keras.KerasTensor | None = None,
    ) -> keras.KerasTensor:
        """A depthwise convolution, with a kernel for each image if `routing`.

        A convolution is linear in its kernel, so mixing what the experts give
        is the same as mixing their kernels. It costs as many depthwise
        convolutions as there are experts, and needs no loop over images.
        """
        experts = block.experts or 1
        x, padding = self._pad(x, name, block.kernel, block.padding)
        x = keras.layers.DepthwiseConv2D(
            block.kernel,
            strides=block.stride,
            padding=padding,
            depth_multiplier=experts,
            use_bias=False,
            depthwise_initializer=normal(fan_out=block.kernel**2),
            dtype=self.policy,
            name=name,
        )(x)
        if routing is None:
            return x
        _, height, width, channels = x.shape
        channels //= experts
        size = height * width * channels
        x = self.reshape(x, f"{name}_experts", size, experts)
        x = self.dot(x, routing, f"{name}_mix")
        return self.reshape(x, f"{name}_image", height, width, channels)

    def padded_conv(
        self,
        x: keras.KerasTensor,
        name: str,
        channels: int,
        *,
        kernel: int,
        stride: int,
        padding: Padding,
        bias: bool = False,
    ) -> keras.KerasTensor:
        """A convolution, NAME_conv, behind NAME_pad where that is needed."""
        x, way = self._pad(x, name, kernel, padding)
        return self.conv(
            x,
            f"{name}_conv",
            channels,
            kernel=kernel,
            stride=stride,
            bias=bias,
            padding=way,
        )

    def max_pool(
        self, x: keras.KerasTensor, name: str, padding: Padding
    ) -> keras.KerasTensor:
        """The largest of 3x3 positions, every other one.

        Zeros around features that are never below zero change no maximum.
        """
        x, way = self._pad(x, name, 3, padding)
        return keras.layers.MaxPooling2D(
            3, strides=2, padding=way, dtype=self.policy, name=name
        )(x)

    def _pad(
        self, x: keras.KerasTensor, name: str, kernel: int, padding: Padding
    ) -> tuple[keras.KerasTensor, str]:
        """Zeros of one's own, and what is left to a layer: Keras's word."""
        if padding == "same":
            return x, "same"
        layer = keras.layers.ZeroPadding2D(
            kernel // 2, dtype=self.policy, name=f"{name}_pad"
        )
        return layer(x), "valid"

    def conv(
        self,
        x: keras.KerasTensor,
        name: str,
        channels: int,
        *,
        kernel: int = 1,
        stride: int = 1,
        bias: bool = False,
        padding: str = "same",
    ) -> keras.KerasTensor:
        """A convolution; x is `[batch, height, width, channels]`."""
        if kernel == stride == 1:
            return self.pointwise(name, channels, bias=bias)(x)
        return keras.layers.Conv2D(
            channels,
            kernel,
            strides=stride,
            padding=padding,
            use_bias=bias,
            kernel_initializer=normal(fan_out=kernel**2 * channels),
            dtype=self.policy,
            name=name,
        )(x)

    def pointwise(
        self, name: str, channels: int, *, bias: bool
    ) -> keras.layers.Conv2D:
        """A 1x1 convolution, not called yet."""
        return self.kinds.pointwise(
            channels,
            1,
            use_bias=bias,
            kernel_initializer=normal(fan_out=channels),
            dtype=self.policy,
            name=name,
        )

    def dense(
        self, x: keras.KerasTensor, name: str, classes: int
    ) -> keras.KerasTensor:
        """The classifier, in float32."""
        return keras.layers.Dense(
            classes,
            kernel_initializer=HEAD_INITS[self.head_init](),
            dtype="float32",
            name=name,
        )(x)

    def norm(self, x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        """A batch norm over channels."""
        return self.norm_of(x, name, self.kinds.batch_norm)

    def norm_of(
        self, x: keras.KerasTensor, name: str, kind: type[keras.Layer]
    ) -> Any:
        """A norm of another kind, which may give more than the features."""
        return kind(
            momentum=self.momentum,
            epsilon=self.epsilon,
            dtype=self.policy,
            name=name,
        )(x)

    def act(
        self, x: keras.KerasTensor, name: str, activation: Activation
    ) -> keras.KerasTensor:
        """An activation."""
        return self.kinds.activation(
            _ACTIVATIONS[activation], dtype=self.policy, name=name
        )(x)

    def drop(
        self,
        x: keras.KerasTensor,
        name: str,
        rate: float,
        noise_shape: tuple[int | None, ...] | None = None,
    ) -> keras.KerasTensor:
        """Dropout, or drop-path by the shape of its noise."""
        return self.kinds.dropout(
            rate, noise_shape=noise_shape, dtype=self.policy, name=name
        )(x)

    def pool(
        self, x: keras.KerasTensor, name: str, *, keepdims: bool
    ) -> keras.KerasTensor:
        """The mean over height and width."""
        return keras.layers.GlobalAveragePooling2D(
            keepdims=keepdims, dtype=self.policy, name=name
        )(x)

    def reshape(
        self, x: keras.KerasTensor, name: str, *shape: int
    ) -> keras.KerasTensor:
        """Another shape behind the batch."""
        return keras.layers.Reshape(shape, dtype=self.policy, name=name)(x)

    def dot(
        self, x: keras.KerasTensor, y: keras.KerasTensor, name: str
    ) -> keras.KerasTensor:
        """`[batch, n, m]` times `[batch, m, ...]`, image by image."""
        return keras.layers.Dot((2, 1), dtype=self.policy, name=name)([x, y])


def normal(fan_out: int) -> keras.initializers.Initializer:
    """The original's, which is not truncated."""
    return keras.initializers.RandomNormal(stddev=math.sqrt(2 / fan_out))
