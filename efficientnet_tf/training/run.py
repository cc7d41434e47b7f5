"""A run: a config whose every field is decided, its data, its directory."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from efficientnet_tf.data.augmentation.recipe import Augmentation
from efficientnet_tf.data.cut import Cut
from efficientnet_tf.data.dataset import RecordDataset, open_dataset
from efficientnet_tf.data.fake import FAKE
from efficientnet_tf.data.tfds_source import PREFIX
from efficientnet_tf.networks import Network
from efficientnet_tf.training.config import IMAGENET, Config
from efficientnet_tf.training.model_dir import ModelDir


@dataclass(frozen=True)
class Run:
    """What a training works on.

    Attributes:
        config: Nothing in it is left open.
        dataset: The records.
        network: What is trained.
        model_dir: Where it leaves things.
    """

    config: Config
    dataset: RecordDataset
    network: Network
    model_dir: ModelDir

    @property
    def cut(self) -> Cut:
        """How pictures become the network's inputs."""
        return self.config.data.cut(self.network.pixels)

    @property
    def augmentation(self) -> Augmentation:
        """What is done to training images, besides crop and flip."""
        return self.config.data.augmentation(self.network.normalization.mean)


def open_run(config: Config, model_dir: str = "") -> Run:
    """Finds the data and decides what the config left open.

    Nothing is written: that begins with `ModelDir.claim`.

    Args:
        config: What was decided so far.
        model_dir: Where the run leaves things; empty for a folder under
            `runs/`, named by model and data.

    Raises:
        InputError: The data cannot be used, or does not fit the network.
    """
    dataset = open_data(config)
    network = config.network(dataset.classes)
    config = resolved(config, network)
    data = replace(
        config.data,
        train_images=dataset.train.images,
        validation_images=dataset.validation.images,
        first_label=dataset.first_label,
    )
    path = model_dir or os.path.join("runs", f"{network.name}-{dataset.name}")
    return Run(replace(config, data=data), dataset, network, ModelDir(path))


def resolved(config: Config, network: Network) -> Config:
    """A config that leaves nothing about its network or its paths open."""
    return replace(
        config,
        model=replace(
            config.model,
            classes=network.classes,
            pixels=network.pixels,
            dropout=network.dropout,
            drop_path=network.drop_path,
        ),
        data=replace(
            config.data,
            dir=absolute(config.data.dir, "", "digits", FAKE),
            normalization=network.normalization.name,
        ),
        train=replace(
            config.train,
            init_from=absolute(config.train.init_from, "", IMAGENET),
        ),
    )


def open_data(config: Config) -> RecordDataset:
    """Finds the records that a config speaks of."""
    return open_dataset(
        config.data.dir,
        train_images=config.data.train_images,
        validation_images=config.data.validation_images,
        first_label=config.data.first_label,
        classes=config.model.classes,
        holdout_shards=config.data.holdout_shards,
        tfds_dir=config.data.tfds_dir,
        max_bad_share=config.data.max_bad_share,
    )


def absolute(path: str, *words: str) -> str:
    """A local folder by its full path; others, and these words, as they are."""
    if path in words or "://" in path or path.startswith(PREFIX):
        return path
    return os.path.abspath(path)
