"""What a layer must know of the training step that it is called in.

Keras's random generators draw the same mask on every replica and cannot be
wound to a step. Here the training loop announces the moment and each layer
asks for numbers: every replica draws for the whole global batch and keeps its
own rows, so a run gives the same masks on one device and on many, in one piece
and in microbatches, and again on resume.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import tensorflow as tf

# TensorFlow's number of the generator Philox 4x32 (Salmon et al. 2011), and the
# numbers that it gives for a value of its counter.
_PHILOX = 1
_PHILOX_NUMBERS = 4


@dataclass(frozen=True)
class Moment:
    """A part of a training step.

    Attributes:
        seed: Of the run.
        step: Integer scalar, steps done.
        part: Which microbatch of the step, an integer scalar.
        parts: How many there are.
        norm_group: Replicas that share the statistics of a batch norm; None
            for all.
        recomputing: Whether this is the second forward pass of a block whose
            first one was forgotten to save memory.
    """

    seed: int
    step: tf.Tensor
    part: tf.Tensor | int = 0
    parts: int = 1
    norm_group: int | None = None
    recomputing: bool = False


_MOMENT: ContextVar[Moment | None] = ContextVar("moment", default=None)


@contextmanager
def announced(moment: Moment) -> Iterator[None]:
    """Lets layers know the moment while the block runs."""
    token = _MOMENT.set(moment)
    try:
        yield
    finally:
        _MOMENT.reset(token)


def present_moment() -> Moment | None:
    """What the training loop announced; None outside of it."""
    return _MOMENT.get()


def replica_uniform(
    name: str, examples: tf.Tensor, each: tuple[int, ...]
) -> tf.Tensor:
    """Numbers in [0, 1) for this replica's part of the global batch.

    Args:
        name: Name of the layer that asks.
        examples: int32 scalar, of this replica and microbatch.
        each: Shape of what an example gets.

    Returns:
        float32 `[examples, *each]`.

    Raises:
        RuntimeError: No training loop has announced a moment.
    """
    moment = present_moment()
    if moment is None:
        raise RuntimeError(f"{name} asks for random numbers outside a step")
    # The key of a stateless draw is a pair of integers.
    stream = zlib.crc32(f"{moment.seed}/{name}".encode()) & 0x7FFFFFFF
    seed = tf.stack([stream, tf.cast(moment.step, tf.int32)])

    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync
    # The global batch is dealt in blocks: to all replicas in turn, then the
    # next microbatch.
    part = tf.cast(moment.part, tf.int32)
    replica = tf.cast(context.replica_id_in_sync_group, tf.int32)
    first = (part * replicas + replica) * examples
    width = math.prod(each)
    if width % _PHILOX_NUMBERS:
        blocks = replicas * moment.parts
        drawn = tf.random.stateless_uniform([blocks * examples, *each], seed)
        # Not drawn[first : first + examples]: a TPU's compiler knows the size
        # of a slice from its bounds only where those are constants, and takes
        # everything after it for of unknown size.
        begin = [first, *(0 for _ in each)]
        return tf.slice(drawn, begin, [examples, *each])
    # A wide draw begins where those of the rows before would end, and so costs
    # no more on many replicas than on one.
    key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed)
    before = tf.cast(first, tf.uint64) * (width // _PHILOX_NUMBERS)
    drawn = tf.raw_ops.StatelessRandomUniformV2(
        shape=[examples, width // _PHILOX_NUMBERS, _PHILOX_NUMBERS],
        key=key,
        counter=counter + tf.stack([before, tf.zeros_like(before)]),
        alg=_PHILOX,
    )
    # A TPU makes the numbers of a value in four arrays; side by side they
    # need not be woven together.
    return tf.reshape(tf.transpose(drawn, [0, 2, 1]), [examples, *each])
