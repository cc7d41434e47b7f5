"""What the networks are. Standard library only."""

from efficientnet_tf.networks.blocks import HEAD, Block, Network
from efficientnet_tf.networks.costs import Cost, Totals, costs, totals
from efficientnet_tf.networks.resolve import (
    alias,
    find_variant,
    network,
    variants,
)
from efficientnet_tf.networks.stages import (
    IMAGENET_CLASSES,
    MIN_PIXELS,
    Activation,
    Alias,
    FusedStride,
    HeadInit,
    Normalization,
    NormalizationName,
    Variant,
)
from efficientnet_tf.networks.variant_files import (
    NamedVariant,
    parse_variant,
    read_variant,
    variant_dict,
    variant_from_dict,
    variant_text,
    write_variant,
)

__all__ = [
    "HEAD",
    "IMAGENET_CLASSES",
    "MIN_PIXELS",
    "Activation",
    "Alias",
    "Block",
    "Cost",
    "FusedStride",
    "HeadInit",
    "NamedVariant",
    "Network",
    "Normalization",
    "NormalizationName",
    "Totals",
    "Variant",
    "alias",
    "costs",
    "find_variant",
    "network",
    "parse_variant",
    "read_variant",
    "totals",
    "variant_dict",
    "variant_from_dict",
    "variant_text",
    "variants",
    "write_variant",
]
