"""A checkpoint of the original made into a model directory."""

from __future__ import annotations

from dataclasses import asdict

import keras

from efficientnet_tf.data.dataset import number_labels
from efficientnet_tf.data.labels import (
    BACKGROUND_CLASSES,
    imagenet_labels,
    read_labels,
)
from efficientnet_tf.errors import InputError
from efficientnet_tf.modeling.build import build_network
from efficientnet_tf.modeling.load_report import LoadReport
from efficientnet_tf.modeling.tf1_checkpoint import open_tf1_checkpoint
from efficientnet_tf.networks import IMAGENET_CLASSES, Network
from efficientnet_tf.training.checkpoints import latest, save_weights
from efficientnet_tf.training.config import Config
from efficientnet_tf.training.model_dir import ModelDir
from efficientnet_tf.training.run import absolute, resolved


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
            it is the checkpoint's. It speaks of no data: `data.dir` is "".
        model_dir: Where it goes, local or gs://: a new one, one that an import
            was stopped in, or one that this very import is done in already.
        checkpoint: See `load_tf1_checkpoint`.
        labels: A file of names for the classes, see `read_labels`; empty for
            ImageNet's where the classifier is one of 1000 or 1001, else for
            numbers.
        ema: See `load_tf1_checkpoint`. Where it is true and the checkpoint has
            raw weights as well, both are kept, as a training keeps both.

    Returns:
        What each variable of the averaged weights was given.

    Raises:
        InputError: The checkpoint is not of that network, or the directory
            holds something else.
    """
    keras.utils.set_random_seed(config.train.seed)
    with open_tf1_checkpoint(absolute(checkpoint)) as opened:
        network = config.network(opened.classes or None)
        if not network.classes:
            raise InputError(
                "classes 0: a run has a classifier; give model.classes"
            )
        model = raw = build_network(network, dtype="float32")
        report = opened.load(model, ema=ema)
        if report.averaged and opened.has_raw(report):
            raw = build_network(network, dtype="float32")
            raw.set_weights(model.get_weights())
            opened.load(raw, ema=False)
    names = _labels(network, labels, fresh_head=bool(report.fresh))
    account = {"ema": ema, "raw": raw is not model, **asdict(report)}

    directory = ModelDir(model_dir)
    config = resolved(config, network)
    if latest(directory.checkpoints) is not None and directory.imported():
        _check_same(directory, config, names, account)
        return report
    directory.begin_import(config, names, account)
    with directory.held():
        save_weights(directory, averaged=model, raw=raw)
    return report


def _check_same(
    directory: ModelDir,
    config: Config,
    labels: tuple[str, ...],
    account: dict[str, object],
) -> None:
    """Raises InputError unless a finished import is this one."""
    present = directory.imported() or {}
    there = (present, directory.config(), directory.labels())
    if there != (account, config, labels):
        raise InputError(
            f"{directory.path} holds another import, of "
            f"{present.get('source')}; choose another --model_dir"
        )


def _labels(
    network: Network, path: str, *, fresh_head: bool
) -> tuple[str, ...]:
    if path:
        return read_labels(path, network.classes)
    known = (IMAGENET_CLASSES, BACKGROUND_CLASSES)
    if network.classes in known and not fresh_head:
        return imagenet_labels(network.classes)
    return number_labels(network.classes, 0)
