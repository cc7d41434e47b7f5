"""docs/scaling.md against its generator; what a study of known noise says."""

from __future__ import annotations

from pathlib import Path

import pytest

from efficientnet_tf.errors import InputError
from efficientnet_tf.search.scaling_grid_page import grid_section
from efficientnet_tf.search.scaling_page import page
from efficientnet_tf.search.scaling_study import DEEPER, WAYS, networks
from efficientnet_tf.search.scaling_study_page import study_section, verdict

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_what_its_generator_says() -> None:
    assert (DOCS / "scaling.md").read_text(encoding="utf-8") == page(DOCS)


def test_published_and_counted_have_columns_of_their_own() -> None:
    lines = page(DOCS).splitlines()
    headers = [line for line in lines if "published" in line and "|" in line]
    assert headers
    for line in headers:
        cells = line.split("|")
        assert not any("published" in x and "counted" in x for x in cells)


def test_a_missing_study_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="scaling_study"):
        study_section(tmp_path / "study.json")


def test_a_missing_grid_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="scale --grid"):
        grid_section(tmp_path / "grid.json")


def found(**top1: list[float]) -> dict:
    rows = [{"way": way, "top1": each} for way, each in top1.items()]
    return {"validation_images": 2000, "rows": rows}


def test_a_difference_within_the_noise_is_none() -> None:
    said = verdict(
        found(
            base=[0.30, 0.34],
            depth=[0.36, 0.32],
            width=[0.35, 0.34],
            resolution=[0.33, 0.36],
            compound=[0.34, 0.37],
        )
    )
    assert "no way to scale is better than another" in said
    assert "Better than the base by that: none." in said


def test_a_difference_beyond_the_noise_counts() -> None:
    said = verdict(
        found(
            base=[0.30, 0.30],
            depth=[0.30, 0.31],
            width=[0.50, 0.51],
            resolution=[0.31, 0.30],
            compound=[0.50, 0.50],
        )
    )
    assert "Better than the base by that: width, compound." in said
    assert "width is better than" in said
    assert "no better than compound" in said
    for worse in ("resolution", "depth"):
        assert worse in said.split("better than")[1]


def test_the_four_ways_cost_about_the_same() -> None:
    from efficientnet_tf.networks import network, totals

    made = networks()
    assert set(made) == {"base", *WAYS}
    macs = {way: totals(network(named)).macs for way, named in made.items()}
    assert made["depth"].variant.pixels == made["base"].variant.pixels
    most = macs["depth"]
    for way in WAYS:
        assert 0.94 * most <= macs[way] <= most
    assert 2 < most / macs["base"] <= DEEPER
