"""Replicas that share the statistics of a batch norm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from efficientnet_tf.modeling.moment import present_moment


@dataclass(frozen=True)
class NormGroup:
    """The group that this replica belongs to.

    Attributes:
        context: The `tf.distribute.ReplicaContext`; None outside of any.
        replicas: All that train together.
        size: Replicas of a group.
        counts: Whether the moving statistics are to move: whoever computes a
            block once more has counted it before.
    """

    context: Any
    replicas: int
    size: int
    counts: bool

    def means(self, local: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Averages what each replica found in its equal share of the batch.

        Each group has a row in what all replicas add up, so that one exchange
        serves any grouping on any kind of device.

        Args:
            local: float32, of this replica.

        Returns:
            The mean over this replica's group, and `[groups, ...]`, those of
            all groups; gradients flow through both.
        """
        if self.size == 1:
            return local, local[None]
        groups = self.replicas // self.size
        ours = self.context.replica_id_in_sync_group // self.size
        rows = tf.one_hot(ours, groups) / self.size
        rows = tf.reshape(rows, [groups] + [1] * local.shape.rank)
        means = self.context.all_reduce(
            tf.distribute.ReduceOp.SUM, rows * local
        )
        return means[ours], means


def present_group() -> NormGroup:
    """By what the training loop announced; all replicas outside of it."""
    context = tf.distribute.get_replica_context()
    replicas = 1 if context is None else context.num_replicas_in_sync
    moment = present_moment()
    size = (moment and moment.norm_group) or replicas
    counts = not (moment and moment.recomputing)
    return NormGroup(context, replicas, size, counts)
