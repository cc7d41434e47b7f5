"""The parts of a network, as training tells them apart. No TensorFlow here.

Layers are known by the names that the builder gives them.
"""

from __future__ import annotations

from efficientnet_tf.errors import InputError
from efficientnet_tf.networks import HEAD, Network


def freezable(network: Network) -> list[str]:
    """What `train.freeze` can be, from nothing to all but the classifier."""
    stages = dict.fromkeys(block.stage for block in network.blocks)
    names = [f"stage{number}" for number in stages]
    return ["none", "stem", *names, "backbone"]


def frozen_prefixes(network: Network, freeze: str) -> tuple[str, ...]:
    """How the names of frozen layers begin.

    Args:
        network: Whose layers they are.
        freeze: "none"; "stem"; "stageN" for the stem and the stages up to N,
            numbered from 1 as in `python main.py describe`; "backbone" for
            all but the classifier.

    Raises:
        InputError: The network has no such part.
    """
    parts = freezable(network)
    if freeze not in parts:
        raise InputError(
            f"train.freeze {freeze!r}: {network.name} has {', '.join(parts)}"
        )
    if freeze == "none":
        return ()
    top = ("top_conv", "top_bn") if freeze == "backbone" else ()
    stages = len(parts) if top else parts.index(freeze) - parts.index("stem")
    blocks = [
        f"block{block.name}_"
        for block in network.blocks
        if block.stage <= stages
    ]
    return ("stem_", *blocks, *top)


def is_of_head(weight_path: str) -> bool:
    """Whether a variable, `layer/name`, is the classifier's."""
    return weight_path.partition("/")[0] == HEAD


def decays(weight_path: str) -> bool:
    """Whether weight decay covers a variable.

    As in the original all but batch norm: kernels, and biases too.
    """
    return weight_path.rpartition("/")[2] not in ("gamma", "beta")


def is_kernel(weight_path: str) -> bool:
    """Whether a variable is no batch norm's and no bias."""
    return weight_path.rpartition("/")[2] not in ("gamma", "beta", "bias")
