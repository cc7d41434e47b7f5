"""What keras.applications calls the layers of our networks.

EfficientNets have the same names here and there, but for one of V2's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from efficientnet_tf.networks import HEAD

_BLOCK_LAYER = re.compile(r"block(\d+)([a-z]+)_(.+)")


@dataclass(frozen=True)
class Naming:
    """A family's names there.

    Attributes:
        ends: Those of stem and top by ours.
        parts: Those of a block's layers by what ours are called behind the
            block's name. `number` counts blocks from 1, `before` from 0,
            `place` those of a stage from 1, and `group` counts stages from 2.
        first: What begins the names of the first block, in place of what
            begins the others', if that differs.
        blue_first: Whether the stem takes blue, green, red.
    """

    ends: dict[str, str]
    parts: dict[str, str]
    first: tuple[str, str] = ("", "")
    blue_first: bool = False


# By how the names of their models begin.
_NAMINGS = {
    "mobilenet_": Naming(
        ends={"stem_conv": "conv1", "stem_bn": "conv1_bn", HEAD: "conv_preds"},
        parts={
            "dwconv": "conv_dw_{number}",
            "bn": "conv_dw_{number}_bn",
            "project_conv": "conv_pw_{number}",
            "project_bn": "conv_pw_{number}_bn",
        },
    ),
    "mobilenetv2_": Naming(
        ends={
            "stem_conv": "Conv1",
            "stem_bn": "bn_Conv1",
            "top_conv": "Conv_1",
            "top_bn": "Conv_1_bn",
        },
        parts={
            "expand_conv": "block_{before}_expand",
            "expand_bn": "block_{before}_expand_BN",
            "dwconv": "block_{before}_depthwise",
            "bn": "block_{before}_depthwise_BN",
            "project_conv": "block_{before}_project",
            "project_bn": "block_{before}_project_BN",
        },
        first=("block_0_", "expanded_conv_"),
    ),
    "resnet": Naming(
        ends={"stem_conv": "conv1_conv", "stem_bn": "conv1_bn"},
        parts={
            f"{ours}_{kind}": f"conv{{group}}_block{{place}}_{theirs}_{kind}"
            for theirs, ours in enumerate(
                ("shortcut", "reduce", "filter", "project")
            )
            for kind in ("conv", "bn")
        },
        blue_first=True,
    ),
}


def naming_of(application: str) -> Naming | None:
    """The names in a model of keras.applications; None where they are ours."""
    for start, naming in _NAMINGS.items():
        if application.startswith(start):
            return naming
    return None


def their_names(layers: Iterable[str], naming: Naming) -> dict[str, str]:
    """Names there by ours.

    Args:
        layers: All of a network's, each block's after those of the one before.
        naming: Of the family.

    Returns:
        Such as `naming` knows; the others have the same name.
    """
    numbers: dict[tuple[int, str], int] = {}
    found = dict(naming.ends)
    for layer in layers:
        match = _BLOCK_LAYER.fullmatch(layer)
        if not match:
            continue
        stage, letters, part = int(match[1]), match[2], match[3]
        number = numbers.setdefault((stage, letters), len(numbers) + 1)
        if part not in naming.parts:
            continue
        place = sum(known == stage for known, _ in numbers)
        found[layer] = (
            naming.parts[part]
            .format(
                number=number, before=number - 1, place=place, group=stage + 1
            )
            .replace(*naming.first)
        )
    return found
