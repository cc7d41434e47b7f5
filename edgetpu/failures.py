"""What makes edgetpu_compiler 16.0 refuse a whole model.

The messages are the compiler's; the numbers are issues of
google-coral/edgetpu that report them.
"""

from __future__ import annotations

from collections.abc import Iterator

from edgetpu import rules
from edgetpu.graph import Graph, Operator, Tensor
from edgetpu.known_failures import KNOWN, Failure
from edgetpu.versions import NEWEST_VERSIONS, VERSIONS_OF_2_6

# A bias has the scale of input times weight, up to this share of the output's
# (tensorflow/lite/kernels/kernel_util.cc, 2.5).
_BIAS_SCALE = 0.02


def failures(graph: Graph) -> tuple[Failure, ...]:
    """Says what the compiler would fail on, each thing once.

    Args:
        graph: A model that was not compiled before.
    """
    found = [
        *_flex(graph),
        *_versions(graph),
        *_open_sizes(graph),
        *_bias_scales(graph),
        *_not_quantized(graph),
    ]
    return tuple(dict.fromkeys(found))


def dynamic_batch(graph: Graph) -> list[Tensor]:
    """Tensors whose size the file leaves open."""
    return [tensor for tensor in graph.tensors if tensor.dynamic]


def _flex(graph: Graph) -> Iterator[Failure]:
    for operator in graph.operators:
        if operator.custom and operator.name.startswith("Flex"):
            yield Failure(
                "Regular TensorFlow ops are not supported by this interpreter.",
                f"{operator.name} is a TensorFlow operator (#479)",
                KNOWN["flex"].cure,
            )


def _versions(graph: Graph) -> Iterator[Failure]:
    for operator in graph.operators:
        name, version = operator.name, operator.version
        newest = NEWEST_VERSIONS.get(name, 0)
        if operator.custom or version <= newest:
            continue
        if VERSIONS_OF_2_6.get(name, 0) >= version:
            continue
        known = (
            f"it reads {name} up to version {newest}"
            if newest
            else f"it does not know {name}"
        )
        yield Failure(
            f"Didn't find op for builtin opcode '{name}' version '{version}'.",
            f"{known}: it was built around TensorFlow Lite of July 2021 "
            "(#631, #845, #879)",
            KNOWN["version"].cure,
        )


def _open_sizes(graph: Graph) -> Iterator[Failure]:
    """Sizes that are computed while the model runs (#829, #831)."""
    for operator in graph.operators:
        taken = graph.taken(operator)
        place = rules.SIZE_INPUTS.get(operator.name, len(taken))
        size = taken[place] if place < len(taken) else None
        computed = size is not None and not size.constant
        if computed or operator.name in rules.OPEN_SIZED:
            yield Failure(
                "Attempting to use a delegate that only supports static-sized "
                "tensors with a graph that has dynamic-sized tensors.",
                f"{operator.name} gives a size that is known only while the "
                "model runs",
                KNOWN["open_size"].cure,
            )


def _bias_scales(graph: Graph) -> Iterator[Failure]:
    for number, operator in enumerate(graph.operators):
        if _wrong_bias(graph, operator):
            yield Failure(
                "scale_diff / output_scale <= 0.02 was not true. Node number "
                f"{number} ({operator.name}) failed to prepare.",
                "the scale of its bias is not that of input times weight "
                "(tensorflow/tensorflow #30173)",
                KNOWN["bias_scale"].cure,
            )


def _wrong_bias(graph: Graph, operator: Operator) -> bool:
    taken, given = graph.taken(operator), graph.given(operator)
    if len(taken) < 3 or not given:
        return False
    checked = operator.name == "FULLY_CONNECTED" or (
        operator.name in ("CONV_2D", "DEPTHWISE_CONV_2D")
        and taken[0].dtype == "uint8"
    )
    if not checked:
        return False
    scales = [tensor.scale for tensor in (*taken[:3], given[0])]
    if any(len(scale) != 1 for scale in scales):
        return False
    (image,), (weight,), (bias,), (output,) = scales
    return abs(image * weight - bias) > _BIAS_SCALE * output


def _not_quantized(graph: Graph) -> Iterator[Failure]:
    running = (
        tensor
        for operator in graph.operators
        for tensor in (*graph.taken(operator), *graph.given(operator))
        if not tensor.constant
    )
    if not any(tensor.dtype in rules.DTYPES for tensor in running):
        yield Failure(
            "Model not quantized",
            "no operator works on int8 or uint8 (#168, #313)",
            KNOWN["not_quantized"].cure,
        )
