"""The training step of a config, traced for a TPU and lowered to programs.

Runs in a process of its own: see `pretended`.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf
from tensorflow.compiler.xla.service import hlo_pb2

from efficientnet_tf.networks import Network
from efficientnet_tf.tpu.pretended import (
    as_replica,
    one_copy_of_variables,
    pretended_tpu,
)
from efficientnet_tf.tpu.refusals import refused_operators
from efficientnet_tf.tpu.traced import Program, Refused, Request, Traced
from efficientnet_tf.training.config import Config
from efficientnet_tf.training.plan import plan, replica_share
from efficientnet_tf.training.state import TrainState, create_state
from efficientnet_tf.training.step import TrainStep, make_train_call
from efficientnet_tf.training.strategy import policy

# What turns the traced steps into what TPUs run.
_BRIDGE = "tf-replicated-clustering-bridge-v2"


def trace(request: Request, folder: str) -> Traced:
    """Traces a training step and lowers what a replica does in it.

    Args:
        request: What to trace.
        folder: Where programs are written.
    """
    precision, layers, refused, seconds = _bridged(request)
    if refused:
        return Traced((), refused, layers, {}, precision, seconds)
    # The state of a large network fits into a host once.
    gc.collect()
    config, network = request.config, request.network
    cores, images = request.cores, request.images
    strategy = pretended_tpu(cores)
    with one_copy_of_variables(strategy):
        state = create_state(network, config, precision)
    return Traced(
        lower(strategy, state, config, network, images, precision, folder),
        (),
        layers,
        {
            kind: sum(map(_bytes, variables))
            for kind, variables in _kinds(state).items()
        },
        precision,
        seconds,
    )


def lower(
    strategy: tf.distribute.TPUStrategy,
    state: TrainState,
    config: Config,
    network: Network,
    images: int,
    precision: str,
    folder: str,
) -> tuple[Program, ...]:
    """Lowers what a replica does in a training step.

    Args:
        strategy: Of `pretended_tpu`.
        state: Made in its scope, with one copy of each variable.
        config: The experiment.
        network: Gives the size of the images, and their normalization.
        images: Of the training data.
        precision: Keras's dtype policy.
        folder: Where programs are written.
    """
    step = TrainStep(state, network, config.train, plan(config, images))
    cores = strategy.num_replicas_in_sync
    inputs = _inputs(config, network, cores, precision)
    return tuple(
        _lowered(strategy, state, folder, *part)
        for part in _parts(step, config.train.microbatches, inputs)
    )


def _bridged(
    request: Request,
) -> tuple[str, tuple[str, ...], tuple[Refused, ...], float]:
    """Traces the whole loop, and lets TensorFlow's TPU bridge take it.

    Returns:
        The precision, the names of the layers, what is refused, and the
        seconds that tracing took.
    """
    config, network = request.bridged, request.network
    strategy = pretended_tpu(request.bridged_cores)
    precision = policy(config.train.precision, strategy)
    with one_copy_of_variables(strategy):
        state = create_state(network, config, precision)
    inputs = _inputs(config, network, request.bridged_cores, precision)
    began = time.monotonic()
    call = make_train_call(
        state,
        network,
        config.train,
        plan(config, request.images),
        strategy,
    )
    traced = call.get_concrete_function(
        _batches(strategy, inputs), tf.constant(1)
    )
    seconds = time.monotonic() - began
    layers = tuple(layer.name for layer in state.model.layers)
    refused = refused_operators(traced.graph, layers)
    return precision, layers, refused or _refused_by_bridge(traced), seconds


def _inputs(
    config: Config, network: Network, cores: int, precision: str
) -> tuple[tf.TensorSpec, ...]:
    """Images and targets of a replica."""
    share = replica_share(config, cores)
    dtype = tf.as_dtype(keras.DTypePolicy(precision).compute_dtype)
    return (
        tf.TensorSpec([share, network.pixels, network.pixels, 3], dtype),
        tf.TensorSpec([share, network.classes]),
    )


def _batches(
    strategy: tf.distribute.TPUStrategy, inputs: tuple[tf.TensorSpec, ...]
) -> Iterator[Any]:
    """An iterator of batches, which has none: it is only traced."""

    def zeros(_: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return tuple(tf.zeros(spec.shape, spec.dtype) for spec in inputs)

    return iter(
        strategy.distribute_datasets_from_function(
            lambda context: tf.data.Dataset.range(0).map(zeros)
        )
    )


def _refused_by_bridge(
    traced: tf.types.experimental.ConcreteFunction,
) -> tuple[Refused, ...]:
    try:
        tf.mlir.experimental.convert_function(traced, pass_pipeline=_BRIDGE)
    except tf.errors.OpError as error:
        return (Refused(None, None, " ".join(str(error).split())),)
    return ()


def _parts(
    step: TrainStep, microbatches: int, inputs: tuple[tf.TensorSpec, ...]
) -> Iterator[tuple[str, int, Callable[..., tf.Tensor], tuple[Any, ...]]]:
    """What `make_train_call` hands to replicas, and how often."""
    if microbatches == 1:
        yield "step", 1, step.whole, inputs
        return
    part = tf.TensorSpec([], tf.int32)
    yield "microbatch", microbatches, step.accumulate, (*inputs, part)
    yield "update", 1, step.finish, ()


def _lowered(
    strategy: tf.distribute.TPUStrategy,
    state: TrainState,
    folder: str,
    name: str,
    runs: int,
    function: Callable[..., tf.Tensor],
    inputs: tuple[tf.TensorSpec, ...],
) -> Program:
    @tf.function(jit_compile=True, autograph=False)
    def replica(number: tf.Tensor, *inputs: tf.Tensor) -> tf.Tensor:
        with as_replica(strategy, number):
            return function(*inputs)

    given = tf.TensorSpec([], tf.int32), *inputs
    concrete = replica.get_concrete_function(*given)
    lower = replica.experimental_get_compiler_ir(*given)
    path = os.path.join(folder, f"{name}.hlo")
    with open(path, "wb") as file:
        file.write(_in_order(lower(stage="hlo_serialized")))
    handles = {
        id(_first(variable).handle): kind
        for kind, variables in _kinds(state).items()
        for variable in variables
    }
    words = ("counters", "images", "targets", "counters")
    return Program(
        name,
        runs,
        path,
        (
            *words[: len(given)],
            *(
                handles.get(id(captured), "counters")
                for captured in concrete.captured_inputs
            ),
        ),
    )


def _in_order(program: bytes) -> bytes:
    """The same program in the same bytes: its maps come in any order."""
    module = hlo_pb2.HloModuleProto.FromString(program)
    return bytes(module.SerializeToString(deterministic=True))


def _kinds(state: TrainState) -> dict[str, list[tf.Variable]]:
    """What stays from step to step."""
    kinds = {
        "weights": [weight.value for weight in state.model.weights],
        "averaged weights": [weight.value for weight in state.averaged.weights],
        "optimizer": list(state.optimizer.slots.values()),
        "gradient sums": list(state.accumulated),
    }
    if state.averaged is state.model:
        del kinds["averaged weights"]
    return {kind: variables for kind, variables in kinds.items() if variables}


def _first(variable: tf.Variable) -> tf.Variable:
    """That of the first replica."""
    return tf.distribute.get_strategy().experimental_local_results(variable)[0]


def _bytes(variable: tf.Variable) -> int:
    return int(variable.shape.num_elements() * variable.dtype.size)
