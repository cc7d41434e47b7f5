"""Work in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from efficientnet_tf.errors import InputError, RunError
from efficientnet_tf.tpu.processes import apart

# Its child tells its number where only the parent's output leads.
PARENT = """
import os, sys
from efficientnet_tf.tpu.processes import apart
from tests.tpu.test_processes import tells_and_waits
if __name__ == "__main__":
    apart("waiting", tells_and_waits, os.getpid())
"""


def tells_and_waits(parent: int) -> None:
    with open(f"/proc/{parent}/fd/1", "w") as output:
        print(os.getpid(), file=output, flush=True)
    time.sleep(600)


def noisy(number: int, *, times: int) -> tuple[int, int]:
    print("noise on stdout")
    os.write(2, b"noise on stderr\n")
    return number * times, os.getpid()


def refuses(value: str) -> None:
    raise InputError(f"field {value!r} is wrong")


def fails() -> None:
    os.write(2, b"trying\n")
    raise ZeroDivisionError("division\nby zero")


def dies() -> None:
    os.write(2, b"a check failed in C++\n")
    os.kill(os.getpid(), signal.SIGABRT)


def test_the_result_travels_and_the_noise_does_not(
    capfd: pytest.CaptureFixture[str],
) -> None:
    product, process = apart("multiplying", noisy, 6, times=7)
    assert product == 42
    assert process != os.getpid()
    assert capfd.readouterr() == ("", "")


def test_an_input_error_stays_one() -> None:
    with pytest.raises(InputError, match="field 'x' is wrong"):
        apart("checking", refuses, "x")


def test_any_other_error_is_said_in_one_line() -> None:
    expected = (
        "^dividing: ZeroDivisionError: division by zero; "
        "its last words: trying$"
    )
    with pytest.raises(RunError, match=expected):
        apart("dividing", fails)


def test_the_process_ends_with_its_parent() -> None:
    """However the parent ends: SIGKILL gives it no time to tell."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert os.path.exists(f"/proc/{child}")
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while os.path.exists(f"/proc/{child}"):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_process_that_dies_leaves_its_last_words() -> None:
    expected = r"^aborting: .* \(signal 6\); its last words: .*a check failed"
    with pytest.raises(RunError, match=expected):
        apart("aborting", dies)
