"""The main job: what `python main.py` does without a flag."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_without_a_flag_the_digits_are_learnt_and_exported(tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / "main.py")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        check=True,
    )
    run = tmp_path / "runs" / "efficientnet-lite0-digits"
    result = json.loads((run / "result.json").read_text())
    assert result["validation_images"] == 360
    assert result["top1"] >= 0.95
    assert result["int8_top1"] >= 0.95
    assert result["int8_agreement"] >= 0.95
    for name in ("top-1", "top-5", "images per second", "int8 top-1"):
        assert name in done.stdout
    for path in result["files"]:
        assert path in done.stdout
    # Progress and two lines of the export; nothing of TensorFlow's start.
    for line in done.stderr.splitlines():
        assert line.startswith(
            ("efficientnet-lite0 ", "quantising", "comparing", "judging")
        ), line
