"""Holds an int8 file against the float network, on real images."""

from __future__ import annotations

import dataclasses
import heapq
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgetpu.graph import EDGE_TPU_OPERATOR, Graph
from edgetpu.layer_errors import LayerError, layer_errors
from edgetpu.quantize import Head
from edgetpu.reader import read_graph
from edgetpu.run import Runner
from edgetpu.run.interpreters import LoadError
from edgetpu.samples import to_uint8
from efficientnet_tf.data.preprocess import normalize
from efficientnet_tf.errors import InputError, RunError
from efficientnet_tf.networks import Network
from efficientnet_tf.progress import progress

WORST_IMAGES, SAMPLES, LAYER_IMAGES = 12, 12, 16

_FLOAT_BATCH = 32
# Of a softmax in eight bits.
_STEP = 1 / 256


@dataclass(frozen=True)
class Comparison:
    """What int8 costs on real images.

    Attributes:
        images: Number of images.
        float_top1: Share that the float network gets right, on the very
            images of an evaluation; None where no labels are known.
        int8_top1: Share that the int8 file gets right, on the same images
            rounded to pixels; None as above.
        agreement: Share for which both name the same class.
        kl_mean: Kullback-Leibler divergence of the int8 file's probabilities
            from the float network's, in nats, mean over images.
        kl_p99: What 99 in 100 images do not exceed.
        kl_max: The worst image's.
    """

    images: int
    float_top1: float | None
    int8_top1: float | None
    agreement: float
    kl_mean: float
    kl_p99: float
    kl_max: float


@dataclass(frozen=True)
class JudgedImage:
    """What both say of an image.

    Attributes:
        place: Its number among the images compared, from 0.
        label: Its class among the logits; None where it is not known.
        float_class: The float network's likeliest.
        float_score: Its probability.
        int8_class: The int8 file's likeliest.
        int8_score: Its probability.
        kl: Divergence, see `Comparison`.
    """

    place: int
    label: int | None
    float_class: int
    float_score: float
    int8_class: int
    int8_score: float
    kl: float


@dataclass(frozen=True)
class Verification:
    """All that is found out about an int8 file.

    Attributes:
        comparison: In all.
        worst: The images on which both differ most, those first.
        samples: The first images.
        layers: What each operator loses; empty where the file is compiled, or
            has other operators than the network.
        pictures: uint8 `[pixels, pixels, 3]` of each image in `worst` and
            `samples`, by its place.
    """

    comparison: Comparison
    worst: tuple[JudgedImage, ...]
    samples: tuple[JudgedImage, ...]
    layers: tuple[LayerError, ...]
    pictures: dict[int, np.ndarray] = dataclasses.field(repr=False)

    def costliest(self, count: int) -> tuple[LayerError, ...]:
        """The layers that lose most, those first."""
        ordered = sorted(self.layers, key=lambda error: -error.lost_db)
        return tuple(ordered[:count])

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; without the pictures."""
        return {
            "comparison": dataclasses.asdict(self.comparison),
            "worst": [dataclasses.asdict(each) for each in self.worst],
            "layers": [dataclasses.asdict(each) for each in self.layers],
        }


def verify(
    network: Network,
    model: keras.Model,
    content: bytes,
    examples: Iterable[tuple[tf.Tensor, tf.Tensor]],
    *,
    images: int,
    layer_images: int = LAYER_IMAGES,
    delegate: str | None = None,
) -> Verification:
    """Classifies images by the float network and by the int8 file.

    The class is the one with the highest score. The file's scores have 256
    steps: of classes with the same score the one with the lower number counts.

    Args:
        network: What the model was built from.
        model: Normalised images -> logits.
        content: The bytes of the `.tflite` file.
        examples: A data set of (float32 `[pixels, pixels, 3]` on 0..255,
            int32 label, below 0 where it is not known).
        images: How many they are at most, for the progress that is shown.
        layer_images: How many to look into layers with; 0 for none.
        delegate: Library of the Edge TPU, see `Runner`.

    Raises:
        InputError: There are no examples, or the file is not of the network.
        RunError: The file cannot be run, as where the scales of its numbers
            are beyond what int8 arithmetic takes.
    """
    graph = read_graph(content)
    compiled = any(op.name == EDGE_TPU_OPERATOR for op in graph.operators)
    head = head_of(graph)
    runner = _opened(content, delegate, network)
    kept = _Kept(max(SAMPLES, layer_images))
    judged: list[JudgedImage] = []
    with progress("images, int8 and float", images) as advance:
        for each, pixels in _judged(network, model, runner, head, examples):
            judged.append(each)
            kept.look(each, pixels)
            advance(len(judged))
    if not judged:
        raise InputError("there are no images to compare on; give some")
    layers: tuple[LayerError, ...] = ()
    if layer_images and not compiled:
        some = np.stack(kept.first[:layer_images])
        layers = layer_errors(network, model, content, some, head=head)
    return Verification(
        comparison=_compared(judged),
        worst=kept.worst,
        samples=tuple(judged[:SAMPLES]),
        layers=layers,
        pictures=kept.pictures,
    )


def head_of(graph: Graph) -> Head:
    """What a classifier gives: probabilities, or logits.

    A softmax of eight bits has steps of 1/256, whatever runs it.
    """
    last = graph.tensors[graph.outputs[0]]
    names = [operator.name for operator in graph.operators]
    softmax = "SOFTMAX" in names[-2:] or last.scale == (1 / 256,)
    return "softmax" if softmax else "logits"


class _Kept:
    """The images that are to be seen again."""

    def __init__(self, first: int) -> None:
        self._most = first
        self.first: list[np.ndarray] = []
        self._heap: list[tuple[float, int, JudgedImage, np.ndarray]] = []

    def look(self, judged: JudgedImage, pixels: np.ndarray) -> None:
        if len(self.first) < self._most:
            self.first.append(pixels)
        heapq.heappush(self._heap, (judged.kl, -judged.place, judged, pixels))
        if len(self._heap) > WORST_IMAGES:
            heapq.heappop(self._heap)

    @property
    def worst(self) -> tuple[JudgedImage, ...]:
        ordered = sorted(self._heap, key=lambda entry: entry[:2], reverse=True)
        return tuple(judged for _, _, judged, _ in ordered)

    @property
    def pictures(self) -> dict[int, np.ndarray]:
        worst = {entry[2].place: entry[3] for entry in self._heap}
        return dict(enumerate(self.first[:SAMPLES])) | worst


def _opened(content: bytes, delegate: str | None, network: Network) -> Runner:
    try:
        runner = Runner(content, delegate=delegate, threads=os.cpu_count())
    except LoadError as error:
        reason = str(error).partition("\n")[0]
        if EDGE_TPU_OPERATOR.encode() in content or delegate:
            raise InputError(reason) from error
        raise RunError(
            f"the int8 network cannot be run ({reason}); the weights may be "
            "far too large, as after a training that went wrong"
        ) from error
    except ValueError as error:
        raise InputError(
            f"{error}; give the file of {network.name}, with its classifier"
        ) from error
    found = (runner.pixels, runner.classes)
    if found != (network.pixels, network.classes):
        raise InputError(
            f"the file takes {runner.pixels} pixels and gives "
            f"{runner.classes} numbers; {network.name} takes "
            f"{network.pixels} and gives {network.classes} classes: give the "
            "file of this network, with its classifier"
        )
    return runner


def _judged(
    network: Network,
    model: keras.Model,
    runner: Runner,
    head: Head,
    examples: Iterable[tuple[tf.Tensor, tf.Tensor]],
) -> Iterator[tuple[JudgedImage, np.ndarray]]:
    place = 0
    for images, truth in tf.data.Dataset.batch(examples, _FLOAT_BATCH):
        logits = model(normalize(images, network.normalization))
        exact = tf.nn.log_softmax(tf.cast(logits, tf.float64)).numpy()
        pixels = to_uint8(images.numpy())
        for row, image, label in zip(exact, pixels, truth.numpy(), strict=True):
            scores = runner.scores(image)
            rounded = _log_probabilities(scores, head)
            yield (
                JudgedImage(
                    place=place,
                    label=int(label) if label >= 0 else None,
                    float_class=int(np.argmax(row)),
                    float_score=float(np.exp(np.max(row))),
                    int8_class=int(np.argmax(scores)),
                    int8_score=_likeliest(scores, head),
                    kl=float(np.sum(np.exp(row) * (row - rounded))),
                ),
                image,
            )
            place += 1


def _likeliest(scores: np.ndarray, head: Head) -> float:
    """The highest probability; of a softmax as the file gives it."""
    if head == "softmax":
        return float(scores.max())
    return float(np.exp(_log_probabilities(scores, head).max()))


def _log_probabilities(scores: np.ndarray, head: Head) -> np.ndarray:
    """float64 `[classes]`, of which the powers add up to 1.

    Of a softmax in steps of 1/256 what came out as 0 may be up to half a step:
    such classes share what the others leave of 1, or a step where those,
    rounded up, leave less.
    """
    wide = scores.astype(np.float64)
    if head == "softmax":
        nothing = wide <= 0
        left = max(1 - wide.sum(), _STEP)
        share = min(left / max(nothing.sum(), 1), _STEP / 2)
        wide = np.log(np.where(nothing, share, wide))
    wide -= wide.max()
    normal: np.ndarray = wide - np.log(np.sum(np.exp(wide)))
    return normal


def _compared(judged: list[JudgedImage]) -> Comparison:
    kl = np.array([each.kl for each in judged])
    labelled = [each for each in judged if each.label is not None]

    def top1(right: list[bool]) -> float | None:
        return float(np.mean(right)) if right else None

    return Comparison(
        images=len(judged),
        float_top1=top1([each.float_class == each.label for each in labelled]),
        int8_top1=top1([each.int8_class == each.label for each in labelled]),
        agreement=float(
            np.mean([each.float_class == each.int8_class for each in judged])
        ),
        kl_mean=float(kl.mean()),
        kl_p99=float(np.percentile(kl, 99)),
        kl_max=float(kl.max()),
    )
