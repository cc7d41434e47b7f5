"""What is worth knowing of a model besides whether it compiles."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from edgetpu import limits, rules
from edgetpu.failures import dynamic_batch
from edgetpu.graph import Graph, Operator
from edgetpu.versions import NEWEST_VERSIONS, VERSIONS_OF_2_6
from efficientnet_tf.networks.edgetpu_latency import MS_PER_MEGABYTE
from efficientnet_tf.networks.edgetpu_memory import (
    CACHE_BYTES,
    SMALLEST_CACHE_BYTES,
    Memory,
)


def advice(
    graph: Graph, mapped: Collection[int], sizes: Memory
) -> tuple[str, ...]:
    """Says in sentences what may surprise.

    Args:
        graph: The model.
        mapped: Places of the operators that would be on the Edge TPU, where
            there would be a file.
        sizes: Where the parameters would be.
    """
    if not mapped:
        return (
            "nothing would be on the Edge TPU: the compiler writes a file all "
            "the same, and it runs on the CPU",
            *_open_batch(graph),
        )
    on_edge_tpu = [graph.operators[place] for place in sorted(mapped)]
    return (
        *_open_batch(graph),
        *_young(graph),
        *_sizes(graph, on_edge_tpu),
        *_gates(graph),
        *_per_channel_dense(graph),
        *_cache(sizes),
    )


def swishes(graph: Graph) -> list[Operator]:
    """Activations x * logistic(x), each by its LOGISTIC."""
    return [
        operator
        for operator, product in _gated(graph)
        if operator.inputs[0] in product.inputs
    ]


def squeezes(graph: Graph) -> list[Operator]:
    """Squeeze-and-excitation, each by its LOGISTIC.

    A map is multiplied by one number for each of its channels.
    """
    found = []
    for operator, product in _gated(graph):
        gate = graph.given(operator)[0]
        map_ = graph.given(product)[0]
        if operator.inputs[0] in product.inputs or len(gate.shape) < 2:
            continue
        if gate.elements == gate.shape[-1] < map_.elements:
            found.append(operator)
    return found


def _gated(graph: Graph) -> Iterator[tuple[Operator, Operator]]:
    """Each LOGISTIC that a MUL takes, and the MUL."""
    products = {
        place: operator
        for operator in graph.operators
        if operator.name == "MUL" and operator.outputs
        for place in operator.inputs
    }
    for operator in graph.operators:
        if operator.name != "LOGISTIC" or not operator.inputs:
            continue
        for place in operator.outputs[:1]:
            if place in products:
                yield operator, products[place]


def _open_batch(graph: Graph) -> Iterator[str]:
    tensors = dynamic_batch(graph)
    if tensors:
        yield (
            f"{len(tensors)} tensors leave a size open, the first is "
            f"{tensors[0].name!r}: compiler 16.0 is known to take some such "
            "models as if the size were 1 and to call others not quantized; "
            "convert with a batch of 1 to be sure"
        )


def _young(graph: Graph) -> Iterator[str]:
    young = {
        f"{operator.name} version {operator.version}": None
        for operator in graph.operators
        if operator.version > NEWEST_VERSIONS.get(operator.name, 0)
        and operator.version <= VERSIONS_OF_2_6.get(operator.name, 0)
    }
    for name in young:
        yield (
            f"{name} is of TensorFlow 2.6: whether compiler 16.0 reads it is "
            'not known; should it say "Didn\'t find op", convert so that an '
            "older version does"
        )


def _sizes(graph: Graph, operators: list[Operator]) -> Iterator[str]:
    places = [
        limits.averaged_places(operator, graph)
        for operator in operators
        if operator.name == "MEAN"
    ]
    if max(places, default=0) > rules.MEAN_PLACES_MAPPED:
        yield (
            f"a MEAN is over {max(places):,} places: "
            f"{rules.MEAN_PLACES_MAPPED:,} are known to be mapped and "
            f"{rules.MEAN_PLACES_NOT_MAPPED:,} not to be; between, nothing is "
            "known"
        )
    values = [
        graph.given(operator)[0].elements
        for operator in operators
        if operator.name == "RESHAPE"
    ]
    if max(values, default=0) >= rules.RESHAPE_VALUES_SAFE:
        yield (
            f"a RESHAPE is of {max(values):,} values; Coral says that some "
            "large ones are not mapped, and not which"
        )


def _gates(graph: Graph) -> Iterator[str]:
    swish, squeeze = len(swishes(graph)), len(squeezes(graph))
    found = [
        words
        for number, words in (
            (swish, f"{swish} swish activations (LOGISTIC and MUL)"),
            (squeeze, f"{squeeze} squeeze-and-excitation blocks"),
        )
        if number
    ]
    if found:
        yield (
            f"{' and '.join(found)}: the Edge TPU runs them, slowly, and "
            "int8 costs much accuracy (EfficientNet-B0 15 points and more, "
            "tensorflow/tpu #549); efficientnet-lite0 to lite4 and "
            "efficientnet-edgetpu-S, M, L do without them"
        )


def _per_channel_dense(graph: Graph) -> Iterator[str]:
    dense = [
        operator
        for operator in graph.operators
        if operator.name == "FULLY_CONNECTED"
        and len(operator.inputs) > 1
        and len(graph.taken(operator)[1].scale) > 1
    ]
    if dense:
        yield (
            "FULLY_CONNECTED has a scale per channel: right on the Edge TPU, "
            "but TensorFlow Lite before 2.10, Coral's own 2.5 among it, "
            "computes it wrongly on the CPU and says nothing; convert with a "
            "scale per tensor, as python -m edgetpu export does"
        )


def _cache(sizes: Memory) -> Iterator[str]:
    if sizes.streamed_bytes:
        sending = sizes.streamed_bytes / 1e6 * MS_PER_MEGABYTE
        yield (
            f"about {sizes.streamed_bytes / 2**20:.2f} MiB of parameters do "
            "not fit on the chip and are sent anew for each input, some "
            f"{sending:.1f} ms over USB; a smaller variant, or the compiler's "
            "-n with several Edge TPUs, would keep them there"
        )
    elif sizes.parameter_bytes > SMALLEST_CACHE_BYTES:
        yield (
            "the parameters nearly fill the chip: the compiler left between "
            f"{SMALLEST_CACHE_BYTES / 2**20:.2f} and 7.85 MiB for them in "
            f"known cases, and {CACHE_BYTES / 2**20:.2f} are assumed here"
        )
