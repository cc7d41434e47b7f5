"""The reader of flatbuffers, on real files and on broken ones."""

from __future__ import annotations

import json

import numpy as np
import pytest

from edgetpu.graph import EDGE_TPU_OPERATOR
from edgetpu.reader import GraphError, read_graph


def test_real_files_have_as_many_operators_as_their_truth(coral):
    for entry in json.loads((coral / "truth.json").read_text()):
        graph = read_graph((coral / entry["file"]).read_bytes())
        assert len(graph.operators) == len(entry["on_edge_tpu"])
        assert EDGE_TPU_OPERATOR not in graph.counts()


def test_real_compiled_files_are_told_apart(coral):
    for entry in json.loads((coral / "truth.json").read_text()):
        name = entry["file"].replace(".tflite", "_edgetpu.tflite")
        counts = read_graph((coral / name).read_bytes()).counts()
        assert counts[EDGE_TPU_OPERATOR] == entry["edge_tpu_subgraphs"]
        on_cpu = entry["on_edge_tpu"].count("0")
        assert sum(counts.values()) - counts[EDGE_TPU_OPERATOR] == on_cpu


def test_a_real_model(coral):
    # Google's MobileNet V1 0.25 at 128 pixels.
    path = coral / "mobilenet_v1_0.25_128_quant-22b67d.tflite"
    graph = read_graph(path.read_bytes())
    assert graph.counts() == {
        "CONV_2D": 15,
        "DEPTHWISE_CONV_2D": 13,
        "AVERAGE_POOL_2D": 1,
        "RESHAPE": 1,
        "SOFTMAX": 1,
    }
    taken = graph.tensors[graph.inputs[0]]
    assert (taken.dtype, taken.shape) == ("uint8", (1, 128, 128, 3))
    assert (taken.scale, taken.zero_point) == ((1 / 128,), (128,))


def test_a_made_compiled_file(compiled_file):
    graph = read_graph(compiled_file.read_bytes())
    assert graph.counts() == {EDGE_TPU_OPERATOR: 1}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"TFL3",
        b"\0" * 100,
        b"\x1c\0\0\0TFL3",
        b"\xff\xff\xff\x7fTFL3" + b"\xff" * 64,
        b"\x08\0\0\0TFL3" + bytes(range(256)),
    ],
)
def test_what_is_no_model(content):
    with pytest.raises(GraphError):
        read_graph(content)


def test_a_model_that_was_cut_off(lite):
    for size in (40, 400, len(lite.content) // 2):
        with pytest.raises(GraphError):
            read_graph(lite.content[:size])


def test_damage_is_either_read_or_refused(compiled_file):
    random = np.random.default_rng(0)
    whole = compiled_file.read_bytes()
    for _ in range(300):
        content = np.frombuffer(whole, np.uint8).copy()
        places = random.integers(8, len(content), 5)
        content[places] = random.integers(0, 256, 5)
        try:
            read_graph(content.tobytes())
        except GraphError:
            continue
