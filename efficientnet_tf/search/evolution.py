"""Regularized evolution as a sampler of Optuna.

Real et al. 2019, "Regularized Evolution for Image Classifier Architecture
Search", algorithm 1: the population is a queue. The best of a random sample of
it has a child, one choice of which is another; the child joins at one end, and
whoever is oldest leaves at the other, however good.
"""

from __future__ import annotations

import random
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from efficientnet_tf.errors import InputError

# Draws until another value comes; a place that has one only stays as it is.
_DRAWS = 100


class EvolutionSampler(BaseSampler):
    """Mutates the best of a sample of the youngest trials.

    The state is the study's own, so that any number of workers share it: the
    queue is the last trials that have a value, in the order in which they
    ended.
    """

    def __init__(
        self, population: int, sample: int, seed: int | None = None
    ) -> None:
        """Sets the sizes.

        Args:
            population: Trials that may have children, P in the paper; as many
                are drawn at random first.
            sample: Of them that compete to be a parent, S in the paper, with
                replacement.
            seed: Decides all draws; None for others each time.

        Raises:
            InputError: A size is below 1.
        """
        for name, size in (("population", population), ("sample", sample)):
            if size < 1:
                raise InputError(f"{name} {size} must be at least 1")
        self._population = population
        self._sample = sample
        self._seed = seed
        self._random = random.Random(seed)
        self._fresh = RandomSampler(seed)

    def reseed_rng(self) -> None:
        """Draws anew, for a copy in another thread."""
        self._random = random.Random()
        self._fresh.reseed_rng()

    def queue(self, study: Study) -> list[FrozenTrial]:
        """The population, the oldest first.

        Raises:
            InputError: The study has several objectives.
        """
        if len(study.directions) > 1:
            raise InputError(
                "--sampler=evolution: there is no best of several objectives; "
                "try --sampler=nsga2"
            )
        ended = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
        ended.sort(key=lambda trial: (trial.datetime_complete, trial.number))
        return ended[-self._population :]

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The places of the youngest table; none while all is random."""
        queue = self.queue(study)
        if len(queue) < self._population:
            return {}
        return dict(queue[-1].distributions)

    def sample_relative(
        self,
        study: Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],
    ) -> dict[str, Any]:
        """A child: the parent but for one choice."""
        if not search_space:
            return {}
        parent = self._parent(study, self.queue(study))
        child = dict(parent.params)
        places = [
            name
            for name, options in parent.distributions.items()
            if not options.single()
        ]
        if places:
            name = self._random.choice(places)
            child[name] = self._other(study, trial, name, parent)
        return {name: child[name] for name in search_space if name in child}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """A random choice, for the first trials."""
        return self._fresh.sample_independent(
            study, trial, param_name, param_distribution
        )

    def _parent(self, study: Study, queue: list[FrozenTrial]) -> FrozenTrial:
        """The best of some; of equals the one that was drawn first."""
        drawn = self._random.choices(queue, k=self._sample)
        sign = 1 if study.direction == StudyDirection.MAXIMIZE else -1
        return max(drawn, key=lambda trial: sign * _value(trial))

    def _other(
        self, study: Study, trial: FrozenTrial, name: str, parent: FrozenTrial
    ) -> Any:
        """Another value than the parent has."""
        value = parent.params[name]
        for _ in range(_DRAWS):
            value = self._fresh.sample_independent(
                study, trial, name, parent.distributions[name]
            )
            if value != parent.params[name]:
                break
        return value


def _value(trial: FrozenTrial) -> float:
    return float("-inf") if trial.value is None else trial.value
