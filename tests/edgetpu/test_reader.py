"""The reader of flatbuffers, on real files and on broken ones."""

from __future__ import annotations

import json

import numpy as np
import pytest

from edgetpu.graph import EDGE_TPU_OPERATOR, Options
from edgetpu.reader import GraphError, open_model, read_graph, read_model
from efficientnet_tf.errors import InputError


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


def test_everything_is_as_litert_reads_it(each):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(
        model_content=each.content, experimental_op_resolver_type=plain
    )
    interpreter.allocate_tensors()
    graph = read_graph(each.content)
    details = {
        detail["index"]: detail for detail in interpreter.get_tensor_details()
    }
    for place, tensor in enumerate(graph.tensors):
        detail = details[place]
        assert detail["name"] == tensor.name
        assert detail["dtype"] == np.dtype(tensor.dtype)
        assert detail["shape"].tolist() == list(tensor.shape)
        quantized = detail["quantization_parameters"]
        assert quantized["scales"].tolist() == list(tensor.scale)
        assert quantized["zero_points"].tolist() == list(tensor.zero_point)
        if len(tensor.scale) > 1:
            assert quantized["quantized_dimension"] == tensor.axis
        if tensor.constant:
            held = interpreter.get_tensor(place)
            np.testing.assert_array_equal(tensor.values(), held)
            assert tensor.nbytes == held.nbytes
        else:
            assert tensor.values() is None
    operators = interpreter._get_ops_details()[: len(graph.operators)]
    for operator, detail in zip(graph.operators, operators, strict=True):
        assert detail["op_name"] == operator.name
        assert detail["inputs"].tolist() == list(operator.inputs)
        assert detail["outputs"].tolist() == list(operator.outputs)


def test_options_of_a_file_written_by_hand():
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    def tensor(shape):
        made = schema.TensorT()
        made.shape, made.type, made.buffer = shape, schema.TensorType.INT8, 0
        return made

    pooling = schema.Pool2DOptionsT()
    pooling.padding = schema.Padding.VALID
    pooling.strideH, pooling.strideW = 2, 3
    pooling.filterHeight, pooling.filterWidth = 4, 5
    pooling.fusedActivationFunction = schema.ActivationFunctionType.RELU6
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0], [1]
    operator.builtinOptionsType = schema.BuiltinOptions.Pool2DOptions
    operator.builtinOptions = pooling
    graph = schema.SubGraphT()
    graph.tensors = [tensor([1, 8, 9, 2]), tensor([1, 3, 2, 2])]
    graph.inputs, graph.outputs, graph.operators = [0], [1], [operator]
    code = schema.OperatorCodeT()
    code.builtinCode = schema.BuiltinOperator.MAX_POOL_2D
    code.deprecatedBuiltinCode, code.version = code.builtinCode, 2
    named = schema.MetadataT()
    named.name, named.buffer = "min_runtime_version", 1
    text = schema.BufferT()
    text.data = list(b"2.5.0" + bytes(11))
    model = schema.ModelT()
    model.version, model.description = 3, "by hand"
    model.operatorCodes, model.subgraphs = [code], [graph]
    model.buffers, model.metadata = [schema.BufferT(), text], [named]
    builder = flatbuffers.Builder(512)
    builder.Finish(model.Pack(builder), b"TFL3")
    read = read_model(bytes(builder.Output()))
    assert (read.description, read.min_runtime) == ("by hand", "2.5.0")
    (found,) = read.main.operators
    assert (found.name, found.version) == ("MAX_POOL_2D", 2)
    assert found.options == Options(
        activation="RELU6", padding="VALID", stride=(2, 3), window=(4, 5)
    )
    assert not read.main.tensors[0].constant


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


def test_what_a_file_that_is_none_is_told(tmp_path, compiled_file):
    cut = compiled_file.read_bytes()[:300]
    for content, words in (
        (b"", "the file is empty"),
        (b"PK" + bytes(90), "92 bytes without the mark of a TensorFlow Lite"),
        (cut, "are cut off or damaged"),
    ):
        path = tmp_path / "a.tflite"
        path.write_bytes(content)
        with pytest.raises(GraphError, match=words) as error:
            open_model(str(path))
        assert str(error.value).startswith(f"{path}: ")
        assert len(str(error.value).splitlines()) == 1
    for path in (tmp_path, tmp_path / "none.tflite"):
        with pytest.raises(InputError, match="cannot be read"):
            open_model(str(path))


def test_a_model_that_was_cut_off(lite):
    for size in (40, 400, len(lite.content) // 2):
        with pytest.raises(GraphError):
            read_graph(lite.content[:size])


def test_damage_is_either_read_or_refused(compiled_file):
    random = np.random.default_rng(0)
    whole = compiled_file.read_bytes()
    read = 0
    for _ in range(300):
        content = np.frombuffer(whole, np.uint8).copy()
        places = random.integers(8, len(content), 5)
        content[places] = random.integers(0, 256, 5)
        try:
            read_graph(content.tobytes())
        except GraphError:
            continue
        read += 1
    assert 0 < read < 300
