"""Keras's layers for training: right across replicas, fast on a CPU.

Each has the arguments and weights of the Keras layer it replaces.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from efficientnet_tf.modeling.moment import present_moment, replica_uniform


class LeanActivation(keras.layers.Activation):
    """An activation; swish in fewer passes over memory than Keras's."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Elementwise, of any shape."""
        if self.activation is keras.activations.silu:
            return swish(inputs)
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
        if not (training and self.trainable):
            outputs, _ = self._fused(
                inputs,
                mean=tf.convert_to_tensor(self.moving_mean),
                variance=tf.convert_to_tensor(self.moving_variance),
                is_training=False,
            )
            return outputs
        context = tf.distribute.get_replica_context()
        replicas = 1 if context is None else context.num_replicas_in_sync
        moment = present_moment()
        group = (moment and moment.norm_group) or replicas
        # Whoever computes a block once more has counted it before.
        counts = not (moment and moment.recomputing)
        if group == 1:
            outputs, statistics = self._fused(inputs, is_training=True)
            if counts and replicas > 1:
                statistics = context.all_reduce(
                    tf.distribute.ReduceOp.MEAN, tf.stop_gradient(statistics)
                )
        else:
            outputs, statistics = self._shared(inputs, context, group)
        if counts:
            mean, variance = tf.unstack(statistics)
            self._move(self.moving_mean, mean)
            self._move(self.moving_variance, variance)
        return outputs

    def _fused(
        self, inputs: tf.Tensor, *, is_training: bool, **statistics: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Outputs, and mean and variance of the batch as `[2, channels]`."""
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs,
            scale=tf.convert_to_tensor(self.gamma),
            offset=tf.convert_to_tensor(self.beta),
            epsilon=self.epsilon,
            is_training=is_training,
            **statistics,
        )
        return outputs, tf.stack([mean, variance * _bessel(inputs)])

    def _shared(
        self,
        inputs: tf.Tensor,
        context: tf.distribute.ReplicaContext,
        group: int,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """As `_fused`, normalised by what a group of replicas sees.

        Each group has a row in what all replicas add up, so that one exchange
        serves any grouping on any kind of device.
        """
        values = tf.cast(inputs, tf.float32)
        axes = [0, 1, 2]
        # Replicas hold equal shares of the batch: the mean of means is right.
        local = tf.stack(
            [
                tf.reduce_mean(values, axes),
                tf.reduce_mean(tf.square(values), axes),
            ]
        )
        groups = context.num_replicas_in_sync // group
        ours = context.replica_id_in_sync_group // group
        rows = tf.one_hot(ours, groups) / group
        sums = context.all_reduce(
            tf.distribute.ReduceOp.SUM, rows[:, None, None] * local
        )
        means, squares = sums[:, 0], sums[:, 1]
        variances = tf.maximum(squares - tf.square(means), 0.0)
        mean, variance = means[ours], variances[ours]
        scale = self.gamma * tf.math.rsqrt(variance + self.epsilon)
        shift = self.beta - mean * scale
        outputs = tf.cast(values * scale + shift, inputs.dtype)
        everyone = [tf.reduce_mean(means, 0), tf.reduce_mean(variances, 0)]
        return outputs, tf.stack(everyone)

    def _move(self, moving: keras.Variable, batch: tf.Tensor) -> None:
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


@tf.custom_gradient
def swish(
    inputs: tf.Tensor,
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """`x sigmoid(x)`, elementwise, in few passes over memory.

    The gradient of softplus is `upstream * sigmoid(x)` in one kernel, which
    on a CPU writes over its input where nobody else needs it. With it swish
    and its gradient, `upstream (sigmoid(x) + y (1 - sigmoid(x)))` for outputs
    y, are five passes; `tf.nn.silu` takes eight, and memory for most of them.
    XLA sees the same product in both.
    """
    outputs = tf.raw_ops.SoftplusGrad(gradients=inputs, features=inputs)

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        gated = tf.raw_ops.SoftplusGrad(gradients=upstream, features=inputs)
        return gated + gated * (inputs - outputs)

    return outputs, gradient


def _bessel(inputs: tf.Tensor) -> tf.Tensor:
    """Factor that undoes the fused kernel's correction, (n - 1) / n."""
    count = tf.cast(tf.size(inputs) // inputs.shape[-1], tf.float32)
    return tf.maximum(count - 1.0, 1.0) / count
