"""Every recipe: it loads, it plans, and its header says what it should."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from test_docs import commands

from efficientnet_tf.networks import variants
from efficientnet_tf.training.config import Config
from efficientnet_tf.training.config_files import (
    from_dict,
    load_config,
    override,
    to_dict,
)
from efficientnet_tf.training.plan import plan

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "configs").glob("*.py"))
# torchvision, "ImageNet 2012 Classification Dataset".
IMAGENET_IMAGES = 1_281_167
ALL = [
    pytest.param(file, name, id=f"{file.stem}:{name}")
    for file in FILES
    for name in runpy.run_path(str(file))["CONFIGS"]
]
PAPERS = {"imagenet", "lite", "edgetpu", "condconv", "x", "lars"}


@pytest.mark.parametrize(("file", "name"), ALL)
def test_a_recipe_is_whole(file: Path, name: str) -> None:
    config = load_config(f"{file}:{name}")
    network = config.network(1000)
    assert network.pixels >= 32
    assert network.classes in (1000, 1001)
    planned = plan(config, IMAGENET_IMAGES)
    assert 0 < planned.warmup_steps < planned.steps
    # One that a run can write down and read again.
    assert from_dict(to_dict(config)) == config


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_header_shows_commands_of_its_own_file(file: Path) -> None:
    shown = commands(file)
    assert any(f"--config=configs/{file.name}" in text for text in shown)


@pytest.mark.parametrize("stem", sorted(PAPERS))
def test_a_header_tells_published_from_measured(stem: str) -> None:
    text = " ".join((ROOT / "configs" / f"{stem}.py").read_text().split())
    for word in ("Published top-1", "not measured here", "Hardware", "Augment"):
        assert word in text


def test_every_network_of_the_papers_has_a_recipe() -> None:
    """All of EfficientNet's but V2, whose recipe grows the images."""
    found = {
        load_config(f"{file}:{name}").model.name
        for file, name in (case.values for case in ALL)
    }
    published = {name for name in variants() if "efficientnet-" in name}
    assert published <= found


def test_the_default_is_the_papers_recipe_for_a_tpu_v2_8() -> None:
    papers = load_config(f"{ROOT}/configs/imagenet.py:b0-baseline")
    settings = ["train.batch=2048", "train.sync_batch_norm=all"]
    assert override(papers, [*settings, "data.dir=digits"]) == Config()


@pytest.mark.parametrize(
    ("variant", "augment", "magnitude"),
    # The original's README: what its rows of figures were trained with.
    [
        ("b0", "autoaugment", None),
        ("b7", "autoaugment", None),
        ("b5-baseline", "none", None),
        ("b5-randaugment", "randaugment", 17),
        ("b7-randaugment", "randaugment", 28),
        ("b8", "randaugment", 28),
    ],
)
def test_the_augmentation_of_published_weights(
    variant: str, augment: str, magnitude: int | None
) -> None:
    data = load_config(f"{ROOT}/configs/imagenet.py:{variant}").data
    assert data.augment == augment
    assert data.augment_arithmetic == "original"
    if magnitude is not None:
        assert data.randaugment_layers == 2
        assert data.randaugment_magnitude == magnitude


@pytest.mark.parametrize(
    ("name", "learning_rate"),
    # 0.016 x 4096 / 256, in section 5.2 of arXiv 1905.11946.
    [("imagenet:b0", 0.256), ("lite:lite0", 0.256), ("x:x-b7", 0.256)],
)
def test_the_papers_learning_rate(name: str, learning_rate: float) -> None:
    file, variant = name.split(":")
    config = load_config(f"{ROOT}/configs/{file}.py:{variant}")
    planned = plan(config, IMAGENET_IMAGES)
    assert planned.learning_rate == pytest.approx(learning_rate)
    # 109,474 steps: google-research/noisystudent for the same recipe.
    assert planned.steps == pytest.approx(109_474, abs=1)


def test_the_largest_batch_takes_seven_thousand_steps() -> None:
    config = load_config(f"{ROOT}/configs/lars.py:b5-65536")
    planned = plan(config, IMAGENET_IMAGES)
    assert planned.steps == round(350 * IMAGENET_IMAGES / 65_536)
    assert planned.learning_rate == pytest.approx(0.081 * 256)
