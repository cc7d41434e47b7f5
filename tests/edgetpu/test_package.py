"""Compiled files opened: one made by hand, and real ones."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from packaged import TOKEN, custom_options, executable, package

from edgetpu.package import read_package
from edgetpu.reader import GraphError, open_model


@pytest.fixture(scope="module")
def custom():
    return custom_options(package(executable(2, 320), executable(1, 5000)))


def test_a_package_made_by_hand(custom):
    read = read_package(custom)
    assert (read.min_runtime, read.compiler) == (14, "cl/343520747")
    assert read.cached_bytes == 5000
    assert read.streamed_bytes == 320
    assert read.caching_token == TOKEN
    runs = read.runs
    assert runs.type == "EXECUTION_ONLY"
    assert (runs.instruction_bytes, runs.scratch_bytes) == (96, 77)
    assert runs.narrow_bytes_per_tile == 4096
    assert (runs.chip, runs.batch) == ("beagle", 1)
    assert runs.estimated_cycles == 1234
    (taken,), (given,) = runs.inputs, runs.outputs
    assert (taken.name, taken.shape, taken.dtype) == (
        "pixels",
        (4, 5, 3),
        "uint8",
    )
    assert (taken.scale, taken.zero_point) == (1 / 128, 127)
    # A signed one counts its zero point from -128.
    assert (given.dtype, given.zero_point, given.scale) == ("int8", -2, 0.5)


def test_what_is_no_package(custom):
    for content in (b"", b"\0", custom[:100], custom[: len(custom) // 2]):
        with pytest.raises(GraphError):
            read_package(content)


def test_a_package_that_only_caches():
    content = custom_options(package(executable(1, 8)))
    with pytest.raises(GraphError, match="no program that runs"):
        read_package(content)


def test_damage_is_either_read_or_refused(custom):
    random = np.random.default_rng(0)
    read = 0
    for _ in range(300):
        content = bytearray(custom)
        for place in random.integers(0, len(custom), 5):
            content[place] = random.integers(256)
        try:
            read_package(bytes(content))
        except GraphError:
            continue
        read += 1
    # Most of it is weights; but not all.
    assert 0 < read < 300


def parts(path):
    return [
        read_package(operator.custom_options)
        for operator in open_model(str(path)).main.operators
        if operator.name == "edgetpu-custom-op"
    ]


# Read with classes that flatc made of executable.fbs: runtime, cached and
# streamed bytes, scratch, narrow memory of a tile, instructions.
@pytest.mark.parametrize(
    ("name", "figures"),
    [
        ("mobilenet_v1_0.25_128_quant", (12, 566912, 0, 0, 8996, 170032)),
        # N * M + 8 * N bytes for a dense layer.
        ("dense_256", (14, 256 * 256 + 8 * 256, 0, 0, 832, 4224)),
    ],
)
def test_figures_of_real_files(coral, name, figures):
    (path,) = coral.glob(f"{name}-*_edgetpu.tflite")
    (read,) = parts(path)
    runs = read.runs
    assert figures == (
        read.min_runtime,
        read.cached_bytes,
        read.streamed_bytes,
        runs.scratch_bytes,
        runs.narrow_bytes_per_tile,
        runs.instruction_bytes,
    )


def test_real_files_take_and_give_what_their_models_do(coral):
    checked = 0
    for path in coral.glob("*_edgetpu.tflite"):
        before = open_model(str(path).replace("_edgetpu", "")).main
        named = {tensor.name: tensor for tensor in before.tensors}
        (read,) = parts(path)
        for port in (*read.runs.inputs, *read.runs.outputs):
            tensor = named.get(port.name)
            if tensor is None or port.dtype not in ("int8", "uint8"):
                # States of an LSTM have names of the compiler's own.
                continue
            assert port.dtype == tensor.dtype
            assert struct.pack("<f", port.scale) == struct.pack(
                "<f", tensor.scale[0]
            )
            assert port.zero_point == tensor.zero_point[0]
            assert np.prod(port.shape) == tensor.elements
            checked += 1
    assert checked >= 20


def test_real_files_compiled_apart_have_tokens_of_their_own(coral):
    tokens = [
        part.caching_token
        for path in coral.glob("*_edgetpu.tflite")
        for part in parts(path)
    ]
    assert len(set(tokens)) == len(tokens)
