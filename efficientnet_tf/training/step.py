"""One training step, and many of them in one call to the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from efficientnet_tf.data.preprocess import normalize
from efficientnet_tf.modeling.moment import Moment, announced
from efficientnet_tf.modeling.remat import rematerialized
from efficientnet_tf.networks import Network
from efficientnet_tf.training.averaging import follow
from efficientnet_tf.training.config import TrainConfig
from efficientnet_tf.training.optimizers import DECOUPLED
from efficientnet_tf.training.parts import decays
from efficientnet_tf.training.plan import Plan, norm_group
from efficientnet_tf.training.schedules import learning_rate
from efficientnet_tf.training.state import TrainState

# Nothing in a step is to become a loop or a branch of the graph that does not
# say so itself; looking for it takes a quarter of the time that tracing does.
_as_written = tf.autograph.experimental.do_not_convert


class TrainStep:
    """What a replica does in a step, in one piece or in microbatches."""

    def __init__(
        self,
        state: TrainState,
        network: Network,
        train: TrainConfig,
        plan: Plan,
    ):
        """Binds a step to what it changes.

        Args:
            state: What changes.
            network: Gives the normalization.
            train: The recipe.
            plan: The recipe in steps.
        """
        self._state = state
        self._network = network
        self._train = train
        self._plan = plan
        self._weights = state.model.trainable_variables
        self._forward = lambda inputs: state.model(inputs, training=True)
        if train.remat:
            self._forward = rematerialized(state.model, network)

    @_as_written
    def whole(self, images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """Trains on this replica's share of a batch.

        Args:
            images: `[share, pixels, pixels, 3]` on 0..255.
            targets: float32 `[share, classes]`, which sum to one.

        Returns:
            float32 scalar, the loss of the global batch; no number where the
            loss or a gradient is none.
        """
        return self._update(self.contributions(images, targets, part=0))

    @_as_written
    def accumulate(
        self, images: tf.Tensor, targets: tf.Tensor, part: tf.Tensor
    ) -> tf.Tensor:
        """Adds a microbatch to what `finish` will train on.

        Args:
            images: `[share, pixels, pixels, 3]` on 0..255.
            targets: float32 `[share, classes]`.
            part: int32 scalar, which microbatch of the step.

        Returns:
            float32 scalar, this replica's part of the loss so far.
        """
        found = self.contributions(images, targets, part)
        for sum_, value in zip(self._state.accumulated, found, strict=True):
            sum_.assign_add(value)
        return self._state.accumulated[0].read_value()

    @_as_written
    def finish(self) -> tf.Tensor:
        """Trains on all microbatches of a step; returns as `whole` does."""
        sums = self._state.accumulated
        loss = self._update([sum_.read_value() for sum_ in sums])
        for sum_ in sums:
            sum_.assign(tf.zeros_like(sum_))
        return loss

    def moment(self, part: tf.Tensor | int) -> Moment:
        """What layers must know of a microbatch of the present step."""
        replicas = tf.distribute.get_replica_context().num_replicas_in_sync
        return Moment(
            self._train.seed,
            self._state.step,
            part,
            self._train.microbatches,
            norm_group(self._train.sync_batch_norm, replicas),
        )

    def contributions(
        self, images: tf.Tensor, targets: tf.Tensor, part: tf.Tensor | int
    ) -> list[tf.Tensor]:
        """What this replica adds to a step's loss and gradients.

        Args:
            images: `[share, pixels, pixels, 3]` on 0..255.
            targets: float32 `[share, classes]`.
            part: int32 scalar, which microbatch of the step.

        Returns:
            float32, the loss and then the gradient of each trainable weight;
            summed over replicas and parts they are those of the global batch.
        """
        train = self._train
        replicas = tf.distribute.get_replica_context().num_replicas_in_sync
        with announced(self.moment(part)), tf.GradientTape() as tape:
            inputs = normalize(images, self._network.normalization)
            logits = self._forward(inputs)
            smooth = train.label_smoothing
            targets = targets * (1 - smooth) + smooth / targets.shape[-1]
            entropy = tf.nn.softmax_cross_entropy_with_logits(targets, logits)
            # So that the sum is the mean over the global batch.
            loss = tf.reduce_sum(entropy) / train.batch
            loss += self._decay() / (replicas * train.microbatches)
        weights = [weight.value for weight in self._weights]
        return [loss, *tape.gradient(loss, weights)]

    def _decay(self) -> tf.Tensor:
        """What weight decay adds to the loss."""
        if not self._train.weight_decay or self._train.optimizer in DECOUPLED:
            return tf.constant(0.0)
        squares = [
            tf.nn.l2_loss(weight.value)
            for weight in self._weights
            if decays(weight.path)
        ]
        return self._train.weight_decay * tf.add_n(squares)

    def _update(self, contributions: Sequence[tf.Tensor]) -> tf.Tensor:
        """Sums over replicas and changes the weights, if all is finite.

        A step that is not finite changes nothing, nor does any after it, so
        that the weights it met can be looked at.
        """
        state, train = self._state, self._train
        context = tf.distribute.get_replica_context()
        loss, *gradients = contributions
        if context.num_replicas_in_sync > 1:
            loss, *gradients = context.all_reduce(
                tf.distribute.ReduceOp.SUM, [loss, *gradients]
            )
        norm = tf.linalg.global_norm(gradients)
        if train.clip_norm:
            gradients, _ = tf.clip_by_global_norm(
                gradients, train.clip_norm, use_norm=norm
            )
        # Neither a loss nor a gradient that is no number is ever forgotten. A
        # single core's bridge fails on a result that is a variable's as read.
        loss += 0.0 * norm
        state.loss_sum.assign_add(loss)
        state.gradient_norm.assign(norm)

        def update() -> None:
            rate = learning_rate(self._plan, state.step)
            state.optimizer.apply(gradients, rate, state.step.read_value())
            state.step.assign_add(1)
            state.loss_count.assign_add(1)
            if state.averaged is not state.model:
                decay = train.average_decay
                follow(state.averaged, state.model, decay, state.step)

        finite = tf.math.is_finite(state.loss_sum.read_value())
        if isinstance(tf.distribute.get_strategy(), tf.distribute.TPUStrategy):
            _taken_back(update, self._changing(), unless=finite)
        else:
            tf.cond(finite, update, lambda: None)
        return loss

    def _changing(self) -> list[tf.Variable]:
        """What a step changes if all is finite, statistics apart."""
        state = self._state
        changing = [weight.value for weight in self._weights]
        changing += state.optimizer.slots.values()
        if state.averaged is not state.model:
            changing += [weight.value for weight in state.averaged.weights]
        return [*changing, state.step, state.loss_count]


def _taken_back(
    update: Callable[[], None],
    changing: Sequence[tf.Variable],
    *,
    unless: tf.Tensor,
) -> None:
    """An update that leaves everything as it was, unless something holds.

    In place of a branch: a TPU's compiler copies all that a branch takes and
    gives, and of what is selected nothing.

    Args:
        update: What changes variables.
        changing: All of these.
        unless: bool scalar.
    """
    before = [variable.read_value() for variable in changing]
    update()
    for variable, value in zip(changing, before, strict=True):
        variable.assign(tf.where(unless, variable.read_value(), value))


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
    step = TrainStep(state, network, train, plan)

    def tensors(values: object) -> list[tf.Tensor]:
        """Those of all replicas in a nested structure."""
        return [
            tensor
            for value in tf.nest.flatten(values)
            for tensor in strategy.experimental_local_results(value)
        ]

    def fetched(
        iterator: tf.data.Iterator, before: tf.Tensor
    ) -> tuple[tuple[object, ...], tf.Tensor]:
        """The next batch, asked for after `before`, and the seconds it took."""
        with tf.control_dependencies([before]):
            asked = tf.timestamp()
        with tf.control_dependencies([asked]):
            batch = next(iterator)
        with tf.control_dependencies(tensors(batch)):
            return batch, tf.timestamp() - asked

    @tf.function(reduce_retracing=True)
    def train_call(iterator: tf.data.Iterator, steps: tf.Tensor) -> tf.Tensor:
        waited = tf.constant(0.0, tf.float64)
        before: tf.Tensor = tf.constant(0.0)
        for _ in tf.range(steps):
            if train.microbatches == 1:
                batch, seconds = fetched(iterator, before)
                waited += seconds
                losses = strategy.run(step.whole, args=batch)
            else:
                for part in tf.range(train.microbatches):
                    batch, seconds = fetched(iterator, before)
                    waited += seconds
                    sums = strategy.run(step.accumulate, args=(*batch, part))
                    before = tensors(sums)[0]
                losses = strategy.run(step.finish)
            before = tensors(losses)[0]
        return waited

    return train_call
