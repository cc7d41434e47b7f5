"""Which function makes a block of which kind."""

from __future__ import annotations

from collections.abc import Callable

import keras

from efficientnet_tf.modeling.inverted_block import inverted
from efficientnet_tf.modeling.maker import Maker
from efficientnet_tf.modeling.older_blocks import bottleneck, separable
from efficientnet_tf.networks import Block
from efficientnet_tf.networks.stages import Kind

# From a maker of layers, the features, the block, and the features' mean on a
# replica, `[c]`, where the block before told: to the next features, and their
# mean where that is known and helps.
MakeBlock = Callable[
    [Maker, keras.KerasTensor, Block, keras.KerasTensor | None],
    tuple[keras.KerasTensor, keras.KerasTensor | None],
]

BLOCKS: dict[Kind, MakeBlock] = {
    "mbconv": inverted,
    "fused": inverted,
    "separable": separable,
    "bottleneck": bottleneck,
}
