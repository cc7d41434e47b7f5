"""How long a model takes for an input."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one inference, without reading and preparing images.

    Attributes:
        runs: How many were measured.
        warm_up: How many were made before, and not counted.
        first: The very first one, which on an Edge TPU sends the parameters.
        mean: Of the measured ones; so are the others.
        median: Half took no longer.
        p90: Nine in ten took no longer.
        p99: 99 in 100 took no longer.
        fastest: The shortest.
        slowest: The longest.
    """

    runs: int
    warm_up: int
    first: float
    mean: float
    median: float
    p90: float
    p99: float
    fastest: float
    slowest: float


def time_interpreter(
    interpreter: Any, *, runs: int = 100, warm_up: int = 10
) -> Timing:
    """Measures a model on what is no image: its time does not depend on it.

    Args:
        interpreter: A model that is loaded; any inputs.
        runs: How many inferences to measure, at least 1.
        warm_up: How many to make before, at least 1.
    """
    random = np.random.RandomState(0)
    for taken in interpreter.get_input_details():
        values = random.uniform(0, 255, taken["shape"])
        if np.issubdtype(taken["dtype"], np.integer):
            limits = np.iinfo(taken["dtype"])
            values = values.clip(max(limits.min, 0), min(limits.max, 255))
        interpreter.set_tensor(taken["index"], values.astype(taken["dtype"]))
    before = [_milliseconds(interpreter) for _ in range(warm_up)]
    spent = [_milliseconds(interpreter) for _ in range(runs)]
    return Timing(
        runs=runs,
        warm_up=warm_up,
        first=before[0],
        mean=float(np.mean(spent)),
        median=float(np.median(spent)),
        p90=float(np.percentile(spent, 90)),
        p99=float(np.percentile(spent, 99)),
        fastest=min(spent),
        slowest=max(spent),
    )


def _milliseconds(interpreter: Any) -> float:
    begin = time.perf_counter()
    interpreter.invoke()
    return 1000 * (time.perf_counter() - begin)
