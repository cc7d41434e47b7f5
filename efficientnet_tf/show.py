"""A picture of what a network will see of the training data."""

from __future__ import annotations

import math
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from efficientnet_tf.contact_sheet import Tile, save_sheet
from efficientnet_tf.data.bad_records import BadRecords
from efficientnet_tf.data.pipeline import training_ops
from efficientnet_tf.errors import InputError
from efficientnet_tf.files import make_folder
from efficientnet_tf.training.batches import host_batches
from efficientnet_tf.training.config import Config
from efficientnet_tf.training.run import Run, open_run

COLUMNS = 6
# Shares of a class below this are not told.
_LEAST_SHARE = 0.01


def show(config: Config, out: str, *, images: int = 24) -> dict[str, Any]:
    """Draws the first images of a training, with their labels and ops.

    They are those of the very stream that a training with batches of that many
    images begins with: cropped, mirrored, changed and mixed as its config
    says.

    Args:
        config: The experiment.
        out: A .png or .jpg file to write, local or gs://; its folder is made
            where it is missing.
        images: How many.

    Returns:
        What was written: `sheet`, `images`, `data`, `pixels`, `augment`; and
        `bad_records`, by reason, of those that were met. These are named on
        stderr.

    Raises:
        InputError: The name of the file, its folder or the number will not do,
            or there is no such data.
    """
    if not out.lower().endswith((".png", ".jpg", ".jpeg")):
        raise InputError(f"--out {out} must end in .png or .jpg")
    if images < 1:
        raise InputError(f"--images {images} must be 1 or more")
    if images % 2 and (config.data.mixup or config.data.cutmix):
        raise InputError(
            f"--images {images}: mixed images come in pairs; try {images + 1}"
        )
    config = replace(
        config,
        train=replace(config.train, batch=images, microbatches=1),
        # Its workers give images as they are made.
        data=replace(config.data, service=""),
    )
    with tempfile.TemporaryDirectory() as folder:
        run = open_run(config, folder)
        make_folder(os.path.dirname(out) or ".", "--out")
        tiles = [
            Tile(_pixels(image), _label(run, target), words.decode())
            for image, target, words in _first_batch(run)
        ]
        bad = _bad_records(run)
    data = config.data
    title = f"{run.dataset.name}, {run.network.pixels} px, {data.augment}"
    save_sheet(out, tiles, columns=min(COLUMNS, images), title=title)
    return {
        "sheet": out,
        "images": images,
        "data": run.dataset.name,
        "pixels": run.network.pixels,
        "augment": data.augment,
        "bad_records": bad,
    }


def _first_batch(run: Run) -> Iterator[tuple[np.ndarray, np.ndarray, bytes]]:
    """Images, targets and ops in words."""
    config = run.config
    batches = host_batches(
        run, tf.distribute.InputContext(), start=0, dtype=tf.float32
    )
    ops = training_ops(
        run.dataset,
        augmentation=run.augmentation,
        seed=config.train.seed,
        places=config.train.batch,
        shuffle_bytes=config.data.shuffle_bytes,
    )
    images, targets = next(batches.as_numpy_iterator())
    words = next(ops.batch(config.train.batch).as_numpy_iterator())
    return zip(images, targets, words, strict=True)


def _bad_records(run: Run) -> dict[str, int]:
    """How many were met, by reason; names them on stderr."""
    met = BadRecords(run.dataset, run.model_dir.path, max_share=1.0)
    met.look()
    if met.counts():
        print(
            f"{sum(met.counts().values())} records cannot be used, others "
            f"stand in their places: {met.shown()}",
            file=sys.stderr,
        )
    return met.counts()


def _pixels(image: np.ndarray) -> np.ndarray:
    """float32 on about 0..255 -> uint8."""
    return np.rint(np.clip(image, 0, 255)).astype(np.uint8)


def _label(run: Run, target: np.ndarray) -> str:
    """The class, or those that are mixed, with their shares."""
    said = []
    for place in np.argsort(-target):
        share = float(target[place])
        if share < _LEAST_SHARE:
            break
        name = run.dataset.labels[place].split(", ")[0]
        said.append(name if math.isclose(share, 1) else f"{share:.0%} {name}")
    return " + ".join(said)
