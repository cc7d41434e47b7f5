"""What goes wrong between TensorFlow and Google Cloud Storage, on demand."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass

from gcs_api import Request

# Of `Fault.times`: until it is taken away.
ALWAYS = 10**9
# Requests that change something.
WRITES = "POST|PUT|DELETE"


@dataclass
class Fault:
    """A fault that the next requests of a kind meet.

    Attributes:
        methods: Pattern of the methods, such as "PUT|POST".
        paths: Pattern of what is in the paths.
        times: How many requests meet it; counts down.
        status: What they are answered with, without being done; 0 to do them.
        seconds: That the answer comes later.
        breaks: Whether the connection ends after half of what they send.
        met: How many have met it.
    """

    methods: str = ".*"
    paths: str = ""
    times: int = 1
    status: int = 0
    seconds: float = 0.0
    breaks: bool = False
    met: int = 0


class Faults:
    """The faults that wait for their requests."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, *faults: Fault) -> None:
        with self._lock:
            self._faults += faults

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def meet(self, request: Request) -> Fault | None:
        """The fault that this request meets, if any."""
        with self._lock:
            for fault in self._faults:
                if (
                    fault.times
                    and re.fullmatch(fault.methods, request.method)
                    and re.search(fault.paths, request.path_and_query)
                ):
                    fault.times -= 1
                    fault.met += 1
                    return fault
        return None
