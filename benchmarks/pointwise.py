"""1x1 convolutions in training: matrix products against Conv2D.

    PYTHONPATH=. python benchmarks/pointwise.py

Prints medians and their ratio for EfficientNet-Lite0 at 32 pixels, batch 32,
the two taken in turn in one process.
"""

from __future__ import annotations

import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf

from efficientnet_tf.modeling.blocks import LAYERS, Kinds
from efficientnet_tf.modeling.build import build
from efficientnet_tf.modeling.layers import BatchNorm, Dropout

PIXELS, BATCH, TURNS = 32, 32, 15


def step(model: keras.Model) -> tf.types.experimental.PolymorphicFunction:
    """A function that computes all gradients and reduces them to numbers."""
    images = tf.random.normal([BATCH, PIXELS, PIXELS, 3])
    weights = [weight.value for weight in model.trainable_variables]

    @tf.function
    def run() -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model(images, training=True) ** 2)
        return [tf.reduce_sum(g) for g in tape.gradient(loss, weights)]

    return run


def main() -> None:
    """Times both in turn."""
    options = {"classes": 10, "pixels": PIXELS}
    product = build("efficientnet-lite0", layers="training", **options)
    # The same layers, but for the 1x1 convolutions.
    LAYERS["training"] = Kinds(BatchNorm, Dropout, keras.layers.Conv2D)
    convolution = build("efficientnet-lite0", layers="training", **options)
    steps = {"product": step(product), "convolution": step(convolution)}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(TURNS + 1):
        for name, run in steps.items():
            began = time.perf_counter()
            run()
            if turn:
                times[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(each) for name, each in times.items()}
    for name, seconds in medians.items():
        print(f"{name:12} {1000 * seconds:.0f} ms")
    print(f"ratio        {medians['convolution'] / medians['product']:.2f}")


if __name__ == "__main__":
    main()
