"""Many trainings: what is kept, what goes on, what dies, what is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from efficientnet_tf.errors import InputError, RunError
from efficientnet_tf.networks import Variant, write_variant
from efficientnet_tf.networks.families import B
from efficientnet_tf.networks.stages import Stage
from efficientnet_tf.search import runs
from efficientnet_tf.search.one_run import run_folder
from efficientnet_tf.search.runs import Outcome, finished, train_all
from efficientnet_tf.training.config import (
    Config,
    DataConfig,
    ModelConfig,
    TrainConfig,
)
from efficientnet_tf.training.model_dir import ModelDir
from efficientnet_tf.training.run import open_run

ROOT = Path(__file__).parents[2]
TINY = Variant(
    replace(
        B,
        stages=(Stage("mbconv", 1, 3, 2, 2, 8), Stage("mbconv", 1, 3, 2, 2, 8)),
        stem=8,
        head=16,
        activation="relu6",
    ),
    width=1.0,
    depth=1.0,
    pixels=32,
    dropout=0.0,
)
PATIENCE_SECONDS = 600


def config(epochs: float = 1.0, seed: int = 0) -> Config:
    return Config(
        model=ModelConfig(name="tiny", variant=TINY),
        data=DataConfig(dir="digits", crop="whole", flip=False),
        train=TrainConfig(
            epochs=epochs, batch=64, average_decay=0.9, seed=seed
        ),
    )


def claimed(folder: Path, given: Config) -> ModelDir:
    """A run that has begun, as `train` leaves it."""
    run = open_run(given, run_folder(str(folder)))
    run.model_dir.claim(run.config, run.dataset.labels)
    return run.model_dir


def test_what_is_finished_is_kept(tmp_path: Path) -> None:
    claimed(tmp_path / "a", config()).write_result({"top1": 0.5})
    (outcome,) = train_all({"a": config()}, str(tmp_path), workers=2)
    assert outcome == Outcome("a", {"top1": 0.5})
    # No process was begun.
    assert not (tmp_path / "a" / "log").exists()


def test_a_training_of_another_config_is_refused(tmp_path: Path) -> None:
    claimed(tmp_path / "a", config(epochs=2)).write_result({"top1": 0.5})
    with pytest.raises(InputError, match="another train.epochs.*another --out"):
        train_all({"a": config(epochs=1)}, str(tmp_path), workers=1)


def test_data_that_is_not_there(tmp_path: Path) -> None:
    none = replace(config(), data=DataConfig(dir=str(tmp_path / "none")))
    with pytest.raises(InputError, match="none"):
        train_all({"a": none}, str(tmp_path), workers=1)


def test_an_out_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="--out .* cannot be made"):
        train_all({"a": config()}, str(tmp_path / "file"), workers=1)


@pytest.mark.parametrize(
    ("cores", "workers", "shares"),
    [
        ([0, 1, 2, 3], 2, [(0, 2), (1, 3)]),
        ([4, 5, 6], 2, [(4, 6), (5,)]),
        ([0], 1, [(0,)]),
        # Nobody is held to a core where there are too few.
        ([0, 1], 3, [(), (), ()]),
    ],
)
def test_cores_are_shared_out(cores, workers, shares) -> None:
    assert runs._shared_out(cores, workers) == shares


def test_not_one_came_to_its_end() -> None:
    good, bad = Outcome("a", {"top1": 1.0}), Outcome("b", None, "it diverged")
    assert finished([bad, good]) == [good]
    with pytest.raises(RunError, match="b: it diverged"):
        finished([bad])


# From here on with real trainings.


def grid_command(base: Path, out: Path) -> list[str]:
    """Two networks of two and of five blocks."""
    return [
        sys.executable,
        "main.py",
        "scale",
        f"--base={base}",
        "--grid",
        "--grid_step=0.5",
        "--grid_tolerance=0.3",
        "--data_dir=digits",
        "--set=model.pixels=32",
        "--set=train.epochs=2",
        "--set=train.checkpoint_epochs=0.2",
        "--set=evaluate.every_epochs=0.2",
        "--workers=1",
        f"--out={out}",
        "--json",
    ]


def lines_of(out: Path) -> dict[str, list[str]]:
    """Metrics by network; they hold times, and are never the same twice."""
    return {
        file.parents[1].name: file.read_text().splitlines()
        for file in out.glob("*/run/metrics.jsonl")
    }


def until(condition, process: subprocess.Popen) -> None:
    began = time.monotonic()
    while not condition():
        assert process.poll() is None, "it ended too early"
        assert time.monotonic() - began < PATIENCE_SECONDS
        time.sleep(0.05)


def alive(pattern: str) -> list[int]:
    """Processes that have a word on their command line or in an open file."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            opened = [os.readlink(link) for link in (folder / "fd").iterdir()]
        except OSError:
            continue
        if any(pattern in name for name in opened):
            found.append(int(folder.name))
    return found


@pytest.mark.slow
def test_a_grid_that_is_killed_goes_on(tmp_path: Path) -> None:
    """kill -9: what is done is kept, what had begun goes on from there."""
    base, out = tmp_path / "tiny.json", tmp_path / "grid"
    write_variant(TINY, "tiny", base)
    command = grid_command(base, out)
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )

    def some_done_and_one_begun() -> bool:
        done = {file.parents[1].name for file in out.glob("*/run/result.json")}
        begun = {
            file.parents[2].name
            for file in out.glob("*/run/checkpoints/*.index")
        }
        return bool(done) and bool(begun - done)

    until(some_done_and_one_begun, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    # Its trainings end with it.
    began = time.monotonic()
    while alive(str(out)) and time.monotonic() - began < 10:
        time.sleep(0.1)
    assert not alive(str(out))
    before = lines_of(out)
    done = {
        file.parents[1].name: file.read_text()
        for file in out.glob("*/run/result.json")
    }
    unfinished = set(before) - set(done)
    assert done and unfinished

    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    after = lines_of(out)
    for name, text in done.items():
        assert (out / name / "run" / "result.json").read_text() == text
        assert after[name] == before[name]
    # Its first line is of the process that was killed.
    assert all(after[name][0] == before[name][0] for name in unfinished)
    top1 = [each["top1"] for each in found["tried"]]
    assert len(top1) == len(after) and top1 == sorted(top1, reverse=True)
    assert found["best"] == found["tried"][0]
    for name in ("grid.json", "grid.png", "best.json"):
        assert (out / name).stat().st_size > 0
    # And once more there is nothing left to do.
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert json.loads(again.stdout) == found
    assert lines_of(out) == after


@pytest.mark.slow
def test_a_training_that_dies_is_started_again(tmp_path: Path) -> None:
    """One of two workers is killed; nobody else notices."""
    configs = {f"seed{seed}": config(2.0, seed) for seed in range(2)}
    code = (
        "import sys; sys.path.insert(0, 'tests/search')\n"
        "from test_runs import *\n"
        "if __name__ == '__main__':\n"
        "    configs = {f'seed{seed}': config(2.0, seed) for seed in (0, 1)}\n"
        f"    train_all(configs, {str(tmp_path)!r}, 2)\n"
    )
    program = tmp_path / "program.py"
    program.write_text(code)
    process = subprocess.Popen(
        [sys.executable, str(program)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    log = tmp_path / "seed0" / "log"
    until(lambda: log.exists() and alive(str(log)), process)
    (victim,) = (pid for pid in alive(str(log)) if pid != process.pid)
    os.kill(victim, signal.SIGKILL)
    _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, said
    assert "seed0: its process died of signal 9" in said
    for name in configs:
        result = ModelDir(run_folder(str(tmp_path / name))).result()
        assert result is not None and result["epochs"] == pytest.approx(2, 0.05)


@pytest.mark.slow
def test_one_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    """The first diverges; a claimed one is left to whoever has it."""
    good = config(1.0)
    bad = replace(
        good,
        train=replace(good.train, learning_rate_per_256=1e30, optimizer="sgd"),
    )
    outcomes = {
        each.name: each
        for each in train_all({"bad": bad, "good": good}, str(tmp_path), 1)
    }
    assert outcomes["bad"].result is None
    assert "diverged" in outcomes["bad"].failed
    assert outcomes["good"].result is not None
