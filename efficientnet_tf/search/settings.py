"""What a person decides about a search."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from efficientnet_tf.errors import InputError, near
from efficientnet_tf.search.objective import EXPONENT, Form
from efficientnet_tf.search.space import SpaceName

CostName = Literal[
    "macs",
    "parameters",
    "activation_memory",
    "edgetpu_ms",
    "tpu_cycles",
    "litert_ms",
]
SamplerName = Literal["evolution", "tpe", "nsga2", "random"]
Proxy = Literal["none", "synflow", "short"]
Pruning = Literal["median", "off"]


@dataclass(frozen=True)
class Settings:
    """A search.

    Attributes:
        space: Which networks there are; see `space`.
        cost: What besides accuracy counts; see `costs`.
        target: The cost that is aimed at, in the cost's unit; None for that
            of the network that the space lies around.
        objective: How the two make one: "soft" or "hard", or not, "pareto".
        exponent: Of "soft".
        sampler: How the next candidate is found.
        population: Of "evolution" and "nsga2": trials that may be parents.
        trials: After how many the search ends.
        trial_epochs: Of the training of a candidate.
        proxy: What stands for it: "none"; "short" for a quarter of it;
            "synflow" for a figure of the untrained network.
        pruning: Whether a training ends early that is below the "median" of
            the others at the same epoch.
        topology: Of the TPU whose cycles are the cost.
        seed: Decides what is drawn, as far as one worker does.
    """

    space: SpaceName = "mnas"
    cost: CostName = "macs"
    target: float | None = None
    objective: Form = "soft"
    exponent: float = EXPONENT
    sampler: SamplerName = "evolution"
    population: int = 20
    trials: int = 100
    trial_epochs: float = 5.0
    proxy: Proxy = "none"
    pruning: Pruning = "median"
    topology: str = "v5e:1x1"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses what no search can have."""
        for name, kind in _WORDS.items():
            word = getattr(self, name)
            if word not in get_args(kind):
                raise InputError(
                    f"unknown --{name} {word!r}: {near(word, get_args(kind))}"
                )
        for name in ("population", "trials"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"--{name} {getattr(self, name)} must be at least 1"
                )
        for name in ("trial_epochs", "target", "exponent"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise InputError(f"--{name} {value} must be a number")
        for name in ("trial_epochs", "target"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise InputError(f"--{name} {value} must be above 0")
        if self.exponent > 0:
            raise InputError(
                f"--exponent {self.exponent} must not be above 0, or what "
                "costs more would be worth more"
            )
        if self.objective == "pareto" and self.sampler == "evolution":
            raise InputError(
                "--sampler=evolution knows no best of two objectives; with "
                "--objective=pareto try --sampler=nsga2"
            )


def settings_from(values: dict[str, Any]) -> Settings:
    """Settings of some fields by name, the others as they are by default.

    For what a command line says, and for what a study keeps.

    Raises:
        InputError: A field is unknown: another version wrote it.
    """
    known = {field.name for field in fields(Settings)}
    for name in values:
        if name not in known:
            raise InputError(
                f"the study has the setting {name!r}, which this version does "
                "not know; use the version that began it"
            )
    return Settings(**values)


_WORDS: dict[str, Any] = {
    "space": SpaceName,
    "cost": CostName,
    "objective": Form,
    "sampler": SamplerName,
    "proxy": Proxy,
    "pruning": Pruning,
}
