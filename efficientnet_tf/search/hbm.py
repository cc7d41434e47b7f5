"""What a training step holds in the memory of a TPU core: an estimate.

Weights, averages and the optimizer's slots are counted. What the backward pass
needs is estimated: a number of bfloat16 tensors for each convolution, of the
size of its output as a TPU lays it out. The number suits the compiled steps in
docs/rehearsals; docs/scaling.md holds it against them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from efficientnet_tf.networks import Network, totals
from efficientnet_tf.networks.costs import all_convolutions

# Tensors that are kept for each convolution: the median of the rehearsals
# without rematerialization (1.1 to 1.8).
KEPT = 1.53
# What the programs take, and what the compiler gives no name: 122 to 513 MiB
# in the rehearsals.
PROGRAM_BYTES = 256 * 2**20

_FLOAT_BYTES = 4
_BFLOAT16_BYTES = 2
# RMSProp has a mean square and a momentum.
_SLOTS = 2
# A tile of a TPU's memory: the second last dimension and the last.
_SUBLANES, _LANES = 8, 128

BASIS = (
    "training memory is an estimate: float32 weights, averages, gradients and "
    "two slots of RMSProp, and 1.53 bfloat16 tensors for each convolution, no "
    "remat; it was off by -13 to +45 % against four compiled steps "
    "(docs/scaling.md): rehearse before you rely on it"
)


@dataclass(frozen=True)
class TrainingBytes:
    """Memory of a core, by what holds it.

    Attributes:
        state: Weights, averages and slots, from step to step.
        gradients: Of all weights at once.
        activations: Kept for the backward pass.
        images: What comes in.
        program: The code, and what has no name.
    """

    state: int
    gradients: int
    activations: int
    images: int
    program: int = PROGRAM_BYTES

    @property
    def total(self) -> int:
        """All of it at once."""
        return (
            self.state
            + self.gradients
            + self.activations
            + self.images
            + self.program
        )


def training_bytes(network: Network, images: int) -> TrainingBytes:
    """Estimates the memory of a training step of the default recipe.

    Args:
        network: What is trained.
        images: That a core takes at once.
    """
    weights = _FLOAT_BYTES * totals(network).trainable_parameters
    kept = sum(_padded(network, images))
    return TrainingBytes(
        state=(2 + _SLOTS) * weights,
        gradients=weights,
        activations=round(KEPT * _BFLOAT16_BYTES * kept),
        images=_BFLOAT16_BYTES * 3 * network.pixels**2 * images,
    )


def _padded(network: Network, images: int) -> Iterator[int]:
    """Numbers in the output of each convolution, as it lies in memory.

    Either channels or images fill the lanes, whichever wastes less.
    """
    for part in all_convolutions(network):
        if part.pixels > 1:
            yield part.pixels**2 * min(
                images * _up(part.outputs, _LANES),
                _up(images, _LANES) * _up(part.outputs, _SUBLANES),
            )


def _up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple
