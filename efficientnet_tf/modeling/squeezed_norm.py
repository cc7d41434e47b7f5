"""Batch norm, activation and squeeze-excite in two reads of their input.

Between a depthwise convolution and the projection of a block the same large
tensor is normalised, activated, averaged over the image and scaled by what a
small network makes of the average. Plain gradients of that read it three
times: for the gate, then, when the gate's gradient is known, for the sums that
a batch norm's gradient needs, and for the convolution. But those sums split
into what the gate scales and what the average adds, and both can be taken
image by image beforehand: the first with the gate's own gradient, the second
where the average is made. So one of the three reads is saved.

This pays where a compiler makes one pass of all that reads the same tensor, as
a TPU's does, and costs passes elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from efficientnet_tf.modeling.layers import (
    BatchNorm,
    affine,
    moments,
    with_variance,
)
from efficientnet_tf.modeling.norm_groups import present_group

Gradient = Callable[..., tuple[tf.Tensor, ...]]


class SqueezedNorm(BatchNorm):
    """A batch norm of which only the activated mean over the image is given.

    With it come its scale and shift, by which `Excite` does the rest.
    """

    def compute_output_spec(
        self,
        inputs: keras.KerasTensor,
        training: bool | None = None,
        mask: Any = None,
    ) -> tuple[keras.KerasTensor, ...]:
        """`[batch, 1, 1, channels]`, and float32 `[channels]` twice."""
        batch, _, _, channels = inputs.shape
        channel = keras.KerasTensor((channels,), dtype="float32")
        mean = keras.KerasTensor(
            (batch, 1, 1, channels), dtype=self.compute_dtype
        )
        return mean, channel, keras.KerasTensor((channels,), dtype="float32")

    def call(
        self, inputs: tf.Tensor, training: bool | None = None, mask: Any = None
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The squeezed mean of `[batch, height, width, channels]`."""
        values = tf.cast(inputs, tf.float32)
        gamma = tf.convert_to_tensor(self.gamma)
        beta = tf.convert_to_tensor(self.beta)
        if training and self.trainable:
            group = present_group()
            ours, everyone = group.means(moments(values))
            scale, shift = affine(ours, gamma, beta, self.epsilon)
            self._count(with_variance(everyone), group)
        else:
            scale = gamma * tf.math.rsqrt(self.moving_variance + self.epsilon)
            shift = beta - self.moving_mean * scale
        squeezed = _squeezed(values, scale, shift, self.name)
        return tf.cast(squeezed, inputs.dtype), scale, shift


class Excite(keras.layers.Layer):
    """Normalises, activates and scales by a gate."""

    def call(
        self,
        inputs: tf.Tensor,
        scale: tf.Tensor,
        shift: tf.Tensor,
        gate: tf.Tensor,
    ) -> tf.Tensor:
        """Scales channels image by image.

        Args:
            inputs: `[batch, height, width, channels]`, what `SqueezedNorm` was
                given.
            scale: float32 `[channels]`, from there.
            shift: float32 `[channels]`, from there.
            gate: `[batch, 1, 1, channels]`.
        """
        outputs = _excited(
            tf.cast(inputs, tf.float32),
            scale,
            shift,
            tf.cast(gate, tf.float32),
            self.name,
        )
        return tf.cast(outputs, inputs.dtype)

    def compute_output_shape(
        self,
        inputs_shape: tuple[int, ...],
        scale_shape: tuple[int, ...],
        shift_shape: tuple[int, ...],
        gate_shape: tuple[int, ...],
    ) -> tuple[int, ...]:
        """That of the inputs."""
        return inputs_shape


def _swish(values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Its values and its derivatives."""
    gate = tf.sigmoid(values)
    swish = values * gate
    return swish, gate + swish * (1.0 - gate)


def _squeezed(
    values: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor, name: str
) -> tf.Tensor:
    """Mean over the image of swish(values * scale + shift), all float32."""
    image = [1, 2]

    @tf.custom_gradient
    def squeezed(
        values: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor
    ) -> tuple[tf.Tensor, Gradient]:
        swish, slope = _swish(values * scale + shift)
        to_shift = tf.reduce_mean(slope, image)
        to_scale = tf.reduce_mean(slope * values, image)
        pixels = tf.cast(values.shape[1] * values.shape[2], tf.float32)

        def gradient(outgoing: tf.Tensor) -> tuple[tf.Tensor, ...]:
            # As TensorFlow names its own gradients.
            with tf.name_scope(f"gradient_tape/{name}"):
                _, slope = _swish(values * scale + shift)
                each = outgoing[:, 0, 0]
                return (
                    slope * (scale * outgoing / pixels),
                    tf.reduce_sum(each * to_scale, 0),
                    tf.reduce_sum(each * to_shift, 0),
                )

        return tf.reduce_mean(swish, image, keepdims=True), gradient

    return squeezed(values, scale, shift)


def _excited(
    values: tf.Tensor,
    scale: tf.Tensor,
    shift: tf.Tensor,
    gate: tf.Tensor,
    name: str,
) -> tf.Tensor:
    """Swish(values * scale + shift) times a gate, all float32."""
    image = [1, 2]

    @tf.custom_gradient
    def excited(
        values: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor, gate: tf.Tensor
    ) -> tuple[tf.Tensor, Gradient]:
        swish, _ = _swish(values * scale + shift)

        def gradient(outgoing: tf.Tensor) -> tuple[tf.Tensor, ...]:
            with tf.name_scope(f"gradient_tape/{name}"):
                swish, slope = _swish(values * scale + shift)
                sloped = outgoing * slope
                to_gate = tf.reduce_sum(outgoing * swish, image, keepdims=True)
                by_shift = tf.reduce_sum(sloped, image)
                by_scale = tf.reduce_sum(sloped * values, image)
                each = gate[:, 0, 0]
                return (
                    sloped * (scale * gate),
                    tf.reduce_sum(each * by_scale, 0),
                    tf.reduce_sum(each * by_shift, 0),
                    to_gate,
                )

        return gate * swish, gradient

    return excited(values, scale, shift, gate)
