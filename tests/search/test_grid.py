"""The grid of coefficients, against all of it counted one by one."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from efficientnet_tf.errors import InputError
from efficientnet_tf.networks import (
    NamedVariant,
    find_variant,
    network,
    totals,
)
from efficientnet_tf.search.grid import grid
from efficientnet_tf.search.grid_plot import save_grid

B0 = find_variant("efficientnet-b0")


def cost(depth: float, width: float, pixels: int) -> int:
    variant = replace(B0.variant, depth=depth, width=width, pixels=pixels)
    return totals(network(NamedVariant("any", variant))).macs


@pytest.mark.parametrize(
    ("step", "tolerance"), [(0.1, 0.15), (0.2, 0.1), (0.25, 0.3)]
)
def test_all_of_the_grid_and_nothing_else(
    step: float, tolerance: float
) -> None:
    found = grid(B0, step, tolerance)
    values = [1 + count * step for count in range(20)]
    near = kept = 0
    different = set()
    for a, b, c in itertools.product(values, repeat=3):
        if not 1 - tolerance <= a * b * b * c * c / 2 <= 1 + tolerance:
            continue
        near += 1
        pixels = int(224 * c + 0.5)
        a, b = round(a, 6), round(b, 6)
        macs = cost(a, b, pixels)
        if 1 - tolerance <= macs / cost(1, 1, 224) / 2 <= 1 + tolerance:
            kept += 1
            variant = replace(B0.variant, depth=a, width=b, pixels=pixels)
            built = network(NamedVariant("any", variant))
            different.add((built.stem, built.head, built.blocks, pixels))
    assert found.near == near
    assert near - found.beyond == kept
    assert len(found.points) == len(different) == kept - found.alike
    for point in found.points:
        given, variant = point.coefficients, point.named.variant
        assert (variant.depth, variant.width) == (given.alpha, given.beta)
        assert point.total.macs == cost(given.alpha, given.beta, variant.pixels)
    assert len({point.named.name for point in found.points}) == len(
        found.points
    )


def test_the_papers_choice_costs_more_than_twice() -> None:
    """Its network is on a grid of 0.05, where 2.57 counts as near 2."""
    wanted = network("efficientnet-b2", pixels=258).blocks
    (paper,) = [
        point
        for point in grid(B0, 0.05, 0.3).points
        if network(point.named).blocks == wanted
        and point.named.variant.pixels == 258
    ]
    # The paper: B2, the same table at 260 pixels, takes 1.0 and B0 0.39.
    assert paper.ratio == pytest.approx(1.0 / 0.39, rel=0.05)
    # Of the points that round to it, one is nearer to 2 than the paper's 1.92.
    assert 1.92 < paper.coefficients.nominal <= 2.08


def test_the_images_are_the_bases_own() -> None:
    small = NamedVariant("small", replace(B0.variant, pixels=64))
    for point in grid(small, 0.1, 0.15).points:
        wanted = 64 * point.coefficients.gamma
        assert abs(point.named.variant.pixels - wanted) <= 0.5


@pytest.mark.parametrize(
    ("step", "tolerance", "says"),
    [
        (0.001, 0.1, "--grid_step 0.001 must be"),
        (2.0, 0.1, "--grid_step 2 must be"),
        (0.1, 0.0, "--grid_tolerance 0 must be"),
        (0.1, 1.0, "--grid_tolerance 1 must be"),
        (0.9, 0.01, "try a smaller --grid_step"),
    ],
)
def test_a_grid_that_is_none(step: float, tolerance: float, says: str) -> None:
    with pytest.raises(InputError, match=says):
        grid(B0, step, tolerance)


def test_the_picture(tmp_path: Path) -> None:
    """A colour for each accuracy, and a failed one left out."""
    found = grid(B0, 0.1, 0.15)
    tried = [
        SimpleNamespace(point=point, top1=0.3 + 0.02 * number)
        for number, point in enumerate(found.points)
    ]
    tried[-1].top1 = None
    tried.sort(key=lambda each: each.top1 or 0, reverse=True)
    path = tmp_path / "grid.png"
    save_grid(str(path), found, tried)
    with Image.open(path) as picture:
        shown = np.asarray(picture.convert("RGB")).reshape(-1, 3).astype(int)
    # The ends of viridis, and the ring around the best.
    for colour in ((68, 1, 84), (253, 231, 37), (200, 68, 44)):
        near = np.abs(shown - colour).max(axis=1) <= 6
        assert near.sum() > 100, colour
