"""Many short trainings, as many at a time as there are workers.

    OUT/NAME/run/   a model directory
    OUT/NAME/claim/ held by the process that trains it
    OUT/NAME/log    what it said

Each is a process of its own: one that dies is started again and goes on from
its checkpoint. The same command given again keeps what is finished; given at
the same time, on this machine or on another one that sees the folder, it takes
what nobody has claimed.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from efficientnet_tf.errors import InputError, RunError
from efficientnet_tf.progress import progress
from efficientnet_tf.search.one_run import TAKEN, run_folder, train_here
from efficientnet_tf.training.config import Config, conflicts
from efficientnet_tf.training.model_dir import ModelDir
from efficientnet_tf.training.run import open_run

LOG = "log"
# Times that a training is started before it counts as failed.
STARTS = 3
_POLL_SECONDS = 0.2
# Before a training that another process has claimed is looked at again.
_PATIENCE_SECONDS = 5.0
_LOG_LINES = 3


@dataclass(frozen=True)
class Outcome:
    """What became of a training.

    Attributes:
        name: Of the training.
        result: As in `result.json`; None where it failed.
        failed: The last words of one that failed.
    """

    name: str
    result: dict[str, Any] | None
    failed: str = ""


def train_all(
    configs: Mapping[str, Config], out: str, workers: int
) -> list[Outcome]:
    """Trains each config in a folder of its own.

    Args:
        configs: By the name of the folder.
        out: A local folder of all.
        workers: Trainings at a time; they share the cores out.

    Returns:
        An outcome for each config, in their order.

    Raises:
        InputError: A folder holds a training of another config, or the folder
            cannot be written.
    """
    for name, config in configs.items():
        _prepare(os.path.join(out, name), config)
    waiting = [name for name in configs if _result(out, name) is None]
    team = _Team(configs, out, workers)
    begun = len(configs) - len(waiting)
    with progress("trained", len(configs), begun) as show, team.at_work():
        while waiting or team.busy:
            team.start(waiting)
            left = len(waiting) + team.busy + len(team.failed)
            show(len(configs) - left)
            time.sleep(_POLL_SECONDS)
            waiting += team.collect()
        show(len(configs) - len(team.failed))
    return [
        Outcome(name, _result(out, name), team.failed.get(name, ""))
        for name in configs
    ]


class _Team:
    """The processes at work."""

    def __init__(self, configs: Mapping[str, Config], out: str, workers: int):
        self._configs = configs
        self._out = out
        self._context = multiprocessing.get_context("spawn")
        self._cores = _shared_out(sorted(os.sched_getaffinity(0)), workers)
        # By the number of the worker.
        self._processes: dict[int, tuple[str, BaseProcess]] = {}
        self._starts: dict[str, int] = {}
        self._not_before: dict[str, float] = {}
        self.failed: dict[str, str] = {}

    @property
    def busy(self) -> int:
        """How many are at work."""
        return len(self._processes)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Lets all save and end where the block is left early."""
        try:
            yield
        finally:
            for _, process in self._processes.values():
                process.terminate()
            for _, process in self._processes.values():
                process.join()

    def start(self, waiting: list[str]) -> None:
        """Gives work to whoever has none; takes it from the list."""
        now = time.monotonic()
        for number, cores in enumerate(self._cores):
            if number in self._processes:
                continue
            due = (
                name
                for name in waiting
                if self._not_before.get(name, 0.0) <= now
            )
            name = next(due, None)
            if name is None:
                return
            waiting.remove(name)
            folder = os.path.join(self._out, name)
            process = self._context.Process(
                target=train_here,
                args=(
                    self._configs[name],
                    folder,
                    os.path.join(folder, LOG),
                    cores,
                ),
            )
            process.start()
            self._processes[number] = name, process

    def collect(self) -> list[str]:
        """Names of those that have to be started again."""
        again = []
        for number, (name, process) in list(self._processes.items()):
            if process.is_alive():
                continue
            process.join()
            del self._processes[number]
            if self._is_to_start_again(name, process.exitcode):
                again.append(name)
        return again

    def _is_to_start_again(self, name: str, code: int | None) -> bool:
        if code == TAKEN:
            self._not_before[name] = time.monotonic() + _PATIENCE_SECONDS
        if code == TAKEN or _result(self._out, name) is not None:
            return code == TAKEN
        self._starts[name] = self._starts.get(name, 0) + 1
        # Wrong input, and a training that diverges, come out the same again.
        died = code is not None and code < 0
        if died and self._starts[name] < STARTS:
            print(
                f"{name}: its process died of signal {-(code or 0)}; it is "
                "started again",
                file=sys.stderr,
            )
            return True
        log = Path(self._out, name, LOG)
        lines = log.read_text(errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        self.failed[name] = " / ".join(said[-_LOG_LINES:]) or f"code {code}"
        return False


def _prepare(folder: str, config: Config) -> None:
    """Refuses data that no run can use, and another run; makes a folder."""
    run = open_run(config, run_folder(folder))
    present = run.model_dir.config()
    if present is not None and (changed := conflicts(present, run.config)):
        raise InputError(
            f"{folder} holds a training with another {changed[0]}; choose "
            "another --out"
        )
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"--out {folder} cannot be made: {error.strerror}"
        ) from None


def _result(out: str, name: str) -> dict[str, Any] | None:
    return ModelDir(run_folder(os.path.join(out, name))).result()


def _shared_out(cores: list[int], workers: int) -> list[tuple[int, ...]]:
    """Cores of each worker; none where there are more workers than cores."""
    if workers < 1:
        raise InputError(f"--workers {workers} must be at least 1")
    if workers > len(cores):
        return [()] * workers
    return [tuple(cores[number::workers]) for number in range(workers)]


def finished(outcomes: list[Outcome]) -> list[Outcome]:
    """Those that have a result.

    Raises:
        RunError: There is none.
    """
    done = [each for each in outcomes if each.result is not None]
    if not done:
        raise RunError(
            f"not one training came to its end; {outcomes[0].name}: "
            f"{outcomes[0].failed}"
        )
    return done
