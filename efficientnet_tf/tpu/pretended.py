"""A genuine TPUStrategy over a TPU that is not there.

The strategy asks a resolver for the devices and TensorFlow for the topology;
both are given by hand here, which is enough to build and trace everything that
would run, and nothing can run. It stays in TensorFlow's globals: call this in
a process of its own. It relies on names that are private to TensorFlow 2.20.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.compiler.tf2xla.ops import gen_xla_ops
from tensorflow.python.distribute import tpu_strategy, tpu_util
from tensorflow.python.tpu import (
    topology,
    tpu_function,
    tpu_strategy_util,
    tpu_system_metadata,
)
from tensorflow.python.tpu.ops import tpu_ops

_HOST = "/job:localhost/replica:0/task:0"


def pretended_tpu(cores: int) -> tf.distribute.TPUStrategy:
    """A strategy of that many replicas, all of this host."""
    counts = (("CPU", 1), ("TPU", cores), ("TPU_SYSTEM", 1))
    devices = [
        SimpleNamespace(
            name=f"{_HOST}/device:{kind}:{number}", device_type=kind
        )
        for kind, count in counts
        for number in range(count)
    ]
    metadata = tpu_system_metadata.TPUSystemMetadata(
        num_cores=cores,
        num_hosts=1,
        num_of_cores_per_host=cores,
        topology=None,
        devices=devices,
    )
    coordinates = [[[chip, 0, 0, 0] for chip in range(cores)]]
    tpu_strategy_util._INITIALIZED_TPU_SYSTEMS[""] = topology.Topology(
        mesh_shape=[cores, 1, 1, 1],
        device_coordinates=np.array(coordinates, np.int32),
    )
    resolver = SimpleNamespace(
        master=lambda: "",
        cluster_spec=lambda: None,
        get_job_name=lambda: "localhost",
        get_tpu_system_metadata=lambda: metadata,
    )
    return tf.distribute.TPUStrategy(resolver)


@contextmanager
def one_copy_of_variables(
    strategy: tf.distribute.TPUStrategy,
) -> Iterator[None]:
    """The strategy's scope, in which all replicas hold the same variable.

    A pod's worth of a large network would not fit into this host.
    """
    first: dict[str, tf.Variable] = {}

    def create(next_creator: Any, **options: Any) -> tf.Variable:
        # The strategy names those of further replicas after the first's.
        name, further, _ = (options.get("name") or "").partition("/replica_")
        if further:
            return first[name]
        variable = next_creator(**options)
        first[variable.name.removesuffix(":0")] = variable
        return variable

    with tf.variable_creator_scope(create), strategy.scope():
        yield


@contextmanager
def as_replica(
    strategy: tf.distribute.TPUStrategy, replica: tf.Tensor
) -> Iterator[None]:
    """Traces what one replica does, as a program that XLA can lower.

    Args:
        strategy: Of `pretended_tpu`.
        replica: int32 scalar, its number, given when the program runs.
    """
    cores = strategy.num_replicas_in_sync

    def cross_replica_sum(
        x: tf.Tensor,
        group_assignment: list[list[int]] | None = None,
        name: str | None = None,
    ) -> tf.Tensor:
        # A TPU's own operator, which only its wheel of TensorFlow can lower.
        return gen_xla_ops.xla_all_reduce(
            input=x,
            group_assignment=group_assignment or [list(range(cores))],
            reduce_op="Add",
            mode="CrossReplica",
        )

    before = tpu_util.enclosing_tpu_context, tpu_ops.cross_replica_sum
    tpu_util.enclosing_tpu_context = _Enclosing
    tpu_ops.cross_replica_sum = cross_replica_sum
    try:
        with (
            strategy.scope(),
            tpu_strategy._TPUReplicaContext(strategy, replica),
            tpu_function.tpu_shard_context(cores),
        ):
            yield
    finally:
        tpu_util.enclosing_tpu_context, tpu_ops.cross_replica_sum = before


class _Enclosing:
    """Hands out the first replica's variables, as TensorFlow's own does."""

    def get_replicated_var_handle(
        self,
        name: str,
        handle_id: str,
        vars_: Any,
        is_mirrored: bool = False,
        is_packed: bool = False,
    ) -> tf.Tensor:
        variable = vars_[0]
        inner = getattr(variable, "_distributed_variables", [variable])
        return inner[0].handle
