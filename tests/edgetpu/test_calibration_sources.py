"""Calibration images out of folders, TFDS and records, sound and unsound."""

from __future__ import annotations

import json
import os
import re
import shutil
import warnings
import zipfile

import keras
import numpy as np
import pytest
from PIL import Image

from edgetpu import __main__ as command_line
from edgetpu import quantize_files as module
from efficientnet_tf.modeling.build import build_network
from efficientnet_tf.networks import network

NAME = "efficientnet-lite0"
SIDE = 32


@pytest.fixture(scope="module")
def keras_file(tmp_path_factory):
    """A network of two classes, for pictures of 32 pixels."""
    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("models")
    path = folder / f"{NAME}.keras"
    resolved = network(NAME, classes=2, pixels=SIDE)
    build_network(resolved, dtype="float32").save(path)
    return path


@pytest.fixture
def quantise(keras_file, lite, tmp_path, monkeypatch, capsys):
    """Runs the verb but for the conversion; gives code, words and images."""

    def run(calibration, *more):
        asked = {}

        def quantize(network, model, images, **options):
            asked.update(options, images=images)
            return lite.content

        monkeypatch.setattr(module, "quantize", quantize)
        capsys.readouterr()
        code = command_line.main(
            [
                "quantize",
                f"--model={keras_file}",
                f"--calibration={calibration}",
                f"--out={tmp_path / 'out'}",
                "--set=data.crop=whole",
                "--json",
                *more,
            ]
        )
        shown = capsys.readouterr()
        return code, shown, asked.get("images")

    return run


def colour(number, label):
    """Flat, so that any crop and kernel gives it back."""
    return np.full((40, 50, 3), (60 * label + 40, 10 * number, 90), np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Class folders: JPEGs of one, PNGs of the other, 10 and 5."""
    path = tmp_path / "pictures"
    for label, (name, count, suffix) in enumerate(
        (("cat", 10, "jpg"), ("dog", 5, "png"))
    ):
        (path / name).mkdir(parents=True)
        for number in range(count):
            image = Image.fromarray(colour(number, label))
            image.save(path / name / f"{number}.{suffix}", quality=95)
    return path


def reds(images):
    """Which class an image is of, by its red; 8 and 4 are left to train on."""
    return np.rint((images[:-2, 16, 16, 0].astype(float) - 40) / 60).tolist()


def test_class_folders(quantise, folder):
    code, shown, images = quantise(folder)
    assert code == 0, shown.err
    told = json.loads(shown.out)
    # A fifth of each class is held out to validate on.
    assert told["calibration_images"] == 12
    assert told["calibration_range"] == "image_percentile"
    assert sorted(reds(images)) == [0] * 8 + [1] * 4
    assert images.shape == (14, SIDE, SIDE, 3)
    assert (images[-2].max(), images[-1].min()) == (0, 255)
    # Flat pictures stay so, whatever format they come in.
    assert np.ptp(images[:-2], axis=(1, 2)).max() <= 2


def test_as_many_of_each_class_as_there_are(quantise, folder):
    _, _, images = quantise(folder, "--calibration_images=6")
    assert sorted(reds(images)) == [0] * 3 + [1] * 3


def test_some_unreadable_pictures_are_left_out_and_counted(quantise, folder):
    for number in (0, 1, 2):
        (folder / "cat" / f"{number}.jpg").write_bytes(b"\xff\xd8\xffbroken")
    code, shown, images = quantise(folder)
    assert code == 0
    left = 12 - (len(images) - 2)
    # Those of the three that are not held out.
    assert 1 <= left <= 3
    assert f"{left} of 12 training images of {folder} cannot be used" in (
        shown.err
    )


def test_nothing_but_unreadable_pictures(quantise, folder, tmp_path):
    for path in folder.rglob("*.*"):
        path.write_bytes(b"no picture")
    code, shown, images = quantise(folder)
    assert (code, shown.out, images) == (2, "", None)
    last = shown.err.splitlines()[-1]
    assert f"none of 12 training images of {folder} can be used" in last
    assert "no JPEG" in last or "no picture" in last
    assert os.listdir(tmp_path / "out") == []


def test_an_empty_class_folder(quantise, folder, tmp_path):
    shutil.rmtree(folder / "dog")
    (folder / "dog").mkdir()
    code, shown, _ = quantise(folder)
    assert code == 2
    (line,) = shown.err.splitlines()
    assert "class folders without pictures: dog" in line
    assert not (tmp_path / "out").exists()


def test_records_of_a_folder_give_the_same_pixels(quantise, folder, tmp_path):
    from efficientnet_tf.data.prepare import prepare

    prepare(str(folder), str(tmp_path / "records"), shards=2)
    _, _, ours = quantise(folder)
    code, _, theirs = quantise(tmp_path / "records")
    assert code == 0

    def unordered(images):
        return np.array(sorted(images.reshape(len(images), -1).tolist()))

    np.testing.assert_array_equal(unordered(ours), unordered(theirs))


@pytest.mark.parametrize("encoding", ["jpeg", "png"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorflow_datasets(quantise, tmp_path, encoding):
    with warnings.catch_warnings():
        # Of its protobuf files and its lazy imports.
        warnings.simplefilter("ignore")
        tfds = pytest.importorskip("tensorflow_datasets")
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(encoding_format=encoding),
            "label": tfds.features.ClassLabel(names=["cat", "dog"]),
        }
    )

    def examples(count):
        return [
            (i, {"image": colour(i, i % 2), "label": i % 2})
            for i in range(count)
        ]

    tfds.dataset_builders.AdhocBuilder(
        name="made",
        version="1.0.0",
        features=features,
        split_datasets={"train": examples(9), "test": examples(3)},
        data_dir=str(tmp_path / "tfds"),
        file_format="tfrecord",
    ).download_and_prepare()
    code, shown, images = quantise(
        "tfds:made", f"--set=data.tfds_dir={tmp_path / 'tfds'}"
    )
    assert code == 0, shown.err
    assert json.loads(shown.out)["calibration"] == "tfds:made"
    assert sorted(reds(images)) == [0] * 5 + [1] * 4


def test_a_full_disk_leaves_nothing(quantise, folder, tmp_path, monkeypatch):
    import tensorflow as tf

    class Full(tf.io.gfile.GFile):
        def write(self, content):
            super().write(content[: len(content) // 2])
            if len(content) > 1000:
                raise tf.errors.ResourceExhaustedError(
                    None, None, f"{self.name}; No space left on device"
                )

    monkeypatch.setattr(tf.io.gfile, "GFile", Full)
    code, shown, _ = quantise(folder)
    assert code == 1
    last = shown.err.splitlines()[-1]
    (said,) = re.findall(r"edgetpu: (.*) cannot be written: (.*)", last)
    assert said[0].startswith(f"{tmp_path / 'out'}/efficientnet-lite0_int8")
    assert said[1].startswith("No space left on device; make room")
    assert os.listdir(tmp_path / "out") == []


def test_photographs_in_two_folders(quantise, shared, tmp_path):
    archive = shared / "data" / "photos-100.zip"
    if not archive.is_file():
        pytest.skip(f"needs {archive.name}")
    with zipfile.ZipFile(archive) as files:
        names = sorted(n for n in files.namelist() if n.endswith(".JPEG"))
        for number, name in enumerate(names[:20]):
            place = tmp_path / "photos" / f"half{number % 2}"
            place.mkdir(parents=True, exist_ok=True)
            (place / os.path.basename(name)).write_bytes(files.read(name))
    code, shown, images = quantise(tmp_path / "photos")
    assert code == 0, shown.err
    assert images.shape == (18, SIDE, SIDE, 3)
    assert images[:-2].std() > 30
