"""The project's real train call on noise, for our networks and for Keras's."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

from benchmarks.harness import CPU, WALL, timed
from efficientnet_tf.networks import Network
from efficientnet_tf.training.config import Config
from efficientnet_tf.training.config_files import override
from efficientnet_tf.training.plan import plan

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from efficientnet_tf.training.state import TrainState

CLASSES = 1000
BUILD, TRACE = "build_seconds", "trace_seconds"
TRACE_CPU = "trace_cpu_seconds"
STARTS = {BUILD: "s", TRACE: "s", TRACE_CPU: "s"}
# Nothing that some frameworks have and others do not.
BARE = (
    "train.optimizer=momentum",
    "train.average_decay=0",
    "train.weight_decay=0",
    "train.label_smoothing=0.1",
)


class TrainCall:
    """Some steps of training in one call, and how long it took to get there.

    Attributes:
        facts: What it took, by metric: `build_seconds` until there is a
            network and an optimizer, `trace_seconds` from there until the call
            is a graph, and `trace_cpu_seconds` of the process in these.
    """

    def __init__(self, config: Config, *, application: str = ""):
        """Builds and traces.

        Args:
            config: The recipe; its data is not read.
            application: The EfficientNet of keras.applications that takes the
                place of ours in the very same step. Its own preprocessing is
                cut off: the step normalises already.
        """
        import tensorflow as tf

        from efficientnet_tf.training.state import create_state
        from efficientnet_tf.training.step import make_train_call

        network = config.network(CLASSES)
        self._batches = iter(_noise(network, config))
        began = time.perf_counter()
        if application:
            state = peer_state(application, network, config, "float32")
        else:
            state = create_state(network, config, "float32")
        built = time.perf_counter() - began
        self._call = make_train_call(
            state,
            network,
            config.train,
            plan(config, CLASSES * config.train.batch),
            tf.distribute.get_strategy(),
        )
        traced = timed(
            lambda: self._call.get_concrete_function(
                self._batches, tf.constant(1)
            )
        )(0)
        self.facts: dict[str, float] = {
            BUILD: built,
            TRACE: traced[WALL],
            TRACE_CPU: traced[CPU],
        }

    def __call__(self, steps: int) -> None:
        """Trains for that many steps, and waits for their end."""
        import tensorflow as tf

        self._call(self._batches, tf.constant(steps)).numpy()


def recipe(model: str, pixels: int, batch: int, *settings: str) -> Config:
    """The config of a benchmark; 0 pixels for the published ones."""
    size = [f"model.pixels={pixels}"] if pixels else []
    said = [f"model.name={model}", *size, f"train.batch={batch}", *settings]
    return override(Config(), said)


def use_threads(threads: int) -> None:
    """Limits TensorFlow; call it before TensorFlow has computed anything."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


def _noise(network: Network, config: Config) -> tf.data.Dataset:
    """The same batch over and over, as the step takes it."""
    import tensorflow as tf

    share = config.train.batch // config.train.microbatches
    shape = [share, network.pixels, network.pixels, 3]
    images = tf.random.stateless_uniform(shape, (1, 2), 0.0, 255.0)
    labels = tf.range(share) % CLASSES
    batch = (images, tf.one_hot(labels, CLASSES))
    return tf.data.Dataset.from_tensors(batch).repeat()


def peer_state(
    name: str, network: Network, config: Config, precision: str
) -> TrainState:
    """As ours, around a network of keras.applications.

    Args:
        name: Of the network there.
        network: Gives the size of the images.
        config: The recipe.
        precision: Keras's dtype policy.
    """
    from efficientnet_tf.training.optimizers import make_optimizer
    from efficientnet_tf.training.state import create_state

    # A network that costs little lends the counters.
    small = recipe("efficientnet-lite0", 32, config.train.batch, *BARE)
    lent = create_state(small.network(2), small, precision)
    model = averaged = _application(name, network.pixels, precision)
    if config.train.average_decay:
        averaged = _application(name, network.pixels, precision)
    return dataclasses.replace(
        lent,
        model=model,
        averaged=averaged,
        optimizer=make_optimizer(model.trainable_variables, config.train),
    )


def _application(name: str, pixels: int, precision: str) -> keras.Model:
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        whole = getattr(keras.applications, name)(
            weights=None,
            input_shape=(pixels, pixels, 3),
            classes=CLASSES,
            classifier_activation=None,
        )
    finally:
        keras.config.set_dtype_policy(before)
    logits = keras.layers.Activation("linear", dtype="float32")(whole.output)
    return keras.Model(whole.get_layer("stem_conv_pad").input, logits)
