"""Which ops an image gets, how likely and how strongly. No TensorFlow here.

Source: tensorflow/tpu `models/official/efficientnet/autoaugment.py` at commit
7dc921f, where the policy is called "v0".
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from efficientnet_tf.data.augmentation.ops import OPS, Op, Reach

Policy = Literal["none", "autoaugment", "randaugment"]


class Step(NamedTuple):
    """An op of AutoAugment.

    Attributes:
        op: Which.
        probability: Of its being applied.
        level: How strongly, 0 to 10.
    """

    op: Op
    probability: float
    level: int


# An image gets one of the 25, all as likely, and of that the first step and
# then the second.
# fmt: off
AUTOAUGMENT: tuple[tuple[Step, Step], ...] = (
    (Step("Equalize",  0.8, 1), Step("ShearY",       0.8,  4)),
    (Step("Color",     0.4, 9), Step("Equalize",     0.6,  3)),
    (Step("Color",     0.4, 1), Step("Rotate",       0.6,  8)),
    (Step("Solarize",  0.8, 3), Step("Equalize",     0.4,  7)),
    (Step("Solarize",  0.4, 2), Step("Solarize",     0.6,  2)),
    (Step("Color",     0.2, 0), Step("Equalize",     0.8,  8)),
    (Step("Equalize",  0.4, 8), Step("SolarizeAdd",  0.8,  3)),
    (Step("ShearX",    0.2, 9), Step("Rotate",       0.6,  8)),
    (Step("Color",     0.6, 1), Step("Equalize",     1.0,  2)),
    (Step("Invert",    0.4, 9), Step("Rotate",       0.6,  0)),
    (Step("Equalize",  1.0, 9), Step("ShearY",       0.6,  3)),
    (Step("Color",     0.4, 7), Step("Equalize",     0.6,  0)),
    (Step("Posterize", 0.4, 6), Step("AutoContrast", 0.4,  7)),
    (Step("Solarize",  0.6, 8), Step("Color",        0.6,  9)),
    (Step("Solarize",  0.2, 4), Step("Rotate",       0.8,  9)),
    (Step("Rotate",    1.0, 7), Step("TranslateY",   0.8,  9)),
    (Step("ShearX",    0.0, 0), Step("Solarize",     0.8,  4)),
    (Step("ShearY",    0.8, 0), Step("Color",        0.6,  4)),
    (Step("Color",     1.0, 0), Step("Rotate",       0.6,  2)),
    (Step("Equalize",  0.8, 4), Step("Equalize",     0.0,  8)),
    (Step("Equalize",  1.0, 4), Step("AutoContrast", 0.6,  2)),
    (Step("ShearY",    0.4, 7), Step("SolarizeAdd",  0.6,  7)),
    (Step("Posterize", 0.8, 2), Step("Solarize",     0.6, 10)),
    (Step("Solarize",  0.6, 8), Step("Equalize",     0.6,  1)),
    (Step("Color",     0.8, 6), Step("Rotate",       0.4,  5)),
)
# fmt: on
AUTOAUGMENT_REACH = Reach(translate=250, cutout=100)

# Each layer of RandAugment takes one of them, all as likely, and applies it.
RANDAUGMENT: tuple[Op, ...] = tuple(OPS)
RANDAUGMENT_REACH = Reach(translate=100, cutout=40)
# "Usually best values will be in the range [5, 30]", says the original.
HIGHEST_MAGNITUDE = 30
