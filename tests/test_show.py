"""The sheet of what a network will see."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import main
from efficientnet_tf import show as module
from efficientnet_tf.contact_sheet import Tile
from efficientnet_tf.data.augmentation.applying import ARITHMETICS
from efficientnet_tf.data.augmentation.colours import to_bytes
from efficientnet_tf.errors import InputError
from efficientnet_tf.training.config import Config
from efficientnet_tf.training.config_files import override

IMAGES = 12


@pytest.fixture
def digits() -> Config:
    settings = ["data.dir=digits", "model.name=efficientnet-lite0"]
    return override(Config(), [*settings, "model.pixels=32"])


def tiles(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[Tile]:
    """What is drawn."""
    drawn: list[Tile] = []
    monkeypatch.setattr(
        module, "save_sheet", lambda path, tiles, **_: drawn.extend(tiles)
    )
    module.show(config, str(tmp_path / "sheet.png"), images=IMAGES)
    return drawn


def test_the_words_are_what_was_done(digits, tmp_path, monkeypatch):
    augmented = override(digits, ["data.augment=randaugment"])
    # As the network gets them, and not as bytes.
    monkeypatch.setattr(module, "_pixels", lambda image: image)
    # The same crops, as they were before.
    plain = tiles(digits, tmp_path, monkeypatch)
    changed = tiles(augmented, tmp_path, monkeypatch)
    assert len(plain) == len(changed) == IMAGES
    functions = ARITHMETICS["original"]
    compared = 0
    for before, after in zip(plain, changed, strict=True):
        assert before.title == after.title
        assert not before.words
        # Where a patch was is not said.
        if "Cutout" in after.words:
            continue
        image = to_bytes(tf.constant(before.image))
        for op, said in re.findall(r"(\w+) ?(-?[\d.]+)?", after.words):
            number = tf.constant(float(said or 0))
            image = functions[op](image, number, tf.zeros([2]))
        np.testing.assert_array_equal(image, after.image)
        compared += 1
    assert compared >= IMAGES // 2


def test_mixed_images_have_both_labels(digits, tmp_path, monkeypatch):
    mixed = override(digits, ["data.mixup=1"])
    titles = [tile.title for tile in tiles(mixed, tmp_path, monkeypatch)]
    both = [re.fullmatch(r"(\d+)% \d \+ (\d+)% \d", each) for each in titles]
    found = [tuple(map(int, each.groups())) for each in both if each]
    assert found
    assert all(99 <= sum(shares) <= 101 for shares in found)


def test_it_leaves_a_picture_and_nothing_else(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = "show --images=5 --json --set model.pixels=32 --set"
    assert main.main([*arguments.split(), "data.augment=autoaugment"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["images"] == 5
    assert said["augment"] == "autoaugment"
    assert [path.name for path in tmp_path.iterdir()] == ["images.png"]
    with Image.open("images.png") as sheet:
        assert sheet.width > sheet.height


def test_what_cannot_be_used_is_told(tmp_path, capsys):
    for name in ("ant", "bee"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(3):
            path = tmp_path / "data" / name / f"{number}.png"
            Image.new("RGB", (40, 40)).save(path)
    sound = override(Config(), [f"data.dir={tmp_path}/data", "model.pixels=32"])
    out = str(tmp_path / "sheet.png")
    assert module.show(sound, out, images=4)["bad_records"] == {}
    assert capsys.readouterr().err == ""
    for path in (tmp_path / "data" / "ant").iterdir():
        path.write_text("no picture")
    facts = module.show(sound, out, images=4)
    # One of the three validates.
    assert facts["bad_records"] == {"no picture": 2}
    assert re.search(
        "2 records cannot be used.*ant/..png record 0: no picture",
        capsys.readouterr().err,
    )


@pytest.mark.parametrize(
    ("settings", "out", "images", "told"),
    [
        ([], "sheet.gif", 4, r"sheet.gif must end in .png or .jpg"),
        ([], "sheet.png", 0, "--images 0 must be 1 or more"),
        (["data.cutmix=1"], "sheet.png", 3, "in pairs; try 4"),
    ],
)
def test_what_will_not_do(digits, settings, out, images, told):
    with pytest.raises(InputError, match=told):
        module.show(override(digits, settings), out, images=images)
