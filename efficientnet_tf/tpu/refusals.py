"""Operators that no TPU takes, found in a traced function."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

import tensorflow as tf
from tensorflow.python.framework import kernels

from efficientnet_tf.tpu.traced import Refused

# Plain TensorFlow has no kernels of TPUs; those of XLA for a CPU are the same
# but for the exchange between cores.
_KERNELS = "XLA_CPU_JIT"
_OF_TPUS = {
    "CrossReplicaSum",
    "AllToAll",
    "CollectivePermute",
    "TPUReplicateMetadata",
    "TPUReplicatedInput",
    "TPUReplicatedOutput",
    "TPUCompilationResult",
}
# What marks the operators that replicas run.
_CLUSTER = "_tpu_replicate"


def refused_operators(
    graph: tf.Graph, layers: Collection[str]
) -> tuple[Refused, ...]:
    """Operators in what replicas run that XLA has no kernel for.

    Args:
        graph: Of a function traced under a TPUStrategy.
        layers: Names to look for.
    """
    found: dict[Refused, None] = {}
    for operator, name in _of_replicas(graph.as_graph_def()):
        if operator in _OF_TPUS or _has_kernel(operator):
            continue
        refused = Refused(
            operator,
            layer_of(name, layers),
            "XLA has no kernel for it: do it on the host, in the input "
            "pipeline",
        )
        found[refused] = None
    return tuple(found)


def layer_of(name: str, layers: Collection[str]) -> str | None:
    """The layer in whose scope an operator stands.

    Args:
        name: The operator's, such as "net_1/block1a_bn_1/mul".
        layers: Names to look for.
    """
    for part in reversed(name.split("/")):
        for candidate in (part, re.sub(r"_\d+$", "", part)):
            if candidate in layers:
                return candidate
    return None


def _of_replicas(
    graph: tf.compat.v1.GraphDef,
) -> Iterator[tuple[str, str]]:
    """Operators and names of the nodes that replicas run."""
    functions = {
        function.signature.name: function.node_def
        for function in graph.library.function
    }
    bodies = [graph.node, *functions.values()]
    waiting = [
        node for body in bodies for node in body if _CLUSTER in node.attr
    ]
    seen = set()
    while waiting:
        node = waiting.pop()
        yield node.op, node.name
        for called in _called(node):
            if called in functions and called not in seen:
                seen.add(called)
                waiting.extend(functions[called])


def _called(node: tf.compat.v1.NodeDef) -> Iterator[str]:
    """Functions that a node may call: branches, bodies, itself."""
    yield node.op
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func.name
        yield from (function.name for function in value.list.func)


def _has_kernel(operator: str) -> bool:
    registered = kernels.get_registered_kernels_for_op(operator).kernel
    return any(kernel.device_type == _KERNELS for kernel in registered)
