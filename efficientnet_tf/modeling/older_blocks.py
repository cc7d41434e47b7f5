"""The blocks of the networks that EfficientNet came from, in Keras.

Both give no mean of their outputs: see `MakeBlock`.
"""

from __future__ import annotations

import keras

from efficientnet_tf.modeling.maker import Maker
from efficientnet_tf.networks import Block


def separable(
    make: Maker,
    x: keras.KerasTensor,
    block: Block,
    mean: keras.KerasTensor | None,
) -> tuple[keras.KerasTensor, None]:
    """A depthwise convolution, then a 1x1, each with norm and activation."""
    name = f"block{block.name}_"
    inputs = x
    x = make.depthwise(x, f"{name}dwconv", block)
    x = make.norm(x, f"{name}bn")
    x = make.act(x, f"{name}activation", block.activation)
    x = make.excite(x, f"{name}se_", block)
    x = make.conv(x, f"{name}project_conv", block.outputs)
    x = make.norm(x, f"{name}project_bn")
    x = make.act(x, f"{name}project_activation", block.activation)
    return make.join(x, inputs, block) if block.residual else x, None


def bottleneck(
    make: Maker,
    x: keras.KerasTensor,
    block: Block,
    mean: keras.KerasTensor | None,
) -> tuple[keras.KerasTensor, None]:
    """ResNet's: 1x1, a kernel, 1x1, and the activation behind the sum."""
    name = f"block{block.name}_"
    inputs = x
    first, then = (block.stride, 1) if block.stride_first else (1, block.stride)
    if block.shortcut:
        inputs = make.conv(
            inputs,
            f"{name}shortcut_conv",
            block.outputs,
            stride=block.stride,
            bias=block.bias,
        )
        inputs = make.norm(inputs, f"{name}shortcut_bn")
    x = make.conv(
        x,
        f"{name}reduce_conv",
        block.expanded,
        stride=first,
        bias=block.bias,
    )
    x = make.norm(x, f"{name}reduce_bn")
    x = make.act(x, f"{name}reduce_activation", block.activation)
    x = make.padded_conv(
        x,
        f"{name}filter",
        block.expanded,
        kernel=block.kernel,
        stride=then,
        bias=block.bias,
        padding=block.padding,
    )
    x = make.norm(x, f"{name}filter_bn")
    x = make.act(x, f"{name}filter_activation", block.activation)
    x = make.conv(x, f"{name}project_conv", block.outputs, bias=block.bias)
    x = make.norm(x, f"{name}project_bn")
    if block.residual:
        x = make.join(x, inputs, block)
    return make.act(x, f"{name}activation", block.activation), None
