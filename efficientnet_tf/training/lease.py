"""One process at a time in a directory, on this machine or on gs://.

On a local path the system's lock does it. On gs:// the holder writes an object
anew every few seconds; whoever finds it watches whether that goes on. Clocks of
other machines are not asked, and no request depends on the object's state, as
`tf.io.gfile` has none that would.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import tensorflow as tf

from efficientnet_tf.errors import InputError, RunError

LEASE = "lease.json"
_LOCK = ".lock"


class InUse(InputError):
    """Another process works in the folder."""


@dataclass(frozen=True)
class LeaseSeconds:
    """How long everything takes.

    Attributes:
        beat: Between two writings of a holder.
        patience: That a lease is watched before it counts as abandoned;
            several beats, as one may be late.
        settle: Between writing a lease and having it, in which another one
            who found none either has written theirs.
        poll: Between two looks at a lease that is watched.
    """

    beat: float = 15.0
    patience: float = 45.0
    settle: float = 2.0
    poll: float = 1.0


@dataclass(frozen=True)
class Holder:
    """Who holds a lease, as the object says it.

    Attributes:
        token: Drawn by lot for every lease.
        host: Name of the machine, for the reader.
        pid: Number of the process.
        process: Which process of all that ever were: the system's start, the
            space of its process numbers, and the process's own start. Empty
            where the system does not tell.
        since: When the lease began, by the holder's clock.
    """

    token: str
    host: str
    pid: int
    process: tuple[str, ...]
    since: str

    @classmethod
    def of_this_process(cls) -> Holder:
        """A holder that no lease names yet."""
        return cls(
            token=uuid.uuid4().hex,
            host=socket.gethostname(),
            pid=os.getpid(),
            process=_process(os.getpid()),
            since=f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
        )

    @property
    def is_dead(self) -> bool:
        """Whether it was a process of this very machine, and is no more."""
        here = _process(os.getpid())
        # Of a container's process, this machine sees neither life nor death.
        if len(here) < 3 or list(self.process[:2]) != list(here[:2]):
            return False
        return list(_process(self.pid)) != list(self.process)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


class Lease:
    """What a holder asks whether it still is one; a local lock is for good."""

    def lost(self) -> bool:
        """Whether another process has taken over."""
        return False

    def check(self) -> None:
        """Ends a run that is no longer alone; asked before it writes.

        Raises:
            RunError: Another process has taken over.
        """
        if self.lost():
            raise RunError(
                "another process has taken over the model directory, as this "
                "one was not heard of for too long; it ends without writing "
                "any more"
            )


@contextmanager
def hold(folder: str, seconds: LeaseSeconds | None = None) -> Iterator[Lease]:
    """Keeps other processes out of a folder while the block runs.

    A process that dies is outlived by a local lock not at all, by a lease on
    gs:// for `patience` and a little, unless it ran on this machine.

    Args:
        folder: Local, or an address such as gs://.
        seconds: Other times than the usual ones, of a lease.

    Raises:
        InUse: Another process is in there.
    """
    if "://" in folder:
        with hold_by_beats(folder, seconds or LeaseSeconds()) as lease:
            yield lease
        return
    with open(os.path.join(folder, _LOCK), "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUse(f"{folder} is in use by another process") from None
        except OSError as error:
            raise InputError(
                f"{folder} cannot be locked: {error.strerror}"
            ) from error
        yield Lease()


@contextmanager
def hold_by_beats(folder: str, seconds: LeaseSeconds) -> Iterator[Lease]:
    """`hold` by an object that is written again and again, anywhere.

    Raises:
        InputError: Another process is in there, or the object cannot be
            written.
    """
    holder = Holder.of_this_process()
    path = os.path.join(folder, LEASE)
    try:
        _take(path, folder, holder, seconds)
    except tf.errors.OpError as error:
        raise InputError(
            f"{path} cannot be written: {error.message}"
        ) from error
    lease = _BeatingLease(path, holder, seconds)
    try:
        yield lease
    finally:
        lease.end()


class _BeatingLease(Lease):
    """A lease that a thread renews, until it ends or is lost."""

    def __init__(self, path: str, holder: Holder, seconds: LeaseSeconds):
        self._path = path
        self._holder = holder
        self._seconds = seconds
        self._lost = False
        self._ended = threading.Event()
        self._confirmed = time.monotonic()
        self._beats = 0
        # For the object, which two threads look at.
        self._lock = threading.Lock()
        self._thread = threading.Thread(
            target=self._renew, name="lease", daemon=True
        )
        self._thread.start()

    def lost(self) -> bool:
        """Whether another process has taken over.

        Asks the object itself where the last beat is long ago: this process
        may have been stopped meanwhile.
        """
        silent = time.monotonic() - self._confirmed
        if silent > (self._seconds.beat + self._seconds.patience) / 2:
            # What cannot be read now, cannot be written to either.
            with suppress(tf.errors.OpError), self._lock:
                self._confirm()
        return self._lost

    def end(self) -> None:
        """Stops renewing, and removes the lease unless it is another's."""
        self._ended.set()
        self._thread.join()
        with suppress(tf.errors.OpError):
            self._confirm()
            if not self._lost:
                tf.io.gfile.remove(self._path)

    def _renew(self) -> None:
        while not self._ended.wait(self._seconds.beat):
            # Another beat will do: the next one, or that of `lost`.
            with suppress(tf.errors.OpError), self._lock:
                self._confirm()
                if self._lost:
                    return
                self._beats += 1
                _write(self._path, self._holder, self._beats)

    def _confirm(self) -> None:
        """Compares the object with what this process wrote."""
        asked = time.monotonic()
        found = _holder(_read(self._path))
        if found is not None and found.token != self._holder.token:
            self._lost = True
        self._confirmed = asked


def _take(
    path: str, folder: str, holder: Holder, seconds: LeaseSeconds
) -> None:
    """Returns when the lease is this process's.

    Two that find none both write; the later writing stays, and each reads it
    back only after the other must have written.
    """
    while True:
        _watch(path, folder, seconds)
        began = time.monotonic()
        _write(path, holder, 0)
        if time.monotonic() - began > seconds.settle:
            # Slow enough to have written over somebody who had read theirs
            # back: who sees it at the next beat, and ends.
            time.sleep(seconds.beat)
        time.sleep(seconds.settle)
        found = _holder(_read(path))
        if found == holder:
            return


def _watch(path: str, folder: str, seconds: LeaseSeconds) -> None:
    """Returns when nobody has the lease.

    Raises:
        InputError: Somebody has.
    """
    first = _read(path)
    holder = _holder(first)
    if first is None or (holder is not None and holder.is_dead):
        return
    print(
        f"{folder} is in use by {holder or 'another process'}; waiting up to "
        f"{seconds.patience:g} s for a sign of life",
        file=sys.stderr,
    )
    began = time.monotonic()
    while time.monotonic() - began < seconds.patience:
        time.sleep(seconds.poll)
        now = _read(path)
        if now is None:
            return
        if now != first:
            raise InUse(
                f"{folder} is in use by "
                f"{_holder(now) or holder or 'another process'}; "
                "choose another --model_dir, or end that process"
            )


def _read(path: str) -> str | None:
    """The object's text; None where there is none."""
    try:
        # Its length is not asked for: TensorFlow remembers that of gs://.
        with tf.io.gfile.GFile(path, "rb") as file:
            return bytes(file.read(2**16)).decode(errors="replace")
    except tf.errors.NotFoundError:
        return None


def _holder(text: str | None) -> Holder | None:
    """Who wrote a lease; None where it is half written, or not there."""
    try:
        content = json.loads(text or "")
        del content["beat"]
        return Holder(**content | {"process": tuple(content["process"])})
    except (ValueError, TypeError, KeyError):
        return None


def _write(path: str, holder: Holder, beat: int) -> None:
    # In one piece: objects on gs:// are there whole or not at all.
    with tf.io.gfile.GFile(path, "wb") as file:
        file.write(json.dumps(asdict(holder) | {"beat": beat}).encode())


def _process(pid: int) -> tuple[str, ...]:
    """What tells a process from all others of its machine, by Linux's files.

    Returns:
        The system's start, the space of process numbers and the process's
        start, as far as the system tells.
    """
    parts = []
    with suppress(OSError, IndexError):
        boot = Path("/proc/sys/kernel/random/boot_id")
        parts.append(boot.read_text().strip())
        parts.append(os.readlink("/proc/self/ns/pid"))
        # Behind the name, which may hold anything: the 22nd field in all.
        stat = Path(f"/proc/{pid}/stat").read_text()
        state, *fields = stat.rpartition(")")[2].split()
        # A dead one stays in the list until its parent asks for it.
        if state not in "ZX":
            parts.append(fields[18])
    return tuple(parts)
