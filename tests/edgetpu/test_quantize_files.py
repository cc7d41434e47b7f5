"""The verb `quantize`: from a run, an import or a `.keras` file."""

from __future__ import annotations

import dataclasses
import json
import os

import keras
import numpy as np
import pytest

from edgetpu import __main__ as command_line
from edgetpu import quantize_files as module
from edgetpu.quantize import device_model
from edgetpu.quantize_files import file_name, quantize_files
from edgetpu.reader import open_model
from edgetpu.source import Source, default_out, load_source
from efficientnet_tf.errors import InputError
from efficientnet_tf.modeling.build import build_network
from efficientnet_tf.networks import families, network
from efficientnet_tf.networks.stages import Family, Stage, Variant
from efficientnet_tf.training.model_dir import ModelDir

NAME = "efficientnet-lite0"
SMALL = "small"


@pytest.fixture
def source(lite):
    trained = lite.trained
    return Source(
        trained.config, trained.network, trained.model, trained.labels
    )


@pytest.fixture
def converts(lite, monkeypatch):
    """Saves the seconds of converting; tells what was asked for."""
    asked = {}

    def quantize(network, model, images, **options):
        asked.update(options, images=images, network=network, model=model)
        return lite.content

    monkeypatch.setattr(module, "quantize", quantize)
    return asked


def test_a_file_and_what_is_forecast_of_it(
    source, dataset, lite, tmp_path, capfd
):
    made = quantize_files(source, dataset, str(tmp_path / "out"), images=24)
    path = tmp_path / "out" / f"{NAME}_int8.tflite"
    assert made.file == str(path)
    # As the export's: the same images, the same bytes.
    assert path.read_bytes() == lite.content
    assert made.bytes == len(lite.content)
    assert (tmp_path / "out" / "labels.txt").read_text() == (
        "red\ngreen\nblue\nyellow\n"
    )
    assert (made.compiles, made.problems) == (True, ())
    assert made.on_edge_tpu == sum(made.operators.values())
    assert (made.input.dtype, made.input.zero_point) == ("uint8", 127)
    assert made.calibration_images == 24
    beside = path.with_suffix(".json").read_text()
    assert json.loads(beside) == json.loads(json.dumps(made.to_dict()))
    assert (made.crop, made.resize) == ("pad32", "legacy_bicubic")
    said = capfd.readouterr().err.splitlines()
    assert said[-1] == f"quantising {NAME} with 24 training images"
    assert not os.path.exists(path.parent / ".trial")


def test_b_networks_are_told_of_before_the_conversion(
    converted, dataset, tmp_path, capsys, monkeypatch
):
    b0 = converted("efficientnet-b0")

    def never(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "quantize", never)
    trained = b0.trained
    source = Source(trained.config, b0.network, b0.model, trained.labels)
    with pytest.raises(KeyboardInterrupt):
        quantize_files(source, dataset, str(tmp_path), images=4)
    said = capsys.readouterr().err
    assert "swish activations" in said and "squeeze-and-excitation" in said
    assert "efficientnet-lite0 to lite4" in said
    assert os.listdir(tmp_path) == []


def test_mixed_kernels_are_refused_before_anything(source, dataset, tmp_path):
    condconv = network("efficientnet-condconv-b0-4e")
    with pytest.raises(InputError, match="mixes its kernels.*lite0 to lite4"):
        quantize_files(
            dataclasses.replace(source, network=condconv),
            dataset,
            str(tmp_path / "out"),
            images=4,
        )
    assert not (tmp_path / "out").exists()


def test_a_file_that_would_not_compile_is_kept_and_told(
    keras_file, records, converts, tmp_path, capsys, monkeypatch
):
    from edgetpu.versions import NEWEST_VERSIONS

    monkeypatch.setitem(NEWEST_VERSIONS, "CONV_2D", 1)
    arguments = [f"--model={keras_file[0]}", f"--out={tmp_path}"]
    arguments += [f"--calibration={records}", "--calibration_images=4"]
    assert command_line.main(["quantize", *arguments]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"{SMALL}_int8.tflite was written, and would not compile" in said
    assert "opcode 'CONV_2D' version '3'" in said
    made = [f"{SMALL}_int8.json", f"{SMALL}_int8.tflite"]
    assert sorted(os.listdir(tmp_path)) == made


@pytest.mark.parametrize(
    ("head", "inference_type", "name"),
    [
        ("softmax", "uint8", f"{NAME}_int8.tflite"),
        ("logits", "uint8", f"{NAME}_logits_int8.tflite"),
        ("embedding", "int8", f"{NAME}_embedding_int8_int8io.tflite"),
    ],
)
def test_names_of_files(
    source, dataset, tmp_path, converts, head, inference_type, name
):
    assert file_name(NAME, head, inference_type) == name
    made = quantize_files(
        source,
        dataset,
        str(tmp_path),
        images=4,
        head=head,
        inference_type=inference_type,
    )
    assert made.file == str(tmp_path / name)
    assert converts["head"] == head
    assert converts["inference_type"] == inference_type
    # Features have no names.
    assert (tmp_path / "labels.txt").exists() == (head != "embedding")


def test_calibration_has_every_class(source, dataset, tmp_path, converts):
    quantize_files(source, dataset, str(tmp_path), images=8)
    assert converts["images"].shape == (10, 32, 32, 3)
    quantize_files(source, dataset, str(tmp_path), images=4)
    colours = converts["images"][:4, 12:20, 12:20].mean(axis=(1, 2))
    # Red, green, blue, yellow: the strongest channel, and yellow has two.
    kinds = {tuple((colour > 140).astype(int)) for colour in colours}
    assert kinds == {(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0)}


@pytest.fixture(scope="module", autouse=True)
def small():
    """A network of two blocks among the variants."""
    stages = (Stage("fused", 1, 3, 2, 2, 8), Stage("mbconv", 1, 3, 2, 2, 8))
    family = Family(
        stages, "relu6", families.CENTERED, stem=8, head=16, classes=4
    )
    with pytest.MonkeyPatch.context() as patch:
        variant = Variant(family, 1.0, 1.0, 32, 0.0)
        patch.setitem(families.VARIANTS, SMALL, variant)
        yield


@pytest.fixture(scope="module")
def keras_file(small, tmp_path_factory):
    model = build_network(network(SMALL), dtype="float32")
    path = tmp_path_factory.mktemp("keras") / "any name.keras"
    model.save(path)
    return path, model


def test_a_keras_file_is_a_network(keras_file):
    path, model = keras_file
    source = load_source(str(path))
    assert source.network == network(SMALL)
    assert source.labels == ()
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3))
    np.testing.assert_array_equal(source.model(images), model(images))
    assert default_out(str(path)) == str(path.parent)
    other = load_source(
        str(path), settings=["data.normalization=imagenet", "data.crop=whole"]
    )
    assert other.network.normalization.name == "imagenet"
    assert other.cut.crop == "whole"


@pytest.mark.parametrize("stride", ["expand", "project"])
def test_a_keras_file_keeps_where_its_stride_is(stride, tmp_path):
    resolved = network(SMALL, classes=3, pixels=48, fused_stride=stride)
    path = tmp_path / "any.keras"
    build_network(resolved, dtype="float32").save(path)
    assert load_source(str(path)).network == resolved


def test_a_keras_file_may_have_been_trained_without_dropping(tmp_path):
    """No layer that drops is in it, as after `model.drop_path=0`."""
    name = "efficientnet-edgetpu-S"
    resolved = network(name, classes=3, pixels=32, dropout=0.0, drop_path=0.0)
    model = build_network(resolved, dtype="float32")
    assert not any("drop" in layer.name for layer in model.layers)
    path = tmp_path / "any.keras"
    model.save(path)
    source = load_source(str(path))
    # Its weights go into the network that is quantised.
    images = np.random.default_rng(0).normal(size=(1, 32, 32, 3))
    np.testing.assert_allclose(
        device_model(source.network, source.model, "logits")(images),
        model(images),
        atol=1e-5,
    )


def test_command_line(keras_file, records, converts, tmp_path, capsys):
    path, _ = keras_file
    arguments = ["quantize", f"--model={path}", f"--out={tmp_path}", "--json"]
    arguments += [f"--calibration={records}", "--calibration_images=5"]
    assert command_line.main(arguments) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["file"] == str(tmp_path / f"{SMALL}_int8.tflite")
    assert told["calibration"] == str(records)
    assert told["calibration_images"] == 5
    assert told["compiles"] is True
    made = [f"{SMALL}_int8.json", f"{SMALL}_int8.tflite"]
    assert sorted(os.listdir(tmp_path)) == made
    assert command_line.main(arguments[:3] + arguments[4:]) == 0
    shown = capsys.readouterr().out
    for words in ("int8 file", "zero point 127", "5 images of", "Edge TPU"):
        assert words in shown


def test_command_line_of_a_run(lite, records, converts, tmp_path, monkeypatch):
    import edgetpu.source as source_module

    config = lite.trained.config
    config = dataclasses.replace(
        config, data=dataclasses.replace(config.data, dir=str(records))
    )
    seen = {}

    def load_trained(path, config, *, checkpoint):
        seen.update(path=path, checkpoint=checkpoint)
        return dataclasses.replace(lite.trained, config=config)

    monkeypatch.setattr(ModelDir, "config", lambda _: config)
    monkeypatch.setattr(source_module, "load_trained", load_trained)
    run = tmp_path / "run"
    code = command_line.main(
        ["quantize", f"--model={run}", "--checkpoint=best", "--head=logits"]
    )
    assert code == 0
    assert seen == {"path": str(run), "checkpoint": "best"}
    assert sorted(os.listdir(run / "export")) == [
        f"{NAME}_logits_int8.json",
        f"{NAME}_logits_int8.tflite",
        "labels.txt",
    ]


@pytest.mark.parametrize(
    "head", [pytest.param("softmax", marks=pytest.mark.slow), "embedding"]
)
def test_the_same_file_each_time(keras_file, records, tmp_path, head):
    path, _ = keras_file
    files = []
    for folder in ("a", "b"):
        out = tmp_path / folder
        code = command_line.main(
            [
                "quantize",
                f"--model={path}",
                f"--calibration={records}",
                f"--out={out}",
                f"--head={head}",
            ]
        )
        assert code == 0
        (file,) = (x for x in os.listdir(out) if x.endswith(".tflite"))
        files.append((out / file).read_bytes())
    assert files[0] == files[1]
    graph = open_model(str(out / file)).main
    width = {"softmax": 4, "embedding": 16}[head]
    assert graph.tensors[graph.outputs[0]].shape == (1, width)


def test_files_that_are_no_networks(tmp_path):
    with pytest.raises(InputError, match="nothing.keras is no file"):
        load_source(str(tmp_path / "nothing.keras"))
    text = tmp_path / "text.keras"
    text.write_text("text")
    with pytest.raises(InputError, match="text.keras cannot be opened"):
        load_source(str(text))
    other = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    other.save(tmp_path / "other.keras")
    with pytest.raises(InputError, match="no network of this project"):
        load_source(str(tmp_path / "other.keras"))
    inputs = keras.Input((32, 32, 3))
    named = keras.Model(inputs, keras.layers.Flatten()(inputs), name=SMALL)
    named.save(tmp_path / "named.keras")
    with pytest.raises(InputError, match="but has other layers"):
        load_source(str(tmp_path / "named.keras"))


def test_a_checkpoint_is_of_a_model_directory(keras_file):
    with pytest.raises(InputError, match="--checkpoint best is for a model"):
        load_source(str(keras_file[0]), checkpoint="best")


def test_mistakes(keras_file, tmp_path, capsys):
    model = f"--model={keras_file[0]}"
    empty = tmp_path / "empty"
    empty.mkdir()
    out = tmp_path / "out"
    for arguments, words in (
        ([], "--model is missing"),
        ([model], "--calibration is missing"),
        ([model, "--head=sofmax"], "flag --head=sofmax"),
        ([model, "--calibration=/no/data"], "/no/data"),
        ([model, f"--calibration={empty}"], str(empty)),
        ([model, "--set=data.crop=middle"], "data.crop"),
        ([f"--model={tmp_path}"], f"--model {tmp_path} holds no run"),
        ([f"--model={tmp_path}/x_int8.tflite"], "give a model directory of"),
    ):
        code = command_line.main(["quantize", f"--out={out}", *arguments])
        shown = capsys.readouterr()
        assert (code, shown.out) == (2, ""), arguments
        assert words in shown.err
        assert len(shown.err.splitlines()) == 1
    assert not out.exists()


def test_no_images_are_refused_before_anything(source, dataset, tmp_path):
    with pytest.raises(InputError, match="calibration_images 0"):
        quantize_files(source, dataset, str(tmp_path / "out"), images=0)
    assert not (tmp_path / "out").exists()
