"""The grid search: trains every network of a grid, and says which is best.

OUT/NAME/       each network's training: see `runs`
OUT/grid.json   what came out
OUT/grid.png    accuracy over the constraint surface
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from efficientnet_tf.files import write_text
from efficientnet_tf.networks import NamedVariant
from efficientnet_tf.search.grid import Grid, GridPoint
from efficientnet_tf.search.grid_plot import save_grid
from efficientnet_tf.search.runs import Outcome, finished, train_all
from efficientnet_tf.training.config import Config

RESULT = "grid.json"
PICTURE = "grid.png"


@dataclass(frozen=True)
class Tried:
    """A network of the grid and what its training gave.

    Attributes:
        point: The network.
        top1: Of its averaged weights on the validation images; None where the
            training failed.
        failed: Why it did.
        folder: Of the training.
    """

    point: GridPoint
    top1: float | None
    failed: str
    folder: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        point, variant = self.point, self.point.named.variant
        return {
            **dataclasses.asdict(point.coefficients),
            "nominal_ratio": point.coefficients.nominal,
            "real_ratio": point.ratio,
            "name": point.named.name,
            "width": variant.width,
            "depth": variant.depth,
            "pixels": variant.pixels,
            "macs": point.total.macs,
            "trainable_parameters": point.total.trainable_parameters,
            "top1": self.top1,
            "failed": self.failed,
            "folder": self.folder,
        }


def run_grid(grid: Grid, config: Config, out: str, workers: int) -> list[Tried]:
    """Trains what is not trained yet, and writes what came out.

    Args:
        grid: The networks.
        config: How each is trained; its network is replaced.
        out: A local folder.
        workers: Trainings at a time.

    Returns:
        All of the grid, the best first and what failed last.

    Raises:
        RunError: No training came to its end.
    """
    configs = {
        point.named.name: with_network(config, point.named)
        for point in grid.points
    }
    outcomes = train_all(configs, out, workers)
    finished(outcomes)
    tried = [
        Tried(point, top1(outcome), outcome.failed, os.path.join(out, name))
        for point, (name, outcome) in zip(
            grid.points, zip(configs, outcomes, strict=True), strict=True
        )
    ]
    # Of two that are equally good, the cheaper one.
    tried.sort(
        key=lambda each: (
            -1.0 if each.top1 is None else each.top1,
            -each.point.total.macs,
        ),
        reverse=True,
    )
    text = json.dumps(facts(grid, tried, out), indent=2) + "\n"
    write_text(os.path.join(out, RESULT), text)
    save_grid(os.path.join(out, PICTURE), grid, tried)
    return tried


def with_network(config: Config, named: NamedVariant) -> Config:
    """A config that trains another network, at its own image size."""
    model = dataclasses.replace(
        config.model, name=named.name, variant=named.variant, pixels=None
    )
    return dataclasses.replace(config, model=model)


def facts(grid: Grid, tried: Sequence[Tried], out: str) -> dict[str, Any]:
    """What a grid search found, as plain values."""
    return {
        "base": grid.base.name,
        "base_pixels": grid.base.variant.pixels,
        "near_two": grid.near,
        "beyond_after_rounding": grid.beyond,
        "alike_after_rounding": grid.alike,
        "best": tried[0].to_dict(),
        "tried": [each.to_dict() for each in tried],
        "picture": os.path.join(out, PICTURE),
    }


def top1(outcome: Outcome) -> float | None:
    """That of the averaged weights; None where the training failed."""
    return None if outcome.result is None else float(outcome.result["top1"])
