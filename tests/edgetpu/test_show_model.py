"""`show` and `forecast` from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from packaged import (
    TOKEN,
    compiled_model,
    custom_options,
    executable,
    package,
)

from edgetpu.__main__ import main


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    custom = custom_options(package(executable(2, 320), executable(1, 5000)))
    path = tmp_path_factory.mktemp("show") / "model_edgetpu.tflite"
    path.write_bytes(compiled_model(custom))
    return path


@pytest.fixture
def plain(lite, tmp_path):
    path = tmp_path / "lite.tflite"
    path.write_bytes(lite.content)
    return path


def printed(capfd, *arguments, code=0):
    assert main([str(word) for word in arguments]) == code
    return capfd.readouterr()


def test_a_compiled_file_in_json(compiled, capfd):
    shown = json.loads(printed(capfd, "show", compiled, "--json").out)
    assert shown["compiled"]
    assert shown["bytes"] == compiled.stat().st_size
    (part,) = shown["edge_tpu"]
    assert part["index"] == 0
    assert (part["cached_bytes"], part["streamed_bytes"]) == (5000, 320)
    assert part["caching_token"] == TOKEN
    assert part["package"]["min_runtime"] == 14
    (graph,) = shown["graphs"]
    assert graph["counts"] == {"edgetpu-custom-op": 1}
    assert graph["tensors"][0]["shape"] == [1, 4, 5, 3]


def test_a_compiled_file_in_words(compiled, capfd):
    shown = printed(capfd, "show", compiled).out
    for words in (
        "for the Edge TPU",
        "4.88 KiB",
        "320 B",
        "14 or newer",
        str(TOKEN),
        "EXECUTION_ONLY, PARAMETER_CACHING",
        "uint8 [4, 5, 3], scale 0.0078125, zero point 127: pixels",
        "int8 [1, 1, 9], scale 0.5, zero point -2: scores",
    ):
        assert words in shown


def test_a_file_of_ours(plain, lite, capfd):
    shown = json.loads(printed(capfd, "show", plain, "--json").out)
    assert not shown["compiled"]
    assert shown["edge_tpu"] == []
    (graph,) = shown["graphs"]
    assert graph["counts"]["DEPTHWISE_CONV_2D"] == len(lite.network.blocks)
    taken = graph["tensors"][graph["inputs"][0]]
    assert (taken["dtype"], taken["scale"], taken["zero_point"]) == (
        "uint8",
        [1 / 128],
        [127],
    )
    stem = next(o for o in graph["operators"] if o["name"] == "CONV_2D")
    assert stem["options"] == {
        "activation": "RELU6",
        "padding": "SAME",
        "stride": [2, 2],
    }
    kernel = graph["tensors"][stem["inputs"][1]]
    # A byte a weight, a scale for each channel out.
    assert kernel["bytes"] == 3 * 3 * 3 * lite.network.stem
    assert (len(kernel["scale"]), kernel["axis"]) == (lite.network.stem, 0)
    words = printed(capfd, "show", plain, "--tensors").out
    assert "raw" not in words
    assert "scale 0.0078125, zero point 127" in words
    assert f"{lite.network.stem} scales along axis 0" in words


def test_a_file_of_ours_runs_whole(plain, capfd):
    found = json.loads(
        printed(capfd, "forecast", plain, "--json", "--require=whole").out
    )
    assert found["compiles"]
    assert found["subgraphs"] == 1
    assert all(operator["on_edge_tpu"] for operator in found["operators"])
    assert [operator["index"] for operator in found["operators"]] == list(
        range(len(found["operators"]))
    )
    assert found["streamed_bytes"] == 0
    words = printed(capfd, "forecast", plain).out
    assert "on the CPU" not in words
    assert "Mapped to Edge TPU" in words


def test_a_network_by_its_name(capfd):
    words = printed(capfd, "forecast", "efficientnet-b0").out
    assert "242 of 242 operators" in words
    assert "49 swish activations" in words
    said = printed(capfd, "forecast", "efficientnet-b9", code=2).err
    assert "did you mean efficientnet-b" in said


def test_what_is_required_decides_the_exit_code(coral, capfd):
    (path,) = coral.glob("deeplabv3_*c5fdea.tflite")
    shown = printed(capfd, "forecast", path, "--require=compiles")
    assert "64 of 72 operators" in shown.out
    assert "65 to 69" in shown.out
    said = printed(capfd, "forecast", path, "--require=whole", code=1).err
    assert said.endswith("would not run whole on the Edge TPU\n")
    json.loads(printed(capfd, "forecast", path, "--json").out)


def test_a_compiled_file_has_no_forecast(compiled, capfd):
    said = printed(capfd, "forecast", compiled, code=2).err
    assert "compiled for the Edge TPU already" in said
    assert len(said.splitlines()) == 1


def test_a_damaged_package_is_told(tmp_path, capfd):
    path = tmp_path / "a_edgetpu.tflite"
    path.write_bytes(compiled_model(b"nothing"))
    said = printed(capfd, "show", path, code=2).err
    assert "edgetpu-custom-op of 7 bytes holds no package" in said
    assert len(said.splitlines()) == 1


def test_neither_needs_tensorflow(compiled):
    for arguments in (["show", str(compiled)], ["forecast", "efficientnet-b0"]):
        found = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "edgetpu", *arguments],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        )
        assert "tensorflow" not in found.stderr
        assert "keras" not in found.stderr
