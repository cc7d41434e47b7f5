"""How much of the Edge TPU's memory parameters take.

An estimate: the layout is Google's secret. Kernels are stored in whole blocks,
of channels in and out; each channel out has eight bytes besides, and each
operator fills whole lines. The sizes of the blocks were found by trying, so
that they suit compiled files and the compiler's figures for
EfficientNet-EdgeTPU-S and M; docs/coral.md has what is off by how much.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

KernelKind = Literal["conv", "dense", "gate", "depthwise"]

# A kernel's channels in and out are filled up to a multiple of these.
_BLOCKS: dict[KernelKind, tuple[int, int]] = {
    "conv": (16, 64),
    "dense": (16, 16),
    "gate": (64, 64),
}
_DEPTHWISE, _DEPTHWISE_COPIES = 16, 4
# The bias, and how sums become int8 again.
_CHANNEL_BYTES = 8
_LINE_BYTES = 64

# Of the 8 MiB on the chip, what is left for parameters. The compiler's "used"
# and "remaining" add up to 7.41 MiB for EfficientNet-EdgeTPU-S and M, and to
# between 6.74 MiB (large activations) and 7.85 MiB (tiny models) in other logs.
CACHE_BYTES = round(7.41 * 2**20)
SMALLEST_CACHE_BYTES = round(6.74 * 2**20)


@dataclass(frozen=True)
class Memory:
    """Where the parameters would be.

    Attributes:
        parameter_bytes: All of them, as the chip stores them.
        on_chip_bytes: Those that stay on the chip.
        streamed_bytes: Those that are sent anew for each input.
    """

    parameter_bytes: int
    on_chip_bytes: int
    streamed_bytes: int


def memory(parameter_bytes: int) -> Memory:
    """Divides parameters between the chip and the host.

    Args:
        parameter_bytes: Of all operators, as the chip stores them.
    """
    cached = min(parameter_bytes, CACHE_BYTES)
    return Memory(parameter_bytes, cached, parameter_bytes - cached)


def kernel_bytes(
    kind: KernelKind, places: int, inputs: int, outputs: int
) -> int:
    """What a kernel and its biases take on the chip.

    Args:
        kind: "conv"; "dense" for a dense layer, and for a convolution that is
            applied to one place; "gate" for those of an LSTM; "depthwise".
        places: Height times width.
        inputs: Channels in; of no account for a depthwise kernel.
        outputs: Channels out.
    """
    if kind == "depthwise":
        filled = _up(outputs, _DEPTHWISE) * _DEPTHWISE_COPIES
    else:
        block_in, block_out = _BLOCKS[kind]
        filled = _up(inputs, block_in) * _up(outputs, block_out)
    return lines(places * filled + _CHANNEL_BYTES * outputs)


def lines(number: int) -> int:
    """Bytes in whole lines."""
    return _up(number, _LINE_BYTES)


def _up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple
