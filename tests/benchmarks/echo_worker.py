"""A worker that does as its arguments say."""

from __future__ import annotations

import os
import sys

from benchmarks.harness import Figures
from benchmarks.worker import serve

TURNS = 0


def _turn(number: int) -> Figures:
    global TURNS
    TURNS += 1
    if "dies" in sys.argv and number == 1:
        print("out of luck", file=sys.stderr)
        os._exit(3)
    if "chats" in sys.argv:
        print('{"pid": -1}', flush=True)
        os.write(1, b"from a library\n")
    return {"number": number, "turns": TURNS, "pid": os.getpid()}


def _start():
    if "fails" in sys.argv:
        raise ValueError("cannot start")
    once = "once" in sys.argv
    return {"pid": os.getpid()}, None if once else _turn


if __name__ == "__main__":
    serve(_start)
