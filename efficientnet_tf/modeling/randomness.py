"""Random numbers that depend on the seed, the layer, the step and the example.

Keras's generators draw the same mask on every replica and cannot be wound to
a step. Here the training loop announces the step and each layer asks for
numbers: every replica draws for the whole global batch and keeps its own rows,
so a run gives the same masks on one device and on many, and again on resume.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import tensorflow as tf

_MOMENT: ContextVar[tuple[int, tf.Tensor] | None] = ContextVar(
    "training moment", default=None
)


@contextmanager
def training_moment(seed: int, step: tf.Tensor) -> Iterator[None]:
    """Announces the seed of the run and the step, an integer scalar."""
    token = _MOMENT.set((seed, step))
    try:
        yield
    finally:
        _MOMENT.reset(token)


def in_training_loop() -> bool:
    """Whether a step has been announced."""
    return _MOMENT.get() is not None


def replica_uniform(name: str, shape: tf.Tensor) -> tf.Tensor:
    """Numbers in [0, 1) for this replica's part of the global batch.

    Args:
        name: Name of the layer that asks.
        shape: int32 `[rank]`, examples of this replica first.

    Returns:
        float32 of that shape.

    Raises:
        RuntimeError: No training loop has announced a step.
    """
    moment = _MOMENT.get()
    if moment is None:
        raise RuntimeError(f"{name} asks for random numbers outside a step")
    seed, step = moment
    # The key of a stateless draw is a pair of integers.
    stream = zlib.crc32(f"{seed}/{name}".encode()) & 0x7FFFFFFF
    key = tf.stack([stream, tf.cast(step, tf.int32)])

    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync
    if replicas == 1:
        return tf.random.stateless_uniform(shape, key)
    examples = shape[0]
    everyone = tf.concat([[examples * replicas], shape[1:]], axis=0)
    drawn = tf.random.stateless_uniform(everyone, key)
    first = examples * tf.cast(context.replica_id_in_sync_group, tf.int32)
    start = tf.concat([[first], tf.zeros_like(shape[1:])], axis=0)
    return tf.slice(drawn, start, shape)
