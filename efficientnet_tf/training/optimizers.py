"""Optimizers that work inside a replica.

Gradients arrive already summed over replicas, so every replica does the same
to its own copy and no further exchange is needed. Keras's `apply` would sum
once more, and clips before the sum.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from efficientnet_tf.training.config import Optimizer as Name
from efficientnet_tf.training.config import TrainConfig
from efficientnet_tf.training.parts import decays, is_kernel, is_of_head


class Optimizer(ABC):
    """What changes the weights.

    Attributes:
        slots: What it remembers, `[shape of the weight]` float32 each, by the
            weight's path and the slot's name.
    """

    # Name of each slot and the value that it starts from.
    _SLOTS: tuple[tuple[str, float], ...] = ()

    def __init__(self, weights: Sequence[keras.Variable], config: TrainConfig):
        """Makes the slots; call it in the strategy's scope.

        Args:
            weights: What is trained.
            config: Has the numbers.
        """
        self._weights = tuple(weights)
        self._config = config
        self.slots: dict[str, tf.Variable] = {
            f"{weight.path}/{slot}": tf.Variable(
                tf.fill(weight.shape, start), trainable=False
            )
            for weight in weights
            for slot, start in self._SLOTS
        }

    def apply(
        self,
        gradients: Sequence[tf.Tensor],
        learning_rate: tf.Tensor,
        step: tf.Tensor,
    ) -> None:
        """Changes the weights of this replica.

        Args:
            gradients: float32, one for each weight, summed over replicas.
            learning_rate: float32 scalar, before the classifier's factor.
            step: Integer scalar, steps done before.
        """
        for weight, gradient in zip(self._weights, gradients, strict=True):
            rate = learning_rate
            if is_of_head(weight.path):
                rate *= self._config.head_learning_rate_factor
            self._update(weight, gradient, rate)

    @abstractmethod
    def _update(
        self,
        weight: keras.Variable,
        gradient: tf.Tensor,
        rate: tf.Tensor,
    ) -> None:
        """Changes one weight."""

    def _slot(self, weight: keras.Variable, name: str) -> tf.Variable:
        return self.slots[f"{weight.path}/{name}"]


class RMSProp(Optimizer):
    """RMSProp with the arithmetic of `tf.compat.v1.train.RMSPropOptimizer`.

    Unlike Keras's, its mean square starts at one, epsilon is added inside the
    root, and the momentum buffer holds steps that already carry the learning
    rate.
    """

    _SLOTS = (("mean_square", 1.0), ("step", 0.0))

    def _update(
        self,
        weight: keras.Variable,
        gradient: tf.Tensor,
        rate: tf.Tensor,
    ) -> None:
        tf.raw_ops.ResourceApplyRMSProp(
            var=weight.value.handle,
            ms=self._slot(weight, "mean_square").handle,
            mom=self._slot(weight, "step").handle,
            lr=rate,
            rho=self._config.rmsprop_decay,
            momentum=self._config.momentum,
            epsilon=self._config.rmsprop_epsilon,
            grad=gradient,
        )


class Momentum(Optimizer):
    """As `tf.compat.v1.train.MomentumOptimizer`: the buffer holds gradients."""

    _SLOTS = (("velocity", 0.0),)

    def _update(
        self,
        weight: keras.Variable,
        gradient: tf.Tensor,
        rate: tf.Tensor,
    ) -> None:
        tf.raw_ops.ResourceApplyMomentum(
            var=weight.value.handle,
            accum=self._slot(weight, "velocity").handle,
            lr=rate,
            grad=gradient,
            momentum=self._config.momentum,
        )


class Sgd(Optimizer):
    """Gradient descent, without any memory."""

    def _update(
        self,
        weight: keras.Variable,
        gradient: tf.Tensor,
        rate: tf.Tensor,
    ) -> None:
        weight.value.assign_sub(rate * gradient)


class Lars(Optimizer):
    """Layer-wise adaptive rates for large batches (You et al. 2017).

    As in the original: each kernel's rate is scaled by the ratio of its norm to
    its gradient's, and the scaled step goes into the momentum buffer. Biases
    and batch norm take plain momentum steps.
    """

    _SLOTS = (("step", 0.0),)

    def _update(
        self,
        weight: keras.Variable,
        gradient: tf.Tensor,
        rate: tf.Tensor,
    ) -> None:
        value = weight.value
        if is_kernel(weight.path):
            decay = self._config.lars_weight_decay
            rate *= self._ratio(tf.norm(value), tf.norm(gradient), decay)
            gradient += decay * value
        buffer = self._slot(weight, "step")
        change = self._config.momentum * buffer + rate * gradient
        buffer.assign(change)
        value.assign_sub(change)

    def _ratio(
        self, weight: tf.Tensor, gradient: tf.Tensor, decay: float
    ) -> tf.Tensor:
        """Of norms; 1 where one of them is zero."""
        below = gradient + decay * weight + self._config.lars_epsilon
        ratio = self._config.lars_coefficient * tf.math.divide_no_nan(
            weight, below
        )
        return tf.where((weight > 0) & (gradient > 0), ratio, 1.0)


class _OfKeras(Optimizer):
    """An optimizer of Keras, weight by weight.

    Weights shrink apart from their gradients, by the original's choice of
    weights: Keras's own shrinking covers batch norm as well.
    """

    def __init__(
        self,
        weights: Sequence[keras.Variable],
        config: TrainConfig,
        kind: type[keras.optimizers.Optimizer],
    ):
        super().__init__(weights, config)

        class Counted(kind):
            """Counts by the training's step.

            Keras's own counter costs an exchange between replicas.
            """

            done: tf.Tensor | int = 0

            @property
            def iterations(self) -> tf.Tensor | int:
                return self.done

        self._keras = Counted(
            beta_1=config.momentum,
            beta_2=config.adam_beta_2,
            epsilon=config.adam_epsilon,
        )
        self._keras.build(list(weights))
        counters = ("iteration", "learning_rate")
        self.slots = {
            variable.path: variable.value
            for variable in self._keras.variables
            if variable.name not in counters
        }

    def apply(
        self,
        gradients: Sequence[tf.Tensor],
        learning_rate: tf.Tensor,
        step: tf.Tensor,
    ) -> None:
        """As `Optimizer.apply`."""
        self._keras.done = step
        super().apply(gradients, learning_rate, step)

    def _update(
        self,
        weight: keras.Variable,
        gradient: tf.Tensor,
        rate: tf.Tensor,
    ) -> None:
        value = weight.value
        if decays(weight.path):
            value.assign_sub(value * self._config.weight_decay * rate)
        self._keras.update_step(gradient, value, rate)


# Those that shrink weights by themselves: the loss leaves it to them.
DECOUPLED: tuple[Name, ...] = ("adamw", "lamb")

_OPTIMIZERS: dict[
    Name, Callable[[Sequence[keras.Variable], TrainConfig], Optimizer]
] = {
    "rmsprop": RMSProp,
    "momentum": Momentum,
    "sgd": Sgd,
    "lars": Lars,
    "adamw": lambda weights, config: _OfKeras(
        weights, config, keras.optimizers.AdamW
    ),
    "lamb": lambda weights, config: _OfKeras(
        weights, config, keras.optimizers.Lamb
    ),
}


def make_optimizer(
    weights: Sequence[keras.Variable], config: TrainConfig
) -> Optimizer:
    """Makes the optimizer that a config names, in the strategy's scope."""
    return _OPTIMIZERS[config.optimizer](weights, config)
