"""How fast a train step could be, by its arithmetic and by its bytes."""

from __future__ import annotations

from dataclasses import dataclass

from efficientnet_tf.networks import Network, totals

# A product and a sum; forward, and backward for the inputs and the weights.
_FLOPS_PER_MAC = 2
_PASSES = 3
# Of what every convolution gives, however well operations are fused: written
# and read by the forward pass, read again by the backward pass, whose gradient
# of it is written and read.
_TOUCHES = 5
_FLOAT_BYTES = 4


@dataclass(frozen=True)
class Bound:
    """What no train step can surpass.

    Attributes:
        images_per_second: The lower of the two.
        by: "FLOPs" or "bytes", whichever it is.
    """

    images_per_second: float
    by: str


def flops_per_image(network: Network) -> float:
    """Floating-point operations of a step, for one image."""
    return float(_PASSES * _FLOPS_PER_MAC * totals(network).macs)


def bytes_per_image(network: Network) -> float:
    """Float32 bytes that a step moves at least, for one image.

    Weights are not counted: a batch shares them.
    """
    return float(_TOUCHES * _FLOAT_BYTES * totals(network).activations)


def bound(network: Network, flops: float, bandwidth: float) -> Bound:
    """The bound of a machine.

    Args:
        network: What is trained.
        flops: Floating-point operations per second.
        bandwidth: Bytes per second.
    """
    by_flops = flops / flops_per_image(network)
    by_bytes = bandwidth / bytes_per_image(network)
    if by_flops < by_bytes:
        return Bound(by_flops, "FLOPs")
    return Bound(by_bytes, "bytes")
