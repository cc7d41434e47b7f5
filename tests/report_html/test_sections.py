"""Sections of a report of many classes, with names that hold anything."""

import numpy as np
import pytest

from efficientnet_tf.report_html import sections
from efficientnet_tf.report_html.findings import Findings, Judged
from efficientnet_tf.report_html.page import page
from efficientnet_tf.training.details import Details
from efficientnet_tf.training.evaluation import Scores

EVIL = "</td><script>alert('%d')</script>&amp;\""


def found(classes):
    """Fifty images a class; of class 3 forty are taken for class 7."""
    confusion = np.eye(classes, dtype=np.int64) * 50
    confusion[3, [3, 7]] = 10, 40
    picture = np.zeros((300, 300, 3), np.uint8)
    worst = [
        Judged(picture, label, 2.5, 0.08, ((7, 0.9), (label, 0.08)))
        for label in range(24)
    ]
    scores = Scores(0.9, 0.95, 0.5, 50 * classes)
    return Findings(
        Details(scores, confusion, np.full(classes, 50), np.ones((15, 3))),
        tuple(worst),
        50 * classes,
    )


@pytest.mark.parametrize("classes", [30, 60, 1000])
def test_names_stay_names(classes, see):
    names = tuple(EVIL % number for number in range(classes))
    findings = found(classes)
    text = page(
        names[0],
        [
            sections.confusions(names, findings, 0),
            sections.worst(names, findings),
            sections.classes(names, findings, 0),
        ],
    )
    seen = see(text)
    assert seen.count("script") == 0
    assert seen.count("img") == 24
    assert names[3] in seen.texts
    assert len(text) < 2_000_000
    texts = seen.texts[seen.texts.index("of the class") + 1 :]
    assert texts[:4] == [names[3], names[7], "40", "80.0%"]
    # The worst class is on top of its table.
    place = seen.texts.index("most confused with")
    assert seen.texts[place + 1] == names[3]
    assert seen.texts[place + 5] == f"{names[7]} (40 of 50)"


def lines(steps):
    return [
        {
            "step": step,
            "epoch": step / 10,
            "loss": 1.0,
            "top1": 0.5,
            "images_per_second": 20.0,
            "input_wait_seconds": 1.0,
        }
        for step in steps
    ]


def test_waiting_is_a_share_of_each_lines_time(see):
    """Steps of 8 images at 20 a second: 10 take 4 seconds, 20 take 8."""
    texts = see(sections.curves(lines([10, 30]), 8)).texts
    assert "share, epoch 1: 25" in texts
    assert "share, epoch 3: 12.5" in texts
    # What a line lacks has no chart.
    assert "Gradient norm" not in texts
    assert "raw" not in texts


def test_raw_figures_stand_beside_the_averaged_ones(see):
    first, *both, last = lines([5, 10, 20, 30])
    both = [line | {"raw_top1": 0.25} for line in both]
    # A line of before, and one whose loss was no number.
    known = [first, *both, last | {"loss": np.nan}]
    texts = see(sections.curves(known, 8)).texts
    assert "raw, epoch 1: 0.25" in texts
    assert "averaged, epoch 0.5: 0.5" in texts
    assert not any("nan" in text for text in texts)
