"""Keras's layers for training: right across replicas, fast on a CPU.

Each has the arguments and weights of the Keras layer it replaces.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from efficientnet_tf.modeling.moment import present_moment, replica_uniform
from efficientnet_tf.modeling.norm_groups import NormGroup, present_group


class LeanActivation(keras.layers.Activation):
    """An activation; swish in fewer passes over memory than Keras's."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Elementwise, of any shape."""
        if self.activation is keras.activations.silu:
            return swish(inputs, self.name)
        return super().call(inputs)


class BatchNorm(keras.layers.BatchNormalization):
    """Batch norm over the channels of NHWC, with statistics of many replicas.

    A replica by itself takes TensorFlow's fused kernel, which Keras 3 never
    calls; several exchange mean and mean square in one all-reduce (and its
    gradient in another). Statistics are float32 under any dtype policy. The
    moving ones are those of all replicas, whoever shares in normalising; their
    variance is without Bessel's correction, as in the original's cross-replica
    batch norm.
    """

    def call(
        self, inputs: tf.Tensor, training: bool | None = None, mask: Any = None
    ) -> tf.Tensor:
        """Normalises `[batch, height, width, channels]` by channel."""
        outputs, _ = self._normalize(inputs, training)
        return outputs

    def _normalize(
        self, inputs: tf.Tensor, training: bool | None
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """The outputs, and their mean on this replica by channel if known."""
        gamma = tf.convert_to_tensor(self.gamma)
        beta = tf.convert_to_tensor(self.beta)
        if not (training and self.trainable):
            outputs, _, _ = tf.compat.v1.nn.fused_batch_norm(
                inputs,
                gamma,
                beta,
                mean=tf.convert_to_tensor(self.moving_mean),
                variance=tf.convert_to_tensor(self.moving_variance),
                epsilon=self.epsilon,
                is_training=False,
            )
            return outputs, None
        group = present_group()
        if group.size == 1:
            outputs, found = fused_norm(inputs, gamma, beta, self.epsilon)
            mean, statistics = beta, found[None]
        else:
            values = tf.cast(inputs, tf.float32)
            local = moments(values)
            ours, statistics = group.means(local)
            scale, shift = affine(ours, gamma, beta, self.epsilon)
            outputs = tf.cast(values * scale + shift, inputs.dtype)
            mean = local[0] * scale + shift
            statistics = with_variance(statistics)
        self._count(statistics, group)
        return outputs, mean

    def _count(self, statistics: tf.Tensor, group: NormGroup) -> None:
        """Moves the moving statistics by those of a batch.

        Args:
            statistics: float32 `[groups, 2, channels]`, mean and variance.
            group: Whose they are.
        """
        if not group.counts:
            return
        mean = tf.reduce_mean(tf.stop_gradient(statistics), axis=0)
        if group.size == 1 < group.replicas:
            mean = group.context.all_reduce(tf.distribute.ReduceOp.MEAN, mean)
        for moving, batch in zip(
            (self.moving_mean, self.moving_variance),
            tf.unstack(mean),
            strict=True,
        ):
            moving.assign(moving * self.momentum + batch * (1 - self.momentum))


class Pointwise(keras.layers.Conv2D):
    """A 1x1 convolution at stride 1 as the matrix product that it is.

    TensorFlow's convolution kernels walk a batch image by image in their
    gradients, which is slow on a CPU where images are small (measured by
    benchmarks/pointwise.py); XLA sees the same product in both. The kernel
    keeps its shape, `[1, 1, in, out]`.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Mixes the channels of `[batch, height, width, channels]`."""
        kernel = tf.reshape(self.kernel, self.kernel.shape[2:])
        pixels = tf.reshape(inputs, [-1, kernel.shape[0]])
        outputs = tf.matmul(pixels, kernel)
        if self.use_bias:
            outputs += tf.convert_to_tensor(self.bias)
        _, height, width, _ = inputs.shape
        return tf.reshape(outputs, [-1, height, width, kernel.shape[1]])


class Dropout(keras.layers.Dropout):
    """Dropout, and drop-path where `noise_shape` is `(None, 1, 1, 1)`.

    In the project's training loop a mask depends on the run's seed, the name
    of the layer, the step and the example's place in the global batch; outside
    of it this is Keras's own layer.
    """

    def call(
        self, inputs: tf.Tensor, training: bool | None = False
    ) -> tf.Tensor:
        """Drops with probability `rate` and scales the rest up."""
        if not training or self.rate == 0:
            return inputs
        if present_moment() is None:
            return super().call(inputs, training=training)
        each = tuple(inputs.shape[1:])
        if self.noise_shape:
            each = tuple(
                ours if size is None else size
                for ours, size in zip(each, self.noise_shape[1:], strict=True)
            )
        drawn = replica_uniform(self.name, tf.shape(inputs)[0], each)
        keep = 1.0 - self.rate
        mask = tf.floor(keep + drawn) / keep
        return inputs * tf.cast(mask, inputs.dtype)


def swish(inputs: tf.Tensor, name: str = "swish") -> tf.Tensor:
    """`x sigmoid(x)`, elementwise, in few passes over memory.

    The gradient of softplus is `upstream * sigmoid(x)` in one kernel, which
    on a CPU writes over its input where nobody else needs it. With it swish
    and its gradient, `upstream (sigmoid(x) + y (1 - sigmoid(x)))` for outputs
    y, are five passes; `tf.nn.silu` takes eight, and memory for most of them.
    XLA sees the same product in both.

    Args:
        inputs: Of any shape.
        name: Of the layer, for the operations of the gradient.
    """

    @tf.custom_gradient
    def activated(
        inputs: tf.Tensor,
    ) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        outputs = tf.raw_ops.SoftplusGrad(gradients=inputs, features=inputs)

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            # As TensorFlow names its own gradients.
            with tf.name_scope(f"gradient_tape/{name}"):
                gated = tf.raw_ops.SoftplusGrad(
                    gradients=upstream, features=inputs
                )
                return gated + gated * (inputs - outputs)

        return outputs, gradient

    return activated(inputs)


def fused_norm(
    inputs: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """A batch norm of one replica by TensorFlow's kernel.

    Args:
        inputs: `[batch, height, width, channels]`.
        gamma: float32 `[channels]`.
        beta: float32 `[channels]`.
        epsilon: Added to variances.

    Returns:
        The outputs, and float32 `[2, channels]`, mean and variance.
    """
    outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
        inputs, gamma, beta, epsilon=epsilon, is_training=True
    )
    # The kernel corrects the variance that it reports, by n / (n - 1).
    count = count_of(inputs)
    variance *= tf.maximum(count - 1.0, 1.0) / count
    return outputs, tf.stack([mean, variance])


def count_of(values: tf.Tensor) -> tf.Tensor:
    """How many values a channel of `[batch, height, width, channels]` has."""
    size = tf.size(values, out_type=tf.int64)
    return tf.cast(size // values.shape[-1], tf.float32)


def moments(values: tf.Tensor) -> tf.Tensor:
    """Mean and mean square by channel, `[2, channels]`, of float32 NHWC."""
    axes = [0, 1, 2]
    squares = tf.reduce_mean(tf.square(values), axes)
    return tf.stack([tf.reduce_mean(values, axes), squares])


def with_variance(moments: tf.Tensor) -> tf.Tensor:
    """`[..., 2, channels]`: the variance in place of the mean square."""
    mean, square = tf.unstack(moments, axis=-2)
    # Rounding may go below zero.
    variance = tf.maximum(square - tf.square(mean), 0.0)
    return tf.stack([mean, variance], axis=-2)


def affine(
    ours: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """What a batch norm multiplies by and what it adds then.

    Args:
        ours: float32 `[2, channels]`, what `moments` gives.
        gamma: float32 `[channels]`.
        beta: float32 `[channels]`.
        epsilon: Added to variances.
    """
    mean, variance = tf.unstack(with_variance(ours))
    scale = gamma * tf.math.rsqrt(variance + epsilon)
    return scale, beta - mean * scale
