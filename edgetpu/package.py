"""Opens what edgetpu_compiler put into an `edgetpu-custom-op`.

The operator's options are a FlexBuffer map, whose "4" is the package for the
chip: a flatbuffer of libedgetpu's executable/executable.fbs with the mark
DWN1. Of its tables this reads the few fields that a person asks for, by their
number in that schema.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import flatbuffers.flexbuffers
from flatbuffers import encode, number_types
from flatbuffers.table import Table

from edgetpu.reader import GraphError

_IDENTIFIER = b"DWN1"
_PACKAGE_KEY = "4"

ExecutableType = Literal["STAND_ALONE", "PARAMETER_CACHING", "EXECUTION_ONLY"]
_TYPES: tuple[ExecutableType, ...] = (
    "STAND_ALONE",
    "PARAMETER_CACHING",
    "EXECUTION_ONLY",
)
_DATA_TYPES = {
    0: "uint8",
    1: "uint16",
    2: "int32",
    3: "bfloat16",
    4: "float16",
    5: "float32",
    8: "int8",
    9: "int16",
}
# Of signed numbers the package counts the zero point from the lowest one.
_LOWEST = {"int8": -(2**7), "int16": -(2**15)}
# Errors of a damaged package.
_DAMAGE = (
    struct.error,
    AttributeError,
    IndexError,
    KeyError,
    OverflowError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True)
class Layer:
    """An input or output of a program for the chip.

    Attributes:
        name: That of the model's tensor.
        shape: Height, width and channels.
        dtype: "uint8", "int8", ...
        scale: Real value of one quantised step.
        zero_point: Quantised value of the real 0.
        nbytes: Size with padding.
    """

    name: str
    shape: tuple[int, int, int]
    dtype: str
    scale: float
    zero_point: int
    nbytes: int


@dataclass(frozen=True)
class Executable:
    """A program for the chip.

    Attributes:
        type: PARAMETER_CACHING fills the chip's memory with parameters once,
            EXECUTION_ONLY runs with them there, STAND_ALONE brings all that
            it needs each time.
        parameter_bytes: Parameters that it brings.
        instruction_bytes: Its instructions.
        scratch_bytes: Memory of the host that it needs besides.
        narrow_bytes_per_tile: Of the memory next to each of the chip's tiles,
            where activations and cached parameters lie, what it may use.
        caching_token: Models with the same one were compiled together and
            cache their parameters side by side.
        chip: "beagle" is the Edge TPU.
        batch: Inputs of one run.
        estimated_cycles: The compiler's guess; 0 since compiler 14.
        inputs: Empty where it only caches.
        outputs: The same.
    """

    type: ExecutableType
    parameter_bytes: int
    instruction_bytes: int
    scratch_bytes: int
    narrow_bytes_per_tile: int
    caching_token: int
    chip: str
    batch: int
    estimated_cycles: int
    inputs: tuple[Layer, ...]
    outputs: tuple[Layer, ...]


@dataclass(frozen=True)
class Package:
    """What stands for the operators that the compiler took.

    Attributes:
        min_runtime: Oldest version of libedgetpu's runtime that loads it.
        compiler: What the compiler says of itself, often nothing.
        executables: One, or one that caches and one that runs.
    """

    min_runtime: int
    compiler: str
    executables: tuple[Executable, ...]

    @property
    def cached_bytes(self) -> int:
        """Parameters that stay on the chip."""
        return self._parameters("PARAMETER_CACHING")

    @property
    def streamed_bytes(self) -> int:
        """Parameters that are sent anew with each run."""
        return self._parameters("EXECUTION_ONLY", "STAND_ALONE")

    @property
    def caching_token(self) -> int:
        """That of the program that caches; 0 where none does."""
        return max(
            (program.caching_token for program in self.executables), default=0
        )

    @property
    def runs(self) -> Executable:
        """The program that runs for each input."""
        return next(
            program
            for program in self.executables
            if program.type != "PARAMETER_CACHING"
        )

    def _parameters(self, *types: ExecutableType) -> int:
        return sum(
            program.parameter_bytes
            for program in self.executables
            if program.type in types
        )


def read_package(custom_options: bytes) -> Package:
    """Opens the options of an `edgetpu-custom-op`.

    Raises:
        GraphError: They hold no package, or a damaged one.
    """
    try:
        options = flatbuffers.flexbuffers.GetRoot(
            bytearray(custom_options)
        ).AsMap
        content = bytearray(options[_PACKAGE_KEY].AsStringBytes)
        if content[4:8] != _IDENTIFIER:
            raise ValueError("no mark DWN1")
        read = _package(_Fields.root(content))
        if not any(
            program.type != "PARAMETER_CACHING" for program in read.executables
        ):
            raise ValueError("no program that runs")
        return read
    except _DAMAGE as error:
        raise GraphError(
            f"edgetpu-custom-op of {len(custom_options)} bytes holds no "
            f"package for the Edge TPU that can be read ({error}); compile "
            "the file anew"
        ) from error


def _package(package: _Fields) -> Package:
    programs = _Fields.root(package.blob(1))
    return Package(
        min_runtime=package.number(0, number_types.Int32Flags),
        compiler=package.text(4),
        executables=tuple(
            _executable(_Fields.root(content)) for content in programs.blobs(0)
        ),
    )


def _executable(program: _Fields) -> Executable:
    cycles = program.number(16, number_types.Int64Flags)
    return Executable(
        type=_TYPES[program.number(13, number_types.Int16Flags)],
        parameter_bytes=program.length(6),
        instruction_bytes=sum(stream.length(0) for stream in program.tables(5)),
        scratch_bytes=program.number(4, number_types.Int32Flags),
        narrow_bytes_per_tile=program.number(12, number_types.Int32Flags),
        caching_token=program.number(14, number_types.Uint64Flags),
        chip=program.text(10),
        batch=program.number(3, number_types.Int32Flags),
        estimated_cycles=cycles or program.number(11, number_types.Int32Flags),
        inputs=tuple(_layer(layer) for layer in program.tables(8)),
        outputs=tuple(_layer(layer) for layer in program.tables(9)),
    )


def _layer(layer: _Fields) -> Layer:
    height, width, channels = (
        layer.number(field, number_types.Int32Flags) for field in (2, 3, 4)
    )
    dtype = _DATA_TYPES[layer.number(6, number_types.Int16Flags)]
    numerics = layer.table(5)
    zero_point = numerics.number(0, number_types.Int32Flags) if numerics else 0
    return Layer(
        name=layer.text(0),
        shape=(height, width, channels),
        dtype=dtype,
        scale=numerics.real(1) if numerics else 0.0,
        zero_point=zero_point + _LOWEST.get(dtype, 0),
        nbytes=layer.number(1, number_types.Int32Flags),
    )


class _Fields:
    """A table of a flatbuffer, whose fields are asked for by number."""

    def __init__(self, content: bytearray, place: int):
        self._table = Table(content, place)

    @classmethod
    def root(cls, content: bytearray) -> _Fields:
        place = encode.Get(number_types.UOffsetTFlags.packer_type, content, 0)
        return cls(content, place)

    def number(self, field: int, flags: type) -> int:
        place = self._place(field)
        return int(self._table.Get(flags, place)) if place else 0

    def real(self, field: int) -> float:
        place = self._place(field)
        if not place:
            return 0.0
        return float(self._table.Get(number_types.Float32Flags, place))

    def text(self, field: int) -> str:
        place = self._place(field)
        return self._table.String(place).decode() if place else ""

    def length(self, field: int) -> int:
        vector = self._vector(field)
        return vector[1] if vector else 0

    def blob(self, field: int) -> bytearray:
        start, length = self._vector(field) or (0, 0)
        return self._table.Bytes[start : start + length]

    def blobs(self, field: int) -> Iterator[bytearray]:
        """The strings of a vector, which hold bytes."""
        for place in self._entries(field):
            start = self._table.Indirect(place)
            (length,) = struct.unpack_from("<I", self._table.Bytes, start)
            yield self._table.Bytes[start + 4 : start + 4 + length]

    def table(self, field: int) -> _Fields | None:
        place = self._place(field)
        if not place:
            return None
        return _Fields(self._table.Bytes, self._table.Indirect(place))

    def tables(self, field: int) -> Iterator[_Fields]:
        for place in self._entries(field):
            yield _Fields(self._table.Bytes, self._table.Indirect(place))

    def _entries(self, field: int) -> range:
        start, length = self._vector(field) or (0, 0)
        return range(start, start + 4 * length, 4)

    def _vector(self, field: int) -> tuple[int, int] | None:
        """Where its values start and how many there are."""
        offset = self._table.Offset(4 + 2 * field)
        if not offset:
            return None
        start, length = (
            self._table.Vector(offset),
            self._table.VectorLen(offset),
        )
        if start + length > len(self._table.Bytes):
            raise ValueError("a vector ends beyond the package")
        return start, length

    def _place(self, field: int) -> int:
        offset = self._table.Offset(4 + 2 * field)
        return offset + self._table.Pos if offset else 0
