"""A bar that stays whole on any terminal, and lines without one."""

import errno
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from efficientnet_tf import progress as progress_module
from efficientnet_tf.progress import training_note

ROOT = Path(__file__).parents[1]
NOTE = "loss 2.311 | top-1 0.412 | 812 images/s | input 3 %"
PROGRAM = f"""
from efficientnet_tf.progress import progress
with progress("efficientnet-lite0", 5400, 40) as advance:
    for done in range(45, 5401, 15):
        advance(done, {NOTE!r})
"""
# What moves the cursor, colours and hides.
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


def on_terminal(width):
    """What a terminal of that width is left with, line by line."""
    ours, theirs = pty.openpty()
    size = struct.pack("HHHH", 40, width, 0, 0)
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
    environment = {**os.environ, "TERM": "xterm"}
    # Some shells export what would overrule the terminal.
    for name in ("COLUMNS", "LINES"):
        environment.pop(name, None)
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        stderr=theirs,
        stdin=theirs,
        env=environment,
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 65536):
                shown += part
        except OSError as error:
            # A terminal that nobody holds any more.
            assert error.errno == errno.EIO
        os.close(ours)
    assert process.returncode == 0
    # Each frame begins by erasing the one before.
    last = shown.decode().rpartition("\x1b[2K")[2]
    return [line for line in CONTROL.sub("", last).split("\n") if line.strip()]


@pytest.mark.parametrize("width", [30, 44, 60, 80, 160])
def test_a_bar_takes_two_lines_on_any_terminal(width):
    bar, note = on_terminal(width)
    assert max(len(bar), len(note)) <= width
    assert bar.startswith("effic")
    if width >= 44:
        assert "5400/5400" in bar
    if width >= len(NOTE):
        assert note.rstrip() == NOTE
        assert "efficientnet-lite0" in bar
    else:
        assert note.startswith(NOTE[:20])
        assert note.rstrip().endswith("…")


def lines_of(program):
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr.splitlines()


def test_without_a_terminal_the_last_line_is_always_there():
    assert lines_of(PROGRAM) == [f"efficientnet-lite0 5,400/5,400 | {NOTE}"]


def test_a_line_now_and_then_says_what_is_left():
    program = f"""
import time
from efficientnet_tf import progress
progress.LINE_SECONDS = 0.2
with progress.progress("work", 1000) as advance:
    advance(1)
    time.sleep(0.25)
    advance(250, {NOTE!r})
    time.sleep(0.1)
    advance(999)
    raise KeyError
"""
    first, second, *rest = lines_of(program)
    # 0.25 s for 250, whatever the machine's pace: under a minute for 750.
    assert re.fullmatch(
        rf"work 250/1,000 \| 0:00:\d\d left \| {re.escape(NOTE)}", first
    )
    assert second == "work 999/1,000 | 0:00:00 left"
    assert "KeyError" in rest[-1]


def test_a_line_that_was_said_is_not_said_again():
    program = """
from efficientnet_tf import progress
progress.LINE_SECONDS = 0
with progress.progress("work", 2) as advance:
    advance(2)
with progress.progress("nothing", 2) as advance:
    pass
"""
    assert lines_of(program) == ["work 2/2"]


@pytest.mark.parametrize(
    ("figures", "note"),
    [
        ((2.3111, 811.6, 0.0312, 0.4119), NOTE),
        ((6.9, 0.44, 1.0, None), "loss 6.900 | 0.4 images/s | input 100 %"),
        (
            (0.5, 12345.6, 0, 1.0),
            "loss 0.500 | top-1 1.000 | 12,346 images/s | input 0 %",
        ),
    ],
)
def test_notes(figures, note):
    loss, pace, share, top1 = figures
    assert note == training_note(
        loss=loss, images_per_second=pace, input_wait_share=share, top1=top1
    )


def test_waiting_says_now_and_then_how_long_it_has_been(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress_module.waiting("compiling") as tick:
        tick()
        assert capsys.readouterr().err == ""
        monkeypatch.setattr(progress_module, "LINE_SECONDS", 0.0)
        tick()
    assert capsys.readouterr().err == "compiling | 0:00:00\n"
