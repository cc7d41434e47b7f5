"""TPUs by name: what a core of each generation can hold and do."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import NamedTuple

from efficientnet_tf.errors import InputError, near

_GIB = 2**30
# Those that the compiler knows a single chip of.
_SINGLE_CHIPS = ("v5e", "v6e")


class Generation(NamedTuple):
    """A core, as the compiler counts them.

    `hbm_gib` is what the compiler of libtpu 0.0.21 lets a program use, read
    off its own errors. Arithmetic and bandwidth are Google's published figures
    for a chip, divided by its cores
    (https://cloud.google.com/tpu/docs/system-architecture-tpu-vm).
    """

    cores_per_chip: int
    dimensions: int
    hbm_gib: float
    peak_tflops: float  # of bfloat16
    hbm_gb_per_second: float


# fmt: off
GENERATIONS = {
    #                 cores dims   HBM  TFLOP/s  GB/s
    "v2":  Generation(  2,    2,  7.48,   22.5,   350),
    "v3":  Generation(  2,    2, 15.48,   61.5,   450),
    "v4":  Generation(  2,    3, 15.25,  137.5,   600),
    "v5e": Generation(  1,    2, 15.75,  197.0,   819),
    "v5p": Generation(  1,    3, 95.74,  459.0,  2765),
    "v6e": Generation(  1,    2, 31.25,  918.0,  1640),
}
# fmt: on


@dataclass(frozen=True)
class Topology:
    """A slice of a TPU.

    Attributes:
        name: As the compiler spells it, such as "v5e:2x4".
        kind: Its generation's name.
        chips: Along each dimension.
    """

    name: str
    kind: str
    chips: tuple[int, ...]

    @property
    def generation(self) -> Generation:
        """What its cores can hold and do."""
        return GENERATIONS[self.kind]

    @property
    def cores(self) -> int:
        """Of all chips; each is a replica."""
        return math.prod(self.chips) * self.generation.cores_per_chip

    @property
    def hbm_bytes(self) -> int:
        """What a program may use of a core's memory."""
        return round(self.generation.hbm_gib * _GIB)


def parse_topology(text: str) -> Topology:
    """Reads a name such as v5e:2x4: a generation and its chips.

    Raises:
        InputError: There is no such generation or shape.
    """
    kind, _, shape = text.partition(":")
    if kind not in GENERATIONS:
        raise InputError(
            f"--topology {text!r}: unknown generation {kind!r}: "
            f"{near(kind, GENERATIONS)}"
        )
    dimensions = GENERATIONS[kind].dimensions
    like = f"{kind}:{'x'.join(['2'] * dimensions)}"
    if not re.fullmatch(r"[1-9]\d*(x[1-9]\d*)*", shape):
        raise InputError(
            f"--topology {text!r}: behind the generation come its chips, "
            f"such as {like}"
        )
    chips = tuple(int(size) for size in shape.split("x"))
    # The compiler's own spelling of a flat slice of v4 and v5p: 2x2x1.
    if len(chips) != dimensions:
        raise InputError(
            f"--topology {text!r}: chips of {kind} stand in {dimensions} "
            f"dimensions, such as {like}"
        )
    if any(size % 2 for size in chips[:2]) and not (
        chips == (1, 1) and kind in _SINGLE_CHIPS
    ):
        raise InputError(
            f"--topology {text!r}: the compiler knows slices of whole hosts, "
            f"2x2 chips each, so the first two sizes must be even, as in {like}"
            + (f", or {kind}:1x1" if kind in _SINGLE_CHIPS else "")
        )
    return Topology(text, kind, chips)
