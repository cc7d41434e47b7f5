"""The parts of a report, each from the facts that it shows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from efficientnet_tf.evaluate import class_rows
from efficientnet_tf.networks import Variant, totals
from efficientnet_tf.report_html.charts import (
    NAMED_CLASSES,
    NUMBERED_CLASSES,
    Series,
    grouped,
    line_chart,
    matrix,
)
from efficientnet_tf.report_html.findings import Findings, Judged
from efficientnet_tf.report_html.page import (
    paragraph,
    picture,
    section,
    table,
    tiles,
)
from efficientnet_tf.training.config import Config
from efficientnet_tf.training.trained import TrainedModel

PAIRS = 30

Line = Mapping[str, Any]


def summary(trained: TrainedModel, found: Findings, result: Line | None) -> str:
    """The final figures.

    Args:
        trained: The network.
        found: What the pass over the validation images found.
        result: What `result.json` says; None where the run has not ended.
    """
    scores, result = found.details.scores, result or {}
    images = f"{scores.images:,} validation images"
    if scores.images < found.of_images:
        images = f"the first {scores.images:,} of {found.of_images:,} images"
    shown = [
        ("top-1", f"{scores.top1:.4f}"),
        ("top-5", f"{scores.top5:.4f}"),
        ("loss", f"{scores.loss:.4f}"),
        ("calibration error", f"{found.details.calibration_error:.4f}"),
    ]
    for name, title in (
        ("raw_top1", "top-1, raw weights"),
        ("int8_top1", "top-1 as int8"),
    ):
        if name in result:
            shown.append((title, f"{result[name]:.4f}"))
    if "images_per_second" in result:
        pace = f"{result['images_per_second']:,.0f}"
        shown.append(("images/s in training", pace))
    counts = totals(trained.network)
    facts = [
        f"{trained.step:,} steps, {trained.config.evaluate.checkpoint} "
        f"checkpoint, averaged weights on {images}",
        f"{counts.trainable_parameters:,} parameters, "
        f"{counts.macs / 1e6:,.1f} M multiply-adds",
    ]
    if result:
        facts.append(
            f"{result['epochs']:.1f} epochs on {result['devices']}, "
            f"{result['precision']}"
        )
    return paragraph("; ".join(facts)) + tiles(shown)


def curves(lines: Sequence[Line], batch: int) -> str:
    """How training went.

    Args:
        lines: Those of `metrics.jsonl`.
        batch: Images of a step.
    """
    charts = [
        ("Training loss", {"loss": _of("loss")}),
        (
            "Validation top-1",
            {"averaged": _of("top1"), "raw": _of("raw_top1")},
        ),
        (
            "Validation top-5",
            {"averaged": _of("top5"), "raw": _of("raw_top5")},
        ),
        ("Learning rate", {"learning rate": _of("learning_rate")}),
        ("Gradient norm", {"gradient norm": _of("gradient_norm")}),
        ("Images per second", {"images/s": _of("images_per_second")}),
    ]
    drawn = []
    for title, values in charts:
        series = [
            Series(name, points)
            for name, value in values.items()
            if (points := _points(lines, value))
        ]
        if series:
            drawn.append(line_chart(title, series))
    waits = _waits(lines, batch)
    if waits:
        drawn.append(
            line_chart("Time waiting for input, %", [Series("share", waits)])
        )
    if not drawn:
        return section("Curves", paragraph("This run left no metrics."))
    return section("Curves", f'<div class="charts">{"".join(drawn)}</div>')


def confusions(labels: Sequence[str], found: Findings, first: int) -> str:
    """Which classes are taken for which.

    Args:
        labels: Names of the classes.
        found: What was found.
        first: The first class that the data has.
    """
    confusion = found.details.confusion
    content = [
        paragraph(
            "Rows are classes, columns what they were taken for; shares of "
            "the row, darker by their square root."
        )
    ]
    if len(labels) > NAMED_CLASSES:
        content.append(
            paragraph(
                f"{len(labels):,} classes in groups of neighbours, numbered "
                "as logits."
            )
        )
        groups, names = grouped(confusion, labels)
        content.append(_scrolling(matrix(_shares(groups), names)))
    else:
        shares = _shares(confusion)[first:]
        content.append(_scrolling(matrix(shares, labels, first=first)))
    if len(labels) > NUMBERED_CLASSES:
        content.append("<h3>Most confused</h3>")
        content.append(_pairs(labels, confusion))
    return section("Confusion matrix", *content)


def classes(labels: tuple[str, ...], found: Findings, first: int) -> str:
    """Each class with what it is worth, the worst one on top."""
    columns = ("class", "images", "top-1", "top-5", "most confused with")
    numbers = frozenset(columns[1:4])
    known = []
    for _, name, images, top1, top5, rival, confused in class_rows(
        labels, found.details, first
    ):
        # A class without images says nothing of the network.
        if images:
            known.append(
                (
                    float(top1),
                    [
                        str(name),
                        f"{images:,}",
                        f"{top1:.4f}",
                        f"{top5:.4f}",
                        f"{rival} ({confused:,} of {images:,})"
                        if rival
                        else "",
                    ],
                )
            )
    rows = [row for _, row in sorted(known, key=lambda pair: pair[0])]
    content = [table(columns, rows[:NAMED_CLASSES], numbers=numbers)]
    rest = rows[NAMED_CLASSES:]
    if rest:
        content.append(
            f"<details><summary>{len(rest):,} more</summary>"
            f"{table(columns, rest, numbers=numbers)}</details>"
        )
    lacking = len(labels) - first - len(rows)
    if lacking:
        content.append(paragraph(f"{lacking:,} classes have no images."))
    return section("Classes, worst first", *content)


def worst(labels: Sequence[str], found: Findings) -> str:
    """The images of highest loss."""
    shown = "".join(_judged(labels, image) for image in found.worst)
    return section(
        "Worst-classified images",
        paragraph(
            "Those of highest loss, as the network sees them: the class with "
            "its probability, then what was said."
        ),
        f'<div class="images">{shown}</div>',
    )


def settings(config: Config) -> str:
    """The config by section, what is not the default marked."""
    shown = []
    for part in dataclasses.fields(Config):
        ours, default = getattr(config, part.name), getattr(Config(), part.name)
        names = [field.name for field in dataclasses.fields(ours)]
        rows, marked = [], set()
        for place, name in enumerate(names):
            value, usual = getattr(ours, name), getattr(default, name)
            if value != usual:
                marked.add(place)
            was = _value(usual) if value != usual else ""
            rows.append((name, _value(value), was))
        columns = ("field", "value", "default")
        shown.append(
            f"<div><h3>{escape(part.name)}</h3>"
            f"{table(columns, rows, marked=frozenset(marked))}</div>"
        )
    return section(
        "Config",
        paragraph("Marked: what is not the default, or was left open there."),
        f'<div class="sections">{"".join(shown)}</div>',
    )


def environment(facts: Sequence[tuple[str, str]]) -> str:
    """Versions, devices and dates."""
    return section("Environment", table((), facts))


def _of(name: str) -> Callable[[Line], float | None]:
    """A field of a line, which lines of an older version may lack."""
    return lambda line: line.get(name)


def _points(
    lines: Sequence[Line], value: Callable[[Line], float | None]
) -> tuple[tuple[float, float], ...]:
    values = [(line["epoch"], value(line)) for line in lines]
    return tuple(
        (epoch, float(found))
        for epoch, found in values
        if found is not None and np.isfinite(found)
    )


def _waits(
    lines: Sequence[Line], batch: int
) -> tuple[tuple[float, float], ...]:
    """Per cent of each line's time."""
    points = []
    before = 0
    for line in lines:
        seconds = (line["step"] - before) * batch / line["images_per_second"]
        share = line["input_wait_seconds"] / seconds
        points.append((line["epoch"], 100 * share))
        before = line["step"]
    return tuple(points)


def _shares(confusion: np.ndarray) -> np.ndarray:
    return confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)


def _scrolling(content: str) -> str:
    return f'<div class="scroll">{content}</div>'


def _pairs(labels: Sequence[str], confusion: np.ndarray) -> str:
    """The commonest confusions."""
    wrong = confusion.copy()
    np.fill_diagonal(wrong, 0)
    images = confusion.sum(axis=1)
    order = np.argsort(-wrong, axis=None, kind="stable")[:PAIRS]
    rows: list[tuple[str, ...]] = []
    for row, column in zip(*np.unravel_index(order, wrong.shape), strict=True):
        count = int(wrong[row, column])
        if count:
            share = f"{count / images[row]:.1%}"
            rows.append((labels[row], labels[column], f"{count:,}", share))
    if not rows:
        return paragraph("None.")
    columns = ("class", "taken for", "images", "of the class")
    return table(columns, rows, numbers=frozenset(columns[2:]))


def _judged(labels: Sequence[str], image: Judged) -> str:
    name = labels[image.label]
    wrong = image.said[0][0] != image.label
    said = "".join(
        f'<div class="said{" false" if place == 0 and wrong else ""}"><span>'
        f"{escape(labels[number])}</span><span>{share:.1%}</span></div>"
        for place, (number, share) in enumerate(image.said)
    )
    return (
        f"<figure>{picture(image.picture, name)}<figcaption>"
        f'<div class="class"><span>{escape(name)}</span>'
        f"<span>{image.probability:.1%}</span></div>{said}"
        f'<div class="said"><span>loss</span><span>{image.loss:.2f}</span>'
        "</div></figcaption></figure>"
    )


def _value(value: Any) -> str:
    if value is None:
        return "\u2013"
    if isinstance(value, Variant):
        return "a table of its own, in config.json"
    return "\u201c\u201d" if value == "" else str(value)
