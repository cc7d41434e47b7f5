"""`report.html`: a run in one file, for people."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from html import escape
from typing import Any

import tensorflow as tf

from efficientnet_tf.files import read_text, write_text
from efficientnet_tf.report import run_title
from efficientnet_tf.report_html import sections
from efficientnet_tf.report_html.findings import judge
from efficientnet_tf.report_html.page import page
from efficientnet_tf.training.config import Config
from efficientnet_tf.training.model_dir import ModelDir
from efficientnet_tf.training.strategy import describe_devices, make_strategy
from efficientnet_tf.training.trained import load_trained, run_config

NAME = "report.html"


def write_report(
    model_dir: str,
    config: Config | None = None,
    *,
    strategy: tf.distribute.Strategy | None = None,
) -> str:
    """Writes `report.html` into a model directory.

    It holds the final figures, curves, confusions, the images that were
    classified worst, the config and the environment, and loads nothing. The
    validation images are evaluated once more for it.

    Args:
        model_dir: A run, finished or not, local or gs://.
        config: Its config, in which data and checkpoint may have been
            changed; None for its own.
        strategy: The devices; None for all GPUs, else the CPU.

    Returns:
        The path of the file.

    Raises:
        InputError: There is no run, it has no checkpoint yet, or its data is
            gone.
        RunError: A record or the checkpoint cannot be used.
    """
    strategy = strategy or make_strategy("")
    directory = ModelDir(model_dir)
    own = run_config(model_dir)
    config = config or own
    with strategy.scope():
        trained = load_trained(
            model_dir, config, checkpoint=config.evaluate.checkpoint
        )
    dataset = trained.open_data()
    first = trained.check_labels(dataset)
    found = judge(trained, dataset, first, strategy)
    result = directory.result()
    lines = [dataclasses.asdict(line) for line in directory.metrics()]
    title = run_title(
        {
            "model": trained.network.name,
            "pixels": trained.network.pixels,
            "data": dataset.name,
        }
    )
    text = page(
        title,
        [
            f"<header><h1>{escape(title)}</h1>"
            f"{sections.summary(trained, found, result)}</header>",
            sections.curves(lines, own.train.batch),
            sections.confusions(trained.labels, found, first),
            sections.worst(trained.labels, found),
            sections.classes(trained.labels, found, first),
            sections.settings(own),
            sections.environment(_environment(directory, result, strategy)),
        ],
    )
    path = directory.join(NAME)
    write_text(path, text)
    return path


def _environment(
    directory: ModelDir,
    result: dict[str, Any] | None,
    strategy: tf.distribute.Strategy,
) -> list[tuple[str, str]]:
    """What the run was made with, and when."""
    written = json.loads(read_text(directory.join("config.json")) or "{}")
    rows = [("model directory", directory.path)]
    if result:
        devices = f"{result['devices']}, {result['precision']}"
        rows.append(("trained on", devices))
    rows += [
        ("this report made on", describe_devices(strategy)),
        ("begun", _date(directory.join("config.json"))),
    ]
    if result:
        rows.append(("ended", _date(directory.join("result.json"))))
    rows.append(("this report", _shown(datetime.now(UTC))))
    rows += sorted(written["versions"].items())
    rows.append(("commit", written["commit"] or "unknown"))
    return rows


def _date(path: str) -> str:
    """When a file was written."""
    seconds = tf.io.gfile.stat(path).mtime_nsec / 1e9
    return _shown(datetime.fromtimestamp(seconds, UTC))


def _shown(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")
