"""`prepare` under SIGKILL, in processes of their own."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from efficientnet_tf.data.prepare import prepare

ROOT = Path(__file__).parents[2]
SHARDS = 12
PATIENCE_SECONDS = 120
PROGRAM = """
import sys
from efficientnet_tf.data import prepare, workers
if __name__ == "__main__":
    source, out, shards, processes = sys.argv[1:]
    prepare.IMAGES_PER_PROCESS = 1
    workers.cores = lambda: int(processes)
    prepare.prepare(source, out, shards=int(shards))
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """PNGs, which take longer than JPEGs: each is encoded anew."""
    root = tmp_path_factory.mktemp("source") / "pictures"
    noise = np.random.default_rng(0)
    for name in ("ant", "bee"):
        (root / name).mkdir(parents=True)
        for i in range(240):
            pixels = noise.integers(0, 256, (160, 160, 3), np.uint8)
            Image.fromarray(pixels).save(
                root / name / f"{i}.png", compress_level=0
            )
    return root


@pytest.fixture(scope="module")
def whole(source, tmp_path_factory) -> dict[str, bytes]:
    """What a call makes that is left alone."""
    out = tmp_path_factory.mktemp("whole") / "out"
    prepare(str(source), str(out), shards=SHARDS)
    return contents(out)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def begin(source: Path, out: Path, processes: int) -> subprocess.Popen[str]:
    program = out.parent / "program.py"
    program.write_text(PROGRAM)
    return subprocess.Popen(
        [
            sys.executable,
            str(program),
            str(source),
            str(out),
            str(SHARDS),
            str(processes),
        ],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(out: Path) -> int:
    return len(list(out.glob(".*.done"))) if out.exists() else 0


def kill_after(process, out: Path, shards: int, seconds: float) -> list[int]:
    """Kills it once so many shards are finished; gives its workers' ids."""
    limit = time.monotonic() + PATIENCE_SECONDS
    while finished(out) < shards and process.poll() is None:
        assert time.monotonic() < limit
        time.sleep(0.01)
    time.sleep(seconds)
    children: list[int] = []
    with suppress(FileNotFoundError):
        path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        children = [int(child) for child in path.read_text().split()]
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return children


def gone(process: int) -> bool:
    """Whether it has ended, be it that nobody has asked how."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


def go_on(source: Path, out: Path, processes: int) -> str:
    """Lets it come to its end; returns what it said."""
    process = begin(source, out, processes)
    _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, said
    return said


def test_a_kill_in_the_middle(source, whole, tmp_path):
    out = tmp_path / "out"
    kill_after(begin(source, out, 1), out, shards=3, seconds=0)
    assert not (out / "manifest.json").exists()
    kept = {
        file: file.stat().st_mtime_ns
        for file in out.glob("train-*")
        if (out / f".{file.name}.done").exists()
    }
    assert len(kept) >= 3
    assert "shards are kept" in go_on(source, out, 1)
    assert contents(out) == whole
    assert {file: file.stat().st_mtime_ns for file in kept} == kept


@pytest.mark.slow
def test_kills_at_any_moment_with_workers(source, whole, tmp_path):
    out = tmp_path / "out"
    moments = random.Random(0)
    kills = 0
    for shards in (0, 0, 1, 2, 4, 6, 8, 10, 12, 13):
        process = begin(source, out, 2)
        workers = kill_after(process, out, shards, moments.uniform(0, 0.3))
        kills += process.returncode == -signal.SIGKILL
        limit = time.monotonic() + PATIENCE_SECONDS
        while not all(map(gone, workers)):
            assert time.monotonic() < limit, "workers outlive their parent"
            time.sleep(0.05)
        if (out / "manifest.json").exists():
            break
    assert kills >= 8
    if "prepare.unfinished" in os.listdir(out):
        go_on(source, out, 2)
    assert contents(out) == whole
