"""The real TPU compiler, where it is installed."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SAMPLES = Path(__file__).parent / "compiled_samples.py"


@pytest.fixture(scope="package")
def compiled() -> dict[str, dict[str, Any]]:
    """What the TPU compiler made of some small programs, and says of them."""
    for module in ("jax", "libtpu"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is missing: pip install -e .[rehearse]")
    environment = {
        **os.environ,
        "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
        "JAX_PLATFORMS": "cpu",
        "TPU_ACCELERATOR_TYPE": "v5litepod-4",
        "TPU_SKIP_MDS_QUERY": "1",
        "TPU_WORKER_HOSTNAMES": "localhost",
    }
    run = subprocess.run(
        [sys.executable, SAMPLES],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    answer: dict[str, dict[str, Any]] = json.loads(run.stdout)
    return answer
