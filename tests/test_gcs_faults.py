"""Trainings on gs:// whose requests fail, or that are killed there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tensorflow as tf
from gcs_faults import ALWAYS, WRITES, Fault
from tiny_main import TINY

from efficientnet_tf.networks import families
from efficientnet_tf.training.config import Config
from efficientnet_tf.training.config_files import override
from efficientnet_tf.training.loop import train

if TYPE_CHECKING:
    from gcs import LocalGcs

ROOT = Path(__file__).parents[1]
PROGRAM = Path(__file__).with_name("tiny_main.py")
DATA = "gs://bucket/faulty-data"
STEPS = 11
SETTINGS = (
    "model.batch_norm_momentum=0.9",
    "data.prefetch_bytes=4000000",
    "train.epochs=4",
    "train.batch=32",
    "train.average_decay=0.9",
    # After every step.
    "train.checkpoint_epochs=0.34",
    "train.steps_per_call=1",
    "export.calibration_images=8",
    "export.verify_images=8",
)
TIMES = {"images_per_second", "input_wait_seconds"}
# Longer than all retries, and a start on a busy machine.
PATIENCE_SECONDS = 300
# How long saving holds a training up, and how long it takes.
SAVING = """
import sys, time
import tensorflow as tf
import tiny_main
from efficientnet_tf.networks import families
from efficientnet_tf.training.checkpoints import Checkpoints
from efficientnet_tf.training.config import Config, ModelConfig
from efficientnet_tf.training.model_dir import ModelDir
from efficientnet_tf.training.state import create_state
families.VARIANTS["tiny"] = tiny_main.TINY
config = Config(ModelConfig("tiny"))
state = create_state(config.network(7), config, "float32")
checkpoints = Checkpoints(ModelDir(sys.argv[1]), state, 1)
began = time.monotonic()
checkpoints.save()
print(time.monotonic() - began)
checkpoints.wait()
print(time.monotonic() - began)
"""


def begin(gcs: LocalGcs, *arguments: str) -> subprocess.Popen[str]:
    """A process that sees the bucket."""
    path = f"{ROOT}{os.pathsep}{ROOT / 'tests'}"
    return subprocess.Popen(
        [sys.executable, *arguments],
        env=os.environ | gcs.environment | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def training(gcs: LocalGcs, address: str) -> subprocess.Popen[str]:
    line = (
        f"train --model=tiny --data_dir={DATA} --model_dir={address} "
        + " ".join(f"--set={setting}" for setting in SETTINGS)
    )
    return begin(gcs, str(PROGRAM), line)


def end(process: subprocess.Popen[str], code: int) -> tuple[str, str]:
    """What a process said on stdout and stderr."""
    out, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == code, said
    return out, said


def until(
    condition: Callable[[], bool], process: subprocess.Popen[str]
) -> None:
    began = time.monotonic()
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() - began < PATIENCE_SECONDS
        time.sleep(0.002)


def steps_named(gcs: LocalGcs, address: str) -> list[int]:
    """Steps that the state file names, oldest first."""
    if "checkpoints/checkpoint" not in gcs.list(address):
        return []
    text = gcs.read(f"{address}/checkpoints/checkpoint").decode()
    return [
        int(row.rpartition("-")[2].strip('"'))
        for row in text.splitlines()
        if row.startswith("all_model_checkpoint_paths")
    ]


def tensors(prefix: Path) -> dict[str, np.ndarray]:
    """All variables of a checkpoint but TensorFlow's own counter."""
    reader = tf.train.load_checkpoint(str(prefix))
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if "VARIABLE_VALUE" in name and not name.startswith("save_counter")
    }


def download(
    gcs: LocalGcs, address: str, step: int, folder: Path
) -> dict[str, np.ndarray]:
    """The variables of a checkpoint in the bucket."""
    for suffix in ("index", "data-00000-of-00001"):
        name = f"step-{step}.{suffix}"
        content = gcs.read(f"{address}/checkpoints/{name}")
        (folder / name).write_bytes(content)
    return tensors(folder / f"step-{step}")


@pytest.fixture(scope="module")
def whole(
    gcs: LocalGcs,
    small_data: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The same training on local files, by this process; its data there."""
    gcs.upload(small_data["whole"], DATA)
    folder = tmp_path_factory.mktemp("runs") / "whole"
    settings = ("model.name=tiny", f"data.dir={small_data['whole']}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(families.VARIANTS, "tiny", TINY)
        train(override(Config(), (*settings, *SETTINGS)), str(folder))
    return folder


def check_equal(gcs: LocalGcs, address: str, whole: Path, folder: Path) -> None:
    """Holds a finished run against the one on local files."""
    expected = tensors(whole / "checkpoints" / f"step-{STEPS}")
    found = download(gcs, address, STEPS, folder)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    lines = [
        [
            {k: v for k, v in json.loads(line).items() if k not in TIMES}
            for line in text.splitlines()
        ]
        for text in (
            (whole / "metrics.jsonl").read_text(),
            gcs.read(f"{address}/metrics.jsonl").decode(),
        )
    ]
    assert lines[0] == lines[1]
    names = gcs.list(address)
    assert not [n for n in names if "temp" in n or "tmp" in n or "lease" in n]


@pytest.mark.slow
def test_faults_that_pass_change_nothing(
    gcs: LocalGcs, whole: Path, tmp_path: Path
) -> None:
    address = "gs://bucket/passing"
    faults = (
        Fault("POST", "name=.*step-", times=2, status=503),
        Fault("PUT", "name=.*step-", times=1, status=429),
        Fault("PUT", "name=.*step-", times=2, breaks=True),
        Fault("PUT", "name=.*metrics", times=1, breaks=True),
        Fault("GET", "train-00000", times=2, status=503),
        Fault("GET", times=2, status=429),
        Fault("GET", times=3, seconds=0.5),
        Fault("DELETE", times=1, breaks=True),
        Fault("DELETE", times=2, status=503),
    )
    with gcs.failing(*faults):
        end(training(gcs, address), 0)
    assert not [fault for fault in faults if fault.times]
    check_equal(gcs, address, whole, tmp_path)


@pytest.mark.slow
def test_a_bucket_that_cannot_be_written_ends_it_and_nothing_is_lost(
    gcs: LocalGcs, whole: Path, tmp_path: Path
) -> None:
    """And then a kill, from which the same command goes on too."""
    address = "gs://bucket/down"
    process = training(gcs, address)
    until(lambda: len(steps_named(gcs, address)) >= 2, process)
    with gcs.failing(Fault(WRITES, times=ALWAYS, status=503)):
        _, said = end(process, 1)
    (line,) = [x for x in said.splitlines() if x.startswith("main.py: ")]
    assert "503" in line
    assert address in line
    assert "Traceback" not in said
    named = steps_named(gcs, address)
    for step in named:
        (tmp_path / str(step)).mkdir()
        found = download(gcs, address, step, tmp_path / str(step))
        assert found["progress/step/.ATTRIBUTES/VARIABLE_VALUE"] == step

    process = training(gcs, address)
    until(lambda: steps_named(gcs, address)[-1] > named[-1] + 1, process)
    os.kill(process.pid, signal.SIGKILL)
    end(process, -signal.SIGKILL)

    end(training(gcs, address), 0)
    check_equal(gcs, address, whole, tmp_path)


@pytest.mark.slow
def test_saving_does_not_wait_for_the_bucket(gcs: LocalGcs) -> None:
    slow = Fault("PUT", "step-", times=1, seconds=3.0)
    with gcs.failing(slow):
        out, _ = end(begin(gcs, "-c", SAVING, "gs://bucket/slow"), 0)
    held_up, all_in_all = map(float, out.split())
    assert held_up < 1.5
    assert all_in_all > 3.0
