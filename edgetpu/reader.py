"""Reads the flatbuffer of a `.tflite` file."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgetpu.graph import Graph, Model, Operator, Options, Tensor
from efficientnet_tf.errors import InputError

IDENTIFIER = b"TFL3"
# Damage shows itself anywhere: a place outside of the file, a wrong type.
_DAMAGE = (
    struct.error,
    AttributeError,
    IndexError,
    KeyError,
    OverflowError,
    TypeError,
    ValueError,
)


class GraphError(InputError):
    """The bytes are no TensorFlow Lite model."""


def open_model(path: str) -> Model:
    """Reads a file.

    Args:
        path: Of a `.tflite` file.

    Raises:
        InputError: There is none that can be read.
        GraphError: It holds something else.
    """
    try:
        return read_model(read_content(path))
    except GraphError as error:
        raise GraphError(f"{path}: {error}") from error


def read_content(path: str) -> bytes:
    """Reads the bytes of a file.

    Raises:
        InputError: There is none that can be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}; give a .tflite file"
        ) from error


def read_graph(content: bytes) -> Graph:
    """Reads the main subgraph of a model.

    Args:
        content: The bytes of a `.tflite` file.

    Raises:
        GraphError: They are none.
    """
    return read_model(content).main


def read_model(content: bytes) -> Model:
    """Reads a model.

    Args:
        content: The bytes of a `.tflite` file.

    Raises:
        GraphError: They are none.
    """
    if not content:
        raise GraphError("the file is empty; give a .tflite file")
    if content[4:8] != IDENTIFIER:
        raise GraphError(
            f"{len(content)} bytes without the mark of a TensorFlow Lite "
            "model, TFL3 at byte 4; give a .tflite file"
        )
    try:
        model = schema.ModelT.InitFromPackedBuf(content, 0)
        if not model.subgraphs:
            raise ValueError("no subgraph")
        return Model(
            graphs=tuple(_graph(graph, model) for graph in model.subgraphs),
            description=_text(model.description),
            version=int(model.version),
            metadata={
                _text(entry.name): _data(model, entry.buffer)
                for entry in model.metadata or ()
            },
            nbytes=len(content),
        )
    except _DAMAGE as error:
        raise GraphError(
            f"{len(content)} bytes that begin as a TensorFlow Lite model and "
            f"are cut off or damaged ({error}); copy or convert the file anew"
        ) from error


def _graph(graph: Any, model: Any) -> Graph:
    read = Graph(
        operators=tuple(
            _operator(operator, model) for operator in _list(graph.operators)
        ),
        tensors=tuple(_tensor(tensor, model) for tensor in graph.tensors),
        inputs=_integers(graph.inputs),
        outputs=_integers(graph.outputs),
        subgraphs=len(model.subgraphs),
    )
    places = [*read.inputs, *read.outputs]
    for operator in read.operators:
        places += [*operator.inputs, *operator.outputs]
    wrong = [place for place in places if not 0 <= place < len(read.tensors)]
    if wrong:
        raise ValueError(f"there is no tensor {wrong[0]}")
    return read


def _operator(operator: Any, model: Any) -> Operator:
    code = model.operatorCodes[operator.opcodeIndex]
    # Old files know only the first field, which holds at most 127.
    builtin = max(code.builtinCode, code.deprecatedBuiltinCode)
    custom = builtin == schema.BuiltinOperator.CUSTOM
    return Operator(
        name=_text(code.customCode) if custom else _OPERATORS[builtin],
        version=int(code.version),
        inputs=tuple(i for i in _integers(operator.inputs) if i >= 0),
        outputs=tuple(i for i in _integers(operator.outputs) if i >= 0),
        options=_options(operator.builtinOptions),
        custom=custom,
        custom_options=_bytes(operator.customOptions),
    )


def _options(given: Any) -> Options:
    has = {} if given is None else vars(given)

    def pair(height: str, width: str) -> tuple[int, int] | None:
        return (int(has[height]), int(has[width])) if height in has else None

    axis = has.get("axis")
    return Options(
        activation=_ACTIVATIONS[has.get("fusedActivationFunction", 0)],
        padding=_PADDINGS[has["padding"]] if "padding" in has else None,
        stride=pair("strideH", "strideW"),
        dilation=pair("dilationHFactor", "dilationWFactor"),
        window=pair("filterHeight", "filterWidth"),
        axis=None if axis is None else int(axis),
        weights_format=_WEIGHTS[has.get("weightsFormat", 0)],
        keep_dims=bool(has.get("keepDims", False)),
        align_corners=bool(has.get("alignCorners", False)),
        half_pixel_centers=bool(has.get("halfPixelCenters", False)),
        ellipsis_mask=int(has.get("ellipsisMask", 0)),
        new_axis_mask=int(has.get("newAxisMask", 0)),
        shrink_axis_mask=int(has.get("shrinkAxisMask", 0)),
    )


def _tensor(tensor: Any, model: Any) -> Tensor:
    quantization = tensor.quantization
    data = _data(model, tensor.buffer)
    return Tensor(
        name=_text(tensor.name),
        dtype=_TYPES[tensor.type].lower(),
        shape=_integers(tensor.shape),
        dynamic=-1 in _integers(tensor.shapeSignature),
        constant=bool(data),
        scale=tuple(
            float(scale) for scale in _list(quantization and quantization.scale)
        ),
        zero_point=_integers(quantization and quantization.zeroPoint),
        axis=int(quantization.quantizedDimension) if quantization else 0,
        data=data,
        variable=bool(tensor.isVariable),
    )


def _data(model: Any, place: int) -> bytes:
    return _bytes(model.buffers[place].data)


def _bytes(values: Any) -> bytes:
    """An empty vector may be stored as none at all, and is a number then."""
    return np.asarray(_list(values), np.uint8).tobytes()


def _integers(values: Any) -> tuple[int, ...]:
    return tuple(int(value) for value in _list(values))


def _list(values: Any) -> Any:
    """An empty vector may be stored as none at all, and is a number then."""
    return [] if values is None or np.ndim(values) == 0 else values


def _text(value: bytes | None) -> str:
    return (value or b"").decode()


def _names(constants: type) -> dict[int, str]:
    return {
        value: name
        for name, value in vars(constants).items()
        if not name.startswith("_")
    }


_OPERATORS = _names(schema.BuiltinOperator)
_TYPES = _names(schema.TensorType)
_ACTIVATIONS = _names(schema.ActivationFunctionType)
_PADDINGS = _names(schema.Padding)
_WEIGHTS = _names(schema.FullyConnectedOptionsWeightsFormat)
