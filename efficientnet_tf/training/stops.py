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
from efficientnet_tf.training.metadata import NoSuchEntry, ask_metadata

POLL_SECONDS = 5.0
# How often a machine is asked whether it is Google's, before it counts as not.
_FIRST_QUESTIONS = 3

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

    The first SIGTERM or SIGINT only makes `reason` say so; a second SIGINT ends
    the process at once, whatever it does, as a kill would. Signals come to the
    main thread alone, so that in another one only Google Cloud is asked: a
    machine's metadata server says when it is about to be preempted or shut
    down. GCE_METADATA_HOST names another server; elsewhere than on Google Cloud
    the first questions fail and no others are asked.
    """

    def __init__(self) -> None:
        self._stop: Stop | None = None
        self._previous: dict[int, Any] = {}
        self._previous_fd = -1
        self._wakeup = -1
        self._left = threading.Event()

    def reason(self) -> Stop | None:
        """The first request, None where there is none."""
        return self._stop

    def __enter__(self) -> Stops:
        """Begins to listen."""
        if threading.current_thread() is threading.main_thread():
            self._listen()
        # A daemon: a server that is silent must not keep the process.
        threading.Thread(target=self._ask, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Gives the signals back to whoever had them."""
        self._left.set()
        if self._wakeup >= 0:
            signal.set_wakeup_fd(self._previous_fd)
            os.close(self._wakeup)
            self._wakeup = -1
        for number, handler in self._previous.items():
            # None is a handler that was not installed from Python.
            signal.signal(number, handler or signal.SIG_DFL)
        self._previous.clear()

    def _listen(self) -> None:
        """Installs handlers, and a thread that hears what they cannot.

        A handler of Python's waits until TensorFlow returns from its call,
        which may take minutes; the number of a signal is written to a pipe at
        once.
        """
        reading, self._wakeup = os.pipe()
        os.set_blocking(self._wakeup, False)
        self._previous_fd = signal.set_wakeup_fd(
            self._wakeup, warn_on_full_buffer=False
        )
        threading.Thread(
            target=self._hear, args=(reading,), daemon=True
        ).start()
        for number in (signal.SIGTERM, signal.SIGINT):
            # Whoever began us in the background may have switched it off.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._previous[number] = signal.signal(number, self._handle)

    def _handle(self, number: int, _: FrameType | None) -> None:
        """Sees to it that whoever asks next is told."""
        name = signal.Signals(number).name
        self._stop = self._stop or Stop(name, _SIGNAL_EXIT + number)

    def _hear(self, reading: int) -> None:
        """Answers signals while the main thread is busy."""
        heard = False
        while numbers := os.read(reading, 1):
            (number,) = numbers
            if number not in self._previous:
                continue
            name = signal.Signals(number).name
            if not heard:
                self._handle(number, None)
                again = ""
                if number == signal.SIGINT:
                    again = ", once more at once"
                _say(f"{name}: stops at the end of the present call{again}")
            elif number == signal.SIGINT:
                _say(f"{name} once more: ended at once")
                os._exit(_SIGNAL_EXIT + number)
            heard = True
        os.close(reading)

    def _ask(self) -> None:
        """Asks Google Cloud until it announces something."""
        for _ in range(_FIRST_QUESTIONS):
            stood = _word("maintenance-event")
            if stood is not None:
                break
            if self._left.wait(1.0):
                return
        else:
            return
        while self._stop is None:
            if _word("preempted") == "TRUE":
                self._notice("this machine is being preempted")
            # A notice stands for an hour, and is no reason to stop whoever
            # has been begun in spite of it.
            now = _word("maintenance-event")
            if now != stood:
                stood = None
                if now == _TERMINATION:
                    self._notice(f"maintenance: {_TERMINATION}")
            if self._left.wait(POLL_SECONDS):
                return

    def _notice(self, reason: str) -> None:
        # A signal may have been quicker.
        self._stop = self._stop or Stop(reason, TEMPORARY)


def _word(what: str) -> str | None:
    """What the metadata server says of this machine.

    Returns:
        Its word, empty where it has none; None where nothing answers, or
        something that is not Google's.
    """
    try:
        return ask_metadata(f"instance/{what}")
    except NoSuchEntry:
        return ""
    except (OSError, http.client.HTTPException):
        return None


def _say(line: str) -> None:
    # Not by `print`, in the middle of which the main thread may be.
    with suppress(OSError):
        os.write(2, f"{line}\n".encode())
