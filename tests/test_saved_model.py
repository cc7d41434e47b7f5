"""The SavedModel, opened by TensorFlow alone."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from efficientnet_tf.files import replacing_folder
from efficientnet_tf.saved_model import export_saved_model
from efficientnet_tf.training.trained import TrainedModel, load_trained

# Runs where nothing of this project is imported.
READER = """
import json, sys
import numpy as np
import tensorflow as tf
path, images, *files = sys.argv[1:]
model = tf.saved_model.load(path)
pixels = model.signatures["serving_default"]
pictures = model.signatures["encoded"]
encoded = tf.constant([open(file, "rb").read() for file in files])
scores = pixels(images=tf.constant(np.load(images)))
assert "efficientnet_tf" not in sys.modules
print(json.dumps({
    "pixels": scores["scores"].numpy().tolist(),
    "pictures": pictures(encoded=encoded)["scores"].numpy().tolist(),
    "labels": open(model.labels.asset_path.numpy()).read(),
    "dtype": pixels.structured_input_signature[1]["images"].dtype.name,
}))
"""


@pytest.fixture(scope="module")
def trained(small_run: Path) -> TrainedModel:
    from efficientnet_tf.training.trained import run_config

    return load_trained(str(small_run), run_config(str(small_run)))


@pytest.fixture(scope="module")
def saved(
    trained: TrainedModel, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return Path(export_saved_model(trained, str(tmp_path_factory.mktemp("x"))))


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def test_a_fresh_process_gets_the_scores_of_keras(
    trained: TrainedModel, saved: Path, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (3, 32, 32, 3)).astype(np.float32)
    np.save(tmp_path / "images.npy", images)
    # Of the network's size and no crop but pad32's: 64 -> the middle 32.
    # Smooth, so that no JPEG decoder is far from another.
    y, x = np.mgrid[:64, :64]
    picture = np.stack([3 * x, 4 * y, 2 * x + y], -1).astype(np.uint8)
    png, jpeg = tmp_path / "a.png", tmp_path / "b.jpg"
    Image.fromarray(picture).save(png)
    Image.fromarray(picture).save(jpeg, quality=95, subsampling=0)
    words = [saved, tmp_path / "images.npy", png, jpeg]
    done = subprocess.run(
        [sys.executable, "-c", READER, *map(str, words)],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    norm = trained.network.normalization

    def scores(pixels: np.ndarray) -> np.ndarray:
        inputs = (pixels - np.array(norm.mean)) / norm.std
        logits = trained.model(inputs.astype(np.float32)).numpy()
        return softmax(logits.astype(np.float64))

    np.testing.assert_allclose(found["pixels"], scores(images), atol=1e-5)
    with Image.open(io.BytesIO(jpeg.read_bytes())) as image:
        middle = np.asarray(image)[16:48, 16:48].astype(np.float64)
    by_png, by_jpeg = np.array(found["pictures"])
    np.testing.assert_allclose(by_jpeg, scores(middle[None])[0], atol=5e-3)
    # The PNG becomes a JPEG of quality 100 first.
    exact = scores(picture[None, 16:48, 16:48].astype(np.float64))[0]
    np.testing.assert_allclose(by_png, exact, atol=5e-3)
    assert found["labels"].splitlines() == list(trained.labels)
    assert found["dtype"] == "float32"


def test_what_is_no_picture_fails(saved: Path) -> None:
    encoded = tf.saved_model.load(str(saved)).signatures["encoded"]
    with pytest.raises(tf.errors.InvalidArgumentError):
        encoded(encoded=tf.constant([b"no picture"]))


def test_a_second_export_takes_the_place_of_the_first(
    trained: TrainedModel, tmp_path: Path
) -> None:
    path = Path(export_saved_model(trained, str(tmp_path)))
    (path / "stray").write_text("of an older version")
    again = Path(export_saved_model(trained, str(tmp_path)))
    assert {p.name for p in again.iterdir()} == {
        "assets",
        "fingerprint.pb",
        "saved_model.pb",
        "variables",
    }
    # Nothing hidden is left beside it.
    assert [p.name for p in tmp_path.iterdir()] == [again.name]


def test_a_folder_that_fails_leaves_the_older_one(tmp_path: Path) -> None:
    old = tmp_path / "model"
    old.mkdir()
    (old / "file").write_text("old")
    with (
        pytest.raises(RuntimeError, match="half way"),
        replacing_folder(str(old)) as partial,
    ):
        Path(partial, "file").write_text("new")
        raise RuntimeError("half way")
    assert (old / "file").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_rename_that_fails_brings_the_older_one_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "model"
    old.mkdir()
    (old / "file").write_text("old")
    rename = tf.io.gfile.rename

    def failing(source: str, target: str) -> None:
        if Path(source, "file").read_text() == "new":
            raise tf.errors.UnavailableError(None, None, "gone")
        rename(source, target)

    monkeypatch.setattr(tf.io.gfile, "rename", failing)
    with (
        pytest.raises(tf.errors.UnavailableError),
        replacing_folder(str(old)) as partial,
    ):
        Path(partial, "file").write_text("new")
    assert (old / "file").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
