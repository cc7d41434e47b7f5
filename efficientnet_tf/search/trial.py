"""A trial: a candidate, what it costs, and how well it does."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import cast

import keras
import optuna
import tensorflow as tf
from optuna.storages import fail_stale_trials
from optuna.trial import FrozenTrial, TrialState

from efficientnet_tf.errors import InputError, RunError
from efficientnet_tf.networks import NamedVariant, Network
from efficientnet_tf.search.costs import COSTS, Priced
from efficientnet_tf.search.objective import REWARDS
from efficientnet_tf.search.settings import Proxy, Settings
from efficientnet_tf.search.space import (
    SPACES,
    Choice,
    base,
    candidate,
    choose,
    fingerprint,
)
from efficientnet_tf.search.study import retry_history
from efficientnet_tf.search.synflow import synflow
from efficientnet_tf.training.config import Config
from efficientnet_tf.training.loop import Watch, train
from efficientnet_tf.training.model_dir import ModelDir

# Of the training that "short" stands for.
SHORT = 1 / 4
_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Trials:
    """What the trials of a search have in common.

    Attributes:
        settings: The search's.
        config: Of a training; its network is replaced by the candidate.
        classes: Of the data.
        target: The cost that is aimed at.
        folder: Where each trial has a model directory.
        strategy: The devices.
    """

    settings: Settings
    config: Config
    classes: int
    target: float
    folder: str
    strategy: tf.distribute.Strategy

    def __call__(self, trial: optuna.Trial) -> float | tuple[float, float]:
        """Optuna's objective: the reward, or accuracy and cost.

        Raises:
            RunError: The candidate cannot be trained, or not be priced.
            Stopped: See `train`.
            optuna.TrialPruned: The training was below the median.
        """
        space = SPACES[self.settings.space]

        def pick(name: str, options: Sequence[Choice]) -> Choice:
            return cast(Choice, trial.suggest_categorical(name, options))

        config, network = self.prepared(
            NamedVariant(
                f"{self.settings.space}-{first_number(trial)}",
                candidate(space, choose(space, pick)),
            )
        )
        print_ = fingerprint(network)
        trial.set_user_attr("network", print_)
        if known := self._known(trial, print_):
            trial.set_user_attr("same_as", known.number)
            for name in ("score", "cost"):
                trial.set_user_attr(name, known.user_attrs[name])
            if known.state == TrialState.PRUNED:
                raise optuna.TrialPruned(f"as trial {known.number}")
            return self._values(
                *(known.user_attrs[n] for n in ("score", "cost"))
            )
        began = time.monotonic()
        cost = price(self.settings, config, network)
        trial.set_user_attr("cost", cost)
        score = self._score(trial, config, network, cost)
        trial.set_user_attr("score", score)
        trial.set_user_attr("seconds", time.monotonic() - began)
        return self._values(score, cost)

    def prepared(self, named: NamedVariant) -> tuple[Config, Network]:
        """How a candidate is trained, and the network every number final."""
        config = prepared(self.config, named, self.settings)
        return config, config.network(self.classes)

    def _score(
        self, trial: optuna.Trial, config: Config, network: Network, cost: float
    ) -> float:
        def watch(step: int, last: int, top1: float) -> None:
            trial.set_user_attr("score", top1)
            if len(trial.study.directions) > 1:
                return
            trial.report(self._reward(top1, cost), step)
            if step < last and trial.should_prune():
                raise optuna.TrialPruned(f"below the median at step {step}")

        # A retry goes on where the dead worker's training was saved.
        place = ModelDir(self.folder).join(f"{first_number(trial)}")
        try:
            return _SCORES[self.settings.proxy](
                config, network, place, self.strategy, watch
            )
        finally:
            keras.backend.clear_session()
            gc.collect()

    def _known(self, trial: optuna.Trial, print_: str) -> FrozenTrial | None:
        """An earlier trial of the same network; if it runs, its end."""
        while True:
            same = [
                other
                for other in trial.study.get_trials(deepcopy=False)
                if other.user_attrs.get("network") == print_
                and other.number != trial.number
            ]
            for other in same:
                if other.state in (TrialState.COMPLETE, TrialState.PRUNED):
                    return other
            running = [
                other
                for other in same
                if other.state == TrialState.RUNNING
                and other.number < trial.number
            ]
            if not running:
                return None
            time.sleep(_POLL_SECONDS)
            fail_stale_trials(trial.study)

    def _values(self, score: float, cost: float) -> float | tuple[float, float]:
        if self.settings.objective == "pareto":
            return score, cost
        return self._reward(score, cost)

    def _reward(self, score: float, cost: float) -> float:
        if self.settings.objective == "pareto":
            return score
        reward = REWARDS[self.settings.objective]
        return reward(score, cost, self.target, self.settings.exponent)


def first_number(trial: optuna.Trial) -> int:
    """Of a trial; of a retry that of the first of those that were stopped."""
    frozen = trial.study.get_trials(deepcopy=False)[trial.number]
    return next(iter(retry_history(frozen)), trial.number)


def prepared(config: Config, named: NamedVariant, settings: Settings) -> Config:
    """How a candidate is trained."""
    epochs = settings.trial_epochs
    if settings.proxy == "short":
        epochs *= SHORT
    return replace(
        config,
        model=replace(config.model, name=named.name, variant=named.variant),
        # Of a trial one checkpoint is enough to go on from.
        train=replace(config.train, epochs=epochs, checkpoints=1),
    )


def price(settings: Settings, config: Config, network: Network) -> float:
    """What a network costs, in the unit of the search's cost."""
    measure = COSTS[settings.cost].measure
    return float(measure(Priced(network, config, settings.topology)))


def default_target(settings: Settings, config: Config, classes: int) -> float:
    """The cost of the network that the space lies around."""
    named = NamedVariant(f"{settings.space}-base", base(SPACES[settings.space]))
    config = prepared(config, named, settings)
    return price(settings, config, config.network(classes))


def _trained(
    config: Config,
    network: Network,
    place: str,
    strategy: tf.distribute.Strategy,
    watch: Watch,
) -> float:
    """The top-1 of a training by the real engine."""
    try:
        result = train(config, place, strategy=strategy, watch=watch)
    except (optuna.TrialPruned, RunError):
        # It has ended for good, unlike one that was stopped; unless another
        # worker took it over.
        if tf.io.gfile.exists(place):
            with suppress(InputError), ModelDir(place).held():
                _remove_weights(place)
        raise
    _remove_weights(place)
    return float(result["top1"])


def _remove_weights(place: str) -> None:
    """What was learnt in so short a time is of no use; figures stay."""
    for folder in (ModelDir(place).checkpoints, ModelDir(place).best):
        if tf.io.gfile.exists(folder):
            tf.io.gfile.rmtree(folder)


def _synflow(
    config: Config,
    network: Network,
    place: str,
    strategy: tf.distribute.Strategy,
    watch: Watch,
) -> float:
    return synflow(network, config.train.seed)


_SCORES: dict[
    Proxy,
    Callable[[Config, Network, str, tf.distribute.Strategy, Watch], float],
] = {"none": _trained, "short": _trained, "synflow": _synflow}
