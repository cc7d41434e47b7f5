"""A network of two blocks and a data set of coloured squares."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from efficientnet_tf.data.dataset import RecordDataset, open_dataset
from efficientnet_tf.data.images import EncodedImage, encode_jpeg
from efficientnet_tf.data.manifest import Manifest, ShardFile, write_manifest
from efficientnet_tf.data.records import encode_record, shard_name, write_shard
from efficientnet_tf.networks import families
from efficientnet_tf.networks.stages import Family, Stage, Variant
from efficientnet_tf.training.config import (
    Config,
    DataConfig,
    EvaluateConfig,
    ModelConfig,
    TrainConfig,
)

SIDE = 32
COLOURS = ((220, 40, 40), (40, 200, 60), (50, 60, 220))
IMAGES = {"train": (16, 14, 10), "validation": (7, 6)}


@pytest.fixture(scope="module")
def tiny() -> Iterator[str]:
    """Registers a network of two blocks; its name."""
    stages = (
        Stage("mbconv", 1, 3, 2, 2, 8, se=0.25),
        Stage("mbconv", 1, 3, 1, 2, 8, se=0.25),
    )
    family = Family(
        stages, "swish", families.IMAGENET, stem=8, head=16, drop_path=0.2
    )
    variant = Variant(family, 1.0, 1.0, SIDE, 0.2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(families.VARIANTS, "tiny", variant)
        yield "tiny"


@pytest.fixture(scope="session")
def squares_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 40 + 13 JPEGs of three colours, with a manifest."""
    folder = tmp_path_factory.mktemp("data") / "squares"
    folder.mkdir()
    random = np.random.default_rng(0)
    shards: dict[str, list[ShardFile]] = {}
    for split, counts in IMAGES.items():
        shards[split] = [
            write_shard(
                str(folder / shard_name(split, index, len(counts))),
                [_record(random, split, index, k) for k in range(count)],
            )
            for index, count in enumerate(counts)
        ]
    write_manifest(
        str(folder),
        Manifest(
            "squares",
            1,
            ("red", "green", "blue"),
            tuple(shards["train"]),
            tuple(shards["validation"]),
        ),
    )
    return folder


@pytest.fixture(scope="session")
def squares(squares_dir: Path) -> RecordDataset:
    return open_dataset(str(squares_dir))


@pytest.fixture(scope="module")
def config(tiny: str, squares_dir: Path) -> Config:
    """Three epochs of the tiny network on the squares, in a second or two."""
    return Config(
        model=ModelConfig(name=tiny, batch_norm_momentum=0.9),
        # By default tens of thousands of so small images would wait.
        data=DataConfig(
            dir=str(squares_dir), crop="whole", prefetch_bytes=4_000_000
        ),
        train=TrainConfig(
            epochs=3,
            batch=8,
            learning_rate_per_256=0.32,
            warmup_epochs=0.5,
            average_decay=0.9,
            steps_per_call=3,
        ),
        evaluate=EvaluateConfig(batch=8),
    )


def _record(
    random: np.random.Generator, split: str, index: int, k: int
) -> bytes:
    colour = int(random.integers(len(COLOURS)))
    height, width = (int(side) for side in random.integers(36, 60, 2))
    noise = random.integers(-30, 31, (height, width, 3))
    pixels = np.clip(np.array(COLOURS[colour]) + noise, 0, 255)
    return encode_record(
        EncodedImage(encode_jpeg(pixels.astype(np.uint8), 90), height, width),
        label=colour + 1,
        class_name=("red", "green", "blue")[colour],
        filename=f"{split}-{index}-{k}.jpg",
    )
