"""Images that ops are tried on."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PIXELS = 224


def _waves(height: int, width: int) -> np.ndarray:
    """Waves, an edge and noise."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / 9 + k) + np.cos(y / (7 + k)) for k in range(3)]
    pixels = 128 + 55 * np.stack(waves, axis=-1)
    pixels[y * width > x * height] *= 0.3
    pixels += np.random.default_rng(0).normal(0, 10, pixels.shape)
    return pixels.clip(0, 255).round().astype(np.uint8)


@pytest.fixture(scope="session")
def made() -> list[np.ndarray]:
    """Images that are always there, uint8 `[height, width, 3]`."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[0:40, 0:256]
    ramps = np.stack([x, 255 - x, 6 * y], axis=-1)
    narrow = rng.integers(90, 97, (30, 31, 3))
    halves = np.where(np.arange(48)[:, None, None] < 24, 0, 255)
    few = np.full((20, 24, 3), 60)
    few[3, 5] = (61, 200, 60)
    return [
        _waves(96, 64),
        _waves(64, 97),
        *(
            np.ascontiguousarray(pixels, np.uint8)
            for pixels in (
                rng.integers(0, 256, (33, 47, 3)),
                ramps,
                narrow,
                np.broadcast_to(halves, (48, 48, 3)),
                few,
                np.full((8, 9, 3), 77),
            )
        ),
    ]


@pytest.fixture(scope="session")
def photos(shared: Path) -> list[np.ndarray]:
    """A hundred photographs, uint8 `[224, 224, 3]`."""
    path = shared / "data" / "photos-100.zip"
    if not path.is_file():
        pytest.skip(f"needs the photographs of {path.name} in shared/data")
    images = []
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            image = Image.open(io.BytesIO(archive.read(name)))
            image.draft("RGB", (PIXELS, PIXELS))
            image = image.convert("RGB").resize((PIXELS, PIXELS))
            images.append(np.asarray(image))
    return images
