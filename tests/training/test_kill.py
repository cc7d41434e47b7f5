"""kill -9 at any moment loses nothing but the steps since a checkpoint."""

from __future__ import annotations

import resource
import subprocess
import time
from pathlib import Path

import pytest
import tensorflow as tf
from kill import (
    PATIENCE_SECONDS,
    ROOT,
    command,
    differences,
    kill_and_finish,
)

KILLS = 20
FEW_KILLS = 4


@pytest.fixture(scope="module")
def whole(squares_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    subprocess.run(command(squares_dir, folder), check=True, cwd=ROOT)
    return folder


@pytest.mark.slow
def test_a_run_killed_twenty_times_equals_an_uninterrupted_one(
    squares_dir: Path, whole: Path, tmp_path: Path
) -> None:
    killed = tmp_path / "killed"
    met = kill_and_finish(command(squares_dir, killed), killed, KILLS)
    assert differences(whole, killed) == []
    # Half of them aim at it, and some come too late.
    assert sum(kill.saving for kill in met) >= KILLS / 5


@pytest.mark.slow
def test_a_fine_tuning_killed_equals_an_uninterrupted_one(
    squares_dir: Path, whole: Path, tmp_path: Path
) -> None:
    """Its source is read in its first process only."""
    tuned, killed = tmp_path / "tuned", tmp_path / "killed"
    settings = (
        f"--init_from={whole}",
        "--set=train.freeze=stem",
        "--set=train.seed=1",
    )
    subprocess.run(command(squares_dir, tuned, *settings), check=True, cwd=ROOT)
    line = command(squares_dir, killed, *settings)
    kill_and_finish(line, killed, FEW_KILLS)
    assert differences(tuned, killed) == []


@pytest.mark.slow
def test_a_disk_that_is_full_ends_it_and_nothing_is_lost(
    squares_dir: Path, whole: Path, tmp_path: Path
) -> None:
    """As the system sees it: no file may grow beyond a size, from now on."""
    folder = tmp_path / "run"
    line = command(squares_dir, folder)
    process = subprocess.Popen(
        line, cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    began = time.monotonic()
    while len(list((folder / "checkpoints").glob("*.index"))) < 3:
        assert process.poll() is None
        assert time.monotonic() - began < PATIENCE_SECONDS
        time.sleep(0.01)
    unlimited = resource.RLIM_INFINITY
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (4096, unlimited))
    _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1
    (told,) = [row for row in said.splitlines() if row.startswith("main.py")]
    assert str(folder) in told
    assert "File too large" in told
    assert "Traceback" not in said
    assert not list(folder.rglob("*_temp"))
    state = tf.train.get_checkpoint_state(str(folder / "checkpoints"))
    assert len(state.all_model_checkpoint_paths) == 3
    for path in state.all_model_checkpoint_paths:
        reader = tf.train.load_checkpoint(path)
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)

    subprocess.run(line, check=True, cwd=ROOT)
    assert differences(whole, folder) == []
