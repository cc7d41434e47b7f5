"""The networks of the paper's tables, and what they cost as built here.

Source: Tan and Le, arXiv 1905.11946v5: table 2 (the family), table 3 (other
networks scaled) and table 7 (B0 scaled in one dimension). Its FLOPs are
multiply-adds. Accuracies are published ones, on ImageNet.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from efficientnet_tf.networks import (
    NamedVariant,
    find_variant,
    network,
    totals,
)

B0 = "efficientnet-b0"
_V1, _V2, _RESNET = "mobilenet-v1", "mobilenet-v2", "resnet-50-v1.5"


@dataclass(frozen=True)
class Published:
    """A row of one of the tables.

    Attributes:
        base: The network that is scaled.
        how: In the paper's words.
        depth: Factor of depth.
        width: Factor of width.
        resolution: Factor of the image.
        gmacs: Published billions of multiply-adds.
        top1: Published, in per cent.
        given: Whether the paper gives the factors; where it does not they are
            those that it gives for MobileNetV1.
    """

    base: str
    how: str
    depth: float
    width: float
    resolution: float
    gmacs: float
    top1: float
    given: bool = True

    @property
    def counted(self) -> int:
        """Multiply-adds of the network as built here."""
        pixels = find_variant(self.base).variant.pixels
        return self.counted_at(round(pixels * self.resolution))

    def counted_at(self, pixels: int) -> int:
        """The same with images of another size."""
        name, base = find_variant(self.base)
        variant = dataclasses.replace(
            base,
            depth=base.depth * self.depth,
            width=base.width * self.width,
            pixels=pixels,
        )
        return totals(network(NamedVariant(name, variant))).macs

    @property
    def difference(self) -> float:
        """Of the count from the published figure, as a share of the latter."""
        return self.counted / 1e9 / self.gmacs - 1


# Table 2.
FAMILY = tuple(
    Published(f"efficientnet-b{number}", "", 1, 1, 1, gmacs, top1)
    for number, (gmacs, top1) in enumerate(
        (
            (0.39, 77.1),
            (0.70, 79.1),
            (1.0, 80.1),
            (1.8, 81.6),
            (4.2, 82.9),
            (9.9, 83.6),
            (19, 84.0),
            (37, 84.3),
        )
    )
)
# Table 7.
ONE_DIMENSION = (
    Published(B0, "baseline", 1, 1, 1, 0.4, 77.3),
    Published(B0, "depth, d=4", 4, 1, 1, 1.8, 79.0),
    Published(B0, "width, w=2", 1, 2, 1, 1.8, 78.9),
    Published(B0, "resolution, r=2", 1, 1, 2, 1.9, 79.1),
    Published(B0, "compound, d=1.4, w=1.2, r=1.3", 1.4, 1.2, 1.3, 1.8, 81.1),
)
# Table 3.
OTHERS = (
    Published(_V1, "baseline", 1, 1, 1, 0.6, 70.6),
    Published(_V1, "width, w=2", 1, 2, 1, 2.2, 74.2),
    Published(_V1, "resolution, r=2", 1, 1, 2, 2.2, 72.7),
    Published(_V1, "compound, d=1.4, w=1.2, r=1.3", 1.4, 1.2, 1.3, 2.3, 75.6),
    Published(_V2, "baseline", 1, 1, 1, 0.3, 72.0),
    Published(_V2, "depth, d=4", 4, 1, 1, 1.2, 76.8),
    Published(_V2, "width, w=2", 1, 2, 1, 1.1, 76.4),
    Published(_V2, "resolution, r=2", 1, 1, 2, 1.2, 74.8),
    Published(_V2, "compound", 1.4, 1.2, 1.3, 1.3, 77.4, given=False),
    Published(_RESNET, "baseline", 1, 1, 1, 4.1, 76.0),
    Published(_RESNET, "depth, d=4", 4, 1, 1, 16.2, 78.1),
    Published(_RESNET, "width, w=2", 1, 2, 1, 14.7, 77.7),
    Published(_RESNET, "resolution, r=2", 1, 1, 2, 16.4, 77.5),
    Published(_RESNET, "compound", 1.4, 1.2, 1.3, 16.7, 78.8, given=False),
)
