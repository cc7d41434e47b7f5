"""1x1 convolutions in training: matrix products against Conv2D.

    python -m benchmarks.pointwise

Times the gradients of EfficientNet-Lite0 at 32 pixels, batch 32, with either
in turn in one process.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from benchmarks.flags import add_flags, command_line, finish, tell
from benchmarks.harness import SECONDS, alternate, rows, timed
from benchmarks.machine import this_machine
from benchmarks.results import Result
from efficientnet_tf.command_line import run

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

MODEL, PIXELS, BATCH = "efficientnet-lite0", 32, 32
PRODUCT, CONVOLUTION = "matrix product", "Conv2D"


def step(model: keras.Model) -> tf.types.experimental.PolymorphicFunction:
    """A function that computes all gradients and reduces them to numbers."""
    import tensorflow as tf

    images = tf.random.normal([BATCH, PIXELS, PIXELS, 3])
    weights = [weight.value for weight in model.trainable_variables]

    @tf.function
    def run() -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model(images, training=True) ** 2)
        return [tf.reduce_sum(g) for g in tape.gradient(loss, weights)]

    return run


def models() -> dict[str, keras.Model]:
    """The same network twice, but for its 1x1 convolutions."""
    import keras

    from efficientnet_tf.modeling.build import build
    from efficientnet_tf.modeling.maker import LAYERS

    found = {}
    ours = LAYERS["training"]
    for name, kinds in (
        (PRODUCT, ours),
        (CONVOLUTION, ours._replace(pointwise=keras.layers.Conv2D)),
    ):
        LAYERS["training"] = kinds
        found[name] = build(MODEL, layers="training", classes=10, pixels=PIXELS)
    LAYERS["training"] = ours
    return found


def main() -> None:
    """Times both in turn."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_flags(parser, rounds=15)
    given = parser.parse_args()
    machine = this_machine(("tensorflow", "keras"))
    turns = {name: timed(step(model)) for name, model in models().items()}
    found = alternate(turns, rounds=given.rounds, tell=tell)
    result = Result(
        benchmark="pointwise",
        command=command_line("pointwise"),
        machine=machine,
        settings={"model": MODEL, "pixels": PIXELS, "batch": BATCH},
        rows=rows(found, SECONDS, {PRODUCT: [CONVOLUTION]}),
    )
    finish(result, given)


if __name__ == "__main__":
    sys.exit(run("pointwise.py", main))
