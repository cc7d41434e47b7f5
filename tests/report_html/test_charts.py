"""Drawings: that what is read off them is what went in."""

import re

import numpy as np
import pytest

from efficientnet_tf.report_html.charts import (
    Series,
    grouped,
    line_chart,
    matrix,
)

HEIGHTS = [
    (0.1583, 0.8777, 0.9472),
    (3.9, 1.2, 0.9),
    (18_000.0, 18_250.0),
    (1e-7, 3e-7),
    (0.0, 0.0),
    (5.0,),
    (-3.0, 2.0),
    (1e-3, 1e3),
]


def heights(drawing):
    """What the texts beside the left axis say, and where they stand."""
    return [
        (float(text.text.replace(",", "")), float(text.get("y")) - 4)
        for text in drawing.iter("text")
        if "end" in text.get("class")
    ]


@pytest.mark.parametrize("values", HEIGHTS)
def test_points_stand_where_the_axis_says(values, svg):
    points = tuple((1.0 + n, value) for n, value in enumerate(values))
    drawing = svg(line_chart("a <b> & c", [Series("x", points)]))
    ticks = heights(drawing)
    assert 2 <= len(ticks) <= 7
    assert len({tick for tick, _ in ticks}) == len(ticks)
    (low, bottom), (high, top) = ticks[0], ticks[-1]
    assert low <= min(values) <= max(values) <= high
    circles = list(drawing.iter("circle"))
    assert len(circles) == len(values)
    for value, circle in zip(values, circles, strict=True):
        share = (value - low) / (high - low)
        expected = bottom + share * (top - bottom)
        assert float(circle.get("cy")) == pytest.approx(expected, abs=0.15)
        assert f"{value:.4g}" in circle[0].text


def test_a_long_training_fills_the_width(svg):
    points = tuple((float(epoch), 1 / epoch) for epoch in range(1, 351))
    drawing = svg(line_chart("loss", [Series("x", points)]))
    assert not list(drawing.iter("circle"))
    (line,) = (p for p in drawing.iter("path") if p.get("class") == "line0")
    places = [float(x) for x in re.findall(r"[ML]([\d.]+) ", line.get("d"))]
    width = float(drawing.get("viewBox").split()[2])
    assert len(places) == 350
    assert places == sorted(places)
    assert places[-1] - places[0] > 0.8 * width


def test_lines_are_told_apart_by_a_legend(see):
    series = [Series("averaged", ((1, 2),)), Series("raw", ((1, 3),))]
    seen = see(line_chart("top-1", series))
    assert seen.texts[:3] == ["top-1", "averaged", "raw"]
    assert "averaged" not in see(line_chart("top-1", series[:1])).texts


def cells(drawing):
    return [r for r in drawing.iter("rect") if r.get("class") != "frame"]


def test_a_matrix_has_a_cell_for_what_happened(svg):
    shares = np.array([[0, 0.75, 0.25], [0, 0.004, 0.996]])
    names = ["background", "<script>", "b & c"]
    drawing = svg(matrix(shares, names, first=1))
    found = [(c.get("class"), c[0].text) for c in cells(drawing)]
    assert found == [
        ("right", "<script> \u2192 <script>: 75.0%"),
        ("wrong", "<script> \u2192 b & c: 25.0%"),
        ("wrong", "b & c \u2192 <script>: 0.4%"),
        ("right", "b & c \u2192 b & c: 99.6%"),
    ]
    numbers = [
        text.text
        for text in drawing.iter("text")
        if "number" in text.get("class")
    ]
    assert numbers == ["75", "25", "<1", "100"]
    # Rare errors are seen, and a cell is where row and column meet.
    assert all(float(c.get("fill-opacity")) > 0.05 for c in cells(drawing))
    first, second = cells(drawing)[:2]
    assert float(second.get("x")) - float(first.get("x")) == 30
    assert first.get("y") == second.get("y")


@pytest.mark.parametrize("classes", [2, 20, 21, 50])
def test_names_have_their_room(classes, svg):
    names = [f"class {'m' * number}" for number in range(classes)]
    drawing = svg(matrix(np.eye(classes), names))
    width, height = float(drawing.get("width")), float(drawing.get("height"))
    assert width == height
    assert 15 * classes < width < 30 * classes + 150
    said = [t.text for t in drawing.iter("text") if "name" in t.get("class")]
    assert len(said) == 2 * classes
    assert all(len(text) <= 18 for text in said)


@pytest.mark.parametrize("classes", [51, 100, 101, 1000])
def test_groups_hold_all_images(classes):
    random = np.random.default_rng(0)
    confusion = random.integers(0, 9, (classes, classes))
    groups, names = grouped(confusion, ["x"] * classes)
    assert len(names) <= 50
    assert groups.shape == (len(names), len(names))
    assert groups.sum() == confusion.sum()
    size = -(-classes // 50)
    assert groups[1, 0] == confusion[size : 2 * size, :size].sum()
    assert names[0] == f"0\u2013{size - 1}"
    assert names[-1].endswith(str(classes - 1))
