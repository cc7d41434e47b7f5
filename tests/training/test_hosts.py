"""A training on two hosts, which are two processes, is that of one."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "tests" / "tiny_main.py"


def command(data: Path, model_dir: Path, *more: str) -> str:
    settings = (
        f"--model=tiny --data_dir={data} --model_dir={model_dir} "
        "--set=model.batch_norm_momentum=0.9 --set=train.epochs=4 "
        "--set=train.batch=8 --set=train.average_decay=0.9 "
        "--set=train.learning_rate_per_256=0.1 --set=train.steps_per_call=4 "
        "--set=export.calibration_images=4 --set=export.verify_images=4"
    )
    return " ".join((settings, *more))


def addresses() -> list[str]:
    servers = [socket.create_server(("", 0)) for _ in range(2)]
    found = [f"127.0.0.1:{server.getsockname()[1]}" for server in servers]
    for server in servers:
        server.close()
    return found


@contextmanager
def begun(
    line: str, hosts: list[str], index: int
) -> Iterator[subprocess.Popen[str]]:
    """A process of main.py, the one of this index where there are hosts."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    environment.pop("TF_CONFIG", None)
    if hosts:
        environment["TF_CONFIG"] = json.dumps(
            {
                "cluster": {"worker": hosts},
                "task": {"type": "worker", "index": index},
            }
        )
    with subprocess.Popen(
        [sys.executable, str(PROGRAM), line],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def finished(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def weights(model_dir: Path) -> dict[str, np.ndarray]:
    path = tf.train.latest_checkpoint(str(model_dir / "checkpoints"))
    reader = tf.train.load_checkpoint(path)
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if name.endswith("VARIABLE_VALUE") and "save_counter" not in name
    }


def check_same(found: Path, expected: Path) -> None:
    ours, theirs = weights(found), weights(expected)
    assert ours.keys() == theirs.keys()
    assert len(ours) > 20
    for name, value in theirs.items():
        np.testing.assert_allclose(
            ours[name], value, rtol=1e-3, atol=1e-4, err_msg=name
        )


@pytest.fixture(scope="module")
def one(small_data: dict[str, Path], tmp_path_factory) -> Path:
    """The directory of a training by one process on one device."""
    folder = tmp_path_factory.mktemp("runs") / "one"
    with begun(command(small_data["whole"], folder), [], 0) as process:
        code, _, err = finished(process)
        assert code == 0, err
    return folder


@pytest.mark.slow
def test_two_hosts_train_what_one_does(
    small_data: dict[str, Path], one: Path, tmp_path: Path
) -> None:
    folder, hosts = tmp_path / "two", addresses()
    line = command(small_data["whole"], folder)
    with begun(line, hosts, 0) as chief, begun(line, hosts, 1) as worker:
        (code, out, err), second = finished(chief), finished(worker)
    assert code == 0, err
    assert second[0] == 0, second[2]
    check_same(folder, one)

    # The chief alone speaks and writes.
    assert "top-1" in out
    assert second[1] == ""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in lines]
    assert steps == sorted(set(steps))
    result = json.loads((folder / "result.json").read_text())
    assert result["devices"] == "2 hosts x 1 CPU"
    assert len(list((folder / "tensorboard").iterdir())) == 1
    names = {path.name for path in folder.iterdir()}
    assert names == {path.name for path in one.iterdir()}


@pytest.mark.slow
def test_a_signal_to_one_host_stops_both(
    small_data: dict[str, Path], one: Path, tmp_path: Path
) -> None:
    folder, hosts = tmp_path / "stopped", addresses()
    line = command(small_data["whole"], folder)
    with begun(line, hosts, 0) as chief, begun(line, hosts, 1) as worker:
        metrics = folder / "metrics.jsonl"
        while not (metrics.is_file() and metrics.read_text()):
            time.sleep(0.05)
            assert chief.poll() is None
        worker.send_signal(signal.SIGTERM)
        first, second = finished(chief), finished(worker)
    assert first[0] == 75, first[2]
    assert second[0] == 143, second[2]
    assert "another host stops: saved at step " in first[2]
    assert "SIGTERM: saved at step " in second[2]
    assert weights(folder)
    assert not (folder / "result.json").is_file()

    hosts = addresses()
    with begun(line, hosts, 0) as chief, begun(line, hosts, 1) as worker:
        first, second = finished(chief), finished(worker)
    assert first[0] == 0, first[2]
    assert second[0] == 0, second[2]
    check_same(folder, one)


@pytest.mark.slow
def test_a_host_that_dies_ends_the_other_one_which_can_go_on(
    small_data: dict[str, Path], one: Path, tmp_path: Path
) -> None:
    folder, hosts = tmp_path / "killed", addresses()
    line = command(small_data["whole"], folder)
    with begun(line, hosts, 0) as chief, begun(line, hosts, 1) as worker:
        metrics = folder / "metrics.jsonl"
        while not (metrics.is_file() and metrics.read_text()):
            time.sleep(0.05)
            assert chief.poll() is None
        worker.kill()
        first = finished(chief)
    assert first[0] == 75, first[2]
    assert "a worker is gone (" in first[2]
    assert "the same command goes on" in first[2]

    with begun(line, [], 0) as alone:
        code, _, err = finished(alone)
    assert code == 0, err
    check_same(folder, one)
