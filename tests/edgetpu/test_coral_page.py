"""docs/coral.md against what computes it, and against published facts."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from edgetpu import coral_page
from edgetpu.blueprint import blueprint
from edgetpu.forecast import forecast
from edgetpu.reader import open_model
from efficientnet_tf.errors import InputError
from efficientnet_tf.networks import network

DOCS = Path(__file__).parents[2] / "docs"


def rows(name):
    with (DOCS / name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_page_is_what_its_generator_writes():
    text = (DOCS / "coral.md").read_text()
    assert coral_page.with_tables(text, DOCS) == text


def test_a_page_without_a_marker_is_refused():
    with pytest.raises(InputError, match="operators: begin"):
        coral_page.with_tables("nothing", DOCS)


# MiB of the files that Google published for the Edge TPU.
@pytest.mark.parametrize(("name", "mib"), [("S", 5.86), ("M", 7.46)])
def test_files_are_as_large_as_the_published(name, mib):
    (row,) = [
        row
        for row in rows("coral_exports.csv")
        if row["name"] == f"efficientnet-edgetpu-{name}"
        and row["fused_stride"] == "expand"
    ]
    assert int(row["bytes"]) / 2**20 == pytest.approx(mib, rel=0.03)


def test_exported_networks_are_those_drawn():
    for row in rows("coral_exports.csv"):
        resolved = network(
            row["name"],
            classes=int(row["classes"]),
            fused_stride=row["fused_stride"],
        )
        drawn = blueprint(resolved).main.counts()
        assert json.loads(row["counts"]) == drawn, row["name"]
        assert row["operators"] == row["on_edge_tpu"]


def test_estimated_memory_is_todays(coral):
    for row in rows("coral_memory.csv"):
        if row["name"].startswith("efficientnet"):
            model = blueprint(network(row["name"], classes=1001))
        else:
            (path,) = [
                path
                for path in coral.glob(f"{row['name']}-*.tflite")
                if "_edgetpu" not in path.name
            ]
            model = open_model(str(path))
        told = forecast(model).memory.parameter_bytes
        assert told == int(row["estimated_bytes"]), row["name"]


@pytest.mark.slow
def test_a_whole_network_exported_again():
    from edgetpu.export_sizes import exported

    (row,) = [
        row
        for row in rows("coral_exports.csv")
        if row["name"] == "efficientnet-edgetpu-S"
        and row["fused_stride"] == "expand"
    ]
    assert exported("efficientnet-edgetpu-S") == row
