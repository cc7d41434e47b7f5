"""Samplers, through Optuna, on objectives whose answers are known."""

from __future__ import annotations

import optuna
import pytest

from efficientnet_tf.errors import InputError
from efficientnet_tf.search.evolution import EvolutionSampler
from efficientnet_tf.search.settings import Settings
from efficientnet_tf.search.study import sampler

DIGITS = tuple(range(6))


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def total(trial):
    """At best 40: eight choices of 0 to 5."""
    return sum(trial.suggest_categorical(f"x{n}", DIGITS) for n in range(8))


def study_of(used, objective, trials, directions=("maximize",)):
    study = optuna.create_study(directions=list(directions), sampler=used)
    study.optimize(objective, n_trials=trials)
    return study


def test_the_queue_is_the_last_to_end_and_the_best_ages_too():
    used = EvolutionSampler(population=3, sample=2, seed=0)
    study = optuna.create_study(direction="maximize", sampler=used)
    for value in (9.0, 1.0, 2.0):
        study.add_trial(optuna.create_trial(value=value))
    assert [t.value for t in used.queue(study)] == [9.0, 1.0, 2.0]
    study.add_trial(optuna.create_trial(value=3.0))
    # The best of all is the oldest, and leaves.
    assert [t.value for t in used.queue(study)] == [1.0, 2.0, 3.0]
    study.add_trial(optuna.create_trial(state=optuna.trial.TrialState.FAIL))
    assert [t.value for t in used.queue(study)] == [1.0, 2.0, 3.0]


def test_the_queue_goes_by_the_end_and_not_by_the_number():
    used = EvolutionSampler(population=2, sample=1, seed=0)
    study = optuna.create_study(direction="maximize", sampler=used)
    first, second, third = (study.ask() for _ in range(3))
    for trial, value in ((second, 2.0), (third, 3.0), (first, 1.0)):
        study.tell(trial, value)
    assert [t.value for t in used.queue(study)] == [3.0, 1.0]


def test_a_child_is_its_parent_but_for_one_choice():
    study = study_of(EvolutionSampler(5, 5, seed=1), total, 60)
    trials = study.trials
    for number in range(5, 60):
        child, queue = trials[number], trials[number - 5 : number]
        apart = [
            sum(
                child.params[name] != other.params[name]
                for name in child.params
            )
            for other in queue
        ]
        assert 1 in apart


def test_the_parent_is_the_best_where_all_compete():
    # So many draws that everyone is among them.
    study = study_of(EvolutionSampler(4, 200, seed=3), total, 40)
    for number in range(4, 40):
        queue = study.trials[number - 4 : number]
        most = max(trial.value for trial in queue)
        child = study.trials[number].params
        assert any(
            sum(child[name] != parent.params[name] for name in child) == 1
            for parent in queue
            if parent.value == most
        )


def test_without_selection_it_is_a_random_walk():
    """A sample of one says nothing of who is good."""
    drift = study_of(EvolutionSampler(10, 1, seed=0), total, 300)
    late = [trial.value for trial in drift.trials[-100:]]
    # The mean of eight digits is 20; selection takes it to nearly 40.
    assert 12 < sum(late) / len(late) < 30


@pytest.mark.parametrize("seed", range(3))
def test_evolution_finds_what_chance_does_not(seed):
    evolved = study_of(EvolutionSampler(20, 5, seed), total, 250)
    chance = study_of(optuna.samplers.RandomSampler(seed), total, 250)
    # By how much is luck: 40 is the most there is.
    assert evolved.best_value >= chance.best_value + 3


def test_it_minimises_as_well():
    study = study_of(EvolutionSampler(20, 5, 0), total, 250, ["minimize"])
    assert study.best_value <= 2


@pytest.mark.parametrize("name", ["evolution", "tpe", "nsga2", "random"])
def test_every_sampler_works_through_the_settings(name):
    used = sampler(Settings(sampler=name, population=10), seed=0)
    study = study_of(used, total, 60)
    assert len(study.trials) == 60
    assert study.best_value > 25


def test_a_front_needs_another_sampler():
    used = EvolutionSampler(3, 2, seed=0)
    both = ("maximize", "minimize")
    study = optuna.create_study(directions=list(both), sampler=used)
    with pytest.raises(InputError, match="nsga2"):
        used.queue(study)
    found = study_of(
        sampler(Settings(sampler="nsga2", objective="pareto"), 0),
        lambda trial: (total(trial), total(trial) ** 2),
        60,
        both,
    )
    assert found.best_trials


@pytest.mark.parametrize("sizes", [(0, 1), (1, 0)])
def test_sizes_below_one(sizes):
    with pytest.raises(InputError, match="at least 1"):
        EvolutionSampler(*sizes)
