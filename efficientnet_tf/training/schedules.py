"""The learning rate at a step."""

from __future__ import annotations

import math
from collections.abc import Callable

import tensorflow as tf

from efficientnet_tf.training.config import Schedule
from efficientnet_tf.training.plan import Plan


def learning_rate(plan: Plan, step: tf.Tensor) -> tf.Tensor:
    """The learning rate of the step after `step` steps have been done.

    It rises linearly from exactly zero during warm-up; the schedule below it
    counts from step 0 and is not shifted by the warm-up, as in the original.

    Args:
        plan: The training in steps.
        step: Integer scalar, from 0.

    Returns:
        float32 scalar.
    """
    done = tf.cast(step, tf.float32)
    rate = _SCHEDULES[plan.schedule](plan, done)
    if not plan.warmup_steps:
        return rate
    rising = plan.learning_rate * done / plan.warmup_steps
    return tf.where(done < plan.warmup_steps, rising, rate)


def _exponential(plan: Plan, done: tf.Tensor) -> tf.Tensor:
    falls = tf.floor(done / plan.decay_steps)
    return plan.learning_rate * tf.pow(plan.decay_factor, falls)


def _cosine(plan: Plan, done: tf.Tensor) -> tf.Tensor:
    angle = math.pi * done / plan.steps
    return 0.5 * plan.learning_rate * (1 + tf.cos(angle))


def _constant(plan: Plan, done: tf.Tensor) -> tf.Tensor:
    return tf.fill(tf.shape(done), plan.learning_rate)


_SCHEDULES: dict[Schedule, Callable[[Plan, tf.Tensor], tf.Tensor]] = {
    "exponential": _exponential,
    "cosine": _cosine,
    "constant": _constant,
}
