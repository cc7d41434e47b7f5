"""Pictures: that each class has its place, whatever its name."""

import numpy as np
import pytest
from PIL import Image

from efficientnet_tf.data.images import encode_jpeg
from efficientnet_tf.plots import save_confusion, save_prediction
from efficientnet_tf.predict import Guess, Prediction

# What a formula of TeX is made of, and writing that no font at hand has.
ODD = (r"cost: $\frac$ & $x_", "\u732b \U0001f431", "a" * 200, "", "%s {0}")


def read(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def dark_columns(pixels):
    """How many columns of pixels hold something as blue as a right answer."""
    blue = (pixels[..., 2] - pixels[..., 0] > 60) & (pixels[..., 0] < 40)
    return int(blue.any(axis=0).sum())


def ink(pixels):
    """How much of a picture is nearly black."""
    return int((pixels.max(axis=-1) < 100).sum())


@pytest.mark.parametrize("classes", [2, 10, 41, 1000])
def test_each_class_has_its_pixels(classes, tmp_path):
    path = tmp_path / "confusion.png"
    labels = [f"class {number}" for number in range(classes)]
    save_confusion(str(path), np.eye(classes, dtype=int), labels)
    pixels = read(path)
    assert dark_columns(pixels) >= max(2 * classes, 400)
    assert max(pixels.shape) < 3000
    assert [file.name for file in tmp_path.iterdir()] == ["confusion.png"]


def test_a_rare_error_among_a_thousand_classes_is_seen(tmp_path):
    """One of fifty images of a class, as on ImageNet."""
    path = tmp_path / "confusion.png"
    confusion = np.eye(1000, dtype=int) * 50
    labels = [str(number) for number in range(1000)]
    save_confusion(str(path), confusion, labels)
    before = read(path)
    confusion[500, 499:501] = 0, 49
    confusion[500, 100] = 1
    save_confusion(str(path), confusion, labels)
    assert np.abs(read(path) - before).max() > 40


def test_names_are_written_as_they_are(tmp_path):
    path = tmp_path / "confusion.png"
    save_confusion(
        str(path), np.eye(len(ODD), dtype=int), ODD, title=" ".join(ODD[:2])
    )
    named = read(path)
    save_confusion(str(path), np.eye(len(ODD), dtype=int), [""] * len(ODD))
    assert ink(named) > 1.5 * ink(read(path))
    image = tmp_path / "$x$_\u732b.jpg"
    image.write_bytes(encode_jpeg(np.zeros((30, 400, 3), np.uint8), 90))
    guesses = tuple(Guess(i, label, 0.2) for i, label in enumerate(ODD))
    save_prediction(str(path), Prediction(str(image), guesses))
    assert read(path).min() < 60


def test_classes_without_images_are_empty_rows(tmp_path):
    path = tmp_path / "confusion.png"
    save_confusion(str(path), np.zeros((3, 3), int), "abc", first=1)
    # The colour bar alone is blue.
    empty = dark_columns(read(path))
    save_confusion(str(path), np.diag([0, 3, 3]), "abc", first=1)
    assert dark_columns(read(path)) > empty + 100
