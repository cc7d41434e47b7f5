"""The original's optimizer, working inside a replica.

Gradients arrive already summed over replicas, so every replica does the same
to its own copy and no further exchange is needed.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from efficientnet_tf.training.config import TrainConfig
from efficientnet_tf.training.freezing import is_of_head


class RMSProp:
    """RMSProp with the arithmetic of `tf.compat.v1.train.RMSPropOptimizer`.

    Unlike Keras's, its mean square starts at one, epsilon is added inside the
    root, and the momentum buffer holds steps that already carry the learning
    rate.
    """

    def __init__(self, weights: Sequence[keras.Variable], config: TrainConfig):
        """Makes the slots; call it in the strategy's scope.

        Args:
            weights: What is trained.
            config: Has `rmsprop_decay`, `momentum`, `rmsprop_epsilon` and
                `head_learning_rate_factor`.
        """
        self._weights = [weight.value for weight in weights]
        self._factors = [
            config.head_learning_rate_factor if is_of_head(weight.path) else 1.0
            for weight in weights
        ]
        self._config = config
        self.slots: dict[str, tf.Variable] = {}
        for weight in weights:
            for slot, start in (("mean_square", tf.ones), ("step", tf.zeros)):
                self.slots[f"{weight.path}/{slot}"] = tf.Variable(
                    start(weight.shape), trainable=False
                )

    def apply(
        self, gradients: Sequence[tf.Tensor], learning_rate: tf.Tensor
    ) -> None:
        """Changes the weights of this replica.

        Args:
            gradients: float32, one for each weight, summed over replicas.
            learning_rate: float32 scalar, before the classifier's factor.
        """
        slots = iter(self.slots.values())
        for weight, factor, gradient in zip(
            self._weights, self._factors, gradients, strict=True
        ):
            tf.raw_ops.ResourceApplyRMSProp(
                var=weight.handle,
                ms=next(slots).handle,
                mom=next(slots).handle,
                lr=factor * learning_rate,
                rho=self._config.rmsprop_decay,
                momentum=self._config.momentum,
                epsilon=self._config.rmsprop_epsilon,
                grad=gradient,
            )
