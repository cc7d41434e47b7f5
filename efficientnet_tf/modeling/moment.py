"""What a layer must know of the training step that it is called in.

Keras's random generators draw the same mask on every replica and cannot be
wound to a step. Here the training loop announces the moment and each layer
asks for numbers: every replica draws for the whole global batch and keeps its
own rows, so a run gives the same masks on one device and on many, in one piece
and in microbatches, and again on resume.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import tensorflow as tf


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


def replica_uniform(name: str, shape: tf.Tensor) -> tf.Tensor:
    """Numbers in [0, 1) for this replica's part of the global batch.

    Args:
        name: Name of the layer that asks.
        shape: int32 `[rank]`, examples of this replica and microbatch first.

    Returns:
        float32 of that shape.

    Raises:
        RuntimeError: No training loop has announced a moment.
    """
    moment = present_moment()
    if moment is None:
        raise RuntimeError(f"{name} asks for random numbers outside a step")
    # The key of a stateless draw is a pair of integers.
    stream = zlib.crc32(f"{moment.seed}/{name}".encode()) & 0x7FFFFFFF
    key = tf.stack([stream, tf.cast(moment.step, tf.int32)])

    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync
    blocks = replicas * moment.parts
    if blocks == 1:
        return tf.random.stateless_uniform(shape, key)
    # The global batch is dealt in blocks: to all replicas in turn, then the
    # next microbatch.
    part = tf.cast(moment.part, tf.int32)
    replica = tf.cast(context.replica_id_in_sync_group, tf.int32)
    first = (part * replicas + replica) * shape[0]
    everyone = tf.concat([[shape[0] * blocks], shape[1:]], axis=0)
    drawn = tf.random.stateless_uniform(everyone, key)
    start = tf.concat([[first], tf.zeros_like(shape[1:])], axis=0)
    return tf.slice(drawn, start, shape)
