"""Real signals to real processes, and a metadata server on loopback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from efficientnet_tf import command_line
from efficientnet_tf.errors import Stopped
from efficientnet_tf.training import stops
from efficientnet_tf.training.stops import Stop, Stops

ROOT = Path(__file__).parents[2]
# Trains in steps of a tenth of a second, and leaves the block as a loop does.
PROGRAM = """
import hashlib, sys, time
from efficientnet_tf import command_line
from efficientnet_tf.errors import Stopped
from efficientnet_tf.training.stops import Stops

def work():
    with Stops() as stops:
        print("ready", flush=True)
        for step in range(300):
            if "slow" in sys.argv:
                # As TensorFlow's calls: Python's handlers cannot come in.
                hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
            time.sleep(0.1)
            stop = stops.reason()
            if stop:
                raise Stopped(stop.reason, stop.exit_code, step)

sys.exit(command_line.run("main.py", work))
"""


class _Metadata(BaseHTTPRequestHandler):
    """Says of a machine what the server was told."""

    def do_GET(self) -> None:
        word = self.server.words.get(self.path)
        assert self.headers["Metadata-Flavor"] == "Google"
        self.server.asked.append(self.path)
        self.send_response(404 if word is None else 200)
        if self.server.flavor:
            self.send_header("Metadata-Flavor", self.server.flavor)
        self.end_headers()
        self.wfile.write((word or "not found").encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


PREEMPTED = "/computeMetadata/v1/instance/preempted"
MAINTENANCE = "/computeMetadata/v1/instance/maintenance-event"


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), _Metadata)
    server.words = {PREEMPTED: "FALSE", MAINTENANCE: "NONE"}
    server.asked = []
    server.flavor = "Google"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    host = f"127.0.0.1:{server.server_port}"
    monkeypatch.setenv("GCE_METADATA_HOST", host)
    monkeypatch.setattr(stops, "POLL_SECONDS", 0.05)
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a metadata server."""
    monkeypatch.setenv("GCE_METADATA_HOST", "127.0.0.1:1")


def begin(*words: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)]
)
def test_a_signal_ends_the_process_at_a_boundary(
    nowhere: None, number: signal.Signals, code: int
) -> None:
    process = begin()
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == code
    note, line = said.splitlines()
    assert note.startswith(f"{number.name}: stops at the end of the present")
    assert line.startswith(f"main.py: {number.name}: saved at step ")
    assert line.endswith("; the same command goes on")


def test_a_second_interrupt_does_not_wait(nowhere: None) -> None:
    process = begin("slow")
    assert process.stderr
    process.send_signal(signal.SIGINT)
    assert "once more at once" in process.stderr.readline()
    assert process.poll() is None
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert time.monotonic() - began < 10
    assert process.returncode == 130
    assert said == "SIGINT once more: ended at once\n"


def test_a_second_sigterm_changes_nothing(nowhere: None) -> None:
    with Stops() as heard:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert heard.reason() == Stop("SIGTERM", 143)


def test_handlers_go_back_to_whoever_had_them(nowhere: None) -> None:
    def theirs(number: int, frame: Any) -> None:
        """Not called."""

    before = signal.signal(signal.SIGTERM, theirs)
    try:
        with pytest.raises(ZeroDivisionError), Stops():
            assert signal.getsignal(signal.SIGTERM) is not theirs
            raise ZeroDivisionError
        assert signal.getsignal(signal.SIGTERM) is theirs
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_what_was_switched_off_stays_so(nowhere: None) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Stops() as heard:
            os.kill(os.getpid(), signal.SIGINT)
            assert heard.reason() is None
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_can_use_it(metadata: Any) -> None:
    metadata.words[PREEMPTED] = "TRUE"
    before = signal.getsignal(signal.SIGTERM)
    found: list[Any] = []

    def work() -> None:
        with Stops() as heard:
            found.append(signal.getsignal(signal.SIGTERM))
            found.append(awaited(heard))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [before, Stop("this machine is being preempted", 75)]


def awaited(heard: Stops) -> Stop | None:
    until = time.monotonic() + 10
    while heard.reason() is None and time.monotonic() < until:
        time.sleep(0.01)
    return heard.reason()


@pytest.mark.parametrize(
    ("path", "word", "reason"),
    [
        (PREEMPTED, "TRUE", "this machine is being preempted"),
        (
            MAINTENANCE,
            "TERMINATE_ON_HOST_MAINTENANCE",
            "maintenance: TERMINATE_ON_HOST_MAINTENANCE",
        ),
    ],
)
def test_what_google_cloud_announces(
    metadata: Any, path: str, word: str, reason: str
) -> None:
    with Stops() as heard:
        time.sleep(0.3)
        assert heard.reason() is None
        metadata.words[path] = word
        assert awaited(heard) == Stop(reason, 75)


def test_a_notice_that_stood_before_is_no_reason(metadata: Any) -> None:
    metadata.words[MAINTENANCE] = "TERMINATE_ON_HOST_MAINTENANCE"
    with Stops() as heard:
        time.sleep(0.5)
        assert heard.reason() is None
        metadata.words[MAINTENANCE] = "NONE"
        time.sleep(0.3)
        metadata.words[MAINTENANCE] = "TERMINATE_ON_HOST_MAINTENANCE"
        assert awaited(heard) is not None


def test_a_migration_is_no_reason_to_stop(metadata: Any) -> None:
    metadata.words[MAINTENANCE] = "MIGRATE_ON_HOST_MAINTENANCE"
    # Not every machine has both.
    del metadata.words[PREEMPTED]
    with Stops() as heard:
        time.sleep(0.5)
        assert heard.reason() is None
    assert metadata.asked.count(MAINTENANCE) > 1


def test_it_stops_asking_when_the_block_ends(metadata: Any) -> None:
    with Stops():
        time.sleep(0.2)
    time.sleep(0.2)
    asked = len(metadata.asked)
    time.sleep(0.3)
    assert len(metadata.asked) == asked


def test_another_clouds_server_is_soon_left_alone(metadata: Any) -> None:
    metadata.flavor = ""
    metadata.words[PREEMPTED] = "TRUE"
    with Stops() as heard:
        time.sleep(4.0)
        assert heard.reason() is None
    assert metadata.asked == [MAINTENANCE] * 3


def test_a_silent_server_keeps_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        host = f"127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("GCE_METADATA_HOST", host)
        began = time.monotonic()
        process = begin()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 143
        process.communicate()
        assert time.monotonic() - began < 20
        with Stops() as heard:
            assert heard.reason() is None


def test_a_stop_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        raise Stopped("SIGTERM", 143, step=120)

    assert command_line.run("main.py", work) == 143
    assert capsys.readouterr().err == (
        "main.py: SIGTERM: saved at step 120; the same command goes on\n"
    )
