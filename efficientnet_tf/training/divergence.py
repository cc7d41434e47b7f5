"""Where a step stops being finite: looked for after the fact."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import tensorflow as tf

from efficientnet_tf.data.preprocess import normalize
from efficientnet_tf.modeling.moment import announced
from efficientnet_tf.networks import Network
from efficientnet_tf.training.state import TrainState
from efficientnet_tf.training.step import TrainStep


def first_not_finite(
    state: TrainState,
    step: TrainStep,
    network: Network,
    batches: Iterator[tuple[object, object]],
    *,
    microbatches: int,
    strategy: tf.distribute.Strategy,
) -> str:
    """Does a step once more, without changing weights, and watches each layer.

    The moving statistics do move: the state is of no use afterwards.

    Args:
        state: The weights that the step met.
        step: The step.
        network: Gives the normalization.
        batches: Begin with those of the step.
        microbatches: How many of them it takes.
        strategy: The devices.

    Returns:
        What to say of it: "the output of block3a_bn", "the gradient of
        top_conv/kernel" where all outputs are finite, "the sum over all
        images" where each gradient is too.
    """
    layers = _watched(state.model)
    outputs = [layer.output for layer in layers]
    watching = keras.Model(state.model.inputs, outputs)

    def look(
        images: tf.Tensor, targets: tf.Tensor, part: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        with announced(step.moment(part)):
            inputs = normalize(images, network.normalization)
            values = watching(inputs, training=True)
        _, *gradients = step.contributions(images, targets, part)
        # Summed, so that all hosts come to the same answer.
        forward, backward = tf.distribute.get_replica_context().all_reduce(
            tf.distribute.ReduceOp.SUM,
            [_not_finite(values), _not_finite(gradients)],
        )
        return forward, backward

    @tf.function
    def look_everywhere(
        images: object, targets: object, part: tf.Tensor
    ) -> tuple[object, object]:
        return strategy.run(look, args=(images, targets, part))

    for part in range(microbatches):
        found = look_everywhere(*next(batches), tf.constant(part))
        forward, backward = (
            strategy.experimental_local_results(counts)[0].numpy() == 0
            for counts in found
        )
        if not forward.all():
            return f"the output of {layers[int(forward.argmin())].name}"
        if not backward.all():
            # Gradients come into being from the last layer to the first.
            last = len(backward) - 1 - int(backward[::-1].argmin())
            path = state.model.trainable_variables[last].path
            return f"the gradient of {path}"
    return "the sum over all images"


def _watched(model: keras.Model) -> list[keras.Layer]:
    """Layers in the order in which they are computed, the images first."""
    return [
        layer
        for layer in model.layers
        if isinstance(layer.output, keras.KerasTensor)
    ]


def _not_finite(values: list[tf.Tensor]) -> tf.Tensor:
    """float32 `[values]`: 1 for each that holds a number that is not finite."""
    finite = [tf.reduce_all(tf.math.is_finite(value)) for value in values]
    return 1.0 - tf.cast(tf.stack(finite), tf.float32)
