"""tf.data service: other processes and machines that prepare images.

A dispatcher hands out what is to be read, workers read it, and the hosts of a
training take what they have made. `serve-data` begins them.
"""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from efficientnet_tf.data.address import GRPC, check_address
from efficientnet_tf.data.compiled import load_kernel
from efficientnet_tf.data.kinds import RecordDataset
from efficientnet_tf.errors import InputError

# What workers read without Python.
_KINDS = ("tfrecords", "tfds")
# After so long without a sign of life a worker is given up. TensorFlow looks
# every ten minutes if it is not told to.
_GONE_MILLISECONDS = 10_000


def served(
    batches: tf.data.Dataset, dataset: RecordDataset, address: str, job: str
) -> tf.data.Dataset:
    """Lets the workers of a service make batches.

    Args:
        batches: What each worker does, from the tasks that it is handed.
        dataset: What it reads.
        address: grpc://HOST:PORT of the dispatcher.
        job: A name; who gives the same one gets other batches of the same.

    Raises:
        InputError: There is no such service, or the data are none for it.
    """
    if dataset.kind not in _KINDS:
        raise InputError(
            f"data.service reads TFRecords; {dataset.path} is of the kind "
            f"{dataset.kind}: `prepare` makes records of it"
        )
    _find(address)
    service = tf.data.experimental.service
    return batches.apply(
        service.distribute(
            processing_mode=service.ShardingPolicy.DYNAMIC,
            service=address,
            job_name=job,
        )
    )


@contextmanager
def serving(port: int, dispatcher: str, host: str) -> Iterator[str]:
    """Runs a worker, and a dispatcher if none is named, for the block.

    Args:
        port: To listen at: of the dispatcher, else of the worker; 0 for any.
        dispatcher: grpc://HOST:PORT; empty to run one here.
        host: The name by which other machines find this one.

    Yields:
        grpc://HOST:PORT of the dispatcher.

    Raises:
        InputError: The port is taken, the dispatcher is no address, or nobody
            answers there.
    """
    if dispatcher:
        check_address("--dispatcher", dispatcher)
    # Graphs of a training may have its op.
    load_kernel()
    service = tf.data.experimental.service
    server = None
    worker_port = port
    try:
        if not dispatcher:
            server = service.DispatchServer(
                service.DispatcherConfig(
                    port=port,
                    worker_timeout_ms=_GONE_MILLISECONDS,
                    job_gc_check_interval_ms=_GONE_MILLISECONDS // 2,
                ),
                start=True,
            )
            dispatcher = f"{GRPC}{host}:{server.target.rpartition(':')[2]}"
            worker_port = 0
        else:
            _find(dispatcher)
        if not worker_port:
            worker_port = _free_port()
        worker = service.WorkerServer(
            service.WorkerConfig(
                dispatcher_address=dispatcher.removeprefix(GRPC),
                worker_address=f"{host}:{worker_port}",
                port=worker_port,
            ),
            start=True,
        )
    except tf.errors.OpError as error:
        raise InputError(
            f"serve-data: port {port} of {host} cannot be served: "
            f"{error.message}"
        ) from error
    yield dispatcher
    del worker, server


def serve(port: int, dispatcher: str, host: str) -> None:
    """`serving` until the process is told to stop.

    Raises:
        InputError: As `serving`.
    """
    with serving(port, dispatcher, host) as address:
        who = "a worker is" if dispatcher else "a dispatcher and a worker are"
        print(f"{who} at work; Ctrl-C ends it", file=sys.stderr)
        print(f"--set=data.service={address}", flush=True)
        threading.Event().wait()


def _find(address: str) -> None:
    """Asks whether anybody listens: TensorFlow would ask for an hour."""
    name, _, port = address.removeprefix(GRPC).rpartition(":")
    try:
        socket.create_connection((name, int(port)), timeout=10).close()
    except (OSError, ValueError) as error:
        raise InputError(
            f"{address} does not answer ({error}); begin a dispatcher there by "
            "`serve-data`"
        ) from error


def _free_port() -> int:
    with socket.create_server(("", 0)) as server:
        return int(server.getsockname()[1])
