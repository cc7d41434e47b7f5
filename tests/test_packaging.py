"""What each extra installs: as setup.py says it, and as pip resolves it."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import efficientnet_tf

ROOT = Path(__file__).parents[1]
EXTRAS = (
    *("cpu", "gpu", "tpu", "edge", "tfds", "prepare"),
    *("rehearse", "search", "test", "dev", "bench"),
)
# They own the same files: two in one environment break each other.
TENSORFLOWS = {"tensorflow", "tensorflow-cpu", "tensorflow-tpu", "tf-nightly"}


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What setup.py hands to setuptools."""
    given: dict[str, Any] = {}
    setuptools = SimpleNamespace(
        setup=given.update,
        find_packages=lambda include: include,
        Extension=lambda name, **options: SimpleNamespace(name=name, **options),
    )
    monkeypatch.setitem(sys.modules, "setuptools", setuptools)
    runpy.run_path(str(ROOT / "setup.py"))
    return given


def _names(requirements: list[str]) -> set[str]:
    return {
        _normal(re.split(r"[^A-Za-z0-9._-]", requirement)[0])
        for requirement in requirements
    }


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_metadata(metadata: dict[str, Any]) -> None:
    assert metadata["name"] == "efficientnet-tf"
    assert metadata["version"] == efficientnet_tf.__version__
    assert metadata["python_requires"] == "==3.11.*"
    assert metadata["packages"] == ["efficientnet_tf*", "edgetpu*"]
    assert metadata["py_modules"] == []
    assert set(metadata["extras_require"]) == set(EXTRAS)
    for package, files in metadata["package_data"].items():
        for file in files:
            assert list((ROOT / package).glob(file))


def test_every_file_of_the_kernel_is_compiled(metadata: dict[str, Any]) -> None:
    (kernel,) = metadata["ext_modules"]
    folder = ROOT / "efficientnet_tf" / "data" / "kernels"
    there = {str(file.relative_to(ROOT)) for file in folder.iterdir()}
    assert {*kernel.sources, *kernel.depends} == there
    # Who has no C compiler installs the rest.
    assert kernel.optional


@pytest.mark.parametrize(
    ("extra", "tensorflows"),
    [
        ("cpu", {"tensorflow"}),
        ("gpu", {"tensorflow"}),
        ("tpu", {"tensorflow-tpu"}),
        ("edge", set()),
        ("tfds", set()),
        ("prepare", {"tensorflow"}),
        ("rehearse", {"tensorflow"}),
        ("test", {"tensorflow"}),
        ("dev", {"tensorflow"}),
        ("bench", {"tensorflow"}),
    ],
)
def test_an_extra_names_one_tensorflow_or_none(
    metadata: dict[str, Any], extra: str, tensorflows: set[str]
) -> None:
    requirements = (
        metadata["install_requires"] + metadata["extras_require"][extra]
    )
    assert _names(requirements) & TENSORFLOWS == tensorflows


def test_every_requirement_has_an_upper_bound(metadata: dict[str, Any]) -> None:
    lists = [metadata["install_requires"], *metadata["extras_require"].values()]
    for requirement in sum(lists, []):
        assert re.search(r"<|==|~=", requirement), requirement


def test_the_test_extra_is_enough_for_the_tests(
    metadata: dict[str, Any],
) -> None:
    extras = metadata["extras_require"]
    assert _names(extras["test"]) == _names(extras["rehearse"]) | {
        "optuna",
        "optuna-dashboard",
        "psycopg",
        "scipy",
        "pytest",
        "pytest-xdist",
        "tensorflow-datasets",
        "importlib-resources",
        "trustme",
    }
    assert _names(extras["test"]) < _names(extras["dev"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("extras", "brings", "leaves"),
    [
        ("cpu", {"tensorflow", "keras"}, {"tensorflow-tpu", "libtpu"}),
        ("gpu", {"tensorflow", "keras"}, {"tensorflow-tpu", "libtpu"}),
        (
            "tpu",
            {"tensorflow-tpu", "libtpu", "cloud-tpu-client", "keras"},
            {"tensorflow", "tf-keras"},
        ),
        # The only other one that a TPU VM may have.
        (
            "tpu,edge",
            {"tensorflow-tpu", "libtpu", "cloud-tpu-client", "keras"},
            {"tensorflow", "tf-keras"},
        ),
        (
            "edge",
            {"ai-edge-litert", "numpy", "pillow"},
            {"tensorflow", "keras", "scipy", "tensorboard"},
        ),
        # TFDS brings none; whoever trains on a TPU VM has one.
        (
            "tpu,tfds",
            {"tensorflow-tpu", "tensorflow-datasets", "importlib-resources"},
            {"tensorflow", "tf-keras"},
        ),
        (
            "prepare",
            {"tensorflow", "apache-beam", "google-crc32c", "pyarrow"}
            | {"tensorflow-datasets", "google-cloud-dataflow-client"},
            {"tensorflow-tpu"},
        ),
        ("test", {"tensorflow", "pytest"}, {"tensorflow-tpu"}),
        ("dev", {"ruff", "mypy", "pre-commit"}, {"tensorflow-tpu"}),
        ("bench", {"tensorflow", "tf-keras", "timm", "torch"}, {"libtpu"}),
    ],
)
def test_the_index_resolves_extras(
    extras: str, brings: set[str], leaves: set[str]
) -> None:
    versions = _resolved(f".[{extras}]")
    assert brings <= set(versions)
    assert not leaves & set(versions)
    if "tpu" in extras:
        assert versions["tensorflow-tpu"] == "2.20.0"
        # Importing tensorflow-tpu 2.20 aborts from libtpu 0.0.32 on.
        assert versions["libtpu"] == "0.0.21"
        # Resolved on its own, the client would take protobuf 3.20, with which
        # TensorFlow cannot be imported; 5.28 is what the wheel asks for.
        assert _parts(versions["protobuf"]) >= (5, 28)
        # TensorFlow finds these through the client.
        assert {"google-api-python-client", "oauth2client"} <= set(versions)


def _resolved(requirement: str) -> dict[str, str]:
    """What pip would install into an empty environment, and in what version."""
    command = "install --quiet --dry-run --ignore-installed --report -"
    result = subprocess.run(
        [sys.executable, "-m", "pip", *command.split(), requirement],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return {
        _normal(item["metadata"]["name"]): item["metadata"]["version"]
        for item in json.loads(result.stdout)["install"]
    }


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])


# What leans on TensorFlow and Keras most: a training, saved files, signals.
NEXT_TESTS = (
    "tests/modeling/test_saving.py",
    "tests/training/test_loop.py",
    "tests/training/test_optimizers.py",
    "tests/training/test_stops.py",
)


@pytest.mark.slow
def test_the_next_tensorflow_passes_too(
    metadata: dict[str, Any], tmp_path: Path
) -> None:
    """The extras stay with 2.20, the last one that a TPU has."""
    python = tmp_path / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path], check=True)
    requirements = [
        "tensorflow==2.21.*"
        if requirement.startswith("tensorflow")
        else requirement
        for requirement in (
            *metadata["install_requires"],
            *metadata["extras_require"]["test"],
        )
    ]
    install = [str(python), "-m", "pip", "install", "--quiet", *requirements]
    subprocess.run(install, check=True)
    command = [str(python), "-m", "pytest", "-q", "-n", "0", *NEXT_TESTS]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    said = subprocess.run(
        [str(python), "-m", "pip", "list"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.search(r"^tensorflow +2\.21\.", said.stdout, re.MULTILINE)
