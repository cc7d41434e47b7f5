"""What a TPU needs, asked before TensorFlow is: there it may hang.

No TensorFlow here: on a machine without a TPU, the mere import of the TPU wheel
can take minutes.
"""

from __future__ import annotations

import http.client
import os
import re
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from importlib import metadata, util
from pathlib import Path
from typing import TypeVar

from efficientnet_tf.errors import InputError, RunError
from efficientnet_tf.training.metadata import (
    SECONDS,
    ask_metadata,
    metadata_host,
)

# Together below half a minute. They bound questions, never a start: a pod may
# take as long as it does.
LOOKUP_SECONDS = 10.0
CONNECT_SECONDS = 10.0

TPU_PORT = 8470
# TPU v2 to v4, and those since.
_DEVICES = ("accel*", "vfio/[0-9]*")
# From here on, importing tensorflow-tpu 2.20 aborts.
_LIBTPU_BELOW = (0, 0, 32)
INSTALL = "in a fresh environment on the TPU VM: pip install -e '.[tpu]'"

_T = TypeVar("_T")


def within(seconds: float, work: Callable[[], _T]) -> _T:
    """What a function gives, if it comes to an end in time.

    Raises:
        TimeoutError: It did not. Its thread is left to itself.
    """
    future: Future[_T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        # It belongs to whoever waits.
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future.result(seconds)


def check_local(dev: str = "/dev", lock: str = "/tmp/libtpu_lockfile") -> None:
    """Finds what keeps this process from the TPU of its machine.

    Args:
        dev: Where the devices are.
        lock: The file by which libtpu keeps other processes out.

    Raises:
        RunError: There is no TPU, it may not be used or another process has
            it, or what drives it is not installed.
    """
    wrong = _missing_wheel() or _missing_device(Path(dev)) or _held(Path(lock))
    if wrong:
        raise RunError(f"--tpu=local: {wrong}")


def check_address(address: str) -> None:
    """Finds out whether gRPC servers answer, all of `grpc://A:8470,B:8470`.

    Raises:
        InputError: It is no such address.
        RunError: One of them does not answer.
    """
    for part in address.removeprefix("grpc://").split(","):
        host, _, port = part.strip().removeprefix("grpc://").partition(":")
        if not host or not (port or str(TPU_PORT)).isdigit():
            raise InputError(
                f"--tpu={address} must look like grpc://10.0.0.2:{TPU_PORT}"
            )
        why = _silence(host, int(port or TPU_PORT))
        if why:
            raise RunError(f"--tpu={address} does not answer: {why}")


def ask_project_and_zone(name: str) -> tuple[str, str]:
    """Asks Google Cloud in which project and zone this machine is.

    Args:
        name: The TPU that is looked for, for the message.

    Raises:
        RunError: This is no machine of Google Cloud, or it does not say.
    """
    try:
        project, zone = within(
            2 * SECONDS,
            lambda: (
                ask_metadata("project/project-id"),
                ask_metadata("instance/zone"),
            ),
        )
    except (OSError, http.client.HTTPException) as error:
        raise RunError(
            f"--tpu={name}: cannot ask Google Cloud for a TPU of that name "
            f"(the metadata server {metadata_host()}: {_why(error)}); on a TPU "
            "VM use --tpu=local, elsewhere --tpu=grpc://ADDRESS"
        ) from None
    return project, zone.rpartition("/")[2]


def check_client(name: str) -> None:
    """Raises RunError where the packages that look up names are missing."""
    for module in ("googleapiclient", "oauth2client"):
        if util.find_spec(module) is None:
            # TensorFlow's own advice, to install the client into what is
            # there, downgrades protobuf and breaks TensorFlow.
            raise RunError(
                f"--tpu={name}: looking up a TPU by its name needs {module}; "
                f"{INSTALL}; or give its address, --tpu=grpc://ADDRESS"
            )


def _missing_device(dev: Path) -> str:
    nodes = [node for pattern in _DEVICES for node in dev.glob(pattern)]
    if not nodes:
        return (
            f"no TPU is attached to this machine: neither {dev}/accel* nor "
            f"{dev}/vfio/* is there; run this on a TPU VM, in a container "
            "with its devices"
        )
    for node in sorted(nodes):
        if not os.access(node, os.R_OK | os.W_OK, effective_ids=True):
            facts = node.stat()
            return (
                f"{node} must not be used by you (mode "
                f"{facts.st_mode & 0o777:o}, user {facts.st_uid}, group "
                f"{facts.st_gid}; you are {os.geteuid()}): run as that user, "
                "join that group, or use sudo"
            )
    return ""


def _missing_wheel() -> str:
    if not _version("tensorflow-tpu"):
        return f"this TensorFlow has no TPU support; {INSTALL}"
    if os.environ.get("TPU_LOAD_LIBRARY") == "0":
        return "TPU_LOAD_LIBRARY=0 keeps libtpu away; unset it"
    if os.environ.get("TPU_LIBRARY_PATH"):
        return ""
    version = _version("libtpu")
    if not version:
        return f"libtpu is not installed; {INSTALL}"
    numbers = [int(number) for number in re.findall(r"\d+", version)]
    if tuple(numbers[:3]) >= _LIBTPU_BELOW:
        return (
            f"libtpu {version} does not go with this TensorFlow; "
            "pip install libtpu==0.0.21"
        )
    return ""


def _held(lock: Path) -> str:
    """Who else has the TPU.

    The lock must not be tried: to close the file again would take libtpu's
    own lock from this process.
    """
    try:
        inode = lock.stat().st_ino
        locks = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return ""
    for fields in (line.split() for line in locks):
        # number: POSIX ADVISORY WRITE pid major:minor:inode start end
        if fields[1:2] != ["POSIX"] or fields[5].split(":")[2] != str(inode):
            continue
        holder = int(fields[4])
        if holder != os.getpid():
            return (
                f"process {holder}{_command(holder)} has the TPU, by {lock}; "
                "wait for it or end it"
            )
    if not os.access(lock, os.R_OK | os.W_OK, effective_ids=True):
        return (
            f"{lock} was left by user {lock.stat().st_uid}, and no process "
            f"holds it; sudo rm {lock}"
        )
    return ""


def _command(process: int) -> str:
    try:
        return f" ({Path(f'/proc/{process}/comm').read_text().strip()})"
    except OSError:
        return ""


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def _silence(host: str, port: int) -> str:
    """Why no gRPC server answers, empty where one does."""
    # It comes with TensorFlow, and only this needs it.
    import grpc

    def connect() -> None:
        # Refusals and unknown names are told apart here, and not by gRPC.
        socket.create_connection((host, port), CONNECT_SECONDS / 2).close()

    try:
        within(CONNECT_SECONDS / 2, connect)
    except OSError as error:
        return _why(error)
    channel = grpc.insecure_channel(
        f"{host}:{port}", options=[("grpc.enable_http_proxy", 0)]
    )
    try:
        grpc.channel_ready_future(channel).result(CONNECT_SECONDS / 2)
    except grpc.FutureTimeoutError:
        return "something takes the connection, but it is no gRPC server"
    finally:
        channel.close()
    return ""


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return getattr(error, "strerror", None) or str(error)
