"""Finds the rates of `edgetpu_latency.py` in published figures.

    python -m edgetpu.latency_fit docs/coral_latency.csv

prints them, and how far each network is off where the rates are those of the
others. The file has a row for each network: what Google published, and what it
does, as `work` counts it. `--count=DIR` writes the counts anew; DIR holds
NAME.tflite of the networks that are not drawn here, converted from
keras.applications in float32.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgetpu.blueprint import Drawing, blueprint
from edgetpu.graph import Graph
from edgetpu.memory import parameter_bytes
from edgetpu.work import work
from efficientnet_tf.networks import network
from efficientnet_tf.networks.edgetpu_memory import memory

# Simonyan and Zisserman 2015, table 1, columns D and E.
_VGG = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
_VGG_WIDTHS = (64, 128, 256, 512, 512)

COUNTS = ("giga_macs", "mega_depthwise_macs", "mega_values", "megabytes")


@dataclass(frozen=True)
class Published:
    """A row of the file.

    Attributes:
        name: Of the network.
        usb_ms: Published for the USB Accelerator.
        fitted: Whether the rates are to suit it.
        counts: What it does, in the order of `COUNTS`.
    """

    name: str
    usb_ms: float
    fitted: bool
    counts: tuple[float, ...]


def read(path: Path) -> list[Published]:
    """Reads the file."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Published(
                row["name"],
                float(row["usb_ms"]),
                row["fitted"] == "yes",
                tuple(float(row[count]) for count in COUNTS),
            )
            for row in csv.DictReader(file)
        ]


def fit(rows: Sequence[Published]) -> np.ndarray:
    """The rates that are least off, relatively and squared, none negative.

    Args:
        rows: Networks that they are to suit.

    Returns:
        float64 `[1 + len(COUNTS)]`: milliseconds of a run, then of each count.
    """
    counts = np.array([(1.0, *row.counts) for row in rows])
    relative = counts / np.array([[row.usb_ms] for row in rows])
    kept = list(range(counts.shape[1]))
    while True:
        found, *_ = np.linalg.lstsq(
            relative[:, kept], np.ones(len(rows)), rcond=None
        )
        if (found >= 0).all():
            break
        # A rate below zero says nothing: the least of them is left out.
        kept.pop(int(np.argmin(found)))
    rates = np.zeros(counts.shape[1])
    rates[kept] = found
    return rates


def foretold(row: Published, rates: np.ndarray) -> float:
    """Milliseconds of a network by some rates."""
    return float(np.dot((1.0, *row.counts), rates))


def errors(rows: Sequence[Published]) -> dict[str, float]:
    """How far each is off, as a share, by the rates of the others."""
    return {
        row.name: foretold(row, fit([o for o in rows if o is not row]))
        / row.usb_ms
        - 1
        for row in rows
    }


def count(graph: Graph) -> tuple[float, ...]:
    """What a network does, in the order of `COUNTS`."""
    done = [work(operator, graph) for operator in graph.operators]
    needed = sum(parameter_bytes(each, graph) for each in graph.operators)
    ports = sum(
        graph.tensors[place].elements
        for place in (*graph.inputs, *graph.outputs)
    )
    return (
        sum(each.filled_macs for each in done) / 1e9,
        sum(each.macs for each in done if each.kind == "depthwise") / 1e6,
        sum(each.values for each in done if each.kind == "other") / 1e6,
        (memory(needed).streamed_bytes + ports) / 1e6,
    )


def _vgg(convolutions: tuple[int, ...]) -> Graph:
    """A VGG, whose dense layers the converter cannot fold in float32.

    Args:
        convolutions: How many there are before each pooling.
    """
    draw = Drawing()
    images = x = draw.tensor((1, 224, 224, 3))
    for number, width in zip(convolutions, _VGG_WIDTHS, strict=True):
        for _ in range(number):
            x = draw.conv(x, width, 3, 1, "relu")
        x = draw.max_pool(x, 2, "same")
    x = draw.flatten(x)
    for width in (4096, 4096, 1000):
        x = draw.dense(x, width)
    return Graph(tuple(draw.operators), tuple(draw.tensors), (images,), (x,))


def _count_file(path: Path, folder: Path) -> None:
    from edgetpu.reader import open_model

    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        name = row["name"]
        if name.startswith("efficientnet-edgetpu"):
            # As published: the stride on the projection.
            resolved = network(name, classes=1001, fused_stride="project")
            graph = blueprint(resolved, late_stride=True).main
        elif name in _VGG:
            graph = _vgg(_VGG[name])
        else:
            graph = open_model(str(folder / f"{name}.tflite")).main
        for column, value in zip(COUNTS, count(graph), strict=True):
            row[column] = f"{value:.4f}"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _main(arguments: list[str]) -> None:
    paths = [Path(word) for word in arguments if not word.startswith("--")]
    folders = [
        Path(word.removeprefix("--count="))
        for word in arguments
        if word.startswith("--count=")
    ]
    if len(paths) != 1 or len(paths) + len(folders) != len(arguments):
        sys.exit("usage: python -m edgetpu.latency_fit FILE [--count=DIR]")
    for folder in folders:
        _count_file(paths[0], folder)
    rows = read(paths[0])
    fitted = [row for row in rows if row.fitted]
    rates, off = fit(fitted), errors(fitted)
    for name, rate in zip(("run", *COUNTS), rates, strict=True):
        print(f"{name:24} {rate:.4f} ms")
    for row in rows:
        told = foretold(row, rates)
        others = f", {off[row.name]:+.1%} by the others" if row.fitted else ""
        print(f"{row.name:24} {row.usb_ms:6.1f} ms, {told:6.1f} ms{others}")
    shares = np.abs(list(off.values()))
    print(f"mean {shares.mean():.3f}, worst {shares.max():.3f}")


if __name__ == "__main__":
    _main(sys.argv[1:])
