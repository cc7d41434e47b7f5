"""What the networks are. Standard library only."""

from efficientnet_tf.networks.blocks import HEAD, Block, Network
from efficientnet_tf.networks.costs import Cost, Totals, costs, totals
from efficientnet_tf.networks.resolve import (
    alias,
    network,
    published_stride,
    variants,
)
from efficientnet_tf.networks.stages import (
    IMAGENET_CLASSES,
    Activation,
    Alias,
    FusedStride,
    HeadInit,
    Normalization,
    NormalizationName,
)

__all__ = [
    "HEAD",
    "IMAGENET_CLASSES",
    "Activation",
    "Alias",
    "Block",
    "Cost",
    "FusedStride",
    "HeadInit",
    "Network",
    "Normalization",
    "NormalizationName",
    "Totals",
    "alias",
    "costs",
    "network",
    "published_stride",
    "totals",
    "variants",
]
