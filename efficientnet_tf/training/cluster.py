"""The hosts of one training, as TF_CONFIG names them. No TensorFlow here."""

from __future__ import annotations

import json
import socket
import sys
import time
from dataclasses import dataclass
from typing import Any

from efficientnet_tf.errors import InputError, RunError, near

# A peer may still be fetching its image when we are up.
PEER_SECONDS = 600.0
_RETRY_SECONDS = 0.5
_NOTE_SECONDS = 10.0
# The chief is the first worker where no task is called so.
_TYPES = ("chief", "worker")
_LOOKS = (
    'TF_CONFIG={"cluster": {"worker": ["10.0.0.2:2222", "10.0.0.3:2222"]}, '
    '"task": {"type": "worker", "index": 0}}'
)


@dataclass(frozen=True)
class Cluster:
    """The hosts of a training.

    Attributes:
        addresses: `host:port` of every process, the chief's first.
        index: Which of them is this one.
    """

    addresses: tuple[str, ...]
    index: int

    @property
    def peers(self) -> tuple[str, ...]:
        """The addresses of all others."""
        return self.addresses[: self.index] + self.addresses[self.index + 1 :]


def read_cluster(text: str) -> Cluster | None:
    """Reads the value of TF_CONFIG.

    Args:
        text: JSON, empty where the variable is not set.

    Returns:
        The hosts; None where it names this one alone, or none.

    Raises:
        InputError: It is not what TensorFlow understands.
    """
    if not text.strip():
        return None
    try:
        content = json.loads(text)
    except ValueError as error:
        raise _wrong(f"is not JSON: {error}") from None
    content = _object(content, "")
    if not content.get("cluster"):
        return None
    jobs = _object(content["cluster"], "cluster ")
    for job in jobs:
        if job not in _TYPES:
            raise _wrong(f"cluster has {job!r}: {near(job, _TYPES)}")
    addresses = {job: _addresses(jobs, job) for job in _TYPES}
    if len(addresses["chief"]) > 1:
        raise _wrong("cluster has more than one chief")
    found = addresses["chief"] + addresses["worker"]
    twice = {address for address in found if found.count(address) > 1}
    if twice:
        raise _wrong(f"cluster has {min(twice)} twice")
    task = _object(content.get("task"), "task ")
    kind, index = task.get("type"), task.get("index")
    if kind not in _TYPES or not addresses[kind]:
        there = " or ".join(job for job in _TYPES if addresses[job])
        raise _wrong(f"task.type {kind!r} must be {there}")
    if type(index) is not int or not 0 <= index < len(addresses[kind]):
        raise _wrong(
            f"task.index {index!r} must be 0 to {len(addresses[kind]) - 1}, "
            f"a place in cluster.{kind}"
        )
    if len(found) == 1:
        return None
    return Cluster(tuple(found), found.index(addresses[kind][index]))


def await_peers(cluster: Cluster, seconds: float) -> None:
    """Waits until every peer answers.

    TensorFlow itself would wait for an hour and say nothing. Meanwhile this
    process answers at its own address, so that peers which wait see it.

    Args:
        cluster: The hosts.
        seconds: How long, for all of them together.

    Raises:
        InputError: The port of this process cannot be had.
        RunError: A peer does not answer.
    """
    own = cluster.addresses[cluster.index]
    began = time.monotonic()
    try:
        port = int(own.rpartition(":")[2])
        # All interfaces, as TensorFlow does.
        listener = socket.create_server(("", port))
    except OSError as error:
        raise InputError(
            f"TF_CONFIG: {own} is this process, but {_why(error)}; is another "
            "one at work there?"
        ) from None
    with listener:
        noted = False
        for peer in cluster.peers:
            while why := _unheard(peer):
                waited = time.monotonic() - began
                if waited > seconds:
                    raise RunError(
                        f"TF_CONFIG: {peer} does not answer ({why}) after "
                        f"{waited:.0f} s; start the same command there with "
                        "its own task.index"
                    )
                if waited > _NOTE_SECONDS and not noted:
                    noted = True
                    print(
                        f"waiting up to {seconds:.0f} s for {peer}, where the "
                        f"same command must be started: {why}",
                        file=sys.stderr,
                    )
                time.sleep(_RETRY_SECONDS)


def _unheard(peer: str) -> str:
    """Why a peer cannot be reached, empty where it can be."""
    host, _, port = peer.rpartition(":")
    try:
        socket.create_connection((host, int(port)), 2).close()
    except OSError as error:
        return _why(error)
    return ""


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _addresses(jobs: dict[str, Any], job: str) -> list[str]:
    found = jobs.get(job, [])
    if not isinstance(found, list) or (job in jobs and not found):
        raise _wrong(f"cluster.{job} must be a list of host:port")
    for address in found:
        host, _, port = str(address).rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 2**16:
            raise _wrong(
                f"cluster.{job} has {address!r}, which is no host:port"
            )
    return [str(address) for address in found]


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(f"{name}must be a JSON object, not {json.dumps(value)}")
    return value


def _wrong(what: str) -> InputError:
    return InputError(f"TF_CONFIG: {what}; it must look like {_LOOKS}")
