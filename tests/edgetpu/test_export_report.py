"""The page that an export leaves."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from edgetpu.blueprint import blueprint
from edgetpu.forecast import Forecast, forecast
from edgetpu.layer_errors import LayerError
from edgetpu.report import ExportReport, Port
from edgetpu.report_drawings import Cell, memory_bar, network_diagram
from edgetpu.report_page import export_page
from edgetpu.verify import Comparison, JudgedImage, Verification
from efficientnet_tf.networks import network
from efficientnet_tf.networks.edgetpu_memory import CACHE_BYTES, Memory

LABELS = ("tench", "<b>&", "crane")
_OPEN = {"meta", "img", "rect", "path", "circle", "br"}


class _Page(HTMLParser):
    """Whether what is opened is closed, and what is linked to."""

    def __init__(self, text):
        super().__init__()
        self.stack, self.links = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.links += [v for k, v in attrs if k in ("src", "href")]
        if tag not in _OPEN:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        if tag not in _OPEN:
            assert self.stack.pop() == tag


@pytest.fixture
def found() -> Forecast:
    return forecast(blueprint(network("efficientnet-edgetpu-S", classes=3)))


@pytest.fixture
def verified() -> Verification:
    judged = [
        JudgedImage(place, place, 0, 0.75, place, 0.5, 0.125)
        for place in range(3)
    ]
    layers = (
        LayerError(1, "CONV_2D", "stem_conv", 40.0, 9.9),
        LayerError(2, "CONV_2D", "block1a_expand_conv", 30.0, 10.0),
        LayerError(3, "CONV_2D", "block1a_project_conv", None, -19.9),
    )
    picture = np.full((8, 8, 3), 128, np.uint8)
    return Verification(
        Comparison(3, 0.5, 0.25, 0.75, 0.01, 0.02, 0.03),
        tuple(judged[:1]),
        tuple(judged),
        layers,
        dict.fromkeys(range(3), picture),
    )


@pytest.fixture
def report(found, verified) -> ExportReport:
    names = [operator.name for operator in found.operators]
    return ExportReport(
        network="efficientnet-edgetpu-S",
        step=7,
        dataset="fish",
        pixels=224,
        crop="pad32",
        resize="legacy_bicubic",
        normalization="centered127",
        classes=3,
        file="efficientnet-edgetpu-S_int8.tflite",
        bytes=3 * 2**20,
        input=Port("uint8", (1, 224, 224, 3), 1 / 128, 127),
        output=Port("uint8", (1, 3), 1 / 256, 0),
        operators={name: names.count(name) for name in names},
        calibration_images=5,
        calibration_range="mse",
        comparison=verified.comparison,
        worst=verified.worst,
        layers=verified.layers,
        problems=(),
        compiled=None,
        not_compiled="no compiler",
    )


def test_the_page_stands_alone(report, found, verified):
    text = export_page(report, found, verified, LABELS)
    page = _Page(text)
    assert page.stack == []
    assert all(link.startswith("data:image/jpeg") for link in page.links)
    assert len(page.links) == 4
    # A class may be called anything.
    assert "<b>&" not in text
    assert "&lt;b&gt;&amp;" in text


def test_the_page_says_what_was_found(report, found, verified):
    text = export_page(report, found, verified, LABELS)
    for words in (
        "50.00%", "25.00%", "75.00%", "0.0100", ">3.00<", "66 of 66",
        "step 7", "5 training images of fish, ranges by mse,", "stem_conv",
        "exact", f"{found.latency.milliseconds:.1f}", "38 CONV_2D",
    ):  # fmt: skip
        assert words in text, words


def test_the_commands_are_those_of_the_project(report, found, verified):
    text = export_page(report, found, verified, LABELS)
    file = "efficientnet-edgetpu-S_int8"
    assert f"edgetpu_compiler -s {file}.tflite" in text
    assert f"python3 -m run {file}_edgetpu.tflite cat.jpg" in text
    assert f"python -m edgetpu run FOLDER/{file}.tflite cat.jpg" in text


def test_every_operator_has_its_colour(report, found, verified):
    operators = [
        dataclasses.replace(each, on_edge_tpu=each.index < 60, reason="why")
        for each in found.operators
    ]
    partly = dataclasses.replace(found, operators=tuple(operators))
    text = export_page(report, partly, verified, LABELS)
    diagram = text[text.index("Where each") : text.index("Memory for")]
    assert diagram.count('<rect class="line0"') == 60
    assert diagram.count('<rect class="line1"') == 6
    assert "65 QUANTIZE, QUANTIZE: why" in diagram


def test_without_labels_and_layers(report, found, verified):
    bare = dataclasses.replace(
        verified,
        layers=(),
        samples=(dataclasses.replace(verified.samples[0], label=None),),
    )
    compared = dataclasses.replace(
        report.comparison, float_top1=None, int8_top1=None
    )
    text = export_page(
        dataclasses.replace(report, layers=(), comparison=compared),
        found,
        bare,
        LABELS,
    )
    assert _Page(text).stack == []
    assert "Error by layer" not in text


def test_blocks_stand_side_by_side():
    cells = [
        Cell(i, "ADD", group, "x", True, "y")
        for i, group in enumerate(["a"] * 3 + ["b"] * 12)
    ]
    corners = re.findall(
        r'x="([\d.]+)" y="([\d.]+)" width', network_diagram(cells)
    )
    columns = [float(x) for x, _ in corners]
    assert len(set(columns[:3])) == 1
    assert len(set(columns[3:])) == 2
    assert max(columns[:3]) < min(columns[3:])
    assert len(set(corners)) == 15


def test_the_bar_is_in_proportion():
    text = memory_bar(Memory(2 * CACHE_BYTES, CACHE_BYTES, CACHE_BYTES))
    widths = [
        float(width)
        for width in re.findall(
            r'"line[01]" x="[\d.]+" y="4" width="([\d.]+)"', text
        )
    ]
    assert widths[0] == pytest.approx(widths[1], abs=0.2)
    assert sum(widths) == pytest.approx(700 / 1.02, abs=0.3)
