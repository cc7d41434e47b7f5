"""What follows from a config and the size of the data. No TensorFlow here."""

from __future__ import annotations

from dataclasses import dataclass

from efficientnet_tf.errors import InputError
from efficientnet_tf.training.config import Config, Schedule, Sync

IMAGES_PER_LEARNING_RATE = 256
# A run too short for its warm-up spends this share of its steps on it.
LONGEST_WARMUP = 0.2
# Up to this many replicas keep batch norm to themselves by the original's rule.
LARGEST_ALONE = 8


@dataclass(frozen=True)
class Plan:
    """A training in steps.

    Attributes:
        steps_per_epoch: Not a whole number where the batch does not divide
            the images; batches run across the ends of epochs.
        steps: Steps of the whole training.
        warmup_steps: Steps of the linear rise.
        learning_rate: Its peak.
        schedule: How it falls.
        decay_steps: Steps between two falls of "exponential".
        decay_factor: What such a fall multiplies by.
        poly_power: The power of "poly".
        poly_end: The learning rate that it falls to.
        evaluate_steps: Steps between two evaluations, which come after the
            nearest whole step.
        checkpoint_steps: The same between two checkpoints.
        steps_per_call: Most steps between two reports.
    """

    steps_per_epoch: float
    steps: int
    warmup_steps: int
    learning_rate: float
    schedule: Schedule
    decay_steps: float
    decay_factor: float
    poly_power: float
    poly_end: float
    evaluate_steps: float
    checkpoint_steps: float
    steps_per_call: int

    def evaluates(self, step: int) -> bool:
        """Whether the network is evaluated after this many steps."""
        return step == self.steps or _is_due(step, self.evaluate_steps)

    def saves(self, step: int) -> bool:
        """Whether a checkpoint is written after this many steps."""
        return step == self.steps or _is_due(step, self.checkpoint_steps)

    def next_stop(self, step: int) -> int:
        """The step at which the host looks again."""
        return min(
            self.steps,
            step + self.steps_per_call,
            _next_due(step, self.evaluate_steps),
            _next_due(step, self.checkpoint_steps),
        )


def plan(config: Config, train_images: int) -> Plan:
    """Turns epochs into steps.

    Source: the original counts steps of an epoch as a fraction, decays from
    step 0 on, and scales the learning rate by batch / 256.

    Args:
        config: What was decided.
        train_images: Images of the training split.

    Raises:
        InputError: The learning rate would rise where it must fall.
    """
    train = config.train
    steps_per_epoch = train_images / train.batch
    steps = max(1, round(train.epochs * steps_per_epoch))
    peak = train.learning_rate_per_256 * train.batch / IMAGES_PER_LEARNING_RATE
    if train.schedule == "poly" and train.poly_end >= peak:
        raise InputError(
            f"train.poly_end {train.poly_end} must be below {peak:g}, the "
            "learning rate that train.schedule 'poly' falls from; it does not "
            "grow with the batch"
        )
    return Plan(
        steps_per_epoch=steps_per_epoch,
        steps=steps,
        warmup_steps=min(
            int(train.warmup_epochs * steps_per_epoch),
            int(LONGEST_WARMUP * steps),
        ),
        learning_rate=peak,
        schedule=train.schedule,
        decay_steps=train.decay_epochs * steps_per_epoch,
        decay_factor=train.decay_factor,
        poly_power=train.poly_power,
        poly_end=train.poly_end,
        evaluate_steps=max(1, config.evaluate.every_epochs * steps_per_epoch),
        checkpoint_steps=max(1, train.checkpoint_epochs * steps_per_epoch),
        steps_per_call=train.steps_per_call,
    )


def replica_share(config: Config, replicas: int) -> int:
    """Images that a replica is given at once.

    Raises:
        InputError: The batch cannot be divided so.
    """
    train = config.train
    blocks = replicas * train.microbatches
    pairs = 2 if config.data.mixup or config.data.cutmix else 1
    if train.batch % (blocks * pairs):
        among = "1 replica" if replicas == 1 else f"{replicas} replicas"
        if train.microbatches > 1:
            among += f" x {train.microbatches} microbatches"
        if pairs > 1:
            among += ", in pairs for data.mixup or data.cutmix"
        unit = blocks * pairs
        near = max(unit, train.batch // unit * unit)
        raise InputError(
            f"train.batch {train.batch} must be a multiple of {unit} "
            f"({among}); try {near}"
        )
    return train.batch // blocks


def norm_group(sync: Sync, replicas: int) -> int:
    """Replicas that share the statistics of a batch norm.

    Source of "original": its groups are an eighth of all replicas, 8 at least,
    and up to 8 replicas share nothing.

    Raises:
        InputError: The replicas cannot be divided so.
    """
    if sync == "all":
        return replicas
    if sync == "off" or replicas <= LARGEST_ALONE:
        return 1
    group = max(8, replicas // 8)
    if replicas % group:
        raise InputError(
            f"train.sync_batch_norm 'original': {replicas} replicas are no "
            f"multiple of its groups of {group}; try all or off"
        )
    return group


def _is_due(step: int, period: float) -> bool:
    """Whether a multiple of the period, rounded, is this step."""
    return step == round(round(step / period) * period)


def _next_due(step: int, period: float) -> int:
    """The first step behind this one that is due."""
    count = int(step / period)
    while round(count * period) <= step:
        count += 1
    return round(count * period)
