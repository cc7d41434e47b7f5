"""The block of EfficientNets in Keras: fused or not, CondConv or not."""

from __future__ import annotations

import keras

from efficientnet_tf.modeling.maker import Maker, normal
from efficientnet_tf.modeling.product_norm import MeanNorm, ProductNorm
from efficientnet_tf.modeling.squeezed_norm import Excite, SqueezedNorm
from efficientnet_tf.networks import Block


def inverted(
    make: Maker,
    x: keras.KerasTensor,
    block: Block,
    mean: keras.KerasTensor | None,
) -> tuple[keras.KerasTensor, keras.KerasTensor | None]:
    """A mobile inverted bottleneck, fused or not, CondConv or not."""
    name = f"block{block.name}_"
    inputs = x
    routing = _routing(make, x, f"{name}routing", block.experts)
    if block.space_to_depth:
        depth = 4 * block.inputs
        x = make.conv(x, f"{name}space2depth_conv", depth, kernel=2, stride=2)
        x = make.norm(x, f"{name}space2depth_bn")
        x = make.act(x, f"{name}space2depth_activation", block.activation)
    if block.kind == "fused":
        x = _fused(make, x, name, block)
    else:
        x = _expanded_and_filtered(make, x, name, block, routing, mean)
    mean = None
    if block.projects:
        x = _mix(make, x, f"{name}project_conv", block.outputs, routing)
        if make.kinds.merges and not block.residual:
            x, mean = make.norm_of(x, f"{name}project_bn", MeanNorm)
        else:
            x = make.norm(x, f"{name}project_bn")
    if block.residual:
        x = make.join(x, inputs, block)
    return x, mean


def _fused(
    make: Maker, x: keras.KerasTensor, name: str, block: Block
) -> keras.KerasTensor:
    """The full convolution of a fused block."""
    part = "expand" if block.expands else "project"
    x = make.padded_conv(
        x,
        f"{name}{part}",
        block.expanded if block.expands else block.outputs,
        kernel=block.kernel,
        stride=block.stride,
        padding=block.padding,
    )
    x = make.norm(x, f"{name}{part}_bn")
    x = make.act(x, f"{name}{part}_activation", block.activation)
    return make.excite(x, f"{name}se_", block)


def _expanded_and_filtered(
    make: Maker,
    x: keras.KerasTensor,
    name: str,
    block: Block,
    routing: keras.KerasTensor | None,
    mean: keras.KerasTensor | None,
) -> keras.KerasTensor:
    """The 1x1 expansion and the depthwise convolution of a block."""
    if block.expands:
        if routing is None:
            x = _mix_norm(make, x, mean, f"{name}expand_", block.expanded)
        else:
            x = _mix(make, x, f"{name}expand_conv", block.expanded, routing)
            x = make.norm(x, f"{name}expand_bn")
        x = make.act(x, f"{name}expand_activation", block.activation)
    x = make.depthwise(x, f"{name}dwconv", block, routing)
    if block.squeeze and make.kinds.merges and block.activation == "swish":
        return _norm_and_excite(make, x, name, block)
    x = make.norm(x, f"{name}bn")
    x = make.act(x, f"{name}activation", block.activation)
    return make.excite(x, f"{name}se_", block)


def _norm_and_excite(
    make: Maker, x: keras.KerasTensor, name: str, block: Block
) -> keras.KerasTensor:
    """Batch norm, swish and squeeze-excite, with gradients in common."""
    squeezed, scale, shift = SqueezedNorm(
        momentum=make.momentum,
        epsilon=make.epsilon,
        dtype=make.policy,
        name=f"{name}bn",
    )(x)
    gate = make.gate(squeezed, f"{name}se_", block)
    # Scale and shift stay float32.
    excite = Excite(name=f"{name}se_excite", dtype=make.policy, autocast=False)
    return excite(x, scale, shift, gate)


def _mix_norm(
    make: Maker,
    x: keras.KerasTensor,
    mean: keras.KerasTensor | None,
    name: str,
    channels: int,
) -> keras.KerasTensor:
    """A 1x1 convolution that widens, and its batch norm."""
    if not make.kinds.merges:
        x = make.conv(x, f"{name}conv", channels)
        return make.norm(x, f"{name}bn")
    convolution = make.pointwise(f"{name}conv", channels, bias=False)
    norm = ProductNorm(
        convolution,
        momentum=make.momentum,
        epsilon=make.epsilon,
        dtype=make.policy,
        name=f"{name}bn",
    )
    return norm(convolution(x), x, mean)


def _routing(
    make: Maker, x: keras.KerasTensor, name: str, experts: int
) -> keras.KerasTensor | None:
    """What share each expert has in an image's kernels.

    The shares, `[batch, experts]`, are each in (0, 1) and need not sum to
    one. None where there are no experts.
    """
    if not experts:
        return None
    x = make.pool(x, f"{name}_pool", keepdims=False)
    return keras.layers.Dense(
        experts, activation="sigmoid", dtype=make.policy, name=name
    )(x)


def _mix(
    make: Maker,
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
        return make.conv(x, name, channels)
    _, height, width, inputs = x.shape
    kernels = keras.layers.Dense(
        inputs * channels,
        use_bias=False,
        kernel_initializer=normal(fan_out=channels),
        dtype=make.policy,
        name=name,
    )(routing)
    kernels = make.reshape(kernels, f"{name}_kernels", inputs, channels)
    x = make.reshape(x, f"{name}_pixels", height * width, inputs)
    x = make.dot(x, kernels, f"{name}_mix")
    return make.reshape(x, f"{name}_image", height, width, channels)
