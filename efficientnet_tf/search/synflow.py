"""A figure of an untrained network that is said to foretell its accuracy.

Tanaka et al. 2020, "Pruning neural networks without any data by iteratively
conserving synaptic flow", as a figure of a whole network: Abdelfattah et al.
2021, "Zero-Cost Proxies for Lightweight NAS".
"""

from __future__ import annotations

import math
from dataclasses import replace

import keras
import numpy as np
import tensorflow as tf

from efficientnet_tf.errors import RunError
from efficientnet_tf.modeling.build import build_network
from efficientnet_tf.networks import Network


def synflow(network: Network, seed: int = 0) -> float:
    """The decimal logarithm of the synaptic flow.

    Every weight is replaced by its size, the image is of ones, batch norms are
    left as they begin; then each weight is multiplied by the gradient of the
    sum of the pooled features, and all are added. The classifier is left out:
    its logits are float32, which overflows. Activations are taken for ReLU,
    which passes all that is positive: ReLU6 would stop the flow.

    Args:
        network: With classes or without.
        seed: Decides the initial weights.

    Raises:
        RunError: It is too deep even for float64.
    """
    keras.utils.set_random_seed(seed)
    model = build_network(_flowing(network), dtype="float64")
    for weight in model.trainable_variables:
        weight.assign(np.abs(weight.numpy()))
    side = network.pixels
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(
            model(tf.ones((1, side, side, 3), tf.float64), training=False)
        )
    weights = [weight.value for weight in model.trainable_variables]
    slopes = tape.gradient(total, weights)
    flow = sum(
        float(tf.reduce_sum(tf.abs(tf.cast(weight * slope, tf.float64))))
        for weight, slope in zip(weights, slopes, strict=True)
        if slope is not None
    )
    keras.backend.clear_session()
    if not 0 < flow < math.inf:
        raise RunError(
            f"the synaptic flow of {network.name} is {flow}: it is too deep; "
            "use --proxy=short"
        )
    return math.log10(flow)


def _flowing(network: Network) -> Network:
    """The network without a classifier, and with ReLU everywhere."""
    blocks = tuple(
        replace(block, activation="relu") for block in network.blocks
    )
    return replace(network, classes=0, activation="relu", blocks=blocks)
