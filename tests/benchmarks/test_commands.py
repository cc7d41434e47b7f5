"""Each benchmark as its user starts it; the long ones on next to nothing."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.results import from_json, load
from benchmarks.train_step import contenders
from benchmarks.train_step_worker import FRAMEWORKS, PEERS
from efficientnet_tf.errors import InputError

ROOT = Path(__file__).parents[2]
PROGRAMS = [
    "build_time",
    "efficiency",
    "fine_tuning",
    "host_overhead",
    "input_memory",
    "input_pipeline",
    "limits",
    "memory",
    "pointwise",
    "scaling_costs",
    "trace_time",
    "train_step",
    "train_step_tpu",
]


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    without = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env=without | environment,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("program", PROGRAMS)
def test_help(program: str) -> None:
    said = run("-m", f"benchmarks.{program}", "--help")
    assert said.returncode == 0, said.stderr
    assert f"python -m benchmarks.{program}" in said.stdout
    for flag in ("--json", "--save"):
        assert flag in said.stdout
    # A compiler says the same every time.
    assert ("--rounds" in said.stdout) == (program != "train_step_tpu")


@pytest.mark.slow
def test_the_difference_of_fused_ops_is_printed() -> None:
    said = run("-m", "benchmarks.augmentation_difference")
    assert said.returncode == 0, said.stderr
    for line in said.stdout.splitlines()[1:]:
        policy, _, means = line.partition(": ")
        assert policy in ("randaugment", "autoaugment")
        every, still, moved = (float(x.split()[-1]) for x in means.split(","))
        assert 0 < still < every < moved < 20


def test_a_program_by_its_path() -> None:
    said = run("benchmarks/memory.py", "--help", PYTHONPATH=".")
    assert said.returncode == 0, said.stderr


@pytest.mark.parametrize(
    ("program", "model"),
    [
        ("train_step", "--models=efficientnet-b9"),
        ("train_step_tpu", "--models=efficientnet-b9"),
        ("memory", "efficientnet-b9"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(program: str, model: str) -> None:
    said = run("-m", f"benchmarks.{program}", model)
    assert said.returncode == 2
    assert said.stderr.startswith(f"{program}.py: unknown model")


def test_a_network_that_is_not_compared() -> None:
    said = run("-m", "benchmarks.efficiency", "--networks=mobilenet-v3")
    assert said.returncode == 2
    assert "did you mean mobilenet-v2" in said.stderr


@pytest.mark.parametrize("flag", ["--threads=0", "--rounds=0", "--rounds=x"])
def test_numbers_are_positive(flag: str) -> None:
    said = run("-m", "benchmarks.limits", flag)
    assert said.returncode == 2
    assert flag.partition("=")[0] in said.stderr.splitlines()[-1]


def given(**values: object) -> argparse.Namespace:
    usual = {
        "models": ("efficientnet-b0", "efficientnet-edgetpu-S"),
        "peers": tuple(PEERS),
        "pixels": 32,
        "batch": 2,
        "steps": 1,
        "threads": 1,
    }
    return argparse.Namespace(**usual | values)


def test_a_peer_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An entry of None in sys.modules is how Python bars an import."""
    for module in ("timm", "tf_keras"):
        monkeypatch.setitem(sys.modules, module, None)
    taking = contenders(given())
    assert list(taking.jobs) == [
        "efficientnet-b0",
        "keras.applications EfficientNetB0",
        "keras.applications EfficientNetB0, oneDNN",
        "efficientnet-edgetpu-S",
    ]
    for name in ("tf_keras EfficientNetB0", "timm efficientnet_es"):
        assert "pip install -e '.[bench]'" in taking.missing[name]
    assert (
        "no such network"
        in (taking.missing["keras.applications, efficientnet-edgetpu-S"])
    )


def test_a_peer_that_nobody_knows() -> None:
    with pytest.raises(InputError, match="unknown --peers kers: did you mean"):
        contenders(given(peers=("kers",)))


def test_every_peer_has_a_worker() -> None:
    assert set(FRAMEWORKS) == {"ours", *PEERS}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("limits", ["--threads=1"]),
        (
            "efficiency",
            ["--networks=mobilenet-v2", "--pixels=32", "--runs=1"],
        ),
        ("host_overhead", ["--steps=2"]),
        (
            "input_pipeline",
            ["--tasks=randaugment", "--images=20", "--batch=10"],
        ),
        ("input_memory", ["--images=64", "--batches=1"]),
        ("pointwise", []),
        ("litert_latency", ["--pixels=32", "--calls=1", "--threads=1,2"]),
        ("scaling_costs", ["--count=50"]),
        ("memory", ["efficientnet-lite0", "--pixels=32", "--batch=8"]),
        ("trace_time", ["--models=efficientnet-b0"]),
    ],
)
def test_a_benchmark_on_next_to_nothing(
    program: str, words: list[str], tmp_path: Path
) -> None:
    flags = ["--rounds=1", "--json", f"--save={tmp_path}"]
    said = run("-m", f"benchmarks.{program}", *words, *flags)
    assert said.returncode == 0, said.stderr
    result = from_json(said.stdout, "output")
    assert result == load(tmp_path / f"{program}.json")
    assert result.rows
    assert all(row.value > 0 for row in result.rows)


@pytest.mark.slow
def test_a_train_step_of_every_stack(tmp_path: Path) -> None:
    words = ["--pixels=32", "--batch=2", "--steps=1", "--rounds=2"]
    said = run("-m", "benchmarks.train_step", *words, "--json")
    assert said.returncode == 0, said.stderr
    result = from_json(said.stdout, "output")
    found = {(row.name, row.metric): row.value for row in result.rows}
    assert found["efficientnet-b0", "images_per_second"] > 0
    assert found["efficientnet-edgetpu-S", "trace_seconds"] > 0
    peers = {row.peer for row in result.rows if row.name == "efficientnet-b0"}
    absent = {name for name in result.missing if name.endswith("0")}
    assert peers | absent == {
        "keras.applications EfficientNetB0",
        "tf_keras EfficientNetB0",
        "timm efficientnet_b0",
    }
    assert json.loads(said.stdout)["settings"]["pixels"] == 32
