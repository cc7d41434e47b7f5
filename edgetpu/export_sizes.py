"""Exports whole networks for docs/coral_exports.csv.

    python -m edgetpu.export_sizes docs/coral_exports.csv NAME[:STRIDE] ...

writes a row for each: the size of its int8 file, its operators, and whether
every one would run on the Edge TPU. Weights are fresh ones and calibration
sees noise, on which neither size nor operators depend; ranges are the
converter's own (`minmax`), without which a file is a kilobyte smaller.
NAME:project has the
stride of fused blocks where the published weights have it. Takes a minute or
more a network.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import cast

import keras
import numpy as np

from edgetpu.forecast import forecast
from edgetpu.quantize import quantize
from edgetpu.reader import read_model
from efficientnet_tf.modeling.build import build_network
from efficientnet_tf.networks import FusedStride, network

COLUMNS = (
    "name",
    "fused_stride",
    "classes",
    "pixels",
    "bytes",
    "operators",
    "on_edge_tpu",
    "counts",
)
# As the published files have, with a background.
_EDGETPU_CLASSES = 1001
_CLASSES = 1000


def exported(name: str, fused_stride: FusedStride = "expand") -> dict[str, str]:
    """Exports a network and tells what came out, as a row of the file.

    Args:
        name: Of the variant.
        fused_stride: See `network`; "project" for networks that have it.
    """
    classes = _EDGETPU_CLASSES if "edgetpu" in name else _CLASSES
    resolved = network(name, classes=classes, fused_stride=fused_stride)
    keras.utils.set_random_seed(0)
    side = resolved.pixels
    noise = np.random.default_rng(0).integers(0, 256, (3, side, side, 3))
    noise[0], noise[1] = 0, 255
    content = quantize(
        resolved,
        build_network(resolved),
        noise.astype(np.uint8),
        calibration_range="minmax",
    )
    model = read_model(content)
    found = forecast(model)
    mapped = sum(operator.on_edge_tpu for operator in found.operators)
    values = (
        name,
        fused_stride,
        classes,
        side,
        len(content),
        len(found.operators),
        mapped,
        json.dumps(model.main.counts()),
    )
    return dict(zip(COLUMNS, map(str, values), strict=True))


def read(path: Path) -> list[dict[str, str]]:
    """Rows of the file; none where there is none."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _main(arguments: list[str]) -> None:
    if len(arguments) < 2:
        sys.exit("usage: python -m edgetpu.export_sizes FILE NAME[:STRIDE] ...")
    path = Path(arguments[0])
    for word in arguments[1:]:
        name, _, stride = word.partition(":")
        # An unknown word is refused by `network`.
        row = exported(name, cast(FusedStride, stride or "expand"))
        kept = [
            other
            for other in read(path)
            if (other["name"], other["fused_stride"])
            != (row["name"], row["fused_stride"])
        ]
        _write(path, [*kept, row])
        print(row, flush=True)


if __name__ == "__main__":
    _main(sys.argv[1:])
