"""The pictures that input pipelines are measured on, and their crops."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

PHOTOS = Path(__file__).parents[2] / "shared" / "data" / "photos-100.zip"
MADE = 100
_CROPS, _JPEGS = "crops.json", "*.jpg"


@dataclass(frozen=True)
class Pictures:
    """What every contender is given.

    Attributes:
        jpegs: Encoded.
        windows: Of each its crop: top, left, height, width.
        mirrored: Whether it is mirrored.
    """

    jpegs: list[bytes]
    windows: list[tuple[int, int, int, int]]
    mirrored: list[bool]


def write_pictures(folder: Path, pixels: int) -> str:
    """Writes pictures and crops for the workers, and says what they are.

    Crops are those that training draws for the seeds [0, 0], [0, 1], ...
    """
    import tensorflow as tf

    from efficientnet_tf.data.cut import Cut
    from efficientnet_tf.data.preprocess import TrainingCrop, training_window

    if PHOTOS.is_file():
        with zipfile.ZipFile(PHOTOS) as archive:
            names = sorted(archive.namelist())
            jpegs = [archive.read(x) for x in names if x.endswith(".JPEG")]
        said = f"{len(jpegs)} photographs"
    else:
        jpegs = [_made(number) for number in range(MADE)]
        said = f"{MADE} made pictures of 500x375"
    crops = []
    cut = Cut(pixels, "pad32", "bilinear")
    for number, jpeg in enumerate(jpegs):
        (folder / f"{number:03d}.jpg").write_bytes(jpeg)
        window, mirrored = training_window(
            tf.constant(jpeg), tf.constant([0, number]), cut, TrainingCrop()
        )
        crops.append([*map(int, window.numpy()), bool(mirrored)])
    (folder / _CROPS).write_text(json.dumps(crops))
    return said


def read_pictures(folder: Path) -> Pictures:
    """Reads what `write_pictures` wrote."""
    crops = json.loads((folder / _CROPS).read_text())
    return Pictures(
        [path.read_bytes() for path in sorted(folder.glob(_JPEGS))],
        [tuple(crop[:4]) for crop in crops],
        [crop[4] for crop in crops],
    )


def _made(number: int) -> bytes:
    """Waves, edges and noise, at quality 90."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(number)
    y, x = np.mgrid[0:375, 0:500]
    pixels = np.stack(
        [
            128 + 60 * np.sin(x / a) + 40 * np.cos(y / b)
            for a, b in random.uniform(5, 60, (3, 2))
        ],
        axis=-1,
    )
    pixels[(x - 250) * random.normal() > (y - 180) * random.normal()] *= 0.5
    pixels += random.normal(0, 8, pixels.shape)
    file = io.BytesIO()
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    image.save(file, "JPEG", quality=90)
    return file.getvalue()
