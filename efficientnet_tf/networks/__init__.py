"""What the networks are. Standard library only."""

from efficientnet_tf.networks.costs import Cost, Totals, costs, totals
from efficientnet_tf.networks.resolve import Block, Network, network, variants
from efficientnet_tf.networks.stages import Activation, Normalization

__all__ = [
    "Activation",
    "Block",
    "Cost",
    "Network",
    "Normalization",
    "Totals",
    "costs",
    "network",
    "totals",
    "variants",
]
