"""The verb `scale`: what is asked for, and the answer as facts and tables.

Loads TensorFlow only to train a grid.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from efficientnet_tf.describe import describe, network_table
from efficientnet_tf.errors import InputError
from efficientnet_tf.networks import NamedVariant, write_variant
from efficientnet_tf.search import scaling_tables
from efficientnet_tf.search.budget import Budget, parse_budget
from efficientnet_tf.search.coefficients import Coefficients
from efficientnet_tf.search.explain import explain
from efficientnet_tf.search.grid import grid
from efficientnet_tf.search.solve import Scaled, by_budget, by_phi
from efficientnet_tf.training.config import Config

BEST = "best.json"


class Answer(NamedTuple):
    """What the verb shows: plain values for JSON, or tables."""

    facts: Any
    tables: list[Table]


@dataclass(frozen=True)
class GridRequest:
    """How a grid is made and trained; see `grid` and `run_grid`.

    Attributes:
        step: Between two values of a coefficient.
        tolerance: How far from twice the cost, as a share.
        out: A local folder; empty for one under `runs/`, named by the base.
        workers: Trainings at a time.
    """

    step: float
    tolerance: float
    out: str
    workers: int


WAYS = ("phi", "budget", "explain", "grid")
# Flags that only some ways know.
_ONLY = {
    "images_per_core": ("budget",),
    "grid_step": ("grid",),
    "grid_tolerance": ("grid",),
    "workers": ("grid",),
    "data_dir": ("grid",),
    "config": ("grid",),
    "batch": ("grid",),
    "out": ("phi", "budget", "grid"),
    "base": ("phi", "budget", "grid"),
    "set": ("phi", "budget", "grid"),
}
# Of the config, what a network that is not trained has.
_NETWORK = ("model.name=", "model.pixels=", "model.classes=")


def chosen_way(given: Collection[str], settings: Collection[str]) -> str:
    """Which of `WAYS` a command line asks for.

    Args:
        given: Names of the flags that are there.
        settings: What --set and its short forms say.

    Raises:
        InputError: It is none, or more than one, or a flag says nothing there.
    """
    ways = [way for way in WAYS if way in given]
    if len(ways) != 1:
        said = " and ".join(f"--{way}" for way in ways) or "none of them"
        raise InputError(
            "scale: give one of --phi=K, --budget=4.2GMACs, --explain and "
            f"--grid; {said} is there"
            if len(ways) < 2
            else f"scale: {said} are there; give one of them"
        )
    (way,) = ways
    for name, ways_of in _ONLY.items():
        if name in given and way not in ways_of:
            raise InputError(f"scale: --{name} says nothing with --{way}")
    if way == "grid":
        for name in ("alpha", "beta", "gamma"):
            if name in given:
                raise InputError(
                    f"scale: --grid looks for {name} itself; leave --{name} out"
                )
    elif way != "explain":
        if "base" not in given:
            raise InputError(
                "scale: --base=NAME is missing, such as --base=efficientnet-b0"
            )
        for setting in settings:
            if not setting.startswith(_NETWORK):
                raise InputError(
                    f"--set {setting}: nothing is trained with --{way}; only "
                    "model.pixels and model.classes can be set"
                )
    return way


def base_of(config: Config) -> NamedVariant:
    """The network of a config as what is scaled, at its size and classes."""
    name, variant = config.model.table
    model = config.model
    if model.pixels is not None:
        variant = dataclasses.replace(variant, pixels=model.pixels)
    if model.classes is not None:
        family = dataclasses.replace(variant.family, classes=model.classes)
        variant = dataclasses.replace(variant, family=family)
    return NamedVariant(name, variant)


def scale_by_phi(
    base: NamedVariant, coefficients: Coefficients, phi: float, out: str
) -> Answer:
    """The network of one phi; writes a variant file where `out` names one."""
    return _answer(by_phi(base, coefficients, phi), None, out)


def scale_to_budget(
    base: NamedVariant,
    coefficients: Coefficients,
    text: str,
    images_per_core: int,
    out: str,
) -> Answer:
    """The largest network within a budget; `out` as in `scale_by_phi`."""
    budget = parse_budget(text, images_per_core)
    return _answer(by_budget(base, coefficients, budget), budget, out)


def explain_shipped(coefficients: Coefficients) -> Answer:
    """B0 to B7 beside what the rule would give."""
    rows = explain(coefficients)
    return Answer(
        [dataclasses.asdict(row) for row in rows],
        [scaling_tables.explained_table(rows, coefficients)],
    )


def search_grid(config: Config, request: GridRequest) -> Answer:
    """Trains a grid of coefficients; see `run_grid`."""
    base = base_of(config)
    found = grid(base, request.step, request.tolerance)

    from efficientnet_tf.search.grid_run import facts, run_grid

    out = request.out or f"runs/grid-{base.name}-{base.variant.pixels}px"
    tried = run_grid(found, config, out, request.workers)
    best = str(Path(out, BEST))
    write_variant(tried[0].point.named.variant, tried[0].point.named.name, best)
    return Answer(
        {**facts(found, tried, out), "file": best},
        [scaling_tables.grid_table(found, tried, best)],
    )


def scaled_facts(scaled: Scaled, budget: Budget | None) -> dict[str, Any]:
    """A scaled network as plain values."""
    variant = scaled.named.variant
    facts = {
        "base": scaled.base.name,
        "phi": scaled.phi,
        **dataclasses.asdict(scaled.coefficients),
        "exponents": dataclasses.asdict(scaled.exponents),
        "width": variant.width,
        "depth": variant.depth,
        **describe(scaled.network),
        "nominal_ratio": scaled.nominal_ratio,
        "real_ratio": scaled.real_ratio,
    }
    if budget:
        facts["budget"] = {
            "text": budget.text,
            "measure": budget.measure,
            "most": budget.most,
            "used": budget.cost(scaled.network),
            "basis": budget.basis or "counted",
        }
    return facts


def _answer(scaled: Scaled, budget: Budget | None, out: str) -> Answer:
    facts = scaled_facts(scaled, budget)
    if out:
        write_variant(scaled.named.variant, scaled.named.name, out)
        facts["file"] = out
    return Answer(
        facts,
        [
            network_table(scaled.network),
            scaling_tables.scaled_table(scaled, budget, out),
        ],
    )
