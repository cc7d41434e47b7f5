"""A trained network on a split of the records, with all that it got wrong."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from efficientnet_tf.data.manifest import Split
from efficientnet_tf.errors import InputError
from efficientnet_tf.files import make_folder, write_text
from efficientnet_tf.plots import save_confusion
from efficientnet_tf.training.config import Config
from efficientnet_tf.training.details import (
    CONFIDENCE_BINS,
    Details,
    count_details,
    details,
)
from efficientnet_tf.training.evaluation import Evaluator
from efficientnet_tf.training.model_dir import ModelDir
from efficientnet_tf.training.strategy import describe_devices, make_strategy
from efficientnet_tf.training.trained import TrainedModel, load_trained

RESULT = "evaluation.json"
PER_CLASS = "per_class.csv"
CONFUSION = "confusion.png"

_COLUMNS = (
    "class",
    "label",
    "images",
    "top1",
    "top5",
    "most_confused_with",
    "confused_images",
)


def evaluate(
    config: Config,
    model_dir: str,
    *,
    split: Split = "validation",
    out: str = "",
    labels: str = "",
    strategy: tf.distribute.Strategy | None = None,
) -> dict[str, Any]:
    """Evaluates a checkpoint of a run, and writes what came out.

    Leaves `evaluation.json`, which is what is returned, and of the averaged
    weights `per_class.csv`, a line for each class of the data, and
    `confusion.png`.

    Args:
        config: The run's config, in which data and checkpoint may have been
            changed.
        model_dir: The run.
        split: Which of the records.
        out: A folder; empty for `evaluation/SPLIT` in the model directory.
        labels: A file of names for the network's classes, see `read_labels`;
            empty for the run's, which the data must then share.
        strategy: The devices; None for all GPUs, else the CPU.

    Returns:
        `top1, top5, loss, calibration_error` of the averaged weights,
        `raw_top1, raw_top5` of the others, `images`, what they are of,
        `skipped`, the records that could not be used, and
        `calibration`, a row for each bin of confidences.

    Raises:
        InputError: There is no such run, the data has other classes, or
            `out` cannot be written.
        RunError: Records are missing or too many.
    """
    strategy = strategy or make_strategy("")
    checkpoint = config.evaluate.checkpoint
    with strategy.scope():
        trained = load_trained(
            model_dir, config, checkpoint=checkpoint, labels=labels
        )
    dataset = trained.open_data()
    first = trained.check_labels(dataset)
    out = out or ModelDir(model_dir).join("evaluation", split)
    make_folder(out, "--out")
    evaluator = Evaluator(
        trained.network,
        dataset,
        cut=trained.cut,
        batch=config.evaluate.batch,
        strategy=strategy,
        split=split,
        first_logit=first,
        max_bad_share=trained.config.data.max_bad_share,
    )
    found = details(evaluator.sums(trained.model, count_details))
    scores = raw = found.scores
    if trained.raw is not trained.model:
        raw = evaluator(trained.raw)
    result = {
        "model": trained.network.name,
        "data": dataset.name,
        "split": split,
        "checkpoint": checkpoint,
        "step": trained.step,
        "images": scores.images,
        "skipped": scores.skipped,
        "top1": scores.top1,
        "top5": scores.top5,
        "loss": scores.loss,
        "calibration_error": found.calibration_error,
        "raw_top1": raw.top1,
        "raw_top5": raw.top5,
        "background": bool(first),
        "devices": describe_devices(strategy),
        "out": out,
        "calibration": _calibration(found),
    }
    _write(out, result, trained, found, first)
    return result


def _write(
    out: str,
    result: dict[str, Any],
    trained: TrainedModel,
    found: Details,
    first: int,
) -> None:
    """Writes the three files, `evaluation.json` last."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_COLUMNS)
    table.writerows(class_rows(trained.labels, found, first))
    result_file = os.path.join(out, RESULT)
    try:
        # What lies there from before must not vouch for the new files.
        if tf.io.gfile.exists(result_file):
            tf.io.gfile.remove(result_file)
        write_text(os.path.join(out, PER_CLASS), text.getvalue())
        save_confusion(
            os.path.join(out, CONFUSION),
            found.confusion,
            trained.labels,
            first=first,
            title=f"{result['model']} on {result['data']}, {result['split']}\n"
            f"top-1 {found.scores.top1:.4f} of {found.scores.images:,} images",
        )
        write_text(
            result_file,
            json.dumps(result, indent=2, ensure_ascii=False) + "\n",
        )
    except tf.errors.OpError as error:
        raise InputError(
            f"--out {out} cannot be written: {error.message}"
        ) from error


def class_rows(
    labels: tuple[str, ...], found: Details, first: int
) -> Iterator[tuple[int | str | float, ...]]:
    """Lines of `per_class.csv`; empty where there is nothing to say."""
    for number in range(first, len(labels)):
        row = found.confusion[number]
        images, right = int(row.sum()), int(row[number])
        wrong = row.copy()
        wrong[number] = 0
        rival = int(np.argmax(wrong))
        confused = int(wrong[rival])
        yield (
            number,
            labels[number],
            images,
            right / images if images else "",
            int(found.in_five[number]) / images if images else "",
            labels[rival] if confused else "",
            confused,
        )


def _calibration(found: Details) -> list[dict[str, Any]]:
    """Confidences and how right they are, by bin."""
    return [
        {
            "above": number / CONFIDENCE_BINS,
            "up_to": (number + 1) / CONFIDENCE_BINS,
            "images": int(images),
            "confidence": confidence / images if images else None,
            "top1": right / images if images else None,
        }
        for number, (images, confidence, right) in enumerate(
            found.bins.tolist()
        )
    ]
