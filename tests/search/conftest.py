"""A data set of coloured squares, and a space of tiny networks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from efficientnet_tf.networks.families import IMAGENET
from efficientnet_tf.networks.stages import Family, Stage
from efficientnet_tf.search.space import SPACES, Space

COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40)}


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of class folders, 24 pictures of each."""
    folder = tmp_path_factory.mktemp("squares")
    random = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (folder / name).mkdir()
        for number in range(24):
            noise = random.integers(-40, 40, (32, 32, 3))
            pixels = np.clip(np.array(colour) + noise, 0, 255)
            picture = Image.fromarray(pixels.astype(np.uint8))
            picture.save(folder / name / f"{number}.png")
    return folder


@pytest.fixture
def nano() -> Iterator[Space]:
    """The space "small" replaced by two stages: four networks, in sixteen ways.

    A stage that does not expand and has no residual is the same network
    with a skip as without one.
    """
    stages = (
        Stage("mbconv", 1, 3, 2, 1, 8),
        Stage("mbconv", 1, 3, 2, 1, 16),
    )
    family = Family(stages, "relu", IMAGENET, stem=8, head=16)
    space = Space(
        family,
        operations=("conv", "separable"),
        kernels=(3,),
        squeezes=(0.0,),
        repeats=(0,),
        widths=(1.0,),
        skips=(True, False),
        pixels=32,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SPACES, "small", space)
        yield space
