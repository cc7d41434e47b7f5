"""docs/rehearsals.md against its generator and the files that it is of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from efficientnet_tf.tpu.page import load, main, page

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "rehearsals"


def test_the_page_is_what_its_generator_makes() -> None:
    assert (ROOT / "docs" / "rehearsals.md").read_text() == page(load(FOLDER))


def test_the_page_tells_what_is_estimated_and_what_ran() -> None:
    words = " ".join(page(load(FOLDER)).split())
    assert "Nothing here ran on a TPU" in words
    assert "the compiler's own estimate" in words


def test_saved_figures_hold_together() -> None:
    for each in load(FOLDER):
        if each.fits:
            assert each.peak_hbm_bytes == sum(each.memory.values())
            assert each.peak_hbm_bytes <= each.hbm_bytes
            cycles = sum(row["estimated_cycles"] for row in each.layers)
            assert cycles == each.estimated_cycles


def test_what_makes_a_network_fit() -> None:
    """Of the same network in more ways than one, and of no other."""
    (fits, *_) = load(FOLDER)
    too_large = replace(
        fits,
        batch=8 * fits.batch,
        images_per_core=8 * fits.images_per_core,
        fits=False,
        peak_hbm_bytes=2 * fits.hbm_bytes,
        memory={"too large for HBM": 2 * fits.hbm_bytes},
        flops_per_image=None,
    )
    told = page([fits, too_large])
    assert f"## What makes {fits.model} fit?" in told
    section = told.split("fit?\n")[-1].split("##")[0]
    assert section.count("**no**") == 1
    both = f"{2 * fits.hbm_bytes / 2**20:,.0f} MiB"
    assert f"| - | - | {both} |" in section
    assert "What makes" not in page([fits])
    # B0's 5,288,548 weights, in float32.
    assert "the gradients, 20 MiB, from" in " ".join(section.split())
    in_parts = replace(too_large, microbatches=8)
    assert "None of these" not in page([fits, in_parts])


@pytest.mark.parametrize("text", ["{}", "[1]", "no JSON", '{"model": 1}'])
def test_another_file_is_named(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "page"
    folder.mkdir()
    assert main([str(tmp_path / "page.md")]) == 2
    (folder / "wrong.json").write_text(text)
    assert main([str(tmp_path / "page.md")]) == 2
    assert "wrong.json is no rehearsal" in capsys.readouterr().err
    assert not (tmp_path / "page.md").exists()
