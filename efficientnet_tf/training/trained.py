"""A finished network out of a model directory."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import tensorflow as tf

from efficientnet_tf.errors import InputError
from efficientnet_tf.modeling.build import build_network
from efficientnet_tf.networks import Network
from efficientnet_tf.training.checkpoints import restore
from efficientnet_tf.training.config import Config, Which
from efficientnet_tf.training.model_dir import ModelDir


@dataclass(frozen=True)
class TrainedModel:
    """What a run has learnt.

    Attributes:
        config: The run's config.
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


def load_trained(model_dir: str, *, checkpoint: Which = "last") -> TrainedModel:
    """Loads the weights of a run, without its optimizer.

    Args:
        model_dir: A model directory.
        checkpoint: The last one, or the one with the best top-1.

    Raises:
        InputError: There is no run, or it has no checkpoint yet.
        RunError: The checkpoint does not hold the network.
    """
    directory = ModelDir(model_dir)
    config = directory.config()
    if config is None:
        raise InputError(
            f"--model_dir {model_dir!r} holds no run (no config.json in it)"
        )
    folder = {"last": directory.checkpoints, "best": directory.best}[checkpoint]
    path = tf.train.latest_checkpoint(folder)
    if path is None:
        raise InputError(f"{model_dir} has no checkpoint in {folder} yet")
    network = config.model.network()
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
        labels=directory.labels(),
        model=model,
        raw=raw,
        step=int(step.numpy()),
    )
