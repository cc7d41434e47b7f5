"""The averaged weights (EMA): a second network that follows the first."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import tensorflow as tf


def follow(
    averaged: keras.Model, model: keras.Model, decay: float, step: tf.Tensor
) -> None:
    """Moves the averages of this replica towards the weights.

    The past weighs min(decay, (1 + step) / (10 + step)), so that a young
    average forgets its start. Batch-norm statistics are averaged like weights.
    Source: `tf.train.ExponentialMovingAverage` with `num_updates`.

    Args:
        averaged: The network that holds the averages.
        model: The network in training.
        decay: Weight of the past in the long run.
        step: Integer scalar, steps done.
    """
    done = tf.cast(step, tf.float32)
    share = 1.0 - tf.minimum(decay, (1.0 + done) / (10.0 + done))
    for average, weight in pairs(averaged, model):
        difference = average.value - weight.value
        average.value.assign_sub(share * difference)


def pairs(
    ours: keras.Model, theirs: keras.Model
) -> Iterator[tuple[keras.Variable, keras.Variable]]:
    """Variables of the same path in two models of one network.

    Nothing depends on the order in which Keras lists them, which may change
    with what is frozen in one of the models.

    Raises:
        KeyError: `theirs` lacks a variable.
    """
    by_path = {weight.path: weight for weight in theirs.weights}
    for weight in ours.weights:
        yield weight, by_path[weight.path]
