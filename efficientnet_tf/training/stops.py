"""Requests to stop a training: signals, and notices of Google Cloud.

TensorFlow's own handler of preemptions does nothing on a Cloud TPU, and cannot
be asked between two steps.
"""

from __future__ import annotations

import http.client
import os
import signal
import threading
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any

from efficientnet_tf.errors import TEMPORARY

POLL_SECONDS = 5.0
ANSWER_SECONDS = 2.0

# metadata.google.internal, without a lookup that may stall elsewhere.
_METADATA = "169.254.169.254"
# A virtual machine that is migrated only stands still for a moment.
_TERMINATION = "TERMINATE_ON_HOST_MAINTENANCE"
_SIGNAL_EXIT = 128


@dataclass(frozen=True)
class Stop:
    """Why a training should stop.

    Attributes:
        reason: In a few words.
        exit_code: Of the process: 128 and the number of a signal, as shells
            have it, or `TEMPORARY` where the machine goes away.
    """

    reason: str
    exit_code: int


class Stops:
    """Listens for requests to stop while its block runs.

    The first SIGTERM or SIGINT only makes `reason` say so; a second SIGINT
    raises KeyboardInterrupt. Signals come to the main thread alone, so that in
    another one only Google Cloud is asked: a machine's metadata server says
    when it is about to be preempted or shut down. GCE_METADATA_HOST names
    another server; elsewhere than on Google Cloud the first question fails and
    no other is asked.
    """

    def __init__(self) -> None:
        self._stop: Stop | None = None
        self._previous: dict[int, Any] = {}
        self._left = threading.Event()

    def reason(self) -> Stop | None:
        """The first request, None where there is none."""
        return self._stop

    def __enter__(self) -> Stops:
        """Begins to listen."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                # Whoever began us in the background may have switched it off.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._hear)
        # A daemon: a server that is silent must not keep the process.
        threading.Thread(target=self._ask, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Gives the signals back to whoever had them."""
        self._left.set()
        for number, handler in self._previous.items():
            # None is a handler that was not installed from Python.
            signal.signal(number, handler or signal.SIG_DFL)
        self._previous.clear()

    def _hear(self, number: int, _: FrameType | None) -> None:
        first = self._stop is None
        if not first and number == signal.SIGINT:
            raise KeyboardInterrupt
        if first:
            name = signal.Signals(number).name
            self._stop = Stop(name, _SIGNAL_EXIT + number)
            again = ", once more at once" if number == signal.SIGINT else ""
            # Not by `print`, in the middle of which we may be.
            note = f"{name}: stops at the next report{again}\n"
            with suppress(OSError):
                os.write(2, note.encode())

    def _ask(self) -> None:
        """Asks Google Cloud until it announces something."""
        host = os.environ.get("GCE_METADATA_HOST") or _METADATA
        if _ask_metadata(host, "preempted") is None:
            return
        while self._stop is None:
            if _ask_metadata(host, "preempted") == "TRUE":
                self._notice("this machine is being preempted")
            elif _ask_metadata(host, "maintenance-event") == _TERMINATION:
                self._notice(f"maintenance: {_TERMINATION}")
            if self._left.wait(POLL_SECONDS):
                return

    def _notice(self, reason: str) -> None:
        # A signal may have been quicker.
        self._stop = self._stop or Stop(reason, TEMPORARY)


def _ask_metadata(host: str, what: str) -> str | None:
    """What the metadata server says of this machine.

    Returns:
        Its word, empty where it has none; None where nothing answers, or
        something that is not Google's.
    """
    # No urllib: a proxy of the environment's knows nothing of this machine.
    connection = http.client.HTTPConnection(host, timeout=ANSWER_SECONDS)
    try:
        connection.request(
            "GET",
            f"/computeMetadata/v1/instance/{what}",
            headers={"Metadata-Flavor": "Google"},
        )
        answer = connection.getresponse()
        if answer.getheader("Metadata-Flavor") != "Google":
            return None
        word = answer.read().decode(errors="replace").strip()
        return word if answer.status == http.client.OK else ""
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
