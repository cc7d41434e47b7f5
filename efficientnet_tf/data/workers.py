"""The same work on many things, by a process on every core."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import (
    FIRST_EXCEPTION,
    Future,
    ProcessPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.sharedctypes import Synchronized
from typing import TypeVar

from efficientnet_tf.errors import InputError, RunError
from efficientnet_tf.progress import progress

Item = TypeVar("Item")
Result = TypeVar("Result")
Advance = Callable[[int], None]

# A process takes seconds to import TensorFlow: less work than this is not
# worth one.
IMAGES_PER_PROCESS = 1000

_TICK_SECONDS = 0.2
# <sys/prctl.h>
_PR_SET_PDEATHSIG = 1

# Of a worker process: how much all of them have done.
_all_done: Synchronized[int]


def share_out(
    what: str,
    function: Callable[[Item, Advance], Result],
    items: Sequence[Item],
    total: int,
    worth_a_process: int,
) -> list[Result]:
    """Calls a function for each thing, on all cores, and shows progress.

    Args:
        what: The work, in a word or two.
        function: One of a module, or a partial of it; it is given a thing and
            a function that wants to know how much is done, each time some is.
        items: The things.
        total: How much there is to do in all of them: images, or another
            measure.
        worth_a_process: How much of that makes another process worth its
            start; with less than twice that, this process does it all.

    Returns:
        The results, in the order of the things.

    Raises:
        RunError: A process died.
        Exception: The first that the function raised.
    """
    processes = min(cores(), len(items), total // worth_a_process)
    with progress(what, total) as show:
        if processes > 1:
            return _by_processes(function, items, processes, show)
        done = 0

        def advance(more: int) -> None:
            nonlocal done
            done += more
            show(done)

        return [function(item, advance) for item in items]


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _by_processes(
    function: Callable[[Item, Advance], Result],
    items: Sequence[Item],
    processes: int,
    show: Callable[[int], None],
) -> list[Result]:
    # TensorFlow cannot be forked once it has begun.
    context = multiprocessing.get_context("spawn")
    done = context.Value("q", 0)
    pool = ProcessPoolExecutor(
        processes, context, initializer=_begin, initargs=(done, os.getpid())
    )
    try:
        futures = [pool.submit(_work, function, item) for item in items]
        left: set[Future[Result]] = set(futures)
        while left:
            finished, left = wait(left, _TICK_SECONDS, FIRST_EXCEPTION)
            show(done.value)
            for future in finished:
                future.result()
        results = [future.result() for future in futures]
    except BaseException as error:
        # What is begun is not waited for.
        for process in list((pool._processes or {}).values()):
            process.terminate()
        pool.shutdown(cancel_futures=True)
        if isinstance(error, BrokenProcessPool):
            raise RunError(
                "a worker process died; was there memory enough? The same "
                "command goes on"
            ) from error
        raise
    pool.shutdown()
    return results


def _begin(done: Synchronized[int], parent: int) -> None:
    """Makes a worker process end with its parent, whatever ends that."""
    global _all_done
    _all_done = done
    # Ctrl-C goes to all processes of a terminal; the parent ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _work(function: Callable[[Item, Advance], Result], item: Item) -> Result:
    try:
        return function(item, _advance)
    except (InputError, RunError):
        raise
    except Exception as error:
        # Errors of TensorFlow cannot travel.
        text = " ".join(str(error).split())
        raise RunError(f"{type(error).__name__}: {text}") from None


def _advance(more: int) -> None:
    with _all_done.get_lock():
        _all_done.value += more
