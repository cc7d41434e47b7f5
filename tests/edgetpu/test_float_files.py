"""Float `.tflite` files, against the Keras network and LiteRT itself."""

from __future__ import annotations

import os

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from edgetpu.export_formats import export_formats
from edgetpu.reader import read_graph
from efficientnet_tf.errors import InputError

# How far a score may be from the float network's: float32 rounds in another
# order, float16 has 11 bits, of int8 weights each is off by up to 1/254 of the
# largest one in its channel.
BOUNDS = {"float": 1e-5, "float16": 2e-3, "dynamic_range": 0.1}
LITE, S = "efficientnet-lite0", "efficientnet-edgetpu-S"


def truth(made, images):
    """From the definition: softmax of the model on (pixel - mean) / std."""
    norm = made.network.normalization
    inputs = (images.astype(np.float64) - norm.mean) / norm.std
    logits = made.model(inputs.astype(np.float32)).numpy().astype(np.float64)
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


@pytest.fixture(scope="session")
def photographs(shared):
    """Real ones, 32 pixels wide: uint8 [12, 32, 32, 3]."""
    import io
    import zipfile

    from PIL import Image

    archive = shared / "data" / "photos-100.zip"
    if not archive.is_file():
        pytest.skip(f"needs {archive.name}")
    found = []
    with zipfile.ZipFile(archive) as files:
        names = [n for n in files.namelist() if n.endswith(".JPEG")]
        for name in sorted(names)[:12]:
            with Image.open(io.BytesIO(files.read(name))) as image:
                found.append(np.asarray(image.convert("RGB").resize((32, 32))))
    return np.stack(found)


def scores(path, images):
    """(pixel - 127) / 128 into LiteRT, written out."""
    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    (taken,) = interpreter.get_input_details()
    (given,) = interpreter.get_output_details()
    assert (taken["dtype"], given["dtype"]) == (np.float32, np.float32)
    assert tuple(taken["shape_signature"]) == (1, 32, 32, 3)
    found = []
    for image in images:
        x = (image[np.newaxis].astype(np.float32) - 127) / 128
        interpreter.set_tensor(taken["index"], x)
        interpreter.invoke()
        found.append(interpreter.get_tensor(given["index"])[0].copy())
    return np.stack(found)


@pytest.fixture(scope="module")
def files(converted, tmp_path_factory):
    """Gives the path of a network's file of a format, made once."""
    folder = tmp_path_factory.mktemp("files")

    def write(name, word):
        path = folder / f"{name}_{word}.tflite"
        if not path.exists():
            export_formats(converted(name).trained, str(folder), [word])
        return path

    return write


@pytest.mark.parametrize(
    ("name", "word"),
    [(S, word) for word in BOUNDS]
    + [(LITE, "float"), ("efficientnet-b0", "float")],
)
def test_scores_are_those_of_keras(converted, files, pictures, name, word):
    images, labels = pictures(24, seed=5)
    found = scores(files(name, word), images)
    expected = truth(converted(name), images)
    assert np.abs(found - expected).max() < BOUNDS[word]
    assert (found.argmax(-1) == expected.argmax(-1)).all()
    assert np.mean(found.argmax(-1) == labels) > 0.9


@pytest.mark.parametrize("word", BOUNDS)
def test_photographs_too(converted, files, photographs, word):
    found = scores(files(S, word), photographs)
    expected = truth(converted(S), photographs)
    assert np.abs(found - expected).max() < BOUNDS[word]
    # Where two classes are as likely, either may come first.
    first, second = np.sort(expected)[:, :-3:-1].T
    sure = first - second > 2 * BOUNDS[word]
    assert sure.any()
    agree = found.argmax(-1) == expected.argmax(-1)
    assert agree[sure].all()


def test_sizes_and_types_of_weights(files):
    paths = {word: files(S, word) for word in BOUNDS}
    whole = paths["float"].stat().st_size
    # Names and structure are a few percent of so small a network.
    assert paths["float16"].stat().st_size / whole == pytest.approx(1 / 2, 0.1)
    dynamic = paths["dynamic_range"].stat().st_size
    assert dynamic / whole == pytest.approx(1 / 4, 0.2)
    for word, dtype in (
        ("float", "float32"),
        ("float16", "float16"),
        ("dynamic_range", "int8"),
    ):
        graph = read_graph(paths[word].read_bytes())
        weights = max(
            (tensor for tensor in graph.tensors if tensor.constant),
            key=lambda tensor: len(tensor.data),
        )
        assert weights.dtype == dtype
        assert not any(tensor.dynamic for tensor in graph.tensors)


def test_what_is_not_asked_for_is_left_alone(lite, tmp_path):
    name = lite.network.name
    old = tmp_path / f"{name}_float16.tflite"
    old.write_bytes(b"older")
    made = export_formats(lite.trained, str(tmp_path), ["keras", "int8"])
    assert made == (str(tmp_path / f"{name}.keras"),)
    assert old.read_bytes() == b"older"
    assert sorted(os.listdir(tmp_path)) == [
        f"{name}.keras",
        f"{name}_float16.tflite",
        "labels.txt",
    ]
    assert (tmp_path / "labels.txt").read_text() == "red\ngreen\nblue\nyellow\n"


def test_a_conversion_that_fails_leaves_nothing(lite, tmp_path, monkeypatch):
    import dataclasses

    headless = dataclasses.replace(lite.network, classes=0)
    trained = dataclasses.replace(lite.trained, network=headless)
    old = tmp_path / f"{headless.name}_float.tflite"
    old.write_bytes(b"older")
    with pytest.raises(InputError, match="classes 0"):
        export_formats(trained, str(tmp_path), ["float"])
    assert old.read_bytes() == b"older"
    assert sorted(os.listdir(tmp_path)) == [old.name, "labels.txt"]
