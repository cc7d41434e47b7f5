"""A search from a command line to a winner."""

from __future__ import annotations

import sys
import time
import warnings
from dataclasses import asdict, replace
from typing import Any

import optuna
import tensorflow as tf
from optuna.exceptions import ExperimentalWarning
from optuna.storages import fail_stale_trials

from efficientnet_tf.errors import InputError, RunError, Stopped
from efficientnet_tf.files import make_folder
from efficientnet_tf.search import study as studies
from efficientnet_tf.search.outcome import outcome, write_outcome
from efficientnet_tf.search.settings import Settings
from efficientnet_tf.search.trial import Trials, default_target
from efficientnet_tf.training.config import Config
from efficientnet_tf.training.model_dir import ModelDir
from efficientnet_tf.training.run import open_run

_POLL_SECONDS = 1.0


def search(
    settings: Settings,
    config: Config,
    out: str,
    *,
    storage: str = "",
    strategy: tf.distribute.Strategy,
) -> dict[str, Any]:
    """Begins a search and works on it until it ends.

    Args:
        settings: The search's.
        config: How a candidate is trained, but for its network and epochs.
        out: A folder, local or gs://.
        storage: URL of a database; empty for a SQLite file in the folder.
        strategy: The devices.

    Returns:
        See `outcome`.

    Raises:
        InputError: There is a search already, or something does not fit.
        Stopped: Somebody or the machine asked to stop; `resume` goes on.
    """
    run = open_run(config)
    classes = run.network.classes
    if settings.target is None:
        target = default_target(settings, run.config, classes)
        settings = replace(settings, target=target)
    make_folder(out, "--out")
    opened = studies.open_storage(studies.storage_url(storage, out))
    study = studies.create(opened, settings, run.config)
    return _work(study, settings, run.config, out, strategy)


def resume(
    out: str,
    *,
    storage: str = "",
    data_dir: str = "",
    trials: int | None = None,
    strategy: tf.distribute.Strategy,
) -> dict[str, Any]:
    """Joins a search that was begun, here or on another machine.

    Args:
        out: This worker's folder.
        storage: See `search`.
        data_dir: Where this machine has the data, if elsewhere.
        trials: After how many the search ends, if not as it was begun.
        strategy: The devices.
    """
    study, settings, config = opened(out, storage)
    if trials is not None:
        settings = replace(settings, trials=trials)
        study.set_user_attr("settings", asdict(settings))
    if data_dir:
        config = replace(config, data=replace(config.data, dir=data_dir))
    make_folder(out, "--out")
    return _work(study, settings, config, out, strategy)


def best(out: str, *, storage: str = "") -> dict[str, Any]:
    """What a search has found so far; it may still run."""
    study, settings, config = opened(out, storage)
    make_folder(out, "--out")
    return _found(study, settings, config, out)


def opened(out: str, storage: str) -> tuple[optuna.Study, Settings, Config]:
    """The search in a folder or in a database.

    Raises:
        InputError: There is none.
    """
    url = studies.storage_url(storage, out)
    path = url.removeprefix("sqlite:///")
    if path != url and not tf.io.gfile.exists(path):
        raise InputError(
            f"there is no search in {path}; begin one without --resume and "
            "--best, or name its --out or --storage"
        )
    return studies.join(studies.open_storage(url))


def _work(
    study: optuna.Study,
    settings: Settings,
    config: Config,
    out: str,
    strategy: tf.distribute.Strategy,
) -> dict[str, Any]:
    classes = config.model.classes
    if classes is None or settings.target is None:
        raise InputError("the study leaves classes or target open; begin anew")
    objective = Trials(
        settings,
        config,
        classes,
        settings.target,
        ModelDir(out).join("trials"),
        strategy,
    )
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        while _wants_more(study, settings.trials):
            _one(study, objective)
            _tell(study, settings)
    return _found(study, settings, config, out)


def _wants_more(study: optuna.Study, trials: int) -> bool:
    """Whether a trial is to begin; waits while those that run may do."""
    while True:
        fail_stale_trials(study)
        done = len(studies.reported(study))
        running, waiting = studies.under_way(study)
        if waiting or done + running < trials:
            return True
        if not running:
            return False
        time.sleep(_POLL_SECONDS)


def _one(study: optuna.Study, objective: Trials) -> None:
    """A trial; one that is stopped goes back into the queue."""
    begun: list[int] = []

    def noted(trial: optuna.Trial) -> float | tuple[float, float]:
        begun.append(trial.number)
        return objective(trial)

    try:
        study.optimize(noted, n_trials=1, catch=(RunError,))
    except (Stopped, KeyboardInterrupt):
        for trial in study.get_trials(deepcopy=False):
            if trial.number in begun:
                studies.retry()(study, trial)
        raise


def _tell(study: optuna.Study, settings: Settings) -> None:
    ended = studies.reported(study)
    done = len(ended)
    last = max(ended, key=lambda trial: f"{trial.datetime_complete}")
    score = last.user_attrs.get("score")
    kind = "synflow" if settings.proxy == "synflow" else "top-1"
    said = f"{kind} {score:.4f}" if score is not None else "no result"
    print(
        f"trial {last.number}: {said}, {last.state.name.lower()}; "
        f"{done} of {settings.trials} done",
        file=sys.stderr,
    )


def _found(
    study: optuna.Study, settings: Settings, config: Config, out: str
) -> dict[str, Any]:
    found = outcome(study, settings, config)
    write_outcome(found, out)
    return found
