"""The command line of the Coral half."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from edgetpu import __main__ as command_line
from efficientnet_tf.errors import RunError

NAME = "efficientnet-lite0_int8"

pytestmark = pytest.mark.usefixtures("no_compiler")


@pytest.fixture
def run_dir(lite, records, monkeypatch, tmp_path):
    """A model directory whose checkpoint is the small network."""
    import efficientnet_tf.training.trained as trained_module

    seen = {}
    config = lite.trained.config
    config = dataclasses.replace(
        config,
        data=dataclasses.replace(
            config.data,
            dir=str(records),
            train_images=24,
            validation_images=24,
        ),
        export=dataclasses.replace(config.export, verify_images=7),
    )

    def load_trained(model_dir, changed, *, checkpoint="last"):
        seen.update(model_dir=model_dir, checkpoint=checkpoint)
        return dataclasses.replace(lite.trained, config=changed)

    monkeypatch.setattr(trained_module, "load_trained", load_trained)
    monkeypatch.setattr(trained_module, "run_config", lambda _: config)
    return tmp_path / "run", seen


@pytest.mark.usefixtures("already_converted")
def test_command_line(run_dir, tmp_path, capfd):
    path, seen = run_dir
    code = command_line.main(["export", f"--model_dir={path}"])
    shown = capfd.readouterr()
    assert code == 0, shown.err
    assert seen == {"model_dir": str(path), "checkpoint": "last"}
    assert (path / "export" / f"{NAME}.tflite").exists()
    for words in ("top-1 float", "of 7 images", "raw pixels", "edgetpu-comp"):
        assert words in shown.out
    assert "comparing int8 with float on 7 validation images" in shown.err
    assert len(shown.err.splitlines()) == 2


@pytest.mark.usefixtures("already_converted")
def test_command_line_json(run_dir, tmp_path, records, capfd):
    path, seen = run_dir
    out = tmp_path / "elsewhere"
    code = command_line.main(
        [
            "export",
            f"--model_dir={path}",
            f"--out={out}",
            "--checkpoint=best",
            "--verify_images=3",
            "--calibration_images=4",
            f"--data_dir={records}",
            "--json",
        ]
    )
    shown = capfd.readouterr()
    assert code == 0, shown.err
    assert seen["checkpoint"] == "best"
    printed = json.loads(shown.out)
    assert printed == json.loads((out / "export.json").read_text())
    assert printed["comparison"]["images"] == 3
    assert printed["calibration_images"] == 4


@pytest.mark.usefixtures("already_converted")
def test_command_line_of_a_failing_compiler(run_dir, stand_in, capfd):
    program = stand_in(then="echo Model not quantized; exit 1")
    code = command_line.main(
        ["export", f"--model_dir={run_dir[0]}", f"--compiler={program}"]
    )
    assert code == 1
    assert "Model not quantized" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["exprot"], "unknown verb 'exprot': did you mean export?"),
        (["--json"], "say what to do: there is: export"),
        (["export"], "--model_dir is missing"),
        (
            ["export", "--model_dri=x"],
            "unknown flag --model_dri: did you mean model_dir, model?",
        ),
        (
            ["export", "--model_dir=x", "--verify_images=0"],
            "flag --verify_images=0",
        ),
        (
            ["export", "--model_dir=x", "--verify_images=many"],
            "flag --verify_images=many",
        ),
        (
            ["export", "--model_dir=x", "--checkpoint=bset"],
            "flag --checkpoint=bset",
        ),
        (["export", "--model_dir=x", "again"], "unexpected 'again'"),
        (["export", "--model_dir=/no/run"], "/no/run"),
        (["show"], "show needs a file"),
        (["forecast", "a.tflite", "b.tflite"], "unexpected 'b.tflite'"),
        (["show", "a.tflite", "--out=x"], "show knows no --out"),
        (["show", "/no/a.tflite"], "/no/a.tflite cannot be read"),
        (["forecast", "/no/a.tflite"], "no such file; give a .tflite"),
        (["forecast", "a", "--require=half"], "flag --require=half"),
    ],
)
def test_command_line_mistakes(arguments, words, capsys):
    assert command_line.main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert words in shown.err
    assert len(shown.err.splitlines()) == 1


@pytest.mark.parametrize("arguments", [[], ["--help"], ["help"]])
def test_help(arguments, capsys):
    assert command_line.main(arguments) == 0
    shown = capsys.readouterr().out
    for verb in command_line.VERBS:
        assert f"\n  {verb} " in shown
    assert "--model_dir=" in shown


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("export", ("--model_dir=", "--compiler=", "export.json", "x86-64")),
        ("forecast", ("--require=", "on_edge_tpu", "latency_ms", "16.0")),
        ("quantize", ("--head=", "--set=", "embedding", "zero point 127")),
        ("compile", ("--compiler=", "docker run", "code is 3", "cautions")),
        ("show", ("--tensors", "runtime", "quantization", "streamed")),
    ],
)
def test_help_of_a_verb(verb, words, capsys):
    assert command_line.main([verb, "--help"]) == 0
    shown = capsys.readouterr().out
    for word in words:
        assert word in shown
    flags = {
        word
        for line in shown.splitlines()
        for word in line.split()[:1]
        if line.startswith("  --")
    }
    assert {flag.partition("=")[0] for flag in flags} == {
        f"--{name}" for name in command_line.VERBS[verb].flags
    }


def test_help_needs_no_tensorflow():
    found = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "edgetpu", "--help"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "usage: python -m edgetpu VERB" in found.stdout
    assert "tensorflow" not in found.stderr


def test_a_run_that_fails_is_told_in_one_line(monkeypatch, capsys):
    def fail(values):
        raise RunError("cannot be restored:\n  [1, 2]\n  [3, 4]")

    verb = command_line.VERBS["export"]._replace(run=fail)
    monkeypatch.setitem(command_line.VERBS, "export", verb)
    assert command_line.main(["export", "--model_dir=x"]) == 1
    said = capsys.readouterr().err
    assert said == "edgetpu: cannot be restored: [1, 2] [3, 4]\n"


@pytest.mark.slow
def test_a_run_from_its_checkpoint(records, tmp_path):
    """A process of its own, the real checkpoint, a whole network."""
    from efficientnet_tf.training.checkpoints import Checkpoints
    from efficientnet_tf.training.config import Config, DataConfig, ModelConfig
    from efficientnet_tf.training.run import open_run
    from efficientnet_tf.training.state import create_state

    config = Config(
        model=ModelConfig("efficientnet-lite0", classes=4, pixels=32),
        data=DataConfig(
            dir=str(records), train_images=24, validation_images=24
        ),
    )
    run = open_run(config, str(tmp_path / "run"))
    run.model_dir.claim(run.config, run.dataset.labels)
    state = create_state(run.network, run.config, "float32")
    state.step.assign(3)
    Checkpoints(run.model_dir, state, 1).save()

    done = subprocess.run(
        [
            *(sys.executable, "-m", "edgetpu", "export", "--json"),
            f"--model_dir={tmp_path / 'run'}",
        ],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [
        "quantising efficientnet-lite0 with 24 training images",
        "comparing int8 with float on 24 validation images",
    ]
    report = json.loads(done.stdout)
    assert report["step"] == 3
    assert report["comparison"]["images"] == 24
    file = tmp_path / "run" / "export" / report["file"]
    assert file.stat().st_size == report["bytes"]
