"""Checkpoints evaluated as they come, of runs that go on and that do not."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import (
    EventAccumulator,
)

import main
from efficientnet_tf import follow as module
from efficientnet_tf.errors import InputError, RunError
from efficientnet_tf.follow import follow
from efficientnet_tf.training.trained import run_config

ROOT = Path(__file__).parents[1]
PROGRAM = Path(__file__).with_name("tiny_main.py")


@pytest.fixture
def run(small_run, tmp_path, monkeypatch):
    """A copy of a finished run of two checkpoints, looked at often."""
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.05)
    folder = tmp_path / "run"
    shutil.copytree(small_run, folder)
    # Paths in there are relative, so that the copy names its own files.
    return folder


def followed(run, **options):
    return follow(run_config(str(run)), str(run), **options)


def log(run, split="validation"):
    return run / "evaluation" / split / "follow.jsonl"


def metrics(run):
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_figures_are_those_of_the_training(run):
    lines = list(followed(run))
    expected = metrics(run)
    result = json.loads((run / "result.json").read_text())
    assert len(expected) == 2
    for line, metric in zip(lines, expected, strict=True):
        for name in ("step", "top1", "top5"):
            assert line[name] == pytest.approx(metric[name])
    for name in ("top1", "top5", "raw_top1", "raw_top5"):
        assert lines[-1][name] == pytest.approx(result[name])
    written = log(run).read_text().splitlines()
    assert [json.loads(line) for line in written] == lines
    events = EventAccumulator(str(run / "tensorboard" / "follow"))
    events.Reload()
    for tag in ("top1", "raw_top1"):
        found = events.Scalars(f"validation/{tag}")
        assert [(e.step, pytest.approx(e.value)) for e in found] == [
            (line["step"], line[tag]) for line in lines
        ]


def test_what_is_done_is_not_done_again(run):
    first, last = followed(run)
    before = log(run).read_text()
    assert list(followed(run)) == []
    assert log(run).read_text() == before
    # A process that died in the midst of a line.
    log(run).write_text(before[:-20])
    assert list(followed(run)) == [last]
    assert log(run).read_text() == before
    assert first["step"] < last["step"]
    log(run).write_text("{}\n")
    with pytest.raises(InputError, match="holds a line without a step"):
        list(followed(run))


def test_another_split_has_a_file_of_its_own(run):
    lines = list(followed(run, split="train"))
    assert lines[0]["images"] > 80
    assert log(run, "train").exists()
    assert not log(run).exists()


def test_a_training_that_stands_still_is_left(run, capsys):
    (run / "result.json").unlink()
    began = time.monotonic()
    assert len(list(followed(run, timeout=0.3))) == 2
    assert time.monotonic() - began >= 0.3
    assert "no new checkpoint for 0.3 seconds" in capsys.readouterr().err


def test_a_checkpoint_that_goes_away_is_left_out(run, capsys):
    lines = followed(run)
    first = next(lines)
    # As the training's rotation does it, between looking and reading.
    for file in (run / "checkpoints").glob("step-*"):
        if file.name.split(".")[0] != f"step-{first['step']}":
            file.unlink()
    assert list(lines) == []
    assert "was removed before it could be evaluated" in capsys.readouterr().err
    assert len(log(run).read_text().splitlines()) == 1


def test_a_checkpoint_that_is_broken_is_an_error(run):
    lines = followed(run)
    first = next(lines)
    for file in (run / "checkpoints").glob("step-*.data*"):
        if f"step-{first['step']}." not in file.name:
            file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(RunError, match="cannot be restored"):
        next(lines)


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--follow_timeout=3"], "says nothing without --follow"),
        (["--follow", "--out=x"], "--out cannot be given with --follow"),
        (["--follow", "--follow_timeout=-1"], "follow_timeout"),
    ],
)
def test_flags_that_do_not_fit(flags, reason, run, capsys):
    assert main.main(["evaluate", f"--model_dir={run}", *flags]) == 2
    assert reason in capsys.readouterr().err


@pytest.mark.slow
def test_beside_a_training_in_another_process(small_data, tmp_path):
    run = tmp_path / "run"
    train = (
        f"train --model=tiny --data_dir={small_data['whole']} "
        f"--model_dir={run} --set=model.batch_norm_momentum=0.9 "
        "--set=train.epochs=25 --set=train.batch=8 "
        "--set=train.average_decay=0.9 --set=train.checkpoints=2 "
        "--set=export.calibration_images=8 --set=export.verify_images=8"
    )
    training = subprocess.Popen(
        [sys.executable, str(PROGRAM), train],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.DEVNULL,
    )
    try:
        while not (run / "config.json").exists():
            assert training.poll() is None
            time.sleep(0.1)
        following = subprocess.run(
            [
                sys.executable,
                str(PROGRAM),
                f"evaluate --follow --model_dir={shlex.quote(str(run))} --json",
            ],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        assert training.wait() == 0
    finally:
        training.kill()
    lines = [json.loads(line) for line in following.stdout.splitlines()]
    steps = [line["step"] for line in lines]
    assert steps == sorted(set(steps))
    assert len(steps) > 1
    known = {metric["step"]: metric for metric in metrics(run)}
    for line in lines:
        assert line["top1"] == pytest.approx(known[line["step"]]["top1"])
    result = json.loads((run / "result.json").read_text())
    assert steps[-1] == result["steps"]
    assert lines[-1]["raw_top1"] == pytest.approx(result["raw_top1"])
    assert (run / "report.html").exists()


def environment():
    return os.environ | {"PYTHONPATH": str(ROOT)}
