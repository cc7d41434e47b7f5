"""The whole way, from a trained network to its files."""

from __future__ import annotations

import dataclasses
import json
import os

import pytest

from edgetpu.compiler import CompileError
from edgetpu.export import ExportError, export
from edgetpu.versions import NEWEST_VERSIONS
from efficientnet_tf.errors import InputError

NAME = "efficientnet-lite0_int8"
SAID = """\
Edge TPU Compiler version 16.0.384591198
On-chip memory used for caching model parameters: 1.50KiB
On-chip memory remaining for caching model parameters: 7.85MiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 18

Operator                       Count      Status

CONV_2D                        18         Mapped to Edge TPU
"""


pytestmark = pytest.mark.usefixtures("no_compiler")


def exported(lite, dataset, out, **options):
    options = {"calibration_images": 24, "verify_images": 10, **options}
    return export(lite.trained, dataset, str(out), **options)


def test_without_a_compiler(lite, dataset, tmp_path):
    out = tmp_path / "not" / "yet"
    report = exported(lite, dataset, out)

    assert sorted(os.listdir(out)) == [
        f"{NAME}.tflite",
        "export.json",
        "labels.txt",
        "report.html",
    ]
    # Converted a second time, after other networks: the same bytes.
    content = (out / f"{NAME}.tflite").read_bytes()
    assert content == lite.content
    assert (out / "labels.txt").read_text() == "red\ngreen\nblue\nyellow\n"

    written = json.loads((out / "export.json").read_text())
    assert written == json.loads(json.dumps(report.to_dict()))
    assert written["file"] == f"{NAME}.tflite"
    assert written["bytes"] == len(content)
    assert written["input"] == {
        "dtype": "uint8",
        "shape": [1, 32, 32, 3],
        "scale": 1 / 128,
        "zero_point": 127,
    }
    assert written["output"] == {
        "dtype": "uint8",
        "shape": [1, 4],
        "scale": 1 / 256,
        "zero_point": 0,
    }
    assert (written["pixels"], written["crop"]) == (32, "pad32")
    assert written["resize"] == "legacy_bicubic"
    assert written["normalization"] == "centered127"
    assert (written["step"], written["dataset"]) == (12, dataset.name)
    assert written["calibration_images"] == 24
    assert written["calibration_range"] == "image_percentile"
    assert written["comparison"]["images"] == 10
    assert written["comparison"]["int8_top1"] > 0.7
    assert written["problems"] == []
    assert written["compiled"] is None
    assert written["not_compiled"].endswith(f"{out}/{NAME}.tflite")


@pytest.mark.usefixtures("already_converted")
def test_with_a_compiler(lite, dataset, tmp_path, compiled_file, stand_in):
    program = stand_in(prints=SAID, then=f"cp '{compiled_file}' $written")
    out = tmp_path / "out"
    report = exported(lite, dataset, out, compiler=program)

    compiled = out / f"{NAME}_edgetpu.tflite"
    assert compiled.read_bytes() == compiled_file.read_bytes()
    assert (out / f"{NAME}_edgetpu.log").read_text() == SAID
    assert report.not_compiled is None
    assert report.compiled.bytes == compiled.stat().st_size
    assert report.compiled.log.on_edge_tpu == 18
    assert report.compiled.log.on_cpu == 0
    written = json.loads((out / "export.json").read_text())
    assert written["compiled"]["file"] == compiled.name
    assert written["compiled"]["log"]["on_chip_used_bytes"] == 1536
    # Nothing half-written stays.
    assert not [name for name in os.listdir(out) if name.startswith(".")]


@pytest.mark.usefixtures("already_converted")
def test_a_failing_compiler_leaves_the_int8_file(
    lite, dataset, tmp_path, compiled_file, stand_in
):
    out = tmp_path / "out"
    works = stand_in(then=f"cp '{compiled_file}' $written")
    exported(lite, dataset, out, compiler=works)
    fails = stand_in(then="echo Model not quantized; exit 1")
    with pytest.raises(CompileError) as caught:
        exported(lite, dataset, out, compiler=fails)

    assert f"{out}/{NAME}.tflite was written" in str(caught.value)
    assert str(caught.value).endswith("Model not quantized")
    # What was compiled earlier is not left beside it.
    assert sorted(os.listdir(out)) == [
        f"{NAME}.tflite",
        "export.json",
        "labels.txt",
        "report.html",
    ]
    written = json.loads((out / "export.json").read_text())
    assert written["not_compiled"].startswith(
        "edgetpu_compiler failed with exit code 1: float operators are left"
    )


@pytest.mark.usefixtures("already_converted")
def test_a_file_that_is_not_fit_is_kept_and_named(
    lite, dataset, tmp_path, monkeypatch, stand_in
):
    monkeypatch.setitem(NEWEST_VERSIONS, "CONV_2D", 1)
    program = stand_in(then="touch must_not_run")
    with pytest.raises(
        ExportError, match="opcode 'CONV_2D' version '3'"
    ) as caught:
        exported(lite, dataset, tmp_path / "out", compiler=program)
    assert f"out/{NAME}.tflite was written" in str(caught.value)
    written = json.loads((tmp_path / "out" / "export.json").read_text())
    assert len(written["problems"]) == 1
    assert written["not_compiled"].startswith("not tried: Didn't find op")
    assert (tmp_path / "out" / f"{NAME}.tflite").exists()


def test_wrong_arguments_write_nothing(lite, dataset, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(InputError, match="--compiler '/no/where'"):
        exported(lite, dataset, out, compiler="/no/where")
    with pytest.raises(InputError, match="verify_images 0 must be at least"):
        exported(lite, dataset, out, verify_images=0)
    with pytest.raises(InputError, match="calibration_images -1 must be"):
        exported(lite, dataset, out, calibration_images=-1)
    others = dataclasses.replace(dataset, labels=("a", "b", "c", "d"))
    with pytest.raises(
        InputError, match=r"has 4 classes \('a', 'b', 'c', ...\)"
    ):
        exported(lite, others, out)
    assert not out.exists()


def test_a_folder_that_cannot_be(lite, dataset, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        exported(lite, dataset, tmp_path / "file" / "out")
