"""kill -9 at any moment loses nothing but the steps since a checkpoint."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

ROOT = Path(__file__).parents[2]
KILLS = 5
# main.py with a network of one block among its variants.
PROGRAM = """
import sys, main
from efficientnet_tf.networks import families
from efficientnet_tf.networks.stages import Family, Stage, Variant
family = Family((Stage("mbconv", 1, 3, 2, 2, 8),), "swish", families.IMAGENET,
                stem=8, head=16)
families.VARIANTS["tiny"] = Variant(family, 1.0, 1.0, 32, 0.2)
sys.exit(main.main(sys.argv[1:]))
"""


def command(data, model_dir, *more):
    return [
        sys.executable,
        "-c",
        PROGRAM,
        "--model=tiny",
        f"--data_dir={data}",
        f"--model_dir={model_dir}",
        "--set=data.crop=whole",
        "--set=train.epochs=60",
        "--set=train.batch=8",
        "--set=train.average_decay=0.9",
        "--set=train.steps_per_call=2",
        "--set=train.checkpoint_epochs=0.2",
        *more,
    ]


def steps_saved(model_dir):
    path = tf.train.latest_checkpoint(str(model_dir / "checkpoints"))
    return int(path.rpartition("-")[2]) if path else 0


@pytest.fixture(scope="module")
def whole(squares_dir, tmp_path_factory):
    """The directory of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    subprocess.run(command(squares_dir, folder), check=True, cwd=ROOT)
    return folder


@pytest.mark.slow
def test_a_run_killed_five_times_equals_an_uninterrupted_one(
    squares_dir, whole, tmp_path
):
    check_kills(squares_dir, whole, tmp_path / "killed")


@pytest.mark.slow
def test_a_fine_tuning_killed_equals_an_uninterrupted_one(
    squares_dir, whole, tmp_path
):
    """Its source is read in its first process only."""
    tuned, killed = tmp_path / "tuned", tmp_path / "killed"
    settings = (
        f"--init_from={whole}",
        "--set=train.freeze=stem",
        "--set=train.seed=1",
    )
    subprocess.run(command(squares_dir, tuned, *settings), check=True, cwd=ROOT)
    check_kills(squares_dir, tuned, killed, *settings)


def check_kills(squares_dir, whole, killed, *settings):
    """Kills a run and lets it go on, and holds it against a whole one."""
    again = command(squares_dir, killed, *settings)
    chance = random.Random(0)
    saved = 0
    for _ in range(KILLS):
        process = subprocess.Popen(again, cwd=ROOT)
        aim = saved + chance.randrange(5, 40)
        while steps_saved(killed) < aim and process.poll() is None:
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.2))
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert steps_saved(killed) >= saved
        saved = steps_saved(killed)
    subprocess.run(again, check=True, cwd=ROOT)

    readers = [
        tf.train.load_checkpoint(str(folder / "checkpoints"))
        for folder in (whole, killed)
    ]
    names = [
        name
        for name in readers[0].get_variable_to_shape_map()
        if "VARIABLE_VALUE" in name and not name.startswith("save_counter")
    ]
    assert len(names) > 20
    for name in names:
        np.testing.assert_array_equal(
            *(reader.get_tensor(name) for reader in readers), err_msg=name
        )
    figures = [
        [
            {k: v for k, v in json.loads(line).items() if k not in TIMES}
            for line in (folder / "metrics.jsonl").read_text().splitlines()
        ]
        for folder in (whole, killed)
    ]
    assert figures[0] == figures[1]
    assert not list(killed.rglob("*_temp"))
    assert not list(killed.rglob("*.tmp"))


TIMES = {"images_per_second", "input_wait_seconds"}
