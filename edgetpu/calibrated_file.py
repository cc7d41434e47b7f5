"""The float `.tflite` between calibration and quantisation.

TensorFlow's converter notes in it the smallest and the largest value of each
tensor; its quantiser goes by what is noted.
"""

from __future__ import annotations

from collections.abc import Mapping

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgetpu.reader import IDENTIFIER, read_graph


def clippable_ranges(
    content: bytes, *, answers: bool = False
) -> dict[int, tuple[float, float]]:
    """The ranges that may be made narrower.

    They are all but that of the model's input, which is pixels.

    Args:
        content: The bytes of a calibrated file.
        answers: Whether the model's output is among them, and what a softmax
            takes: of an image's logits the tail is the answer.

    Returns:
        The smallest and the largest value, by number of the tensor.
    """
    graph = read_graph(content)
    kept = {*graph.inputs}
    if not answers:
        kept.update(graph.outputs)
        for operator in graph.operators:
            if operator.name == "SOFTMAX":
                kept.update(operator.inputs)
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    found = {}
    for place, tensor in enumerate(model.subgraphs[0].tensors):
        noted = tensor.quantization
        # Constants have none, and an empty one is stored as a number.
        if place in kept or noted is None or np.ndim(noted.min) == 0:
            continue
        found[place] = float(noted.min[0]), float(noted.max[0])
    return found


def with_ranges(
    content: bytes, ranges: Mapping[int, tuple[float, float]]
) -> bytes:
    """The same file with other ranges noted.

    Args:
        content: The bytes of a calibrated file.
        ranges: By number of the tensor; of others they stay.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    tensors = model.subgraphs[0].tensors
    for place, (low, high) in ranges.items():
        tensors[place].quantization.min = [low]
        tensors[place].quantization.max = [high]
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())
