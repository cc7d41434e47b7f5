"""Holds an int8 file against the compiler's demands and the float network."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from edgetpu.graph import Graph, Operator
from edgetpu.quiet import quiet
from edgetpu.reader import read_graph
from edgetpu.run import Runner
from edgetpu.samples import to_uint8
from efficientnet_tf.data.preprocess import normalize
from efficientnet_tf.errors import RunError
from efficientnet_tf.networks import Network

# The newest version of each operator that edgetpu_compiler 16.0 reads. It was
# built in July 2021 around TensorFlow 2.5; those are the versions that
# tensorflow/lite/tools/versioning/runtime_version.cc dates to 2.5 or earlier.
# All rejections known are of versions from 2.7 on; those of 2.6 (ADD 4, MUL 5,
# PAD 4) are not known to be read.
NEWEST_VERSIONS = {
    "ADD": 3,
    "AVERAGE_POOL_2D": 3,
    "CONCATENATION": 3,
    "CONV_2D": 5,
    "DEPTHWISE_CONV_2D": 6,
    "FULLY_CONNECTED": 9,
    "LOGISTIC": 3,
    "MAX_POOL_2D": 3,
    "MEAN": 3,
    "MUL": 4,
    "PAD": 3,
    "QUANTIZE": 2,
    "RELU": 3,
    "RELU6": 3,
    "RESHAPE": 1,
    "SOFTMAX": 3,
}

_EIGHT_BITS = ("int8", "uint8")
_FLOAT_BATCH = 32


@dataclass(frozen=True)
class Comparison:
    """What int8 costs on real images.

    Attributes:
        images: Number of images.
        float_top1: Share that the float network gets right, on the very
            images of an evaluation.
        int8_top1: Share that the int8 file gets right, on the same images
            rounded to pixels.
        agreement: Share for which both name the same class.
    """

    images: int
    float_top1: float
    int8_top1: float
    agreement: float


def structural_problems(content: bytes, *, pixels: int) -> list[str]:
    """What would keep edgetpu_compiler 16.0 from taking a file whole.

    Args:
        content: The bytes of a `.tflite` file.
        pixels: Side of the image that it should take.

    Returns:
        Sentences; none where nothing is wrong.

    Raises:
        GraphError: The bytes are no model.
    """
    graph = read_graph(content)
    problems = _input_problems(graph, pixels)
    if graph.subgraphs != 1:
        problems.append(
            f"the file has {graph.subgraphs} subgraphs; the compiler takes one"
        )
    dynamic = [tensor.name for tensor in graph.tensors if tensor.dynamic]
    if dynamic:
        problems.append(
            f"{len(dynamic)} tensors have an open size, the first one is "
            f"{dynamic[0]!r}; convert with a batch of 1"
        )
    # The same operator with the same fault is worth one sentence.
    faults = {
        fault: None
        for operator in graph.operators
        for fault in (_version_fault(operator), _type_fault(operator, graph))
        if fault
    }
    return [*problems, *faults]


def compare(
    network: Network,
    model: keras.Model,
    content: bytes,
    examples: Iterable[tuple[tf.Tensor, tf.Tensor]],
) -> Comparison:
    """Classifies images by the float network and by the int8 file.

    The class is the one with the highest score. The file's scores have 256
    steps: of classes with the same score the one with the lower number counts.

    Args:
        network: What the model was built from.
        model: Normalised images -> logits.
        content: The bytes of the `.tflite` file.
        examples: A data set of (float32 `[pixels, pixels, 3]` on 0..255,
            int32 label).

    Raises:
        ValueError: There are no examples.
        RunError: The file cannot be run, as where the scales of its numbers
            are beyond what int8 arithmetic takes.
    """
    try:
        with quiet():
            runner = Runner(content, threads=os.cpu_count())
    except ValueError as error:
        reason = str(error).partition("\n")[0]
        raise RunError(
            f"the int8 network cannot be run ({reason}); the weights may be "
            "far too large, as after a training that went wrong"
        ) from error
    labels: list[np.ndarray] = []
    floats: list[np.ndarray] = []
    ints: list[int] = []
    for images, truth in tf.data.Dataset.batch(examples, _FLOAT_BATCH):
        logits = model(normalize(images, network.normalization))
        floats.append(np.argmax(logits, axis=-1))
        labels.append(truth.numpy())
        ints += [
            int(np.argmax(runner.scores(image)))
            for image in to_uint8(images.numpy())
        ]
    if not ints:
        raise ValueError("no examples to compare on")
    truths, by_float = np.concatenate(labels), np.concatenate(floats)
    by_int8 = np.asarray(ints)
    return Comparison(
        images=len(ints),
        float_top1=float(np.mean(by_float == truths)),
        int8_top1=float(np.mean(by_int8 == truths)),
        agreement=float(np.mean(by_float == by_int8)),
    )


def _input_problems(graph: Graph, pixels: int) -> list[str]:
    inputs = [graph.tensors[place] for place in graph.inputs]
    found = ", ".join(
        f"{tensor.dtype} {list(tensor.shape)}" for tensor in inputs
    )
    wanted = f"uint8 {[1, pixels, pixels, 3]}"
    return [] if found == wanted else [f"the input is {found}, not {wanted}"]


def _version_fault(operator: Operator) -> str | None:
    newest = NEWEST_VERSIONS.get(operator.name)
    if newest is None:
        return (
            f"operator {operator.name} is not among those that "
            "edgetpu_compiler 16.0 is known to take from a classifier"
        )
    if operator.version > newest:
        return (
            f"operator {operator.name} has version {operator.version}; "
            f"edgetpu_compiler 16.0 reads up to {newest}"
        )
    return None


def _type_fault(operator: Operator, graph: Graph) -> str | None:
    for place in operator.inputs + operator.outputs:
        tensor = graph.tensors[place]
        if tensor.dtype in _EIGHT_BITS:
            continue
        # Biases, axes and shapes.
        if tensor.dtype == "int32" and tensor.constant:
            continue
        return (
            f"operator {operator.name} works on {tensor.dtype}; the Edge TPU "
            "takes int8 and uint8, and int32 as constants only"
        )
    return None
