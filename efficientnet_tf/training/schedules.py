"""The learning rate at a step."""

from __future__ import annotations

import math
from collections.abc import Callable

import tensorflow as tf

from efficientnet_tf.training.config import Schedule
from efficientnet_tf.training.plan import Plan


def learning_rate(plan: Plan, step: tf.Tensor) -> tf.Tensor:
    """The learning rate of the step after `step` steps have been done.

    It rises linearly from exactly zero during warm-up. As in the original,
    "poly" begins where the warm-up ends, and the other schedules count from
    step 0, below the rise.

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


def _poly(plan: Plan, done: tf.Tensor) -> tf.Tensor:
    # The original's count of steps is one too many: it never quite arrives.
    steps = plan.steps - plan.warmup_steps + 1
    left = 1 - tf.clip_by_value((done - plan.warmup_steps) / steps, 0.0, 1.0)
    fall = plan.learning_rate - plan.poly_end
    return fall * tf.pow(left, plan.poly_power) + plan.poly_end


def _constant(plan: Plan, done: tf.Tensor) -> tf.Tensor:
    return tf.fill(tf.shape(done), plan.learning_rate)


_SCHEDULES: dict[Schedule, Callable[[Plan, tf.Tensor], tf.Tensor]] = {
    "exponential": _exponential,
    "cosine": _cosine,
    "poly": _poly,
    "constant": _constant,
}
