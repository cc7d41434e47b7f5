"""A package for the Edge TPU written by hand, field by field.

By libedgetpu's executable/executable.fbs and tflite/custom_op_data.cc.
"""

from __future__ import annotations

import flatbuffers
import numpy as np
from flatbuffers import flexbuffers

TOKEN = 2**63 + 5


def table(builder, *fields):
    """Field number, how it is prepended, value; the place of the table."""
    builder.StartObject(max(field for field, _, _ in fields) + 1)
    for field, kind, value in fields:
        getattr(builder, f"Prepend{kind}Slot")(field, value, 0)
    return builder.EndObject()


def vector(builder, places):
    builder.StartVector(4, len(places), 4)
    for place in reversed(places):
        builder.PrependUOffsetTRelative(place)
    return builder.EndVector()


def layer(builder, name, shape, data_type, zero_point, scale):
    named = builder.CreateString(name)
    numbers = table(builder, (0, "Int32", zero_point), (1, "Float32", scale))
    return table(
        builder,
        (0, "UOffsetTRelative", named),
        (1, "Int32", int(np.prod(shape))),
        (2, "Int32", shape[0]),
        (3, "Int32", shape[1]),
        (4, "Int32", shape[2]),
        (5, "UOffsetTRelative", numbers),
        (6, "Int16", data_type),
    )


def executable(kind, parameters):
    """By libedgetpu's executable.fbs."""
    builder = flatbuffers.Builder(64)
    chip = builder.CreateString("beagle")
    weights = builder.CreateByteVector(bytes(parameters))
    bits = builder.CreateByteVector(bytes(48))
    streams = vector(
        builder, [table(builder, (0, "UOffsetTRelative", bits))] * 2
    )
    inputs = vector(
        builder, [layer(builder, "pixels", (4, 5, 3), 0, 127, 1 / 128)]
    )
    outputs = vector(
        builder, [layer(builder, "scores", (1, 1, 9), 8, 126, 0.5)]
    )
    builder.Finish(
        table(
            builder,
            (3, "Int32", 1),
            (4, "Int32", 77),
            (5, "UOffsetTRelative", streams),
            (6, "UOffsetTRelative", weights),
            (8, "UOffsetTRelative", inputs),
            (9, "UOffsetTRelative", outputs),
            (10, "UOffsetTRelative", chip),
            (12, "Int32", 4096),
            (13, "Int16", kind),
            (14, "Uint64", TOKEN),
            (16, "Int64", 1234),
        )
    )
    return bytes(builder.Output())


def package(*executables):
    inner = flatbuffers.Builder(64)
    texts = [inner.CreateByteVector(each) for each in executables]
    inner.Finish(table(inner, (0, "UOffsetTRelative", vector(inner, texts))))
    outer = flatbuffers.Builder(64)
    programs = outer.CreateByteVector(bytes(inner.Output()))
    compiler = outer.CreateString("cl/343520747")
    outer.Finish(
        table(
            outer,
            (0, "Int32", 14),
            (1, "UOffsetTRelative", programs),
            (4, "UOffsetTRelative", compiler),
        ),
        b"DWN1",
    )
    return bytes(outer.Output())


def custom_options(content):
    """What stands in the operator, by libedgetpu's custom_op_data.cc."""
    builder = flexbuffers.Builder()
    with builder.Map():
        builder.Int("1", 1)
        builder.Key("4")
        # The builder's own strings are text, which a package is not.
        builder._WriteBlob(
            content, append_zero=True, type_=flexbuffers.Type.STRING
        )
        builder.Int("5", -1)
    return bytes(builder.Finish())


def compiled_model(custom):
    """A `.tflite` as the compiler leaves it: one operator with a package."""
    from ai_edge_litert import schema_py_generated as schema

    def tensor(name, shape, dtype):
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, shape, dtype, 0
        return made

    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0], [1]
    operator.customOptions = list(custom)
    graph = schema.SubGraphT()
    graph.tensors = [
        tensor("pixels", [1, 4, 5, 3], schema.TensorType.UINT8),
        tensor("scores", [1, 9], schema.TensorType.INT8),
    ]
    graph.inputs, graph.outputs, graph.operators = [0], [1], [operator]
    code = schema.OperatorCodeT()
    code.builtinCode = schema.BuiltinOperator.CUSTOM
    code.deprecatedBuiltinCode = code.builtinCode
    code.customCode, code.version = "edgetpu-custom-op", 1
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    model.description, model.buffers = "Exported", [schema.BufferT()]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
