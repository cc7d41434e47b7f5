"""The blocks of a network in Keras."""

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
from efficientnet_tf.modeling.older_blocks import bottleneck, separable
from efficientnet_tf.modeling.product_norm import MeanNorm, ProductNorm
from efficientnet_tf.modeling.squeezed_norm import Excite, SqueezedNorm
from efficientnet_tf.networks import Activation, Block, HeadInit
from efficientnet_tf.networks.stages import Kind, Padding

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

    def block(
        self,
        x: keras.KerasTensor,
        block: Block,
        mean: keras.KerasTensor | None = None,
    ) -> tuple[keras.KerasTensor, keras.KerasTensor | None]:
        """A block.

        Args:
            x: The features.
            block: What is made of them.
            mean: That of x on a replica, `[c]`, where the block before told.

        Returns:
            The next features, and their mean where that is known and helps.
        """
        return BLOCKS[block.kind](self, x, block, mean)

    def inverted(
        self,
        x: keras.KerasTensor,
        block: Block,
        mean: keras.KerasTensor | None,
    ) -> tuple[keras.KerasTensor, keras.KerasTensor | None]:
        """A mobile inverted bottleneck, fused or not, CondConv or not."""
        name = f"block{block.name}_"
        inputs = x
        routing = self._routing(x, f"{name}routing", block.experts)
        if block.space_to_depth:
            depth = 4 * block.inputs
            x = self.conv(
                x, f"{name}space2depth_conv", depth, kernel=2, stride=2
            )
            x = self.norm(x, f"{name}space2depth_bn")
            x = self.act(x, f"{name}space2depth_activation", block.activation)
        if block.kind == "fused":
            x = self._fused(x, name, block)
        else:
            x = self._expanded_and_filtered(x, name, block, routing, mean)
        mean = None
        if block.projects:
            x = self._mix(x, f"{name}project_conv", block.outputs, routing)
            if self.kinds.merges and not block.residual:
                x, mean = self._norm(x, f"{name}project_bn", MeanNorm)
            else:
                x = self.norm(x, f"{name}project_bn")
        if block.residual:
            x = self.join(x, inputs, block)
        return x, mean

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

    def _fused(
        self, x: keras.KerasTensor, name: str, block: Block
    ) -> keras.KerasTensor:
        """The full convolution of a fused block."""
        part = "expand" if block.expands else "project"
        x = self.padded_conv(
            x,
            f"{name}{part}",
            block.expanded if block.expands else block.outputs,
            kernel=block.kernel,
            stride=block.stride,
            padding=block.padding,
        )
        x = self.norm(x, f"{name}{part}_bn")
        x = self.act(x, f"{name}{part}_activation", block.activation)
        return self.excite(x, f"{name}se_", block)

    def _expanded_and_filtered(
        self,
        x: keras.KerasTensor,
        name: str,
        block: Block,
        routing: keras.KerasTensor | None,
        mean: keras.KerasTensor | None,
    ) -> keras.KerasTensor:
        """The 1x1 expansion and the depthwise convolution of a block."""
        if block.expands:
            if routing is None:
                x = self._mix_norm(x, mean, f"{name}expand_", block.expanded)
            else:
                x = self._mix(x, f"{name}expand_conv", block.expanded, routing)
                x = self.norm(x, f"{name}expand_bn")
            x = self.act(x, f"{name}expand_activation", block.activation)
        x = self.depthwise(x, f"{name}dwconv", block, routing)
        if block.squeeze and self.kinds.merges and block.activation == "swish":
            return self._norm_and_excite(x, name, block)
        x = self.norm(x, f"{name}bn")
        x = self.act(x, f"{name}activation", block.activation)
        return self.excite(x, f"{name}se_", block)

    def _norm_and_excite(
        self, x: keras.KerasTensor, name: str, block: Block
    ) -> keras.KerasTensor:
        """Batch norm, swish and squeeze-excite, with gradients in common."""
        squeezed, scale, shift = SqueezedNorm(
            momentum=self.momentum,
            epsilon=self.epsilon,
            dtype=self.policy,
            name=f"{name}bn",
        )(x)
        gate = self._gate(squeezed, f"{name}se_", block)
        # Scale and shift stay float32.
        excite = Excite(
            name=f"{name}se_excite", dtype=self.policy, autocast=False
        )
        return excite(x, scale, shift, gate)

    def _mix_norm(
        self,
        x: keras.KerasTensor,
        mean: keras.KerasTensor | None,
        name: str,
        channels: int,
    ) -> keras.KerasTensor:
        """A 1x1 convolution that widens, and its batch norm."""
        if not self.kinds.merges:
            x = self.conv(x, f"{name}conv", channels)
            return self.norm(x, f"{name}bn")
        convolution = self._pointwise(f"{name}conv", channels, bias=False)
        norm = ProductNorm(
            convolution,
            momentum=self.momentum,
            epsilon=self.epsilon,
            dtype=self.policy,
            name=f"{name}bn",
        )
        return norm(convolution(x), x, mean)

    def excite(
        self, x: keras.KerasTensor, name: str, block: Block
    ) -> keras.KerasTensor:
        """Scales channels by what the whole image says of them, if at all."""
        if not block.squeeze:
            return x
        squeezed = self.pool(x, f"{name}squeeze", keepdims=True)
        gate = self._gate(squeezed, name, block)
        return keras.layers.Multiply(name=f"{name}excite", dtype=self.policy)(
            [x, gate]
        )

    def _gate(
        self, squeezed: keras.KerasTensor, name: str, block: Block
    ) -> keras.KerasTensor:
        """What the mean over an image, `[batch, 1, 1, c]`, scales it by."""
        gate = self.conv(squeezed, f"{name}reduce", block.squeeze, bias=True)
        gate = self.act(gate, f"{name}activation", block.activation)
        gate = self.conv(gate, f"{name}expand", squeezed.shape[-1], bias=True)
        return keras.layers.Activation(
            "sigmoid", name=f"{name}sigmoid", dtype=self.policy
        )(gate)

    def _routing(
        self, x: keras.KerasTensor, name: str, experts: int
    ) -> keras.KerasTensor | None:
        """What share each expert has in an image's kernels.

        The shares, `[batch, experts]`, are each in (0, 1) and need not sum to
        one. None where there are no experts.
        """
        if not experts:
            return None
        x = self.pool(x, f"{name}_pool", keepdims=False)
        return keras.layers.Dense(
            experts, activation="sigmoid", dtype=self.policy, name=name
        )(x)

    def _mix(
        self,
        x: keras.KerasTensor,
        name: str,
        channels: int,
        routing: keras.KerasTensor | None,
    ) -> keras.KerasTensor:
        """A 1x1 convolution, with a kernel for each image if `routing` is.

        The experts' kernels are the rows of one matrix, `[experts, in * out]`,
        as in the original's checkpoints, so the kernels of a whole batch are
        one product and so is what they do to it.
        """
        if routing is None:
            return self.conv(x, name, channels)
        _, height, width, inputs = x.shape
        kernels = keras.layers.Dense(
            inputs * channels,
            use_bias=False,
            kernel_initializer=_normal(fan_out=channels),
            dtype=self.policy,
            name=name,
        )(routing)
        kernels = self._reshape(kernels, f"{name}_kernels", inputs, channels)
        x = self._reshape(x, f"{name}_pixels", height * width, inputs)
        x = self._dot(x, kernels, f"{name}_mix")
        return self._reshape(x, f"{name}_image", height, width, channels)

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
            depthwise_initializer=_normal(fan_out=block.kernel**2),
            dtype=self.policy,
            name=name,
        )(x)
        if routing is None:
            return x
        _, height, width, channels = x.shape
        channels //= experts
        size = height * width * channels
        x = self._reshape(x, f"{name}_experts", size, experts)
        x = self._dot(x, routing, f"{name}_mix")
        return self._reshape(x, f"{name}_image", height, width, channels)

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
            return self._pointwise(name, channels, bias=bias)(x)
        return keras.layers.Conv2D(
            channels,
            kernel,
            strides=stride,
            padding=padding,
            use_bias=bias,
            kernel_initializer=_normal(fan_out=kernel**2 * channels),
            dtype=self.policy,
            name=name,
        )(x)

    def _pointwise(
        self, name: str, channels: int, *, bias: bool
    ) -> keras.layers.Conv2D:
        """A 1x1 convolution, not called yet."""
        return self.kinds.pointwise(
            channels,
            1,
            use_bias=bias,
            kernel_initializer=_normal(fan_out=channels),
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
        return self._norm(x, name, self.kinds.batch_norm)

    def _norm(
        self, x: keras.KerasTensor, name: str, kind: type[keras.Layer]
    ) -> Any:
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

    def _reshape(
        self, x: keras.KerasTensor, name: str, *shape: int
    ) -> keras.KerasTensor:
        return keras.layers.Reshape(shape, dtype=self.policy, name=name)(x)

    def _dot(
        self, x: keras.KerasTensor, y: keras.KerasTensor, name: str
    ) -> keras.KerasTensor:
        """`[batch, n, m]` times `[batch, m, ...]`, image by image."""
        return keras.layers.Dot((2, 1), dtype=self.policy, name=name)([x, y])


def _normal(fan_out: int) -> keras.initializers.Initializer:
    """The original's, which is not truncated."""
    return keras.initializers.RandomNormal(stddev=math.sqrt(2 / fan_out))


_Make = Callable[
    [Maker, keras.KerasTensor, Block, keras.KerasTensor | None],
    tuple[keras.KerasTensor, keras.KerasTensor | None],
]

BLOCKS: dict[Kind, _Make] = {
    "mbconv": Maker.inverted,
    "fused": Maker.inverted,
    "separable": separable,
    "bottleneck": bottleneck,
}
