"""Rematerialisation: a network that keeps only what lies between its blocks.

A backward pass needs what every layer gave. Where that does not fit, each
block's inside is forgotten after the forward pass and computed once more when
its gradient is due: about a third more arithmetic for a fraction of the memory
(Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost").
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf
from tensorflow.compiler.tf2xla.ops.gen_xla_ops import (
    xla_optimization_barrier,
)

from efficientnet_tf.modeling.moment import announced, present_moment
from efficientnet_tf.networks import Network


def rematerialized(
    model: keras.Model, network: Network
) -> Callable[[tf.Tensor], tf.Tensor]:
    """The training pass of a model, in memory for one block at a time.

    Args:
        model: What `build_network` made of the network.
        network: Names the blocks.

    Returns:
        A function of the model's inputs with the outputs, gradients and side
        effects of `model(inputs, training=True)`; call it while a moment is
        announced.
    """
    pieces = _pieces(model, network)

    def forward(inputs: tf.Tensor) -> tf.Tensor:
        values = [inputs]
        for piece in pieces:
            values = tf.nest.flatten(_forgetting(piece)(*values))
        (outputs,) = values
        return outputs

    return forward


def _pieces(model: keras.Model, network: Network) -> list[keras.Model]:
    """The stem, each block and the top as models that share the layers."""
    starts = ["stem_", *(f"block{block.name}_" for block in network.blocks)]
    ends = [
        # Keras lists layers so that each comes after those it needs.
        [layer for layer in model.layers if layer.name.startswith(start)][-1]
        for start in starts
    ]
    # One of a block that tells the mean of its outputs are two.
    tensors = [model.input, *(layer.output for layer in ends), model.output]
    flat = [tf.nest.flatten(each) for each in tensors]
    return [keras.Model(*ends) for ends in itertools.pairwise(flat)]


def _forgetting(piece: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    """A piece of a network that is called a second time for its gradient."""
    moment = present_moment()
    if moment is None:
        raise RuntimeError(f"{piece.name} is rematerialised outside a step")
    again = dataclasses.replace(moment, recomputing=True)

    @tf.custom_gradient
    def call(*inputs: tf.Tensor) -> tuple[Any, Callable[..., Any]]:
        def gradient(
            *outgoing: tf.Tensor, variables: Sequence[tf.Variable] = ()
        ) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
            anew, slopes = _afresh(inputs, outgoing)
            # The gradient may be asked for where no moment is announced.
            with announced(again), tf.GradientTape() as tape:
                tape.watch(anew)
                outputs = tf.nest.flatten(piece(anew, training=True))
            found = tape.gradient(
                outputs, [*anew, *variables], output_gradients=slopes
            )
            return found[: len(anew)], found[len(anew) :]

        return piece(list(inputs), training=True), gradient

    return call


def _afresh(
    inputs: Sequence[tf.Tensor], outgoing: Sequence[tf.Tensor]
) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
    """Inputs for the second time, when the gradients that need them are there.

    Nothing must take the second pass for the first, or it would be saved by
    keeping what the first one made. `tf.recompute_grad` leaves that to an
    arithmetic that a TPU's compiler sees through.
    """
    if isinstance(tf.distribute.get_strategy(), tf.distribute.TPUStrategy):
        passed = xla_optimization_barrier([*inputs, *outgoing])
        return passed[: len(inputs)], passed[len(inputs) :]
    with tf.control_dependencies(outgoing):
        return [tf.identity(each) for each in inputs], list(outgoing)
