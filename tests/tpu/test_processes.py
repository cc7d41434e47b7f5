"""Work in a process of its own."""

from __future__ import annotations

import os
import signal

import pytest

from efficientnet_tf.errors import InputError, RunError
from efficientnet_tf.tpu.processes import apart


def noisy(number: int, *, times: int) -> tuple[int, int]:
    print("noise on stdout")
    os.write(2, b"noise on stderr\n")
    return number * times, os.getpid()


def refuses(value: str) -> None:
    raise InputError(f"field {value!r} is wrong")


def fails() -> None:
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
    with pytest.raises(RunError, match="^ZeroDivisionError: division by zero$"):
        apart("dividing", fails)


def test_a_process_that_dies_leaves_its_last_words() -> None:
    expected = r"^aborting: .* \(signal 6\); its last words: .*a check failed"
    with pytest.raises(RunError, match=expected):
        apart("aborting", dies)
