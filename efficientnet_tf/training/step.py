"""One training step, and many of them in one call to the device."""

from __future__ import annotations

import tensorflow as tf

from efficientnet_tf.data.preprocess import normalize
from efficientnet_tf.modeling.randomness import training_moment
from efficientnet_tf.networks import Network
from efficientnet_tf.training.averaging import follow
from efficientnet_tf.training.config import TrainConfig
from efficientnet_tf.training.plan import Plan
from efficientnet_tf.training.schedules import learning_rate
from efficientnet_tf.training.state import TrainState


def make_train_call(
    state: TrainState,
    network: Network,
    train: TrainConfig,
    plan: Plan,
    strategy: tf.distribute.Strategy,
) -> tf.types.experimental.PolymorphicFunction:
    """Makes the function that trains for a number of steps.

    The steps run on the devices without a return to Python. Waiting is
    measured by the host's clock around the fetch of each batch.

    Returns:
        A `tf.function` from an iterator of batches and an int32 scalar, the
        number of steps, to the seconds that it waited for batches.
    """

    def replica_step(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        return _replica_step(state, network, train, plan, images, labels)

    @tf.function(reduce_retracing=True)
    def train_call(iterator: tf.data.Iterator, steps: tf.Tensor) -> tf.Tensor:
        waited = tf.constant(0.0, tf.float64)
        before: tf.Tensor = tf.constant(0.0)
        for _ in tf.range(steps):
            with tf.control_dependencies([before]):
                asked = tf.timestamp()
            with tf.control_dependencies([asked]):
                batch = next(iterator)
            with tf.control_dependencies(_tensors(strategy, batch)):
                waited += tf.timestamp() - asked
            losses = strategy.run(replica_step, args=batch)
            before = _tensors(strategy, losses)[0]
        return waited

    return train_call


def _replica_step(
    state: TrainState,
    network: Network,
    train: TrainConfig,
    plan: Plan,
    images: tf.Tensor,
    labels: tf.Tensor,
) -> tf.Tensor:
    """Trains on this replica's part of a batch; returns the global loss.

    Args:
        state: What changes.
        network: Gives the normalization and the number of classes.
        train: The recipe.
        plan: The recipe in steps.
        images: `[batch / replicas, pixels, pixels, 3]` on 0..255.
        labels: int32 `[batch / replicas]`.
    """
    context = tf.distribute.get_replica_context()
    weights = state.model.trainable_variables
    with training_moment(train.seed, state.step), tf.GradientTape() as tape:
        inputs = normalize(images, network.normalization)
        logits = state.model(inputs, training=True)
        targets = tf.one_hot(labels, network.classes)
        targets = (
            targets * (1 - train.label_smoothing)
            + train.label_smoothing / network.classes
        )
        entropy = tf.nn.softmax_cross_entropy_with_logits(targets, logits)
        # Each replica contributes its share, so that the sum over replicas
        # is the mean over the global batch.
        loss = tf.reduce_sum(entropy) / train.batch
        squares = [tf.nn.l2_loss(w.value) for w in weights if _decays(w)]
        decay = train.weight_decay * tf.add_n(squares)
        loss += decay / context.num_replicas_in_sync
    gradients = tape.gradient(loss, [weight.value for weight in weights])
    if context.num_replicas_in_sync > 1:
        loss, *gradients = context.all_reduce(
            tf.distribute.ReduceOp.SUM, [loss, *gradients]
        )
    state.optimizer.apply(gradients, learning_rate(plan, state.step))
    state.step.assign_add(1)
    state.loss_sum.assign_add(loss)
    state.loss_count.assign_add(1)
    if state.averaged is not state.model:
        follow(state.averaged, state.model, train.average_decay, state.step)
    return loss


def _decays(weight: tf.Variable) -> bool:
    """The original decays all but batch norm: kernels and biases too."""
    return weight.path.rpartition("/")[2] not in ("gamma", "beta")


def _tensors(
    strategy: tf.distribute.Strategy, values: object
) -> list[tf.Tensor]:
    """The tensors of all replicas in a nested structure."""
    return [
        tensor
        for value in tf.nest.flatten(values)
        for tensor in strategy.experimental_local_results(value)
    ]
