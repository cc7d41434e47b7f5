"""The page of augmentation and its pictures."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from efficientnet_tf import augmentation_page
from efficientnet_tf.contact_sheet import Tile, save_sheet
from efficientnet_tf.data.augmentation.ops import OPS
from efficientnet_tf.data.augmentation.recipe import Arithmetic

DOCS = Path(__file__).parents[1] / "docs"


def test_the_page_is_what_its_generator_says():
    said = (DOCS / "augmentation.md").read_text(encoding="utf-8")
    assert said == augmentation_page.page()


def test_every_op_is_told_once():
    rows = [
        line.split("|")[1].strip()
        for line in augmentation_page.page().splitlines()
        if line.startswith("| ")
    ]
    assert rows == ["op", *OPS]


@pytest.mark.parametrize("arithmetic", get_args(Arithmetic))
def test_the_picture_of_an_arithmetic_is_there(arithmetic):
    with Image.open(DOCS / f"augmentation/{arithmetic}.jpg") as sheet:
        shown = np.asarray(sheet.convert("RGB"))
    assert shown.std() > 30


def test_a_sheet_shows_every_tile(tmp_path):
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    tiles = [
        Tile(np.full([8, 8, 3], colour, np.uint8), "title", "some words")
        for colour in colours
    ]
    path = tmp_path / "sheet.png"
    save_sheet(str(path), tiles, columns=2, title="three")
    with Image.open(path) as sheet:
        shown = np.asarray(sheet.convert("RGB")).reshape(-1, 3)
    for colour in colours:
        assert (shown == colour).all(axis=1).mean() > 0.05


def test_no_page_named(capsys):
    assert augmentation_page.main([]) == 2
    assert "name the page" in capsys.readouterr().err
