"""A checkpoint of the original made into a model directory."""

from __future__ import annotations

import tensorflow as tf

from efficientnet_tf.data.dataset import number_labels
from efficientnet_tf.data.labels import (
    BACKGROUND_CLASSES,
    IMAGENET_CLASSES,
    imagenet_labels,
    read_labels,
)
from efficientnet_tf.errors import InputError
from efficientnet_tf.modeling.build import build_network
from efficientnet_tf.modeling.load_report import LoadReport
from efficientnet_tf.modeling.tf1_checkpoint import (
    RAW_UNUSED,
    open_tf1_checkpoint,
)
from efficientnet_tf.training.checkpoints import save_weights
from efficientnet_tf.training.config import Config
from efficientnet_tf.training.model_dir import ModelDir
from efficientnet_tf.training.run import resolved


def import_checkpoint(
    config: Config,
    model_dir: str,
    checkpoint: str,
    *,
    labels: str = "",
    ema: bool = True,
) -> LoadReport:
    """Makes a model directory out of a checkpoint of the original.

    It can be evaluated, predicted with, exported, and started from like that
    of a training. Nothing is written where anything is wrong with the input.

    Args:
        config: Names the network; where it leaves the number of classes open,
            it is the checkpoint's. Its data may be none: `data.dir` "".
        model_dir: Where it goes, local or gs://; a new one, or one that the
            same import was stopped in.
        checkpoint: See `load_tf1_checkpoint`.
        labels: A file of names for the classes, see `read_labels`; empty for
            ImageNet's where there are 1000 or 1001, else for numbers.
        ema: See `load_tf1_checkpoint`.

    Returns:
        What each variable of the averaged weights was given.

    Raises:
        InputError: The checkpoint is not of that network, or the directory
            holds something else.
    """
    with open_tf1_checkpoint(checkpoint) as opened:
        network = config.network(opened.classes or None)
        names = _labels(network.classes, labels)
        model = raw = build_network(network, dtype="float32")
        report = opened.load(model, ema=ema)
        unused = list(report.unused.values())
        if unused.count(RAW_UNUSED) == len(report.assigned):
            raw = build_network(network, dtype="float32")
            raw.set_weights(model.get_weights())
            opened.load(raw, ema=False)

    directory = ModelDir(model_dir)
    present = directory.imported()
    if directory.config() is not None and present is None:
        raise InputError(f"{model_dir} holds a run; choose another --model_dir")
    if present is not None and present.source != report.source:
        raise InputError(
            f"{model_dir} holds weights imported from {present.source}; "
            "choose another --model_dir"
        )
    try:
        directory.write_imported(report)
    except tf.errors.OpError as error:
        raise InputError(
            f"--model_dir {model_dir} cannot be written: {error.message}"
        ) from error
    directory.claim(resolved(config, network), names)
    with directory.held():
        save_weights(directory, averaged=model, raw=raw)
    return report


def _labels(classes: int, path: str) -> tuple[str, ...]:
    if path:
        return read_labels(path, classes)
    if classes in (IMAGENET_CLASSES, BACKGROUND_CLASSES):
        return imagenet_labels(classes)
    return number_labels(classes, 0)
