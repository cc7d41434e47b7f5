"""The devices of a run."""

from __future__ import annotations

import os

import tensorflow as tf

from efficientnet_tf.errors import RunError
from efficientnet_tf.training.cluster import (
    PEER_SECONDS,
    Cluster,
    await_peers,
    read_cluster,
)
from efficientnet_tf.training.config import Precision
from efficientnet_tf.training.failures import device_errors
from efficientnet_tf.training.tpu_checks import (
    LOOKUP_SECONDS,
    ask_project_and_zone,
    check_address,
    check_client,
    check_local,
    within,
)


def make_strategy(
    tpu: str, *, peer_seconds: float = PEER_SECONDS
) -> tf.distribute.Strategy:
    """Takes hold of the devices.

    Several hosts are those that the variable TF_CONFIG names, each of which
    runs the same command; they must be taken hold of before TensorFlow has
    computed anything. A TPU is driven by one process, however many hosts it
    has, and TF_CONFIG means nothing to it.

    Args:
        tpu: Name of a TPU, "local" on a TPU VM, a grpc:// address; empty for
            all GPUs if there are any, else the CPU.
        peer_seconds: How long other hosts may take to answer.

    Raises:
        InputError: TF_CONFIG or the address is not one.
        RunError: There is no such TPU, this TensorFlow cannot drive one, or
            another host does not answer.
    """
    if tpu:
        return _tpu_strategy(tpu)
    cluster = read_cluster(os.environ.get("TF_CONFIG", ""))
    if cluster:
        return _several_hosts(cluster, peer_seconds)
    gpus = tf.config.list_logical_devices("GPU")
    if len(gpus) > 1:
        return tf.distribute.MirroredStrategy(gpus)
    return tf.distribute.get_strategy()


def describe_devices(strategy: tf.distribute.Strategy) -> str:
    """The devices in words: "8 x TPU", "1 x CPU", "2 hosts x 4 GPU"."""
    if isinstance(strategy, tf.distribute.TPUStrategy):
        kind = "TPU"
    elif tf.config.list_logical_devices("GPU"):
        kind = "GPU"
    else:
        kind = "CPU"
    replicas, hosts = strategy.num_replicas_in_sync, host_count(strategy)
    if hosts > 1:
        return f"{hosts} hosts x {replicas // hosts} {kind}"
    return f"{replicas} x {kind}"


def host_count(strategy: tf.distribute.Strategy) -> int:
    """How many hosts have a part of the devices."""
    if isinstance(strategy, tf.distribute.TPUStrategy):
        return int(strategy.extended.num_hosts)
    return _processes(strategy)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes for all: files, figures and progress."""
    if _processes(strategy) == 1:
        return True
    resolver = strategy.cluster_resolver
    if resolver.task_type == "chief":
        return True
    jobs = resolver.cluster_spec().jobs
    return "chief" not in jobs and resolver.task_id == 0


def agreed(strategy: tf.distribute.Strategy, asked: bool) -> bool:
    """Whether any process was asked something; all get the same answer.

    Processes that train together must stop at the same step: a signal comes
    to one of them. All must call this at the same steps. With one process it
    costs nothing, else a few hundredths of a second.

    Args:
        strategy: The devices.
        asked: Whether this process was.

    Raises:
        WorkerGone: Another process does not answer any more.
    """
    if _processes(strategy) == 1:
        return asked
    with device_errors("asking the other hosts", shared=True):
        flags = strategy.run(tf.identity, args=(tf.constant(float(asked)),))
        return float(strategy.reduce("SUM", flags, axis=None)) > 0


def is_shared(strategy: tf.distribute.Strategy) -> bool:
    """Whether other hosts or a TPU take part, which may go away."""
    on_tpu = isinstance(strategy, tf.distribute.TPUStrategy)
    return on_tpu or _processes(strategy) > 1


def without_others(
    strategy: tf.distribute.Strategy,
) -> tf.distribute.Strategy:
    """Devices that this process can use while other hosts do nothing."""
    if _processes(strategy) == 1:
        return strategy
    return tf.distribute.get_strategy()


def policy(precision: Precision, strategy: tf.distribute.Strategy) -> str:
    """Keras's dtype policy for a precision on these devices."""
    on_tpu = isinstance(strategy, tf.distribute.TPUStrategy)
    if precision == "bfloat16" or (precision == "auto" and on_tpu):
        return "mixed_bfloat16"
    return "float32"


def _processes(strategy: tf.distribute.Strategy) -> int:
    """How many processes run the same program together."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return 1
    spec = strategy.cluster_resolver.cluster_spec()
    return sum(spec.num_tasks(job) for job in spec.jobs)


def _several_hosts(cluster: Cluster, seconds: float) -> tf.distribute.Strategy:
    await_peers(cluster, seconds)
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        # Of a program that computed something first.
        if "program startup" not in str(error):
            raise
        raise RunError(
            "TF_CONFIG: several hosts must be taken hold of before TensorFlow "
            "computes anything: call make_strategy first"
        ) from error
    except tf.errors.OpError as error:
        raise RunError(
            f"TF_CONFIG: the hosts did not find together: {_line(error)}"
        ) from error


def _tpu_strategy(tpu: str) -> tf.distribute.Strategy:
    resolver = _resolver(tpu)
    try:
        if tpu != "local":
            tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    except (tf.errors.OpError, ValueError, OSError, RuntimeError) as error:
        raise RunError(f"--tpu={tpu}: {_advice(tpu, error)}") from error


def _resolver(
    tpu: str,
) -> tf.distribute.cluster_resolver.TPUClusterResolver:
    """Knows where the TPU is; everything that may hang is asked before."""
    make = tf.distribute.cluster_resolver.TPUClusterResolver
    if tpu == "local":
        check_local()
        return make(tpu="local")
    if tpu.startswith("grpc://"):
        check_address(tpu)
        return make(tpu=tpu)
    project, zone = ask_project_and_zone(tpu)
    check_client(tpu)
    resolver = make(tpu=tpu, zone=zone, project=project)
    try:
        spec = within(LOOKUP_SECONDS, resolver.cluster_spec)
    except TimeoutError:
        raise RunError(
            f"--tpu={tpu}: Google Cloud does not answer in {LOOKUP_SECONDS:.0f}"
            " s where that TPU is; give its address, --tpu=grpc://ADDRESS"
        ) from None
    # Three libraries ask Google, and each has errors of its own.
    except Exception as error:
        raise RunError(
            f"--tpu={tpu} in {project}, {zone}: {_line(error)}"
        ) from error
    check_address(f"grpc://{','.join(spec.job_tasks('worker'))}")
    return resolver


def _advice(tpu: str, error: Exception) -> str:
    """What a failed start means, in one line."""
    text = " ".join(str(error).split())
    if "ConfigureDistributedTPU" in text and "No OpKernel" in text:
        return (
            "the TensorFlow there has no TPU support: the address must be "
            "that of a TPU's own server"
        )
    if "TPU_SYSTEM" in text or isinstance(error, tf.errors.NotFoundError):
        where = "this machine" if tpu == "local" else "the server there"
        return f"{where} has no TPU that TensorFlow sees"
    return _line(error)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
