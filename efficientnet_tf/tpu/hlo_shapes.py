"""Shapes in HLO text, and the bytes that they take as they are laid out.

A TPU's memory holds tiles: `bf16[8,7]{1,0:T(8,128)(2,1)}` fills one of 8 by
128 elements, whose rows are woven in pairs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import ceil, prod

# Memory spaces of a layout, `S(n)`: none is the device's main memory, 1 the
# vector memory on the chip, the others scalars, semaphores and the host.
HBM = 0
VMEM = 1

_TOKEN = re.compile(
    r"(?P<open>\()|(?P<close>\))"
    r"|(?P<dtype>[a-z]\w*)\[(?P<dims>[\d,<=]*)\](?:\{(?P<layout>[^}]*)\})?"
)
_TILES = re.compile(r"T((?:\([\d,*]+\))+)")
_SPACE = re.compile(r"S\((\d+)\)")
_BITS = re.compile(r"E\((\d+)\)")
_WIDTH = re.compile(r"\d+")


@dataclass(frozen=True)
class Array:
    """An array as it is laid out.

    Attributes:
        dtype: `bf16`, `f32`, `s32` ...
        dims: The logical shape.
        minor_to_major: Its axes, the one that is contiguous first.
        tiles: What the layout cuts the array into; each tile cuts the one
            before it.
        space: Memory space, 0 for HBM.
        bits: Of one element.
    """

    dtype: str
    dims: tuple[int, ...]
    minor_to_major: tuple[int, ...]
    tiles: tuple[tuple[int, ...], ...]
    space: int
    bits: int

    @property
    def unpadded_bytes(self) -> int:
        """Bytes of the elements alone."""
        return ceil(prod(self.dims) * self.bits / 8)

    @cached_property
    def bytes(self) -> int:
        """Bytes that it occupies: every tile is filled up."""
        dims = [self.dims[axis] for axis in reversed(self.minor_to_major)]
        for tile in self.tiles:
            missing = len(tile) - len(dims)
            dims = [1] * missing + dims
            cut = len(dims) - len(tile)
            counts = [
                ceil(d / t) for d, t in zip(dims[cut:], tile, strict=True)
            ]
            dims = [*dims[:cut], *counts, *tile]
        return ceil(prod(dims) * self.bits / 8)

    @property
    def hbm_bytes(self) -> int:
        """Bytes in HBM: none for what lies elsewhere."""
        return self.bytes if self.space == HBM else 0

    def __str__(self) -> str:
        return f"{self.dtype}[{','.join(map(str, self.dims))}]"


@dataclass(frozen=True)
class Shape:
    """A shape: an array, or a tuple of shapes.

    Attributes:
        arrays: All arrays in it, in order, however deep they sit.
        spans: For each element of a tuple, where its arrays begin and end
            in `arrays`; None for an array.
    """

    arrays: tuple[Array, ...]
    spans: tuple[tuple[int, int], ...] | None

    @property
    def hbm_bytes(self) -> int:
        """Bytes of its arrays in HBM."""
        return sum(array.hbm_bytes for array in self.arrays)


@lru_cache(maxsize=65536)
def parse_shape(text: str) -> Shape:
    """Read a shape such as `bf16[8,7]{1,0:T(8,128)(2,1)}` or a tuple."""
    arrays: list[Array] = []
    spans: list[tuple[int, int]] = []
    depth = begin = 0
    for match in _TOKEN.finditer(text):
        if match["open"]:
            depth += 1
            begin = len(arrays) if depth == 2 else begin
        elif match["close"]:
            depth -= 1
            if depth == 1:
                spans.append((begin, len(arrays)))
        else:
            arrays.append(
                _array(match["dtype"], match["dims"], match["layout"] or "")
            )
            if depth == 1:
                spans.append((len(arrays) - 1, len(arrays)))
    return Shape(tuple(arrays), tuple(spans) if text[:1] == "(" else None)


def _array(dtype: str, dims: str, layout: str) -> Array:
    sides = tuple(int(n.lstrip("<=")) for n in dims.split(",") if n)
    order, _, rest = layout.partition(":")
    axes = tuple(int(n) for n in order.split(",") if n)
    tiles = _TILES.search(rest)
    space = _SPACE.search(rest)
    bits = _BITS.search(rest)
    return Array(
        dtype,
        sides,
        axes if len(axes) == len(sides) else tuple(reversed(range(len(sides)))),
        _tiles(tiles[1]) if tiles else (),
        int(space[1]) if space else HBM,
        int(bits[1]) if bits else _bits(dtype),
    )


def _tiles(text: str) -> tuple[tuple[int, ...], ...]:
    """Tiles of `(8,128)(2,1)`. A `*`, never seen from a TPU, pads nothing."""
    return tuple(
        tuple(1 if n == "*" else int(n) for n in tile.split(","))
        for tile in text.strip("()").split(")(")
    )


def _bits(dtype: str) -> int:
    if dtype == "pred":
        return 8
    if dtype in ("token", "opaque"):
        return 0
    width = _WIDTH.search(dtype)
    return int(width[0]) if width else 8
