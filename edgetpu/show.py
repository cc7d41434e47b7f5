"""Opens any `.tflite` file, compiled for the Edge TPU or not."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from edgetpu.graph import (
    EDGE_TPU_OPERATOR,
    Graph,
    Model,
    Operator,
    Options,
    Tensor,
)
from edgetpu.package import Package, read_package

# Strides and dilations that do nothing.
_ONE_BY_ONE = (1, 1)
_DEFAULTS = Options()


@dataclass(frozen=True)
class ShownTensor:
    """A tensor in plain values.

    Attributes:
        index: Its place in the subgraph.
        name: As the converter named it.
        dtype: "int8".
        shape: Sizes; one that is left open is 1.
        dynamic: Whether one is left open.
        bytes: Size of its values.
        constant: Whether the file holds them.
        scale: Real value of one step, by channel where they differ.
        zero_point: Quantised value of the real 0, likewise.
        axis: The dimension of the channels, None where they do not differ.
    """

    index: int
    name: str
    dtype: str
    shape: tuple[int, ...]
    dynamic: bool
    bytes: int
    constant: bool
    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int | None


@dataclass(frozen=True)
class ShownOperator:
    """An operator in plain values.

    Attributes:
        index: Its place in the subgraph.
        name: "CONV_2D".
        version: Of its semantics.
        inputs: Places of tensors.
        outputs: The same.
        options: What is set otherwise than by default.
    """

    index: int
    name: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, Any]


@dataclass(frozen=True)
class ShownGraph:
    """A subgraph in plain values.

    Attributes:
        counts: How often each operator occurs.
        parameter_bytes: Constants that operators take.
        inputs: Places of its inputs.
        outputs: Places of its outputs.
        operators: In the order of execution.
        tensors: All of them.
    """

    counts: dict[str, int]
    parameter_bytes: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    operators: tuple[ShownOperator, ...]
    tensors: tuple[ShownTensor, ...]


@dataclass(frozen=True)
class EdgeTpuPart:
    """What stands for the operators that the compiler took.

    Attributes:
        index: Place of the `edgetpu-custom-op` in the main subgraph.
        cached_bytes: Parameters that stay on the chip.
        streamed_bytes: Parameters that are sent anew for each input.
        caching_token: Compiled together are those that have the same.
        package: Everything that was read.
    """

    index: int
    cached_bytes: int
    streamed_bytes: int
    caching_token: int
    package: Package


@dataclass(frozen=True)
class Shown:
    """A file in plain values.

    Attributes:
        bytes: Its size.
        description: What the converter wrote about itself.
        min_runtime: The TensorFlow Lite that the converter says it needs;
            stale in some files.
        metadata: Sizes of its named extras.
        compiled: Whether it is compiled for the Edge TPU.
        edge_tpu: Its parts on the Edge TPU.
        graphs: Its subgraphs.
    """

    bytes: int
    description: str
    min_runtime: str | None
    metadata: dict[str, int]
    compiled: bool
    edge_tpu: tuple[EdgeTpuPart, ...]
    graphs: tuple[ShownGraph, ...]

    def to_dict(self) -> dict[str, Any]:
        """The file as plain values, for JSON."""
        return dataclasses.asdict(self)


def show(model: Model) -> Shown:
    """Puts a file into plain values.

    Args:
        model: What was read.

    Raises:
        GraphError: It is compiled, and its package cannot be read.
    """
    parts = tuple(
        _part(place, operator)
        for place, operator in enumerate(model.main.operators)
        if operator.name == EDGE_TPU_OPERATOR
    )
    return Shown(
        bytes=model.nbytes,
        description=model.description,
        min_runtime=model.min_runtime,
        metadata={name: len(data) for name, data in model.metadata.items()},
        compiled=bool(parts),
        edge_tpu=parts,
        graphs=tuple(_graph(graph) for graph in model.graphs),
    )


def _part(place: int, operator: Operator) -> EdgeTpuPart:
    package = read_package(operator.custom_options)
    return EdgeTpuPart(
        index=place,
        cached_bytes=package.cached_bytes,
        streamed_bytes=package.streamed_bytes,
        caching_token=package.caching_token,
        package=package,
    )


def _graph(graph: Graph) -> ShownGraph:
    return ShownGraph(
        counts=graph.counts(),
        parameter_bytes=sum(tensor.nbytes for tensor in graph.constants()),
        inputs=graph.inputs,
        outputs=graph.outputs,
        operators=tuple(
            _operator(place, operator)
            for place, operator in enumerate(graph.operators)
        ),
        tensors=tuple(
            _tensor(place, tensor) for place, tensor in enumerate(graph.tensors)
        ),
    )


def _operator(place: int, operator: Operator) -> ShownOperator:
    options = dataclasses.asdict(operator.options)
    return ShownOperator(
        index=place,
        name=operator.name,
        version=operator.version,
        inputs=operator.inputs,
        outputs=operator.outputs,
        options={
            name: value
            for name, value in options.items()
            if value not in (getattr(_DEFAULTS, name), _ONE_BY_ONE)
        },
    )


def _tensor(place: int, tensor: Tensor) -> ShownTensor:
    return ShownTensor(
        index=place,
        name=tensor.name,
        dtype=tensor.dtype,
        shape=tensor.shape,
        dynamic=tensor.dynamic,
        bytes=tensor.nbytes,
        constant=tensor.constant,
        scale=tensor.scale,
        zero_point=tensor.zero_point,
        axis=tensor.axis if len(tensor.scale) > 1 else None,
    )
