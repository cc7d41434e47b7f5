"""The front door: what a person types, and what comes back."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import main
from efficientnet_tf.networks import families
from efficientnet_tf.networks.stages import Family, Stage, Variant

ROOT = Path(__file__).parents[1]
COLOURS = {"blue": (40, 60, 220), "green": (40, 200, 60), "red": (220, 40, 40)}
TINY = [
    "--model=tiny",
    "--set=model.batch_norm_momentum=0.9",
    "--set=data.crop=whole",
    "--set=data.prefetch_bytes=4000000",
    "--set=train.epochs=5",
    "--set=train.batch=6",
    "--set=train.learning_rate_per_256=0.3",
    "--set=train.average_decay=0.9",
    "--set=train.precision=float32",
]


@pytest.fixture(scope="module")
def tiny():
    """Registers a network of two blocks."""
    stages = (
        Stage("mbconv", 1, 3, 2, 2, 8, se=0.25),
        Stage("fused", 1, 3, 2, 2, 8),
    )
    family = Family(stages, "relu6", families.IMAGENET, stem=8, head=16)
    variant = Variant(family, 1.0, 1.0, 32, 0.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(families.VARIANTS, "tiny", variant)
        yield "tiny"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of class folders: 60 PNGs and JPEGs."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (folder / name).mkdir()
        for number in range(20):
            noise = random.integers(-30, 31, (40, 50, 3))
            pixels = np.clip(np.array(colour) + noise, 0, 255)
            suffix = "png" if number % 2 else "jpg"
            Image.fromarray(pixels.astype(np.uint8)).save(
                folder / name / f"{number}.{suffix}"
            )
    return folder


@pytest.fixture(scope="module")
def records(photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out") / "colours"
    arguments = [f"--from={photos}", f"--out={folder}", "--shards=2"]
    assert main.main(["prepare", *arguments]) == 0
    return folder


@pytest.fixture(scope="module")
def run(tiny, records, tmp_path_factory):
    """A run of the default verb, as the command line leaves it."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    command = [*TINY, f"--data_dir={records}", f"--model_dir={folder}"]
    assert main.main(command) == 0
    return folder


KERAS_ONLY = "--set=export.formats=keras"


@pytest.fixture(scope="module")
def again(run, tmp_path_factory):
    """The same experiment once more, by the run's own config."""
    folder = tmp_path_factory.mktemp("runs") / "again"
    command = [f"--config={run}/config.json", KERAS_ONLY]
    assert main.main([*command, f"--model_dir={folder}"]) == 0
    return folder


def not_exported(run, copy):
    """Copies a run as its training leaves it, before the export."""
    shutil.copytree(run, copy)
    shutil.rmtree(copy / "export")
    (copy / "report.html").unlink()
    result = json.loads((copy / "result.json").read_text())
    figures = {k: v for k, v in result.items() if not k.startswith("int8")}
    del figures["files"]
    (copy / "result.json").write_text(json.dumps(figures))


def test_prepare_leaves_records_labels_and_a_manifest(records):
    names = {file.name for file in records.iterdir()}
    assert names == {
        "train-00000-of-00002",
        "train-00001-of-00002",
        "validation-00000-of-00001",
        "labels.txt",
        "manifest.json",
    }
    assert (records / "labels.txt").read_text() == "blue\ngreen\nred\n"
    manifest = json.loads((records / "manifest.json").read_text())
    assert manifest["train"]["images"] == 48
    assert manifest["validation"]["images"] == 12


def test_the_run_leaves_what_it_should(run):
    names = {file.name for file in run.iterdir()}
    assert names == {
        ".lock",
        "best",
        "checkpoints",
        "config.json",
        "export",
        "labels.txt",
        "metrics.jsonl",
        "report.html",
        "result.json",
        "tensorboard",
    }
    result = json.loads((run / "result.json").read_text())
    assert result["top1"] > 0.8
    assert result["int8_agreement"] > 0.8
    assert result["validation_images"] == result["int8_images"] == 12
    for path, size in result["files"].items():
        assert Path(path).stat().st_size == size
    assert {Path(path).name for path in result["files"]} == {
        "tiny.keras",
        "tiny_int8.tflite",
    }
    lines = (run / "metrics.jsonl").read_text().splitlines()
    keys = {
        "step",
        "epoch",
        "loss",
        "learning_rate",
        "gradient_norm",
        "top1",
        "bad_records",
        "top5",
        "images_per_second",
        "input_wait_seconds",
        "raw_top1",
        "raw_top5",
    }
    assert len(lines) == 5
    assert all(set(json.loads(line)) == keys for line in lines)
    assert json.loads(lines[-1])["top1"] == result["top1"]


def test_the_same_command_again_says_finished(run, records, capsys):
    before = (run / "result.json").read_bytes()
    command = [*TINY, f"--data_dir={records}", f"--model_dir={run}"]
    assert main.main(command) == 0
    shown = capsys.readouterr()
    assert "is finished" in shown.err
    assert "top-1" in shown.out
    assert (run / "result.json").read_bytes() == before


def test_a_report_that_fails_spoils_nothing(again, records, tmp_path, capsys):
    """Something lies where it would be written."""
    folder = tmp_path / "run"
    not_exported(again, folder)
    (folder / "report.html" / "old").mkdir(parents=True)
    command = [*TINY, KERAS_ONLY, f"--data_dir={records}"]
    assert main.main([*command, f"--model_dir={folder}"]) == 0
    shown = capsys.readouterr()
    (line,) = (x for x in shown.err.splitlines() if "no report.html" in x)
    assert f"`report --model_dir={folder}`" in line
    assert str(folder / "export" / "tiny.keras") in shown.out
    assert "files" in json.loads((folder / "result.json").read_text())


def test_its_own_config_runs_it_again(run, again):
    first, second = (
        json.loads((folder / "result.json").read_text())
        for folder in (run, again)
    )
    for figure in ("top1", "top5", "loss", "raw_top1", "steps"):
        assert first[figure] == second[figure]
    configs = [
        json.loads((folder / "config.json").read_text())["config"]
        for folder in (run, again)
    ]
    assert configs[0].pop("export") != configs[1].pop("export")
    assert configs[0] == configs[1]


@pytest.mark.slow
def test_other_classes_start_from_a_run(run, photos, tmp_path, capsys):
    """The front door of fine-tuning: trained, evaluated, exported."""
    for name in COLOURS:
        shutil.copytree(photos / name, tmp_path / "photos" / f"my-{name}")
    records, tuned = tmp_path / "records", tmp_path / "tuned"
    arguments = [f"--from={tmp_path}/photos", f"--out={records}"]
    assert main.main(["prepare", *arguments]) == 0
    settings = ["train.freeze=stem", "train.head_learning_rate_factor=3"]
    command = [
        *TINY,
        KERAS_ONLY,
        f"--init_from={run}",
        f"--data_dir={records}",
        f"--model_dir={tuned}",
        *(f"--set={setting}" for setting in settings),
    ]
    capsys.readouterr()
    assert main.main(command) == 0
    said = capsys.readouterr().err
    assert f"variables from {run}, step 40; 2 variables left fresh" in said
    content = json.loads((tuned / "config.json").read_text())
    assert content["config"]["train"]["init_from"] == str(run)
    result = json.loads((tuned / "result.json").read_text())
    assert result["top1"] > 0.8
    assert (tuned / "export" / "labels.txt").read_text().startswith("my-blue")
    capsys.readouterr()
    assert main.main(["evaluate", f"--model_dir={tuned}", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["top1"] == result["top1"]
    assert main.main(command) == 0
    command[-1] = "--set=train.head_learning_rate_factor=4"
    assert main.main(command) == 2
    assert "train.head_learning_rate_factor 3.0" in capsys.readouterr().err


def test_evaluate(run, capsys):
    assert main.main(["evaluate", f"--model_dir={run}", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    result = json.loads((run / "result.json").read_text())
    for figure in ("top1", "top5", "raw_top1"):
        assert found[figure] == result[figure]
    assert found["images"] == result["validation_images"]


OTHER_PIXELS = {
    "data.crop": "pad32",
    "data.resize": "area",
    "data.normalization": "unit",
}


@pytest.mark.parametrize(
    "verb", [pytest.param("evaluate", marks=pytest.mark.slow), "predict"]
)
def test_other_pixels_give_other_answers(verb, run, photos, capsys):
    images = [str(photos / "red" / "1.png")] if verb == "predict" else []
    command = [verb, *images, f"--model_dir={run}", "--json"]

    def answer(*more):
        assert main.main([*command, *more]) == 0
        return capsys.readouterr().out

    usual = answer()
    assert answer() == usual
    for field, word in OTHER_PIXELS.items():
        assert answer(f"--set={field}={word}") != usual, field


def test_the_export_takes_other_pixels_and_says_so(run, tmp_path, capsys):
    settings = [f"--set={x}={word}" for x, word in OTHER_PIXELS.items()]
    command = ["export", f"--model_dir={run}", f"--out={tmp_path}", *settings]
    assert main.main(command) == 0
    before, after = (
        json.loads((folder / "export.json").read_text())
        for folder in (run / "export", tmp_path)
    )
    words = [before[name] for name in ("crop", "resize", "normalization")]
    assert words == ["whole", "legacy_bicubic", "imagenet"]
    words = [after[name] for name in ("crop", "resize", "normalization")]
    assert words == list(OTHER_PIXELS.values())
    ours = (tmp_path / "tiny_int8.tflite").read_bytes()
    assert ours != (run / "export" / "tiny_int8.tflite").read_bytes()


def test_evaluate_on_other_data(run, records, capsys):
    command = ["evaluate", f"--model_dir={run}", f"--data_dir={records}"]
    assert main.main(command) == 0
    assert "top-1" in capsys.readouterr().out
    command[-1] = "--data_dir=digits"
    assert main.main(command) == 2
    assert "has 10 classes ('0', '1', '2', ...)" in capsys.readouterr().err


def test_predict(run, photos, capsys):
    images = [str(photos / name / "1.png") for name in COLOURS]
    command = ["predict", *images, f"--model_dir={run}", "--json"]
    assert main.main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    predictions = [json.loads(line) for line in lines]
    assert [p["image"] for p in predictions] == images
    best = [p["top"][0]["label"] for p in predictions]
    assert best == list(COLOURS)
    for prediction in predictions:
        shares = [guess["probability"] for guess in prediction["top"]]
        assert sum(shares) == pytest.approx(1.0, abs=1e-5)
        assert shares == sorted(shares, reverse=True)


def test_predict_names_what_is_no_image(run, tmp_path, capsys):
    text = tmp_path / "a.jpg"
    text.write_text("no picture")
    for path in (text, tmp_path / "missing.jpg"):
        assert main.main(["predict", str(path), f"--model_dir={run}"]) == 1
        said = capsys.readouterr().err
        assert path.name in said
        assert len(said.splitlines()) == 1


def test_names_are_shown_as_they_are(run, photos, tmp_path, capsys):
    odd = tmp_path / "[red]x[:warning:].png"
    shutil.copy(photos / "red" / "1.png", odd)
    assert main.main(["predict", str(odd), f"--model_dir={run}"]) == 0
    assert odd.name in capsys.readouterr().out


def test_a_bucket_out_of_reach_is_one_line(capsys, monkeypatch):
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("GCS_RETRY_CONFIG_MAX_RETRIES", "0")
    assert main.main(["evaluate", "--model_dir=gs://nowhere/run"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_export_to_another_folder(run, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["export", f"--model_dir={run}", f"--out={out}", "--json"]
    assert main.main(command) == 0
    facts = json.loads(capsys.readouterr().out)
    result = json.loads((run / "result.json").read_text())
    assert facts["int8_top1"] == result["int8_top1"]
    assert "edgetpu-compiler" in facts["not_compiled"]
    ours = (out / "tiny_int8.tflite").read_bytes()
    assert ours == (run / "export" / "tiny_int8.tflite").read_bytes()


def test_export_in_other_formats(run, tmp_path, capsys):
    command = ["export", f"--model_dir={run}", f"--out={tmp_path}"]
    formats = "--formats=float,saved_model"
    assert main.main([*command, formats, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    names = [
        "tiny_float.tflite",
        "tiny_saved_model/assets/labels.txt",
        "tiny_saved_model/fingerprint.pb",
        "tiny_saved_model/saved_model.pb",
        "tiny_saved_model/variables/variables.data-00000-of-00001",
        "tiny_saved_model/variables/variables.index",
    ]
    # Neither calibration nor the compiler has anything to say.
    assert facts == {
        "files": {
            str(tmp_path / name): (tmp_path / name).stat().st_size
            for name in names
        }
    }
    assert {file.name for file in tmp_path.iterdir()} == {
        "labels.txt",
        "tiny_float.tflite",
        "tiny_saved_model",
    }
    assert main.main([*command, "--set=export.formats=keras"]) == 0
    shown = capsys.readouterr().out
    assert str(tmp_path / "tiny.keras") in shown and "int8" not in shown
    assert (tmp_path / "tiny_float.tflite").exists()
    assert main.main([*command, "--formats=keras,tflite"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "export.formats 'tflite'" in line
    assert main.main(["--formats=keras"]) == 2
    assert "train has no flag --formats" in capsys.readouterr().err


def test_another_model_is_refused(run, records, capsys):
    before = {f: f.read_bytes() for f in run.rglob("*") if f.is_file()}
    command = [*TINY, f"--data_dir={records}", f"--model_dir={run}"]
    command[0] = "--model=efficientnet-lite0"
    assert main.main(command) == 2
    said = capsys.readouterr().err
    assert "model.name 'tiny', not 'efficientnet-lite0'" in said
    assert len(said.splitlines()) == 1
    assert {f: f.read_bytes() for f in run.rglob("*") if f.is_file()} == before


def test_a_damaged_record_is_said_in_one_line(tiny, records, tmp_path, capsys):
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for file in records.iterdir():
        content = bytearray(file.read_bytes())
        if file.name.startswith("train-00001"):
            content[len(content) // 2] ^= 1
        (damaged / file.name).write_bytes(bytes(content))
    command = [*TINY, f"--data_dir={damaged}", f"--model_dir={tmp_path}/run"]
    assert main.main(command) == 1
    said = capsys.readouterr().err.splitlines()
    assert "1 of 48 training records cannot be used" in said[-1]
    assert re.search(r"/train-00001-of-\d+ record \d+: damaged", said[-1])


WRONG = {
    "trian": "unknown verb 'trian': did you mean train?",
    "--modle=x": "unknown flag --modle: did you mean model",
    "--model=efficientnet-b9": "did you mean efficientnet-b8",
    "--set=train.epoch=5": "did you mean train.epochs",
    "--set=trian.epochs=5": "did you mean train?",
    "--set=train.batch=x": "train.batch 'x' must be a whole number",
    "train now": "unexpected 'now'",
    "--init_from=nowhere": "nowhere has no config.json",
    "--set=train.freeze=stem": "would keep random weights",
    "evaluate --init_from=x": "evaluate has no flag --init_from",
    "describe --tpu=x": "describe has no flag --tpu",
    "evaluate": "--model_dir is missing",
    "evaluate --model_dir=nowhere": "holds no run",
    "predict --model_dir=nowhere": "name at least one image",
    "predict a.jpg": "--model_dir is missing",
    "prepare": "--from=FOLDER, or tfds:NAME is missing",
    "prepare --from=tfds:nothing": "--out=FOLDER is missing",
    "prepare --from=a --out=b --runner=x --beam_option": "--beam_option",
    "check": "--data_dir=FOLDER is missing",
    "check --data_dir=fake": "fake is noise without records",
    "show --out=/proc/x/y.png": "--out /proc/x cannot be written",
    "serve-data --dispatcher=localhost:5": "'localhost:5' must be grpc://HOST",
    "check --data_dir=nowhere": "nowhere is no folder",
    "prepare --from=nowhere --out=x": "nowhere",
    "prepare --shards=many": "--shards",
    "--config=nowhere.py": "no file nowhere.py",
    "--data_dir=nowhere": "nowhere",
    "--json=maybe": "--json",
    "--compiler=nowhere": "nowhere",
    "--model_dir=/proc/nowhere": "/proc/nowhere cannot be written",
    "--set=train.seed=5000000000": "train.seed 5000000000 must be at most",
    "evaluate --model=efficientnet-b0": "evaluate has no flag --model",
    "--config=gs:/x/config.json": "no file of that name",
    "--set=model.classes=1": "model: classes 1 must be at least 2",
    "evaluate --split=test --model_dir=x": "one of <validation|train>",
    "evaluate --save_plot=x --model_dir=x": "evaluate has no flag --save_plot",
}


@pytest.mark.parametrize("command", WRONG)
def test_wrong_input_is_one_line_and_exit_code_2(
    command, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main.main(command.split()) == 2
    said = capsys.readouterr()
    assert WRONG[command] in said.err
    assert len(said.err.splitlines()) == 1
    assert said.out == ""
    assert list(tmp_path.iterdir()) == []


BROKEN = {
    "config = (": "SyntaxError",
    "1 / 0": "ZeroDivisionError",
    "from efficientnet_tf.training.config import TrainConfig\n"
    "TrainConfig(epoch=3)": "unexpected keyword argument 'epoch'",
}


@pytest.mark.parametrize("content", BROKEN)
def test_a_broken_config_file_is_one_line(content, tmp_path, capsys):
    file = tmp_path / "broken.py"
    file.write_text(content)
    assert main.main([f"--config={file}"]) == 2
    said = capsys.readouterr().err
    assert BROKEN[content] in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("name", ["config.json", "result.json"])
def test_a_damaged_model_directory_is_one_line(
    name, run, records, tmp_path, capsys
):
    damaged = tmp_path / "run"
    shutil.copytree(run, damaged)
    (damaged / name).write_text('{"config": ')
    command = [*TINY, f"--data_dir={records}", f"--model_dir={damaged}"]
    assert main.main(command) == 2
    said = capsys.readouterr().err
    assert name in said
    assert len(said.splitlines()) == 1


def test_what_a_run_has_settled_cannot_be_set(run, capsys):
    command = ["evaluate", f"--model_dir={run}", "--set=train.epochs=3"]
    assert main.main(command) == 2
    assert "only data and evaluate can be set" in capsys.readouterr().err


def test_data_of_other_classes_is_refused(run, photos, tmp_path, capsys):
    for name in COLOURS:
        shutil.copytree(photos / name, tmp_path / "photos" / f"other-{name}")
    records = tmp_path / "records"
    arguments = [f"--from={tmp_path}/photos", f"--out={records}"]
    assert main.main(["prepare", *arguments]) == 0
    capsys.readouterr()
    for verb in ("evaluate", "export"):
        command = [verb, f"--model_dir={run}", f"--data_dir={records}"]
        assert main.main(command) == 2
        assert "other-blue" in capsys.readouterr().err


def test_figures_are_shown_though_the_export_fails(
    run, records, tmp_path, capsys
):
    folder = tmp_path / "run"
    not_exported(run, folder)
    compiler = tmp_path / "edgetpu_compiler"
    compiler.write_text("#!/bin/sh\necho Internal compiler error\nexit 1\n")
    compiler.chmod(0o755)
    command = [*TINY, f"--data_dir={records}", f"--model_dir={folder}"]
    assert main.main([*command, f"--compiler={compiler}"]) == 1
    shown = capsys.readouterr()
    assert "top-1" in shown.out
    assert "Internal compiler error" in shown.err


def python(*arguments, code=0):
    """Runs main.py in a process of its own; its output and errors."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "main.py"), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


def test_a_reader_who_has_enough_hears_no_complaint():
    shell = f"{sys.executable} {ROOT / 'main.py'} describe --json | head -1"
    done = subprocess.run(
        shell, shell=True, capture_output=True, text=True, check=False
    )
    assert done.stdout == "[\n"
    assert done.stderr == ""


@pytest.mark.parametrize("word", ["--help", "help", "-h"])
def test_help_names_every_verb_and_flag(word, capsys):
    assert main.main([word]) == 0
    shown = capsys.readouterr().out
    for verb in main.VERBS:
        assert f"  {verb}" in shown
    flags = ("model", "tpu", "data_dir", "model_dir", "config", "set")
    for flag in (*flags, "init_from"):
        assert f"--{flag}" in shown


@pytest.mark.parametrize("verb", main.VERBS)
def test_help_of_a_verb_names_its_flags_alone(verb, capsys):
    assert main.main([verb, "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"  {verb} ")
    told = set(re.findall(r"^  --(\w+)", shown, re.M))
    assert told == main.VERBS[verb].flags


def test_a_path_that_is_no_utf8_is_one_line(capsys):
    assert main.main(["check", "--data_dir=/tmp/\udcff"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(r"main.py: --data_dir=/tmp/\udcff is no UTF-8")


@pytest.mark.parametrize(
    "words",
    ["--data_dir=", "train --model_dir=", "--tpu=", "check --data_dir="],
)
def test_an_empty_variable_of_a_shell_is_told(words, capsys):
    assert main.main(words.split()) == 2
    flag = words.split()[-1]
    assert capsys.readouterr().err.startswith(f"main.py: {flag} is empty;")


def test_a_tilde_behind_a_flag_is_ones_home(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main.main(["check", "--data_dir=~/records"]) == 2
    assert f"data_dir {tmp_path}/records is no" in capsys.readouterr().err


def test_a_tpu_that_is_not_there_is_said_in_one_line(tmp_path):
    command = ["--tpu=local", f"--model_dir={tmp_path}/run"]
    _, said = python(*command, code=1)
    assert len(said.splitlines()) == 1
    assert "pip install -e '.[tpu]'" in said
    assert not (tmp_path / "run").exists()
