"""Batch norm of a 1x1 convolution's outputs, with the gradient of both at once.

The gradient of a batch norm is as large as what it normalised, many channels
where a block expands, and would be written once and read twice: for the
convolution's kernel and for its inputs. It is linear in what the convolution
gave, and so are its two readers, so they can do without it: what they need of
it is a product with the few channels that went in, and the small matrix of
their covariances.

With u the inputs `[rows, in]`, W the kernel, x = uW the products, and dy the
gradient of the outputs, a batch norm's gradient is, by channel,

    dx = s dy + b (u - mean(u)) W + c

with s = gamma / sigma, and b and c from the means of dy and dy (x - mean(x)).
so that

    du = dy (s W)^T + (u - mean(u)) (W b W^T) + c W^T
    dW = s (u - mean(u))^T dy + b cov(u) W + mean(u) (s sum(dy) + n c)

where cov(u) is a sum over rows. Sums over rows are taken as they are, and what
the mean of u adds to them is taken away before they meet a kernel: afterwards
the terms would nearly cancel where u is far from zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from efficientnet_tf.modeling.layers import (
    BatchNorm,
    affine,
    count_of,
    fused_norm,
    moments,
    with_variance,
)
from efficientnet_tf.modeling.norm_groups import NormGroup, present_group

Gradient = Callable[..., tuple[tf.Tensor | None, ...]]


class MeanNorm(BatchNorm):
    """`BatchNorm` that gives the mean of its outputs as well.

    On this replica, by channel: a batch norm knows it without a look at them.
    No gradient comes back through it.
    """

    def compute_output_spec(
        self,
        inputs: keras.KerasTensor,
        training: bool | None = None,
        mask: Any = None,
    ) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        """As the inputs, and float32 `[channels]`."""
        outputs = keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)
        mean = keras.KerasTensor(inputs.shape[-1:], dtype="float32")
        return outputs, mean

    def call(
        self, inputs: tf.Tensor, training: bool | None = None, mask: Any = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Normalises `[batch, height, width, channels]` by channel."""
        outputs, mean = self._normalize(inputs, training)
        if mean is None:
            mean = tf.reduce_mean(tf.cast(outputs, tf.float32), [0, 1, 2])
        return outputs, tf.stop_gradient(mean)


class ProductNorm(BatchNorm):
    """`BatchNorm` of what a `Pointwise` without bias gave.

    It is called with the products and with the inputs that they are of, and
    with the mean of these where `MeanNorm` knows it. In training a gradient
    reaches those inputs and the kernel through this layer alone.
    """

    def __init__(
        self,
        convolution: keras.layers.Conv2D,
        *,
        momentum: float,
        epsilon: float,
        dtype: keras.DTypePolicy | None = None,
        name: str | None = None,
    ):
        """Takes what `BatchNorm` takes.

        Args:
            convolution: Whose products are normalised.
            momentum: Weight of the past in the moving statistics.
            epsilon: Added to variances.
            dtype: Dtype policy.
            name: Of the layer.
        """
        super().__init__(
            momentum=momentum,
            epsilon=epsilon,
            dtype=dtype,
            name=name,
            # The mean stays float32.
            autocast=False,
        )
        # Not the layer itself, whose weights Keras would list here once more.
        self._kernel = lambda: convolution.kernel

    def build(
        self,
        inputs_shape: tuple[int, ...],
        source_shape: tuple[int, ...],
        mean_shape: tuple[int, ...] | None = None,
    ) -> None:
        """Makes the weights of a batch norm of the products."""
        super().build(inputs_shape)

    def compute_output_shape(
        self,
        inputs_shape: tuple[int, ...],
        source_shape: tuple[int, ...],
        mean_shape: tuple[int, ...] | None = None,
    ) -> tuple[int, ...]:
        """That of the products."""
        return inputs_shape

    def call(  # type: ignore[override]
        self,
        inputs: tf.Tensor,
        source: tf.Tensor,
        mean: tf.Tensor | None = None,
        training: bool | None = None,
    ) -> tf.Tensor:
        """Normalises products by channel.

        Args:
            inputs: `[batch, height, width, out]`, the products.
            source: `[batch, height, width, in]`, what they are of.
            mean: float32 `[in]`, the source's on this replica; None to take
                it in the gradient.
            training: Whether by the statistics of the batch.
        """
        if not (training and self.trainable):
            return super().call(inputs, training=training)
        group = present_group()
        outputs, statistics = _normalized(
            inputs,
            source,
            mean,
            tf.cast(self._kernel()[0, 0], inputs.dtype),
            tf.convert_to_tensor(self.gamma),
            tf.convert_to_tensor(self.beta),
            self.epsilon,
            group,
            self.name,
        )
        self._count(statistics, group)
        return outputs


def _normalized(
    products: tf.Tensor,
    source: tf.Tensor,
    source_mean: tf.Tensor | None,
    kernel: tf.Tensor,
    gamma: tf.Tensor,
    beta: tf.Tensor,
    epsilon: float,
    group: NormGroup,
    name: str,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Outputs, and mean and variance of all groups, `[groups, 2, out]`."""

    @tf.custom_gradient
    def normalized(
        products: tf.Tensor,
        source: tf.Tensor,
        kernel: tf.Tensor,
        gamma: tf.Tensor,
        beta: tf.Tensor,
    ) -> tuple[tuple[tf.Tensor, tf.Tensor], Gradient]:
        if group.size == 1:
            outputs, found = fused_norm(products, gamma, beta, epsilon)
            own, (mean, variance) = found[0], tf.unstack(found)
            everyone = found[None]
        else:
            values = tf.cast(products, tf.float32)
            local = moments(values)
            ours, everyone = group.means(local)
            scale, shift = affine(ours, gamma, beta, epsilon)
            outputs = tf.cast(values * scale + shift, products.dtype)
            own, (mean, variance) = local[0], tf.unstack(with_variance(ours))
            everyone = with_variance(everyone)

        def gradient(
            outgoing: tf.Tensor, _: tf.Tensor
        ) -> tuple[tf.Tensor | None, ...]:
            per_deviation = tf.math.rsqrt(variance + epsilon)
            # As TensorFlow names its own gradients.
            with tf.name_scope(f"gradient_tape/{name}"):
                return None, *_gradients(
                    outgoing,
                    source,
                    source_mean,
                    kernel,
                    gamma,
                    per_deviation,
                    own - mean,
                    group,
                )

        return (outputs, everyone), gradient

    return normalized(products, source, kernel, gamma, beta)


def _gradients(
    outgoing: tf.Tensor,
    source: tf.Tensor,
    source_mean: tf.Tensor | None,
    kernel: tf.Tensor,
    gamma: tf.Tensor,
    per_deviation: tf.Tensor,
    off: tf.Tensor,
    group: NormGroup,
) -> tuple[tf.Tensor, ...]:
    """Gradients of the inputs, the kernel, gamma and beta; see the module.

    Args:
        outgoing: That of the outputs, `[batch, height, width, out]`.
        source: `[batch, height, width, in]`.
        source_mean: float32 `[in]`, its mean on this replica; None to take it.
        kernel: `[in, out]`.
        gamma: float32 `[out]`.
        per_deviation: float32 `[out]`, 1 / sigma of the group.
        off: float32 `[out]`, this replica's mean of the products less that of
            the group.
        group: Whose statistics normalised.
    """
    image = [0, 1, 2]
    values = tf.cast(source, tf.float32)
    weights = tf.cast(kernel, tf.float32)
    count = count_of(source)
    own_mean = source_mean
    if own_mean is None:
        own_mean = tf.reduce_mean(values, image)
    covariance = tf.einsum("nhwj,nhwk->jk", values, values)
    covariance -= count * own_mean[:, None] * own_mean
    slopes = tf.cast(outgoing, tf.float32)
    total = tf.reduce_sum(slopes, image)
    product = tf.einsum("nhwk,nhwc->kc", values, slopes)
    product -= own_mean[:, None] * total

    along = tf.reduce_sum(weights * product, axis=0) + off * total
    along *= per_deviation
    ours, _ = group.means(tf.stack([total, along]) / count)
    mean, mean_along = tf.unstack(ours)
    scale = gamma * per_deviation
    slope = -scale * mean_along * per_deviation
    constant = slope * off - scale * mean

    to_kernel = (
        scale * product
        + slope * tf.matmul(covariance, weights)
        + own_mean[:, None] * (scale * total + count * constant)
    )
    between = tf.matmul(slope * weights, weights, transpose_b=True)
    scaled = tf.cast(scale * weights, outgoing.dtype)
    direct = tf.einsum("nhwc,kc->nhwk", outgoing, scaled)
    to_source = (
        tf.cast(direct, tf.float32)
        + tf.einsum("nhwj,jk->nhwk", values, between)
        + tf.linalg.matvec(weights, constant)
        - tf.linalg.matvec(between, own_mean, transpose_a=True)
    )
    return (
        tf.cast(to_source, source.dtype),
        tf.cast(to_kernel, kernel.dtype),
        along,
        total,
    )
