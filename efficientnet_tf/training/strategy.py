"""The devices of a run."""

from __future__ import annotations

import socket

import tensorflow as tf

from efficientnet_tf.errors import InputError, RunError
from efficientnet_tf.training.config import Precision

CONNECT_SECONDS = 10


def make_strategy(tpu: str) -> tf.distribute.Strategy:
    """Takes hold of the devices.

    Args:
        tpu: Name of a TPU, "local" on a TPU VM, a grpc:// address; empty for
            all GPUs if there are any, else the CPU.

    Raises:
        RunError: There is no such TPU, or this TensorFlow cannot drive one.
    """
    if tpu:
        return _tpu_strategy(tpu)
    gpus = tf.config.list_logical_devices("GPU")
    if len(gpus) > 1:
        return tf.distribute.MirroredStrategy(gpus)
    return tf.distribute.get_strategy()


def describe_devices(strategy: tf.distribute.Strategy) -> str:
    """The devices in words: "8 x TPU", "1 x CPU"."""
    if isinstance(strategy, tf.distribute.TPUStrategy):
        kind = "TPU"
    elif tf.config.list_logical_devices("GPU"):
        kind = "GPU"
    else:
        kind = "CPU"
    return f"{strategy.num_replicas_in_sync} x {kind}"


def policy(precision: Precision, strategy: tf.distribute.Strategy) -> str:
    """Keras's dtype policy for a precision on these devices."""
    on_tpu = isinstance(strategy, tf.distribute.TPUStrategy)
    if precision == "bfloat16" or (precision == "auto" and on_tpu):
        return "mixed_bfloat16"
    return "float32"


def check_batch(batch: int, strategy: tf.distribute.Strategy) -> None:
    """Raises InputError where replicas cannot have equal parts of a batch."""
    replicas = strategy.num_replicas_in_sync
    if batch % replicas:
        near = max(replicas, batch // replicas * replicas)
        raise InputError(
            f"train.batch {batch} must be a multiple of {replicas} replicas; "
            f"try {near}"
        )


def _tpu_strategy(tpu: str) -> tf.distribute.Strategy:
    if tpu.startswith("grpc://"):
        _probe(tpu)
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=tpu)
        if tpu != "local":
            tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    # RuntimeError is what the client says of a TPU that is not ready.
    except (tf.errors.OpError, ValueError, OSError, RuntimeError) as error:
        raise RunError(f"--tpu={tpu}: {_advice(error)}") from error


def _advice(error: Exception) -> str:
    """What a failed start means, in one line."""
    text = " ".join(str(error).split())
    if "ConfigureDistributedTPU" in text and "No OpKernel" in text:
        return (
            "this TensorFlow has no TPU support; in a fresh environment on "
            "the TPU VM: pip install -e '.[tpu]'"
        )
    if "TPU_SYSTEM" in text or isinstance(error, tf.errors.NotFoundError):
        return "no TPU is attached to this machine"
    if isinstance(error, OSError):
        return (
            "cannot ask Google Cloud for a TPU of that name "
            f"({text}); on a TPU VM use --tpu=local"
        )
    return text[:300]


def _probe(address: str) -> None:
    """Fails early where TensorFlow would hang."""
    host, _, port = address.removeprefix("grpc://").partition(":")
    try:
        number = int(port or 8470)
    except ValueError:
        raise InputError(
            f"--tpu={address} must look like grpc://10.0.0.2:8470"
        ) from None
    try:
        socket.create_connection((host, number), CONNECT_SECONDS).close()
    except OSError as error:
        raise RunError(f"--tpu={address} does not answer: {error}") from None
