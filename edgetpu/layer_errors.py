"""Which layer of an int8 file loses what: signal to noise, layer by layer.

The float network goes through the same converter without quantisation, which
makes the same operators of it; both files then run on the same images, and
what each operator gives is compared.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edgetpu.float_files import float_tflite
from edgetpu.graph import Graph
from edgetpu.quantize import Head
from edgetpu.reader import read_graph
from edgetpu.run.quiet import quiet
from edgetpu.run.runner import input_values
from efficientnet_tf.networks import Network

# Of a sine wave that eight bits hold (Bennett 1948): 6.02 dB a bit, and 1.76.
EIGHT_BITS_DB = 6.02 * 8 + 1.76

# They only turn one kind of number into another.
_RENUMBERING = ("QUANTIZE", "DEQUANTIZE")
_NUMBER = re.compile(r"_\d+$")


@dataclass(frozen=True)
class LayerError:
    """What an operator of the int8 file gives, against the float network.

    Attributes:
        index: Its place in the file.
        operator: What it is, "CONV_2D".
        layer: The layer of the network that it came from; the operator once
            more where the converter's name for it does not say.
        snr_db: Power of the signal over that of the error, in decibels, the
            median over images: the power over all of them would be that of
            the few with the largest features. None where there is no error.
        lost_db: How far that is below what went in, the noisiest of its
            inputs, or below `EIGHT_BITS_DB` where that is less. Where it is
            large, this layer is what costs.
    """

    index: int
    operator: str
    layer: str
    snr_db: float | None
    lost_db: float


def layer_errors(
    network: Network,
    model: keras.Model,
    content: bytes,
    images: np.ndarray,
    *,
    head: Head = "softmax",
) -> tuple[LayerError, ...]:
    """Runs both on images, and compares what each operator gives.

    Args:
        network: What the model was built from.
        model: Normalised images -> logits.
        content: The int8 file, not compiled.
        images: uint8 `[n, pixels, pixels, 3]`, a few.
        head: What the file gives.

    Returns:
        One for each operator that computes, in the file's order; empty where
        the file has other operators than the network.
    """
    reference = float_tflite(network, model, head=head)
    pairs = _pairs(read_graph(reference), read_graph(content))
    if not pairs:
        return ()
    ratios = np.empty((len(pairs), len(images)))
    float_side = _Opened(reference, [pair[0] for pair in pairs])
    int8_side = _Opened(content, [pair[1] for pair in pairs])
    for number, image in enumerate(images):
        both = zip(float_side.given(image), int8_side.given(image), strict=True)
        for place, (exact, rounded) in enumerate(both):
            ratios[place, number] = _decibels(exact, exact - rounded)
    kernels = {
        layer.name: any("kernel" in each.name for each in layer.weights)
        for layer in model.layers
    }
    snr = np.median(ratios, axis=1)
    return tuple(_errors(read_graph(content), pairs, snr, kernels))


def _pairs(exact: Graph, rounded: Graph) -> list[tuple[int, int]]:
    """Tensors that mean the same: what the operators give, in order."""
    ours, theirs = [
        [op for op in graph.operators if op.name not in _RENUMBERING]
        for graph in (exact, rounded)
    ]
    said = [
        [(op.name, graph.tensors[op.outputs[0]].shape) for op in operators]
        for graph, operators in ((exact, ours), (rounded, theirs))
    ]
    if said[0] != said[1]:
        return []
    return [
        (one.outputs[0], other.outputs[0])
        for one, other in zip(ours, theirs, strict=True)
    ]


class _Opened:
    """A file that shows what its operators give."""

    def __init__(self, content: bytes, tensors: Sequence[int]):
        # XNNPACK would run many operators as one.
        resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        with quiet():
            self._interpreter = Interpreter(
                model_content=content,
                experimental_preserve_all_tensors=True,
                experimental_op_resolver_type=resolver,
            )
            self._interpreter.allocate_tensors()
        (self._input,) = self._interpreter.get_input_details()
        self._values = input_values(self._input)
        details = {
            each["index"]: each
            for each in self._interpreter.get_tensor_details()
        }
        self._tensors = [details[index] for index in tensors]

    def given(self, image: np.ndarray) -> Iterator[np.ndarray]:
        """Runs an image: what each operator gives, as real numbers."""
        self._interpreter.set_tensor(
            self._input["index"], self._values[image][np.newaxis]
        )
        self._interpreter.invoke()
        for tensor in self._tensors:
            values = self._interpreter.get_tensor(tensor["index"])
            scale, zero_point = tensor["quantization"]
            if scale:
                values = (values.astype(np.float64) - zero_point) * scale
            yield values.astype(np.float64)


def _errors(
    graph: Graph,
    pairs: list[tuple[int, int]],
    snr_db: np.ndarray,
    kernels: Mapping[str, bool],
) -> Iterator[LayerError]:
    found: dict[int, float] = {}
    places = {tensor: place for place, (_, tensor) in enumerate(pairs)}
    for index, operator in enumerate(graph.operators):
        entering = min(
            (found.get(tensor, EIGHT_BITS_DB) for tensor in operator.inputs),
            default=EIGHT_BITS_DB,
        )
        tensor = operator.outputs[0]
        place = places.get(tensor)
        if place is None:
            found[tensor] = entering
            continue
        snr = float(snr_db[place])
        found[tensor] = snr if math.isfinite(snr) else EIGHT_BITS_DB
        yield LayerError(
            index=index,
            operator=operator.name,
            layer=_layer(graph.tensors[tensor].name, kernels) or operator.name,
            snr_db=snr if math.isfinite(snr) else None,
            lost_db=min(entering, EIGHT_BITS_DB) - found[tensor],
        )


def _decibels(signal: np.ndarray, noise: np.ndarray) -> float:
    """The ratio of their powers; infinite where there is no noise."""
    tiny = np.finfo(float).tiny
    power = max(float(np.sum(np.square(signal))), tiny)
    against = float(np.sum(np.square(noise)))
    return 10 * math.log10(power / against) if against else math.inf


def _layer(name: str, kernels: Mapping[str, bool]) -> str:
    """The layer that a tensor's name speaks of; empty where it does not.

    What the converter made one of has the names of all, in any order:
    "x_1/block1a_bn_1/mul;x_1/block1a_dwconv_1/depthwise". Each ends with the
    number of the model's copy. The one with a kernel counts.
    """
    words = [word for part in name.split(";") for word in part.split("/")]
    plain = [_NUMBER.sub("", word) for word in words]
    known = [word for word in plain if word in kernels]
    return max(known, key=kernels.__getitem__, default="")
