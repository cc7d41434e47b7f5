"""What every test runs under: quiet TensorFlow on two logical CPU devices.

Two devices let a test spread a strategy over replicas. They must be declared
before TensorFlow starts its runtime, and a test without TensorFlow must not
pay for its import: so the import itself declares them, whoever asks for it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

ROOT = Path(__file__).parents[1]
REPLICAS = 2


class _SplitCPU:
    """Finds TensorFlow as usual, and splits the CPU once it has loaded."""

    @staticmethod
    def find_spec(
        name: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if name != "tensorflow":
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def load_and_split(module: ModuleType) -> None:
            load(module)
            module.config.set_logical_device_configuration(
                module.config.list_physical_devices("CPU")[0],
                [module.config.LogicalDeviceConfiguration()] * REPLICAS,
            )

        spec.loader.exec_module = load_and_split
        return spec


sys.meta_path.insert(0, _SplitCPU)


@pytest.fixture(scope="session")
def mirrored() -> Any:
    """The strategy over both replicas.

    One for all tests: TensorFlow numbers the exchanges of a second one of the
    same devices alike, and takes them for those of the first.
    """
    import tensorflow as tf

    devices = [f"CPU:{number}" for number in range(REPLICAS)]
    return tf.distribute.MirroredStrategy(devices)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Material that is kept beside the repository, not in it."""
    path = ROOT.parent / "shared"
    if not path.is_dir():
        pytest.skip(f"needs {path.name}/ beside the repository")
    return path
