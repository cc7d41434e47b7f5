"""What each extra installs: as setup.py says it, and as pip resolves it."""

from __future__ import annotations

import json
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
EXTRAS = ("cpu", "gpu", "tpu", "edge", "test", "dev")
# They own the same files: two in one environment break each other.
TENSORFLOWS = {"tensorflow", "tensorflow-cpu", "tensorflow-tpu", "tf-nightly"}


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What setup.py hands to setuptools."""
    given: dict[str, Any] = {}
    setuptools = SimpleNamespace(
        setup=given.update, find_packages=lambda include: include
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
            assert (ROOT / package / file).is_file()


@pytest.mark.parametrize(
    ("extra", "tensorflows"),
    [
        ("cpu", {"tensorflow"}),
        ("gpu", {"tensorflow"}),
        ("tpu", {"tensorflow-tpu"}),
        ("edge", set()),
        ("test", {"tensorflow"}),
        ("dev", {"tensorflow"}),
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
    assert _names(extras["test"]) == _names(extras["cpu"]) | {
        "pytest",
        "pytest-xdist",
        "trustme",
    }
    assert _names(extras["test"]) < _names(extras["dev"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("extra", "brings", "leaves"),
    [
        ("cpu", {"tensorflow", "keras"}, {"tensorflow-tpu", "libtpu"}),
        (
            "tpu",
            {"tensorflow-tpu", "libtpu", "cloud-tpu-client", "keras"},
            {"tensorflow", "tf-keras"},
        ),
        (
            "edge",
            {"ai-edge-litert", "numpy", "pillow"},
            {"tensorflow", "keras", "scipy", "tensorboard"},
        ),
        ("test", {"tensorflow", "pytest"}, {"tensorflow-tpu"}),
        ("dev", {"ruff", "mypy", "pre-commit"}, {"tensorflow-tpu"}),
    ],
)
def test_the_index_resolves_an_extra(
    extra: str, brings: set[str], leaves: set[str]
) -> None:
    command = "install --quiet --dry-run --ignore-installed --report -"
    result = subprocess.run(
        [sys.executable, "-m", "pip", *command.split(), f".[{extra}]"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    versions = {
        _normal(item["metadata"]["name"]): item["metadata"]["version"]
        for item in json.loads(result.stdout)["install"]
    }
    assert brings <= set(versions)
    assert not leaves & set(versions)
    # Importing tensorflow-tpu 2.20 aborts from libtpu 0.0.32 on.
    assert versions.get("libtpu", "0.0.21") == "0.0.21"
