"""Handwritten digits as a data set of records, for a first run without data.

scikit-learn carries 1,797 real pictures of 8x8 pixels, from the UCI "Optical
Recognition of Handwritten Digits" (E. Alpaydin, C. Kaynak, 1998).
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from efficientnet_tf.data.images import EncodedImage, encode_jpeg
from efficientnet_tf.data.manifest import (
    LABELS,
    MANIFEST,
    Manifest,
    ShardFile,
    Split,
    write_manifest,
)
from efficientnet_tf.data.records import encode_record, shard_name, write_shard
from efficientnet_tf.errors import InputError
from efficientnet_tf.files import write_text

PIXELS = 32
VALIDATION_IMAGES = 360
TRAIN_SHARDS = 4

_FOLDER = "digits-v1"
_QUALITY = 95
_SEED = 0
_STALE_SECONDS = 3600


def write_digits() -> str:
    """Writes the digits as TFRecords, where they are not yet.

    JPEGs of 32x32 pixels; labels 1 to 10 for the digits 0 to 9; 1,437 training
    and 360 validation images, of every digit a fifth. They go to
    `efficientnet_tf/digits-v1` in `$XDG_CACHE_HOME` or `~/.cache`. The folder
    is whole or absent, whoever else writes it and whenever one is killed.

    Returns:
        The folder.

    Raises:
        InputError: The cache cannot be written.
    """
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    home = Path(cache) / "efficientnet_tf"
    folder = home / _FOLDER
    if _is_whole(folder):
        return str(folder)
    try:
        home.mkdir(parents=True, exist_ok=True)
        _remove_stale(home)
        building = tempfile.mkdtemp(".tmp", f"{_FOLDER}.", home)
    except OSError as error:
        raise InputError(
            f"the digits cannot be written to {folder} ({error}); "
            "set XDG_CACHE_HOME to a folder that can be written"
        ) from error
    try:
        _build(building)
        _publish(building, folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return str(folder)


def _is_whole(folder: Path) -> bool:
    return (folder / MANIFEST).is_file()


def _publish(building: str, folder: Path) -> None:
    try:
        # An error where the folder is there and holds anything.
        os.rename(building, folder)
    except OSError as error:
        if not _is_whole(folder):
            raise InputError(
                f"{folder} holds something else than the digits ({error}); "
                "remove it"
            ) from error


def _remove_stale(home: Path) -> None:
    """Removes what killed processes have left, an hour after."""
    for left in home.glob(f"{_FOLDER}.*.tmp"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(left)


def _build(folder: str) -> None:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    loaded = load_digits()
    images, digits = loaded.images, loaded.target
    train, validation = train_test_split(
        np.arange(len(digits)),
        test_size=VALIDATION_IMAGES,
        stratify=digits,
        random_state=_SEED,
    )

    def records(chosen: np.ndarray) -> Iterator[bytes]:
        for i in chosen:
            yield encode_record(
                _picture(images[i]),
                label=int(digits[i]) + 1,
                class_name=str(digits[i]),
                filename=f"{i:04d}.jpg",
            )

    def split(name: Split, chosen: np.ndarray, count: int) -> list[ShardFile]:
        return [
            write_shard(
                os.path.join(folder, shard_name(name, i, count)),
                records(part),
            )
            for i, part in enumerate(np.array_split(chosen, count))
        ]

    labels = tuple(str(digit) for digit in range(10))
    manifest = Manifest(
        name="digits",
        first_label=1,
        labels=labels,
        train=tuple(split("train", train, TRAIN_SHARDS)),
        validation=tuple(split("validation", validation, 1)),
    )
    write_text(os.path.join(folder, LABELS), "\n".join(labels) + "\n")
    write_manifest(folder, manifest)


def _picture(digit: np.ndarray) -> EncodedImage:
    """Enlarges a digit, float `[8, 8]` on 0..16."""
    grey = np.rint(digit * (255 / 16)).astype(np.uint8)
    image = Image.fromarray(grey).resize(
        (PIXELS, PIXELS), Image.Resampling.BICUBIC
    )
    pixels = np.asarray(image.convert("RGB"))
    return EncodedImage(encode_jpeg(pixels, _QUALITY), PIXELS, PIXELS)
