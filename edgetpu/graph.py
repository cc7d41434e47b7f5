"""Reads the flatbuffer of a `.tflite` file into plain values."""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

# What edgetpu_compiler puts in the place of the operators that it took.
EDGE_TPU_OPERATOR = "edgetpu-custom-op"

_IDENTIFIER = b"TFL3"


class GraphError(ValueError):
    """The bytes are no TensorFlow Lite model."""


@dataclass(frozen=True)
class Tensor:
    """A tensor of a model.

    Attributes:
        name: As the converter named it.
        dtype: Lower case: "uint8", "int8", "int32", "float32".
        shape: Sizes; a size left open is 1.
        dynamic: Whether a size is left open.
        constant: Whether the file holds its values.
        scale: Real values of one quantised step, one or one per channel;
            empty where the tensor is not quantised.
        zero_point: Quantised values of the real 0, as many.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    dynamic: bool
    constant: bool
    scale: tuple[float, ...]
    zero_point: tuple[int, ...]


@dataclass(frozen=True)
class Operator:
    """An operator of a model.

    Attributes:
        name: "CONV_2D", or the name of a custom operator.
        version: Version of its semantics.
        inputs: Places of its inputs in `Graph.tensors`, absent ones left out.
        outputs: Places of its outputs.
    """

    name: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Graph:
    """The main subgraph of a model.

    Attributes:
        operators: In the order of execution.
        tensors: All of them.
        inputs: Places of the model's inputs in `tensors`.
        outputs: Places of its outputs.
        subgraphs: Number of subgraphs in the file.
    """

    operators: tuple[Operator, ...]
    tensors: tuple[Tensor, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    subgraphs: int

    def counts(self) -> dict[str, int]:
        """How often each operator occurs, the most frequent first."""
        names = Counter(operator.name for operator in self.operators)
        return dict(sorted(names.items(), key=lambda item: (-item[1], item[0])))


def read_graph(content: bytes) -> Graph:
    """Reads a model.

    Args:
        content: The bytes of a `.tflite` file.

    Raises:
        GraphError: They are none.
    """
    if content[4:8] != _IDENTIFIER:
        raise GraphError(
            f"{len(content)} bytes without the mark of a TensorFlow Lite model"
        )
    try:
        model = schema.ModelT.InitFromPackedBuf(content, 0)
        main = model.subgraphs[0]
        return Graph(
            operators=tuple(
                _operator(operator, model) for operator in main.operators
            ),
            tensors=tuple(_tensor(tensor, model) for tensor in main.tensors),
            inputs=_integers(main.inputs),
            outputs=_integers(main.outputs),
            subgraphs=len(model.subgraphs),
        )
    except (
        struct.error,
        AttributeError,
        IndexError,
        KeyError,
        OverflowError,
        TypeError,
        ValueError,
    ) as error:
        raise GraphError(
            f"{len(content)} bytes that are no whole TensorFlow Lite model: "
            f"{error}"
        ) from error


def _operator(operator: Any, model: Any) -> Operator:
    code = model.operatorCodes[operator.opcodeIndex]
    # Old files know only the first field, which holds at most 127.
    builtin = max(code.builtinCode, code.deprecatedBuiltinCode)
    if builtin == schema.BuiltinOperator.CUSTOM:
        name = code.customCode.decode()
    else:
        name = _OPERATORS[builtin]
    return Operator(
        name=name,
        version=code.version,
        inputs=tuple(i for i in _integers(operator.inputs) if i >= 0),
        outputs=_integers(operator.outputs),
    )


def _tensor(tensor: Any, model: Any) -> Tensor:
    quantization = tensor.quantization
    data = model.buffers[tensor.buffer].data
    return Tensor(
        name=(tensor.name or b"").decode(),
        dtype=_TYPES[tensor.type].lower(),
        shape=_integers(tensor.shape),
        dynamic=-1 in _integers(tensor.shapeSignature),
        constant=data is not None and len(data) > 0,
        scale=tuple(
            float(scale)
            for scale in _values(quantization and quantization.scale)
        ),
        zero_point=_integers(quantization and quantization.zeroPoint),
    )


def _integers(values: Any) -> tuple[int, ...]:
    return tuple(int(value) for value in _values(values))


def _values(values: Any) -> np.ndarray:
    """An empty vector may be stored as none at all."""
    return np.asarray([] if values is None else values)


def _names(constants: type) -> dict[int, str]:
    return {
        value: name
        for name, value in vars(constants).items()
        if not name.startswith("_")
    }


_OPERATORS = _names(schema.BuiltinOperator)
_TYPES = _names(schema.TensorType)
