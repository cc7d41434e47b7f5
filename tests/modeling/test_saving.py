"""Networks that are saved compute the same in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from efficientnet_tf.modeling.build import build

SMALL = 32

_ROUND_TRIP = """
import sys
import keras, numpy, tensorflow as tf
kind, name, file = sys.argv[1:]
images = numpy.load("images.npy")
if kind == "keras":
    model = keras.saving.load_model(file)
    assert not any(n.startswith("efficientnet_tf") for n in sys.modules)
elif kind == "weights.h5":
    from efficientnet_tf import build
    model = build(name, pixels=images.shape[1], classes=10)
    model.load_weights(file)
else:
    loaded = tf.saved_model.load(file)
    model = loaded.serve
numpy.save("logits.npy", model(images))
"""


ROUND_TRIPS = (
    ("efficientnet-condconv-b0-4e", "keras"),
    ("efficientnet-x-b0", "weights.h5"),
    ("efficientnetv2-b0", "saved_model"),
)
# The rest takes half a minute each.
QUICK = ROUND_TRIPS[:1]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param(
            name,
            kind,
            marks=() if (name, kind) in QUICK else pytest.mark.slow,
        )
        for name, _ in ROUND_TRIPS
        for _, kind in ROUND_TRIPS
    ],
)
def test_round_trips_in_a_new_process(
    name: str,
    kind: str,
    tmp_path: Path,
    randomized: Callable[[keras.Model], None],
) -> None:
    model = build(name, pixels=SMALL, classes=10)
    randomized(model)
    images = np.random.default_rng(0).normal(size=(2, SMALL, SMALL, 3))
    images = images.astype("float32")
    np.save(tmp_path / "images.npy", images)
    file = str(tmp_path / f"model.{kind}")
    if kind == "keras":
        model.save(file)
    elif kind == "weights.h5":
        model.save_weights(file)
    else:
        model.export(file, verbose=False)
    root = Path(__file__).parents[2]
    subprocess.run(
        [sys.executable, "-c", _ROUND_TRIP, kind, name, file],
        cwd=tmp_path,
        check=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    np.testing.assert_allclose(
        np.load(tmp_path / "logits.npy"),
        np.asarray(model(images, training=False)),
        rtol=1e-5,
        atol=1e-6,
    )
