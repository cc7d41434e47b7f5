"""What a candidate costs: in closed form, by a compiler, or by a clock."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np

from efficientnet_tf.errors import RunError
from efficientnet_tf.networks import Network, totals
from efficientnet_tf.networks.edgetpu_latency import milliseconds
from efficientnet_tf.search.settings import CostName
from efficientnet_tf.training.config import Config

# Of activations, in training.
_FLOAT_BYTES = 4
_WARM_RUNS, _RUNS = 3, 15


@dataclass(frozen=True)
class Priced:
    """What is to be priced.

    Attributes:
        network: The candidate.
        config: How it is trained.
        topology: Of the TPU that a rehearsal compiles for.
    """

    network: Network
    config: Config
    topology: str


@dataclass(frozen=True)
class Cost:
    """A cost.

    Attributes:
        means: What it is and its unit, for people.
        measure: Finds it.
    """

    means: str
    measure: Callable[[Priced], float]


def _macs(priced: Priced) -> float:
    return totals(priced.network).macs


def _parameters(priced: Priced) -> float:
    return totals(priced.network).trainable_parameters


def _activation_memory(priced: Priced) -> float:
    return totals(priced.network).activations * _FLOAT_BYTES


def _edgetpu_ms(priced: Priced) -> float:
    return milliseconds(priced.network)


def _tpu_cycles(priced: Priced) -> float:
    """Of a rehearsal; minutes for each network, kept in its cache."""
    from efficientnet_tf.tpu.rehearsal import rehearse
    from efficientnet_tf.tpu.topology import parse_topology

    topology = parse_topology(priced.topology)
    found = rehearse(priced.config, priced.network, topology)
    if not found.fits or found.estimated_cycles_per_image is None:
        raise RunError(
            f"a step of {found.batch} images does not fit {topology.name}; "
            "try a smaller --set train.batch"
        )
    return found.estimated_cycles_per_image


def _litert_ms(priced: Priced) -> float:
    """The median of some runs of the float32 network, on one thread.

    Weights are random: they do not change how long it takes.
    """
    import keras
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    from efficientnet_tf.modeling.build import build_network

    model = build_network(priced.network, batch_size=1, dtype="float32")
    # Keras says where it saved; stdout is for what came out.
    with contextlib.redirect_stdout(io.StringIO()):
        content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    keras.backend.clear_session()
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    (images,) = interpreter.get_input_details()
    pixels = np.random.default_rng(0).random(images["shape"], np.float32)
    interpreter.set_tensor(images["index"], pixels)
    seconds = []
    for _ in range(_WARM_RUNS + _RUNS):
        began = time.perf_counter()
        interpreter.invoke()
        seconds.append(time.perf_counter() - began)
    return 1000 * median(seconds[_WARM_RUNS:])


COSTS: dict[CostName, Cost] = {
    "macs": Cost("multiply-adds of an image", _macs),
    "parameters": Cost("trainable parameters", _parameters),
    "activation_memory": Cost(
        "bytes that layers give for an image in float32", _activation_memory
    ),
    "edgetpu_ms": Cost("milliseconds on an Edge TPU, estimated", _edgetpu_ms),
    "tpu_cycles": Cost(
        "cycles of a training step for an image, the compiler's estimate",
        _tpu_cycles,
    ),
    "litert_ms": Cost(
        "milliseconds in LiteRT on a thread of this machine, measured",
        _litert_ms,
    ),
}
