"""How long it takes to build each network, against keras.applications.

    PYTHONPATH=. python benchmarks/build_time.py

Some minutes, and 4 GB of memory for the largest. Each network is built once,
and right after it the one of keras.applications where there is one; building
includes drawing the initial weights. Writes docs/build_seconds.csv, which the
table of docs/networks.md shows, and prints the median ratio.
"""

from __future__ import annotations

import csv
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

from efficientnet_tf.modeling.build import build
from efficientnet_tf.modeling.keras_weights import APPLICATIONS
from efficientnet_tf.networks import variants
from efficientnet_tf.networks.table import BUILD_SECONDS

OUT = Path(__file__).parents[1] / "docs" / BUILD_SECONDS


def seconds(make: Callable[[], keras.Model]) -> float:
    """Builds once, and clears up."""
    began = time.perf_counter()
    make()
    taken = time.perf_counter() - began
    keras.backend.clear_session()
    return taken


def theirs(name: str) -> keras.Model:
    """The network of keras.applications, with fresh weights."""
    return getattr(keras.applications, APPLICATIONS[name])(weights=None)


def main() -> None:
    """Builds all of them in turn."""
    # The first build of a process also starts TensorFlow.
    seconds(lambda: build("efficientnet-lite0"))
    rows, ratios = [], []
    for name in variants():
        ours = seconds(lambda name=name: build(name))
        peer = ""
        if name in APPLICATIONS:
            other = seconds(lambda name=name: theirs(name))
            ratios.append(other / ours)
            peer = f"{other:.2f}"
        rows.append((name, f"{ours:.2f}", peer))
        print(f"{name:36} {ours:6.2f} s  keras.applications {peer or '-'}")
    with OUT.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("name", "seconds", "keras_applications_seconds"))
        table.writerows(rows)
    print(f"median ratio, theirs to ours: {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
