"""A finished network out of a model directory."""

from __future__ import annotations

from dataclasses import dataclass, replace

import keras
import tensorflow as tf

from efficientnet_tf.data.cut import Cut
from efficientnet_tf.data.dataset import RecordDataset
from efficientnet_tf.errors import InputError
from efficientnet_tf.modeling.build import build_network
from efficientnet_tf.networks import Network
from efficientnet_tf.training.checkpoints import latest, restore
from efficientnet_tf.training.config import Config, Which
from efficientnet_tf.training.model_dir import ModelDir


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
    """

    config: Config
    network: Network
    labels: tuple[str, ...]
    model: keras.Model
    raw: keras.Model
    step: int

    @property
    def cut(self) -> Cut:
        """How pictures become the network's inputs."""
        return self.config.data.cut(self.network.pixels)

    def check_labels(self, dataset: RecordDataset) -> None:
        """Raises InputError where a data set has other classes than the run."""
        if dataset.labels != self.labels:
            raise InputError(
                f"{dataset.path} has the classes {_few(dataset.labels)}; the "
                f"run was trained on {_few(self.labels)}"
            )


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
    model_dir: str, config: Config, *, checkpoint: Which = "last"
) -> TrainedModel:
    """Loads the weights of a run, without its optimizer.

    Args:
        model_dir: A model directory.
        config: The config of its run, in which all but the network may have
            been changed; the network is the run's own in any case, under the
            normalization that this config says.
        checkpoint: The last one, or the one with the best top-1.

    Raises:
        InputError: There is no checkpoint yet.
        RunError: The checkpoint does not hold the network.
    """
    directory = ModelDir(model_dir)
    folder = {"last": directory.checkpoints, "best": directory.best}[checkpoint]
    path = latest(folder)
    if path is None:
        raise InputError(f"{model_dir} has no checkpoint in {folder} yet")
    # The weights fit no other network, but pixels may reach it another way.
    network = replace(run_config(model_dir), data=config.data).network()
    labels = directory.labels()
    if len(labels) != network.classes:
        raise InputError(
            f"{model_dir} has {len(labels)} lines in labels.txt; the network "
            f"has {network.classes} classes"
        )
    model = build_network(network, dtype="float32")
    raw = model
    if config.train.average_decay:
        raw = build_network(network, dtype="float32")
    step = tf.Variable(0, dtype=tf.int64)
    contents = tf.train.Checkpoint(
        averaged={weight.path: weight.value for weight in model.weights},
        model={weight.path: weight.value for weight in raw.weights},
        progress={"step": step},
    )
    restore(contents, path)
    return TrainedModel(
        config=config,
        network=network,
        labels=labels,
        model=model,
        raw=raw,
        step=int(step.numpy()),
    )


def _few(labels: tuple[str, ...]) -> str:
    rest = f" ... ({len(labels)} in all)" if len(labels) > 3 else ""
    return ", ".join(labels[:3]) + rest
