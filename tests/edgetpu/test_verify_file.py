"""The verb `verify`: a file against its network, as files and exit codes."""

from __future__ import annotations

import dataclasses
import json

import pytest
from PIL import Image

from edgetpu import verify_file as module
from edgetpu.__main__ import main
from edgetpu.quantize import quantize
from edgetpu.source import Source
from efficientnet_tf.errors import InputError


@pytest.fixture
def source(lite, records, monkeypatch):
    """What `--model` stands for; layers are looked at elsewhere."""
    config = lite.trained.config
    data = dataclasses.replace(
        config.data, dir=str(records), train_images=24, validation_images=24
    )
    found = Source(
        dataclasses.replace(config, data=data),
        lite.network,
        lite.model,
        lite.trained.labels,
    )
    monkeypatch.setattr("edgetpu.source.load_source", lambda *_, **__: found)
    monkeypatch.setattr("edgetpu.verify.layer_errors", lambda *_, **__: ())
    return found


@pytest.fixture
def file(lite, tmp_path):
    path = tmp_path / "lite_int8.tflite"
    path.write_bytes(lite.content)
    return path


def _ran(capsys, *words):
    code = main(["verify", *(str(word) for word in words)])
    return code, capsys.readouterr()


@pytest.mark.usefixtures("source")
def test_the_verb_shows_what_int8_costs(file, capsys):
    code, said = _ran(capsys, file, "--model=run", "--verify_images=24")
    assert code == 0, said.err
    for words in ("top-1 float", "of 24 images", "nats", "differ most", "blue"):
        assert words in said.out


@pytest.mark.usefixtures("source")
def test_files_and_json(file, tmp_path, capsys):
    out = tmp_path / "out"
    code, said = _ran(
        capsys,
        *(file, "--model=run", "--verify_images=8", "--json", f"--out={out}"),
    )
    assert code == 0, said.err
    facts = json.loads(said.out)
    assert facts == json.loads((out / "verify.json").read_text())
    assert facts["comparison"]["images"] == 8
    assert facts["comparison"]["float_top1"] > 0.8
    assert len(facts["worst"]) == 8
    assert facts["file"] == str(file)
    with Image.open(out / "worst.png") as sheet:
        assert sheet.width > 4 * 32


def test_an_agreement_too_small_fails(source, lite, tmp_path, capsys, pictures):
    """The file of the network with other answers."""
    import keras

    other = keras.models.clone_model(lite.model)
    other.set_weights(lite.model.get_weights())
    layer = other.get_layer("predictions")
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel[:, ::-1], bias[::-1]])
    images = pictures(8, seed=3)[0]
    images[0], images[1] = 0, 255
    file = tmp_path / "other.tflite"
    file.write_bytes(quantize(lite.network, other, images))
    code, said = _ran(capsys, file, "--model=run")
    assert code == 1
    assert "by another --calibration_range" in " ".join(said.out.split())
    assert "less than --min_agreement 0.97" in said.err
    assert _ran(capsys, file, "--model=run", "--min_agreement=0")[0] == 0


def test_data_of_other_classes_has_no_top1(source, dataset, file):
    other = dataclasses.replace(dataset, labels=("a", "b", "c", "d"))
    found = module.verify_file(source, other, str(file), images=6)
    assert found.comparison.float_top1 is None
    assert "other classes" in found.not_labelled
    assert found.comparison.images == 6
    more = dataclasses.replace(dataset, labels=tuple("abcdefg"))
    found = module.verify_file(source, more, str(file), images=6)
    assert "has 7 classes, the network 4" in found.not_labelled


@pytest.mark.usefixtures("source")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("{file}",), "--model is missing"),
        (("nothing.tflite", "--model=run"), "nothing.tflite"),
        (("{labels}", "--model=run"), "labels.txt"),
        (("{file}", "--model=run", "--delegate=libno.so"), "libno.so"),
        (("{file}", "--model=run", "--min_agreement=2"), "min_agreement"),
        (("{compiled}", "--model=run"), "libedgetpu"),
    ],
)
def test_wrong_input_is_a_line(
    file, records, compiled_file, capsys, words, message
):
    places = {
        "file": file,
        "labels": records / "labels.txt",
        "compiled": compiled_file,
    }
    code, said = _ran(capsys, *(word.format(**places) for word in words))
    assert code == 2
    assert message in said.err.splitlines()[-1]


@pytest.mark.usefixtures("source")
def test_a_folder_that_cannot_be_is_told_first(file, capsys):
    code, said = _ran(capsys, file, "--model=run", f"--out={file}")
    assert code == 2
    assert "--out" in said.err
    assert "comparing" not in said.err


def test_no_images_are_refused(source, dataset, file):
    with pytest.raises(InputError, match="verify_images 0"):
        module.verify_file(source, dataset, str(file), images=0)
