"""Closed-form counts against those of the original's own graphs."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from efficientnet_tf.networks import costs, network, totals, variants

GOLDEN = Path(__file__).parents[1] / "golden"

with (GOLDEN / "variants.csv").open(newline="") as file:
    ROWS = {row["name"]: row for row in csv.DictReader(file)}
with (GOLDEN / "activations.csv").open(newline="") as file:
    ACTIVATIONS = list(csv.DictReader(file))
UNITS = {"M": 1e6, "B": 1e9}


def to_the_digits_of(published: str, number: int) -> str:
    """A number written as a publication writes it, as "385.81M"."""
    if published[-1] not in UNITS:
        return str(number)
    places = len(published[:-1].partition(".")[2])
    return f"{number / UNITS[published[-1]]:.{places}f}{published[-1]}"


def test_every_variant_has_a_golden_row_and_every_row_a_variant() -> None:
    assert list(ROWS) == variants()


@pytest.mark.parametrize("name", ROWS)
def test_a_golden_row_has_a_source(name: str) -> None:
    assert ROWS[name]["source"]


@pytest.mark.parametrize("name", ROWS)
def test_shape(name: str) -> None:
    row, resolved = ROWS[name], network(name)
    assert resolved.pixels == int(row["pixels"])
    assert resolved.dropout == float(row["dropout"])
    assert resolved.stem == int(row["stem"])
    assert resolved.head == int(row["head"])
    assert len(resolved.blocks) == int(row["blocks"])
    assert totals(resolved).blocks == int(row["blocks"])


@pytest.mark.parametrize("name", ROWS)
def test_trainable_parameters(name: str) -> None:
    expected = ROWS[name]["trainable_parameters"]
    counted = totals(network(name)).trainable_parameters
    assert to_the_digits_of(expected, counted) == expected


# Nobody published those of EfficientNetV2-XL in our way of counting.
@pytest.mark.parametrize(
    "name", [name for name in ROWS if name != "efficientnetv2-xl"]
)
def test_macs_to_the_digits_given(name: str) -> None:
    expected = ROWS[name]["macs_as_published"]
    assert to_the_digits_of(expected, totals(network(name)).macs) == expected


@pytest.mark.parametrize(
    "row", ACTIVATIONS, ids=lambda row: f"{row['name']}-{row['pixels']}"
)
def test_activations(row: dict[str, str]) -> None:
    total = totals(network(row["name"], pixels=int(row["pixels"])))
    expected = f"{row['millions_of_activations']}M"
    # EdgeTPU networks were counted there with 1000 classes, here with 1001.
    assert to_the_digits_of(expected, total.activations) == expected


def test_statistics_of_b0() -> None:
    total = totals(network("efficientnet-b0"))
    # Source: the same graph's batch-norm moving means and variances.
    assert total.total_parameters - total.trainable_parameters == 42_016


@pytest.mark.parametrize("name", variants())
def test_rows_add_up(name: str) -> None:
    resolved = network(name)
    rows, total = costs(resolved), totals(resolved)
    assert len(rows) == len(resolved.blocks) + 2
    assert sum(row.macs for row in rows) == total.macs
    assert sum(row.total_parameters for row in rows) == total.total_parameters
    assert rows[-1].channels == resolved.classes


def test_sides_of_b0() -> None:
    rows = costs(network("efficientnet-b0"))
    sides = dict.fromkeys(row.pixels for row in rows)
    assert list(sides) == [112, 56, 28, 14, 7, 1]


@pytest.mark.parametrize("pixels", [75, 299])
def test_odd_sides_round_up(pixels: int) -> None:
    rows = costs(network("efficientnet-b0", pixels=pixels))
    assert rows[0].pixels == (pixels + 1) // 2


def test_classes_change_the_classifier_only() -> None:
    backbone = totals(network("efficientnet-b0", classes=0))
    ten = totals(network("efficientnet-b0", classes=10))
    difference = ten.trainable_parameters - backbone.trainable_parameters
    assert difference == (1280 + 1) * 10
    assert ten.macs - backbone.macs == 1280 * 10
