"""What `evaluate` writes, against a count by hand with the exported file."""

import csv
import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import main
from efficientnet_tf.data.cut import Cut
from efficientnet_tf.data.dataset import open_dataset
from efficientnet_tf.data.pipeline import evaluation_examples
from efficientnet_tf.data.preprocess import normalize
from efficientnet_tf.evaluate import evaluate
from efficientnet_tf.export import export_keras
from efficientnet_tf.training.config_files import override
from efficientnet_tf.training.trained import load_trained, run_config

FILES = {"confusion.png", "evaluation.json", "per_class.csv"}


CUT = Cut(pixels=32, crop="pad32", resize="legacy_bicubic")


@pytest.fixture(scope="module")
def exported(small_run, tmp_path_factory):
    """The run's `.keras` file as Keras alone opens it, and its pixels."""
    trained = load_trained(str(small_run), run_config(str(small_run)))
    path = export_keras(trained, str(tmp_path_factory.mktemp("export")))
    return keras.models.load_model(path), trained.network.normalization


def by_hand(exported, folder, split, first=0):
    """Shares `[images, classes]` and labels, of all images in one go."""
    model, normalization = exported
    images, labels = zip(
        *evaluation_examples(open_dataset(str(folder)), split, cut=CUT),
        strict=True,
    )
    inputs = normalize(tf.stack(images), normalization)
    powers = np.exp(np.asarray(model(inputs, training=False)).astype(float))
    shares = powers / powers.sum(axis=1, keepdims=True)
    return shares, np.array(labels) + first


def calibration_error(shares, labels):
    """Guo et al. 2017, equation 3, bin by bin."""
    best, confidence = shares.argmax(axis=1), shares.max(axis=1)
    error = 0.0
    for number in range(1, 16):
        inside = (confidence > (number - 1) / 15) & (confidence <= number / 15)
        if inside.any():
            right = np.mean(best[inside] == labels[inside])
            error += inside.mean() * abs(right - confidence[inside].mean())
    return error


def check_figures(result, shares, labels):
    order = np.argsort(-shares, axis=1)
    right = order[:, :5] == labels[:, np.newaxis]
    loss = -np.log(shares[np.arange(len(labels)), labels]).mean()
    assert result["images"] == len(labels)
    assert result["top1"] == pytest.approx(right[:, 0].mean())
    assert result["top5"] == pytest.approx(right.any(axis=1).mean())
    assert result["loss"] == pytest.approx(loss, rel=1e-4)
    assert result["calibration_error"] == pytest.approx(
        calibration_error(shares, labels), abs=1e-5
    )


def ask(capsys, run, *words):
    """The figures that `evaluate --json` prints, and what else it says."""
    command = ["evaluate", f"--model_dir={run}", "--json", *words]
    assert main.main(command) == 0
    shown = capsys.readouterr()
    return json.loads(shown.out), shown.err


def refused(capsys, run, *words):
    """The one line of an evaluation that is wrong input."""
    command = ["evaluate", f"--model_dir={run}", *map(str, words)]
    assert main.main(command) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1
    return shown.err


def rows_of(folder):
    with open(folder / "per_class.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("split", ["validation", "train"])
def test_the_figures_are_those_by_hand(
    split, small_run, small_data, exported, tmp_path, capsys
):
    result, said = ask(
        capsys, small_run, f"--split={split}", f"--out={tmp_path}/new"
    )
    assert said == ""
    shares, labels = by_hand(exported, small_data["whole"], split)
    check_figures(result, shares, labels)
    assert result["split"] == split
    assert not result["background"]
    out = tmp_path / "new"
    assert {file.name for file in out.iterdir()} == FILES
    assert json.loads((out / "evaluation.json").read_text()) == result
    bins = result["calibration"]
    assert len(bins) == 15
    assert sum(one["images"] for one in bins) == len(labels)
    for one in bins:
        if one["images"]:
            assert one["above"] <= one["confidence"] <= one["up_to"]


def test_classes_are_counted_one_by_one(
    small_run, small_data, exported, tmp_path, capsys
):
    ask(capsys, small_run, f"--out={tmp_path}")
    shares, labels = by_hand(exported, small_data["whole"], "validation")
    names = (small_run / "labels.txt").read_text().splitlines()
    order = np.argsort(-shares, axis=1)
    rows = rows_of(tmp_path)
    assert [row["label"] for row in rows] == names
    for number, row in enumerate(rows):
        mine = order[labels == number]
        wrong = mine[:, 0][mine[:, 0] != number]
        counts = np.bincount(wrong, minlength=len(names))
        assert int(row["class"]) == number
        assert int(row["images"]) == len(mine)
        assert float(row["top1"]) == pytest.approx(
            np.mean(mine[:, 0] == number)
        )
        assert float(row["top5"]) == pytest.approx(
            np.mean((mine[:, :5] == number).any(axis=1))
        )
        rival = names[counts.argmax()] if len(wrong) else ""
        assert row["most_confused_with"] == rival
        assert int(row["confused_images"]) == counts.max()
    # The run is bad enough for the test to be one.
    assert any(row["most_confused_with"] for row in rows)


def test_without_out_it_goes_into_the_model_directory(
    small_run, tmp_path, capsys
):
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    command = ["evaluate", f"--model_dir={run}", "--split=train"]
    assert main.main(command) == 0
    assert "calibration error" in capsys.readouterr().out
    folder = run / "evaluation" / "train"
    assert {file.name for file in folder.iterdir()} == FILES
    with Image.open(folder / "confusion.png") as image:
        assert min(image.size) > 600


@pytest.mark.parametrize("setting", ["None", "true"])
def test_a_background_is_one_class_more(
    setting, small_run, small_data, exported, tmp_path, capsys
):
    result, said = ask(
        capsys,
        small_run,
        f"--data_dir={small_data['part']}",
        f"--set=evaluate.background={setting}",
        f"--out={tmp_path}",
    )
    if setting == "None":
        assert "has 7 classes" in said
        assert "has 6 " in said
        assert len(said.splitlines()) == 1
    else:
        assert said == ""
    assert result["background"]
    shares, labels = by_hand(exported, small_data["part"], "validation", 1)
    check_figures(result, shares, labels)
    rows = rows_of(tmp_path)
    assert [int(row["class"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[0]["label"] == "red"


def test_numbers_of_classes_that_do_not_fit_are_named(
    small_run, small_data, tmp_path, capsys
):
    out = f"--out={tmp_path}/out"
    part = f"--data_dir={small_data['part']}"
    off, on = (f"--set=evaluate.background={x}" for x in ("false", "true"))
    whole = f"--data_dir={small_data['whole']}"
    for words in ((part, off), (whole, on), ("--data_dir=digits",)):
        said = refused(capsys, small_run, *words, out)
        assert "6 classes (" in said or "7 classes (" in said
    assert "10 classes (" in said
    assert list(tmp_path.iterdir()) == []


def test_names_of_other_classes_are_refused_unless_given(
    small_run, small_data, tmp_path, capsys
):
    data = tmp_path / "data"
    shutil.copytree(small_data["whole"], data)
    manifest = data / "manifest.json"
    manifest.write_text(manifest.read_text().replace("teal", "cyan"))
    words = (f"--data_dir={data}", f"--out={tmp_path}/out")
    assert "if they are the same, name them by --labels" in refused(
        capsys, small_run, *words
    )
    assert not (tmp_path / "out").exists()
    labels = tmp_path / "labels.txt"
    labels.write_text("zero\none\ntwo\nthree\nfour\nfive\nsix\n")
    ask(capsys, small_run, *words, f"--labels={labels}")
    assert rows_of(tmp_path / "out")[6]["label"] == "six"


def test_data_without_names_is_taken(small_run, small_data, tmp_path, capsys):
    data = tmp_path / "data"
    shutil.copytree(small_data["whole"], data)
    (data / "manifest.json").unlink()
    result, said = ask(
        capsys, small_run, f"--data_dir={data}", f"--out={tmp_path}/out"
    )
    assert "reading all records once" in said
    assert rows_of(tmp_path / "out")[6]["label"] == "teal"


def test_wrong_input_leaves_nothing(small_run, tmp_path, capsys):
    labels = tmp_path / "labels.txt"
    file = tmp_path / "file"
    file.write_text("")
    out = f"--out={tmp_path}/out"
    for content, reason in (
        ("one\ntwo\n", "has 2 labels; the network needs 7 labels"),
        ('{"0": "one"', "JSON map of labels and is none"),
    ):
        labels.write_text(content)
        said = refused(capsys, small_run, out, f"--labels={labels}")
        assert reason in said
        assert str(labels) in said
    for where in (file, file / "in", "/proc/nowhere"):
        said = refused(capsys, small_run, f"--out={where}")
        assert f"--out {where} cannot be written" in said
    assert "validation|train" in refused(capsys, small_run, out, "--split=x")
    assert sorted(tmp_path.iterdir()) == [file, labels]


def test_replicas_agree_with_one_device(small_run, mirrored, tmp_path):
    config = run_config(str(small_run))
    config = override(config, ["evaluate.batch=10"])
    both, one = (
        evaluate(config, str(small_run), out=str(tmp_path), strategy=strategy)
        for strategy in (mirrored, tf.distribute.get_strategy())
    )
    assert both.pop("devices") != one.pop("devices")
    both_bins, one_bins = both.pop("calibration"), one.pop("calibration")
    for name, value in one.items():
        wanted = pytest.approx(value) if isinstance(value, float) else value
        assert both[name] == wanted, name
    assert [x["images"] for x in both_bins] == [x["images"] for x in one_bins]


def test_an_export_knows_of_the_background(
    small_run, small_data, exported, tmp_path, capsys
):
    command = [
        "export",
        f"--model_dir={small_run}",
        f"--data_dir={small_data['part']}",
        f"--out={tmp_path}",
        "--json",
    ]
    assert main.main(command) == 0
    facts = json.loads(capsys.readouterr().out)
    shares, labels = by_hand(exported, small_data["part"], "validation", 1)
    expected = np.mean(shares.argmax(axis=1) == labels)
    assert facts["int8_images"] == len(labels)
    assert facts["int8_float_top1"] == pytest.approx(expected)
