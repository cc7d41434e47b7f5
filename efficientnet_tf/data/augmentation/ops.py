"""The ops of AutoAugment and RandAugment, as a table. No TensorFlow here.

What an op computes is the matter of an arithmetic (`arithmetics`); what it is,
and what a level means to it, is the same for all of them.

Source: tensorflow/tpu `models/official/efficientnet/autoaugment.py` at commit
7dc921f; AutoAugment, arXiv 1805.09501, table 6.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Op = Literal[
    "AutoContrast",
    "Equalize",
    "Invert",
    "Rotate",
    "Posterize",
    "Solarize",
    "Color",
    "Contrast",
    "Brightness",
    "Sharpness",
    "ShearX",
    "ShearY",
    "TranslateX",
    "TranslateY",
    "Cutout",
    "SolarizeAdd",
]

# "lookup": a value becomes another, whatever the channel and the image.
# "statistics": the same, after a look at all of the image.
# "channels": a pixel's channels are mixed.
# "affine": pixels move, x and y by an affine map, and what comes from outside
# is grey.
# "neighbourhood": a pixel is mixed with those around it.
# "patch": a square is painted over.
Kind = Literal[
    "lookup", "statistics", "channels", "affine", "neighbourhood", "patch"
]

# The level that the formulae were made for; RandAugment goes beyond.
FULL_LEVEL = 10.0

# Of what comes from outside the image, and of patches.
GREY = 128


@dataclass(frozen=True)
class Reach:
    """How far full level goes where that depends on the policy.

    Attributes:
        translate: Pixels that an image is moved.
        cutout: Pixels from the centre of a patch to its sides.
    """

    translate: int
    cutout: int


@dataclass(frozen=True)
class OpRow:
    """What an op is.

    Attributes:
        kind: What it needs to see of an image.
        argument: From a level's share of the full one, 0..1 and beyond, to
            the op's argument: degrees of `Rotate`, bits that `Posterize`
            keeps, the value from which `Solarize` inverts, what `SolarizeAdd`
            adds, the share of the image in the blends of `Color`, `Contrast`,
            `Brightness` and `Sharpness`, pixels across per pixel down of the
            shears, pixels of the translations, half a side of `Cutout`. An
            argument may lie beyond what an image can take.
        signed: Whether half of the images get it negated.
    """

    kind: Kind
    argument: Callable[[float, Reach], float]
    signed: bool = False


def _none(share: float, reach: Reach) -> float:
    return 0.0


def _blend(share: float, reach: Reach) -> float:
    return share * 1.8 + 0.1


def _shear(share: float, reach: Reach) -> float:
    return share * 0.3


def _translate(share: float, reach: Reach) -> float:
    return share * reach.translate


# In the order of the original's list for RandAugment.
# fmt: off
OPS: dict[Op, OpRow] = {
    "AutoContrast": OpRow("statistics", _none),
    "Equalize":     OpRow("statistics", _none),
    "Invert":       OpRow("lookup", _none),
    "Rotate":       OpRow("affine", lambda share, _: share * 30, signed=True),
    "Posterize":    OpRow("lookup", lambda share, _: int(share * 4)),
    "Solarize":     OpRow("lookup", lambda share, _: int(share * 256)),
    "Color":        OpRow("channels", _blend),
    "Contrast":     OpRow("statistics", _blend),
    "Brightness":   OpRow("lookup", _blend),
    "Sharpness":    OpRow("neighbourhood", _blend),
    "ShearX":       OpRow("affine", _shear, signed=True),
    "ShearY":       OpRow("affine", _shear, signed=True),
    "TranslateX":   OpRow("affine", _translate, signed=True),
    "TranslateY":   OpRow("affine", _translate, signed=True),
    "Cutout":       OpRow("patch", lambda share, at: int(share * at.cutout)),
    "SolarizeAdd":  OpRow("lookup", lambda share, _: int(share * 110)),
}
# fmt: on


def argument(op: Op, level: float, reach: Reach) -> float:
    """What an op is given at a level, before its sign is drawn.

    Args:
        op: Which.
        level: 0 to 10, or beyond with RandAugment.
        reach: The policy's constants.
    """
    return float(OPS[op].argument(level / FULL_LEVEL, reach))
