"""What a `.tflite` file holds, as plain values."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

# What edgetpu_compiler puts in the place of the operators that it took.
EDGE_TPU_OPERATOR = "edgetpu-custom-op"

_BYTES = {"bool": 1, "int4": 0.5, "uint4": 0.5, "int2": 0.25, "bfloat16": 2}


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
        axis: The dimension that the channels of `scale` lie along.
        data: Its values as the file holds them, little-endian; empty where
            they come while the model runs.
        variable: Whether it keeps its values from one run to the next.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    dynamic: bool = False
    constant: bool = False
    scale: tuple[float, ...] = ()
    zero_point: tuple[int, ...] = ()
    axis: int = 0
    data: bytes = field(default=b"", repr=False)
    variable: bool = False

    @property
    def elements(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Size of its values, in the file or while the model runs."""
        return math.ceil(self.elements * _bytes_each(self.dtype))

    def values(self) -> np.ndarray | None:
        """What a constant holds, in its shape.

        Returns:
            An array, or None where its values are not known, or not as many
            as its shape says.
        """
        kind = _dtype(self.dtype)
        if kind is None or len(self.data) != self.elements * kind.itemsize:
            return None
        return np.frombuffer(self.data, kind).reshape(self.shape)


@dataclass(frozen=True)
class Options:
    """Settings of an operator; None or the format's default where it has none.

    Attributes:
        activation: "NONE", "RELU", "RELU6", ..., done on the output.
        padding: "SAME", "VALID" or None.
        stride: Of height and width.
        dilation: The same.
        window: Height and width of what is pooled.
        axis: Of a concatenation, a packing, a gathering.
        weights_format: "DEFAULT" or a shuffled one.
        keep_dims: Whether a reduction leaves sizes of 1.
        align_corners: How a resize takes positions.
        half_pixel_centers: The same.
        ellipsis_mask: Of a strided slice, a bit for each dimension.
        new_axis_mask: The same.
        shrink_axis_mask: The same.
    """

    activation: str = "NONE"
    padding: str | None = None
    stride: tuple[int, int] | None = None
    dilation: tuple[int, int] | None = None
    window: tuple[int, int] | None = None
    axis: int | None = None
    weights_format: str = "DEFAULT"
    keep_dims: bool = False
    align_corners: bool = False
    half_pixel_centers: bool = False
    ellipsis_mask: int = 0
    new_axis_mask: int = 0
    shrink_axis_mask: int = 0


@dataclass(frozen=True)
class Operator:
    """An operator of a model.

    Attributes:
        name: "CONV_2D", or the name of a custom operator.
        version: Version of its semantics.
        inputs: Places of its inputs in `Graph.tensors`, absent ones left out.
        outputs: Places of its outputs.
        options: Its settings.
        custom: Whether it is none of TensorFlow Lite's own.
        custom_options: Settings of a custom operator, in its own format.
    """

    name: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Options = Options()
    custom: bool = False
    custom_options: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Graph:
    """A subgraph of a model.

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
    subgraphs: int = 1

    def counts(self) -> dict[str, int]:
        """How often each operator occurs, the most frequent first."""
        names = Counter(operator.name for operator in self.operators)
        return dict(sorted(names.items(), key=lambda item: (-item[1], item[0])))

    def taken(self, operator: Operator) -> tuple[Tensor, ...]:
        """The inputs of an operator."""
        return tuple(self.tensors[place] for place in operator.inputs)

    def given(self, operator: Operator) -> tuple[Tensor, ...]:
        """The outputs of an operator."""
        return tuple(self.tensors[place] for place in operator.outputs)

    def constants(self) -> Iterator[Tensor]:
        """Tensors that an operator takes and the file holds, each once."""
        taken = {
            place for operator in self.operators for place in operator.inputs
        }
        for place in sorted(taken):
            if self.tensors[place].constant:
                yield self.tensors[place]


@dataclass(frozen=True)
class Model:
    """A `.tflite` file.

    Attributes:
        graphs: Its subgraphs; the first is the main one.
        description: What the converter wrote about itself.
        version: Version of the file format.
        metadata: Named extras.
        nbytes: Size of the file.
    """

    graphs: tuple[Graph, ...]
    description: str
    version: int
    metadata: dict[str, bytes]
    nbytes: int

    @property
    def main(self) -> Graph:
        """The subgraph that runs."""
        return self.graphs[0]

    @property
    def min_runtime(self) -> str | None:
        """The TensorFlow Lite that the converter says it needs, if it does."""
        said = self.metadata.get("min_runtime_version", b"")
        return said.rstrip(b"\0").decode(errors="replace") or None


def _dtype(name: str) -> np.dtype | None:
    try:
        return np.dtype(name).newbyteorder("<")
    except TypeError:
        return None


def _bytes_each(dtype: str) -> float:
    kind = _dtype(dtype)
    return kind.itemsize if kind is not None else _BYTES.get(dtype, 0)
