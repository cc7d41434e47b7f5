"""kill -9 at any moment loses nothing but the steps since a checkpoint."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from kill import ROOT, command, differences, kill_and_finish

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
