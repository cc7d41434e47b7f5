"""Everything that changes while a network is trained."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import tensorflow as tf

from efficientnet_tf.modeling.build import build_network
from efficientnet_tf.networks import Network
from efficientnet_tf.training.averaging import pairs
from efficientnet_tf.training.config import Config
from efficientnet_tf.training.optimizers import Optimizer, make_optimizer
from efficientnet_tf.training.parts import frozen_prefixes


@dataclass(frozen=True)
class TrainState:
    """A training at a step.

    Attributes:
        model: The network in training.
        averaged: The network of averaged weights; `model` itself where
            nothing is averaged.
        optimizer: What changes the weights.
        step: int64 scalar, steps done.
        loss_sum: float32 scalar, losses added up since the last report.
        loss_count: int64 scalar, how many they are.
        seconds: float64 scalar, that those steps took.
        waited_seconds: float64 scalar, that devices waited for images in them.
        gradient_norm: float32 scalar, length of the last step's gradient over
            all weights, before clipping.
        accumulated: Sums of a step's microbatches, the loss first, then a
            gradient for each trainable weight; empty where there is one part.
    """

    model: keras.Model
    averaged: keras.Model
    optimizer: Optimizer
    step: tf.Variable
    loss_sum: tf.Variable
    loss_count: tf.Variable
    seconds: tf.Variable
    waited_seconds: tf.Variable
    gradient_norm: tf.Variable
    accumulated: tuple[tf.Variable, ...]

    def variables(self) -> dict[str, dict[str, tf.Variable]]:
        """All that a checkpoint holds, by kind and name."""
        return {
            "model": by_path(self.model),
            "averaged": by_path(self.averaged),
            "optimizer": self.optimizer.slots,
            "progress": {
                "step": self.step,
                "loss_sum": self.loss_sum,
                "loss_count": self.loss_count,
                "seconds": self.seconds,
                "waited_seconds": self.waited_seconds,
                "gradient_norm": self.gradient_norm,
            },
        }


def create_state(network: Network, config: Config, policy: str) -> TrainState:
    """Makes a training at step 0; call it in the strategy's scope.

    Args:
        network: What is trained.
        config: Gives the seed, the averaging, what is frozen and the
            optimizer's numbers.
        policy: Keras's dtype policy, "float32" or "mixed_bfloat16".
    """
    keras.utils.set_random_seed(config.train.seed)
    strategy = tf.distribute.get_strategy()
    on_tpu = isinstance(strategy, tf.distribute.TPUStrategy)

    def make() -> keras.Model:
        return build_network(
            network,
            batch_norm_momentum=config.model.batch_norm_momentum,
            dtype=policy,
            layers="tpu" if on_tpu else "training",
            head_init=config.model.head_init,
        )

    model = averaged = make()
    if config.train.average_decay:
        averaged = make()
        for average, weight in pairs(averaged, model):
            average.assign(weight.value)
    # Only the network in training: the other one is never trained.
    _freeze(model, frozen_prefixes(network, config.train.freeze))
    return TrainState(
        model=model,
        averaged=averaged,
        optimizer=make_optimizer(model.trainable_variables, config.train),
        step=tf.Variable(0, dtype=tf.int64, trainable=False),
        loss_sum=tf.Variable(0.0, trainable=False),
        loss_count=tf.Variable(0, dtype=tf.int64, trainable=False),
        seconds=tf.Variable(0.0, dtype=tf.float64, trainable=False),
        waited_seconds=tf.Variable(0.0, dtype=tf.float64, trainable=False),
        gradient_norm=tf.Variable(0.0, trainable=False),
        accumulated=_accumulators(model, config.train.microbatches),
    )


def _accumulators(
    model: keras.Model, microbatches: int
) -> tuple[tf.Variable, ...]:
    if microbatches == 1:
        return ()
    shapes = [(), *(weight.shape for weight in model.trainable_variables)]
    return tuple(
        tf.Variable(tf.zeros(shape), trainable=False) for shape in shapes
    )


def _freeze(model: keras.Model, prefixes: tuple[str, ...]) -> None:
    """Makes layers behave in training as in inference, unchanged."""
    for layer in model.layers:
        if layer.name.startswith(prefixes):
            layer.trainable = False
            if isinstance(layer, keras.layers.Dropout):
                layer.rate = 0.0


def by_path(model: keras.Model) -> dict[str, tf.Variable]:
    """The variables of a model, as a checkpoint holds them."""
    return {weight.path: weight.value for weight in model.weights}
