"""A finished network out of a model directory."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace

import keras
import tensorflow as tf

from efficientnet_tf.data.cut import Cut
from efficientnet_tf.data.dataset import RecordDataset
from efficientnet_tf.data.labels import read_labels, same_classes
from efficientnet_tf.errors import InputError
from efficientnet_tf.modeling.build import build_network
from efficientnet_tf.networks import Network
from efficientnet_tf.training.checkpoints import latest, restore
from efficientnet_tf.training.config import Config, Which
from efficientnet_tf.training.model_dir import ModelDir
from efficientnet_tf.training.run import open_data
from efficientnet_tf.training.state import by_path


@dataclass(frozen=True)
class TrainedModel:
    """What a run has learnt.

    Attributes:
        config: The run's config, or what was made of it since.
        network: The network, every number final.
        labels: Names of the classes in the order of logits.
        model: The averaged weights in float32: normalised images to logits.
        raw: The weights as they were trained, not averaged.
        step: Steps done when they were saved.
        renamed: Whether the labels were given by hand.
    """

    config: Config
    network: Network
    labels: tuple[str, ...]
    model: keras.Model
    raw: keras.Model
    step: int
    renamed: bool = False

    @property
    def cut(self) -> Cut:
        """How pictures become the network's inputs."""
        return self.config.data.cut(self.network.pixels)

    def open_data(self) -> RecordDataset:
        """Finds the records that the config speaks of.

        How many classes they have, a background leaves open.

        Raises:
            InputError: There are none, or they are not what the config says.
        """
        config = self.config
        classes = config.model.classes
        if config.evaluate.background and classes:
            classes -= 1
        elif config.data.train_images is None:
            # Not the data that the run was trained on: see `open_run`.
            classes = None
        model = replace(config.model, classes=classes)
        return open_data(replace(config, model=model))

    def first_logit(self, dataset: RecordDataset) -> int:
        """Where the classes of a data set begin among the logits.

        Returns:
            1 where logit 0 is a background that the data does not have (see
            `EvaluateConfig.background`), else 0.

        Raises:
            InputError: The numbers of classes do not fit each other.
        """
        ours, theirs = self.network.classes, dataset.classes
        background = self.config.evaluate.background
        if background is None and ours == theirs + 1:
            print(
                f"logit 0 of {self.network.name} is taken for the background: "
                f"it has {ours} classes, {dataset.path} has {theirs} "
                "(evaluate.background says so, or not)",
                file=sys.stderr,
            )
            background = True
        first = int(bool(background))
        if ours - first != theirs:
            besides = " besides its background" if first else ""
            raise InputError(
                f"{dataset.path} has {_few(dataset.labels)}; the network has "
                f"{_few(self.labels[first:])}{besides}; name other data by "
                "--data_dir, or train on these by --init_from"
            )
        return first

    def check_labels(self, dataset: RecordDataset) -> int:
        """`first_logit`, with a look at the names of the classes.

        Names that were given by hand need not be those of the data.

        Raises:
            InputError: A data set has other classes than the run.
        """
        first = self.first_logit(dataset)
        ours, theirs = self.labels[first:], dataset.labels
        if not self.renamed and not same_classes(ours, theirs):
            raise InputError(
                f"{dataset.path} has {_few(theirs)}; the run has "
                f"{_few(ours)}; if they are the same, name them by --labels"
            )
        return first


def run_config(model_dir: str) -> Config:
    """The config of the run in a model directory.

    Raises:
        InputError: There is no run.
    """
    config = ModelDir(model_dir).config()
    if config is None:
        raise InputError(
            f"--model_dir {model_dir} holds no run: it has no config.json"
        )
    return config


def load_trained(
    model_dir: str,
    config: Config,
    *,
    checkpoint: Which = "last",
    labels: str = "",
) -> TrainedModel:
    """Loads the weights of a run, without its optimizer.

    Args:
        model_dir: A model directory.
        config: The config of its run, in which all but the network may have
            been changed; the network is the run's own in any case, under the
            normalization that this config says.
        checkpoint: The last one, or the one with the best top-1.
        labels: A file of names for the classes, see `read_labels`; empty for
            the run's own.

    Raises:
        InputError: There is no checkpoint yet, or the labels do not fit.
        RunError: The checkpoint does not hold the network.
    """
    directory = ModelDir(model_dir)
    folder = {"last": directory.checkpoints, "best": directory.best}[checkpoint]
    path = latest(folder)
    if path is None:
        raise InputError(f"{model_dir} has no checkpoint in {folder}")
    # The weights fit no other network, but pixels may reach it another way.
    network = replace(run_config(model_dir), data=config.data).network()
    names = _labels(directory, network, config, labels)
    model = build_network(network, dtype="float32")
    raw = model
    if _has_raw(directory, config):
        raw = build_network(network, dtype="float32")
    step = tf.Variable(0, dtype=tf.int64)
    contents = tf.train.Checkpoint(
        averaged=by_path(model),
        model=by_path(raw),
        progress={"step": step},
    )
    restore(contents, path)
    return TrainedModel(
        config=config,
        network=network,
        labels=names,
        model=model,
        raw=raw,
        step=int(step.numpy()),
        renamed=bool(labels),
    )


def _has_raw(directory: ModelDir, config: Config) -> bool:
    """Whether a run keeps raw weights beside the averaged ones."""
    imported = directory.imported()
    return bool(imported["raw"] if imported else config.train.average_decay)


def _labels(
    directory: ModelDir, network: Network, config: Config, path: str
) -> tuple[str, ...]:
    """Names of the classes: the run's, or those of a file."""
    if path:
        return read_labels(
            path, network.classes, background=config.evaluate.background
        )
    labels = directory.labels()
    if len(labels) != network.classes:
        raise InputError(
            f"{directory.path} has {len(labels)} lines in labels.txt; the "
            f"network has {network.classes} classes"
        )
    return labels


def _few(labels: tuple[str, ...]) -> str:
    rest = ", ..." if len(labels) > 3 else ""
    some = ", ".join(repr(label) for label in labels[:3])
    return f"{len(labels)} classes ({some}{rest})"
