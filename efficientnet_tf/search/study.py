"""A study of Optuna: its storage, its sampler, its trials."""

from __future__ import annotations

import dataclasses
import os
import socket
import time
import warnings
import zlib
from collections.abc import Callable
from typing import Any

import optuna
from optuna.exceptions import DuplicatedStudyError, ExperimentalWarning
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.samplers import (
    BaseSampler,
    NSGAIISampler,
    RandomSampler,
    TPESampler,
)
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from efficientnet_tf.errors import InputError
from efficientnet_tf.search.evolution import EvolutionSampler
from efficientnet_tf.search.settings import (
    Pruning,
    SamplerName,
    Settings,
    settings_from,
)
from efficientnet_tf.training.config import Config
from efficientnet_tf.training.config_files import from_dict, to_dict

NAME = "search"
FILE = "study.db"
# A worker says so often that it lives; one that is silent for so long is dead.
HEARTBEAT_SECONDS = 5
GRACE_SECONDS = 60
# What the first process of a study takes at most to say of what it is.
BEGINNING_SECONDS = 5.0
# A candidate that has killed so many workers is not given to another one.
RETRIES = 3
# Several write to the one file.
_SQLITE_SECONDS = 120
# Trials at random before the sampler knows enough, and before any is pruned.
_STARTUP_TRIALS = 10


def storage_url(storage: str, out: str) -> str:
    """Where trials are: what was said, or a SQLite file in the folder.

    Raises:
        InputError: It is no URL, or the folder is not local.
    """
    if not storage:
        if "://" in out:
            raise InputError(
                f"--out={out} is not local: name a database by "
                "--storage=postgresql://USER@HOST/NAME"
            )
        return f"sqlite:///{os.path.abspath(os.path.join(out, FILE))}"
    if "://" not in storage:
        raise InputError(
            f"--storage {storage!r} must be a URL, such as "
            "postgresql://USER@HOST/NAME or sqlite:///FILE.db"
        )
    # SQLAlchemy takes the bare word for psycopg2.
    return storage.replace("postgresql://", "postgresql+psycopg://", 1)


def open_storage(url: str) -> RDBStorage:
    """Opens a database, in which dead workers' trials are found and retried.

    A journal file would do without a database, and knows no heartbeat.

    Raises:
        InputError: It cannot be opened.
    """
    arguments: dict[str, Any] = {}
    if url.startswith("sqlite"):
        arguments = {"connect_args": {"timeout": _SQLITE_SECONDS}}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return RDBStorage(
                url,
                engine_kwargs=arguments,
                heartbeat_interval=HEARTBEAT_SECONDS,
                grace_period=GRACE_SECONDS,
                heartbeat_stale_trial_callback=retry(),
            )
    except ImportError as error:
        raise InputError(
            f"--storage {_shown(url)}: {error.name} is not installed; pip "
            "install it"
        ) from None
    except (SQLAlchemyError, ValueError) as error:
        shown = _shown(url)
        why = str(error).splitlines()[0].replace(url, shown)
        raise InputError(f"--storage {shown} cannot be opened: {why}") from None


def _shown(url: str) -> str:
    """A database for people: without its password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return f"{url.partition(':')[0]}:..."


def retry() -> RetryHeartbeatStaleTrialCallback:
    """Puts a trial that ended without a result back into the queue."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return RetryHeartbeatStaleTrialCallback(max_retry=RETRIES)


def create(
    storage: RDBStorage, settings: Settings, config: Config
) -> optuna.Study:
    """Begins a study, which keeps what it is of.

    Raises:
        InputError: The storage holds one.
    """
    directions = [StudyDirection.MAXIMIZE]
    if settings.objective == "pareto":
        directions.append(StudyDirection.MINIMIZE)
    _remove_half_begun(storage)
    try:
        study = optuna.create_study(
            storage=storage,
            study_name=NAME,
            directions=directions,
            sampler=sampler(settings, settings.seed),
            pruner=_PRUNERS[settings.pruning](),
        )
    except DuplicatedStudyError:
        raise InputError(
            "there is a search already; --resume joins it, another --out or "
            "--storage begins another"
        ) from None
    study.set_user_attr("settings", dataclasses.asdict(settings))
    study.set_user_attr("config", to_dict(config))
    return study


def _remove_half_begun(storage: RDBStorage) -> None:
    """Removes a study whose process was killed before it said of what it is."""

    def half_begun() -> bool:
        try:
            study = optuna.load_study(storage=storage, study_name=NAME)
        except KeyError:
            return False
        return not {"settings", "config"} <= set(study.user_attrs)

    if half_begun():
        # Another process may be at it.
        time.sleep(BEGINNING_SECONDS)
        if half_begun():
            optuna.delete_study(storage=storage, study_name=NAME)


def join(storage: RDBStorage) -> tuple[optuna.Study, Settings, Config]:
    """Opens the study that a storage holds.

    Raises:
        InputError: It holds none.
    """
    try:
        study = optuna.load_study(storage=storage, study_name=NAME)
        kept = study.user_attrs
        settings = settings_from(kept["settings"])
        config = from_dict(kept["config"])
    except KeyError:
        raise InputError(
            "there is no search to go on with; begin one without --resume"
        ) from None
    # Two workers must not draw the same.
    who = f"{settings.seed} {len(study.trials)} {socket.gethostname()}"
    study.sampler = sampler(
        settings, zlib.crc32(f"{who} {os.getpid()}".encode())
    )
    study.pruner = _PRUNERS[settings.pruning]()
    return study, settings, config


def sampler(settings: Settings, seed: int) -> BaseSampler:
    """How candidates are found."""
    return _SAMPLERS[settings.sampler](settings.population, seed)


def reported(study: optuna.Study) -> list[FrozenTrial]:
    """Trials that have ended for good: those of dead workers are retried."""
    trials = study.get_trials(deepcopy=False)
    again = {number for trial in trials for number in retry_history(trial)}
    return [
        trial
        for trial in trials
        if trial.state.is_finished() and trial.number not in again
    ]


def under_way(study: optuna.Study) -> tuple[int, int]:
    """How many trials run, and how many wait for a worker."""
    states = [trial.state for trial in study.get_trials(deepcopy=False)]
    return states.count(TrialState.RUNNING), states.count(TrialState.WAITING)


def retry_history(trial: FrozenTrial) -> list[int]:
    """Numbers of the trials that this one is a retry of."""
    return list(trial.system_attrs.get("retry_history", []))


def _evolution(population: int, seed: int) -> BaseSampler:
    # A quarter, as in the paper: 25 of 100.
    return EvolutionSampler(population, max(2, population // 4), seed)


def _tpe(population: int, seed: int) -> BaseSampler:
    return TPESampler(n_startup_trials=_STARTUP_TRIALS, seed=seed)


def _nsga2(population: int, seed: int) -> BaseSampler:
    return NSGAIISampler(population_size=max(2, population), seed=seed)


def _random(population: int, seed: int) -> BaseSampler:
    return RandomSampler(seed)


_SAMPLERS: dict[SamplerName, Callable[[int, int], BaseSampler]] = {
    "evolution": _evolution,
    "tpe": _tpe,
    "nsga2": _nsga2,
    "random": _random,
}
_PRUNERS: dict[Pruning, Callable[[], BasePruner]] = {
    "median": lambda: MedianPruner(n_startup_trials=_STARTUP_TRIALS),
    "off": NopPruner,
}
