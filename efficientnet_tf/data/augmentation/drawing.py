"""Drawing the ops of an image, before anything is done to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from efficientnet_tf.data.augmentation.ops import FULL_LEVEL, OPS, Op, argument
from efficientnet_tf.data.augmentation.policies import (
    AUTOAUGMENT,
    AUTOAUGMENT_REACH,
    RANDAUGMENT,
    RANDAUGMENT_REACH,
    Policy,
)
from efficientnet_tf.data.augmentation.recipe import Augmentation

# An op's number is its place here; the number behind the last means none.
NAMES: tuple[Op, ...] = tuple(OPS)
NO_OP = len(NAMES)

_NUMBERS = {name: number for number, name in enumerate(NAMES)}
_SIGNED = np.array([OPS[name].signed for name in NAMES] + [False])


class Drawn(NamedTuple):
    """The ops of one image, one after the other.

    Attributes:
        ops: int32 `[layers]`, places in `NAMES`, or `NO_OP`.
        arguments: float32 `[layers]`, with their signs; see `OpRow`.
        centres: float32 `[layers, 2]` in [0, 1): where down and across the
            image the patch of `Cutout` has its centre.
    """

    ops: tf.Tensor
    arguments: tf.Tensor
    centres: tf.Tensor


# Of an image to which nothing is done.
NO_OPS = Drawn(
    np.zeros([0], np.int32),
    np.zeros([0], np.float32),
    np.zeros([0, 2], np.float32),
)


class _Choice(NamedTuple):
    """What a policy chose: numbers and unsigned arguments, `[layers]`."""

    ops: tf.Tensor
    arguments: tf.Tensor


def draw(seed: tf.Tensor, augmentation: Augmentation) -> Drawn:
    """Draws the ops of an image.

    Args:
        seed: integer `[2]`; the same seed gives the same ops.
        augmentation: The policy and its numbers.
    """
    layers = _LAYERS[augmentation.policy](augmentation)
    # Of each layer: choice, whether it is applied, sign, down, across.
    uniform = tf.random.stateless_uniform([layers, 5], seed)
    choice = _CHOOSE[augmentation.policy](uniform, augmentation)
    negative = tf.logical_and(
        tf.gather(tf.constant(_SIGNED), choice.ops), uniform[:, 2] < 0.5
    )
    return Drawn(
        choice.ops,
        tf.where(negative, -choice.arguments, choice.arguments),
        uniform[:, 3:],
    )


def drawn_text(drawn: Drawn) -> tf.Tensor:
    """The ops in words, a scalar string: "Rotate -30, Equalize".

    What an op without an argument is given is not said, and nothing of layers
    without an op.
    """
    names = tf.gather(tf.constant([*NAMES, ""]), drawn.ops)
    takes = [
        argument(name, FULL_LEVEL, RANDAUGMENT_REACH) != 0 for name in NAMES
    ]
    numbers = tf.strings.as_string(drawn.arguments, shortest=True)
    said = tf.gather(tf.constant([*takes, False]), drawn.ops)
    words = tf.where(said, names + " " + numbers, names)
    words = tf.boolean_mask(words, drawn.ops < NO_OP)
    return tf.strings.reduce_join(words, separator=", ")


def _nothing(uniform: tf.Tensor, augmentation: Augmentation) -> _Choice:
    return _Choice(tf.zeros([0], tf.int32), tf.zeros([0]))


def _randaugment(uniform: tf.Tensor, augmentation: Augmentation) -> _Choice:
    arguments = [
        argument(name, augmentation.magnitude, RANDAUGMENT_REACH)
        for name in RANDAUGMENT
    ]
    numbers = [_NUMBERS[name] for name in RANDAUGMENT]
    place = _place(uniform[:, 0], len(RANDAUGMENT))
    return _Choice(
        tf.gather(tf.constant(numbers), place),
        tf.gather(tf.constant(arguments, tf.float32), place),
    )


def _autoaugment(uniform: tf.Tensor, augmentation: Augmentation) -> _Choice:
    place = _place(uniform[0, 0], len(AUTOAUGMENT))
    numbers = [[_NUMBERS[step.op] for step in steps] for steps in AUTOAUGMENT]
    arguments = [
        [argument(step.op, step.level, AUTOAUGMENT_REACH) for step in steps]
        for steps in AUTOAUGMENT
    ]
    likely = [[step.probability for step in steps] for steps in AUTOAUGMENT]
    # Never where the probability is 0, always where it is 1.
    applied = uniform[:, 1] < tf.gather(tf.constant(likely, tf.float32), place)
    return _Choice(
        tf.where(applied, tf.gather(tf.constant(numbers), place), NO_OP),
        tf.gather(tf.constant(arguments, tf.float32), place),
    )


def _place(uniform: tf.Tensor, count: int) -> tf.Tensor:
    """A uniform number in [0, 1) -> int32 below a count."""
    return tf.cast(uniform * count, tf.int32)


_CHOOSE: dict[Policy, Callable[[tf.Tensor, Augmentation], _Choice]] = {
    "none": _nothing,
    "autoaugment": _autoaugment,
    "randaugment": _randaugment,
}
_LAYERS: dict[Policy, Callable[[Augmentation], int]] = {
    "none": lambda augmentation: 0,
    "autoaugment": lambda augmentation: len(AUTOAUGMENT[0]),
    "randaugment": lambda augmentation: augmentation.layers,
}
