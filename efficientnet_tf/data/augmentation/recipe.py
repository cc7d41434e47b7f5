"""What a person decides about augmentation. No TensorFlow here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from efficientnet_tf.data.augmentation.policies import Policy

Arithmetic = Literal["original", "clean", "fused"]
Filling = Literal["mean", "noise"]


@dataclass(frozen=True)
class Jitter:
    """Random changes of colour, as torchvision's `ColorJitter`.

    A factor is drawn from 1 - x to 1 + x, and not below 0; hue is turned by -x
    to x of the whole circle. The changes come in a random order.

    Attributes:
        brightness: x of the blend with black.
        contrast: x of the blend with the mean grey.
        saturation: x of the blend with the grey image.
        hue: x of the turn, at most 0.5.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0

    def __bool__(self) -> bool:
        """Whether anything is changed."""
        return any((self.brightness, self.contrast, self.saturation, self.hue))


@dataclass(frozen=True)
class Erasing:
    """Random erasing (arXiv 1708.04896): a rectangle of an image is lost.

    Attributes:
        probability: Of an image's losing one.
        filling: "mean" for the colour that normalizes to zero, "noise" for
            values drawn evenly from 0 to 255, the paper's best.
        mean: That colour, on 0..255.
    """

    probability: float = 0.0
    filling: Filling = "mean"
    mean: tuple[float, float, float] = (127.5, 127.5, 127.5)


@dataclass(frozen=True)
class Augmentation:
    """What is done to a training image after cropping and mirroring it.

    In this order: the policy's ops, jitter, erasing.

    Attributes:
        policy: Which ops an image gets.
        arithmetic: How they are computed; see `original`, `clean` and
            `fused`.
        layers: Of RandAugment: how many ops an image gets.
        magnitude: Of RandAugment: the level of all of them.
        jitter: Changes of colour.
        erasing: What is cut out.
    """

    policy: Policy = "none"
    arithmetic: Arithmetic = "original"
    layers: int = 2
    magnitude: int = 10
    jitter: Jitter = Jitter()
    erasing: Erasing = Erasing()


NO_AUGMENTATION = Augmentation()
