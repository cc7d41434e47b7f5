"""The verb `quantize`: from a trained network to an int8 file."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from dataclasses import dataclass
from typing import Any

from edgetpu.blueprint import blueprint
from edgetpu.calibrate import calibration_images
from edgetpu.forecast import forecast
from edgetpu.graph import Graph
from edgetpu.quantize import Head, InferenceType, quantize
from edgetpu.reader import read_model
from edgetpu.report import Port
from edgetpu.source import Source
from efficientnet_tf.data.cut import CropRule, ResizeKernel
from efficientnet_tf.data.dataset import RecordDataset
from efficientnet_tf.data.manifest import LABELS
from efficientnet_tf.errors import InputError
from efficientnet_tf.files import make_folder, write_bytes, write_text
from efficientnet_tf.training.config import CalibrationRange


@dataclass(frozen=True)
class QuantizeReport:
    """What was made of a network.

    Attributes:
        network: Name of the variant.
        head: What the file gives.
        file: Its path.
        bytes: Its size.
        input: It takes (pixel - 127) / 128.
        output: What the head gives.
        operators: How often each operator occurs.
        crop: How much of a picture goes into it: see `Cut`.
        resize: The kernel that brings it to size.
        calibration: Where the images came from.
        calibration_images: How many set the int8 ranges, an all-0 and an
            all-255 image not counted.
        calibration_range: How they did.
        compiles: Whether edgetpu_compiler 16.0 would make a file, by forecast.
        on_edge_tpu: Operators that would run on the Edge TPU.
        problems: Why not all of them would.
        cautions: What else is worth knowing.
    """

    network: str
    head: Head
    file: str
    bytes: int
    input: Port
    output: Port
    operators: dict[str, int]
    crop: CropRule
    resize: ResizeKernel
    calibration: str
    calibration_images: int
    calibration_range: CalibrationRange
    compiles: bool
    on_edge_tpu: int
    problems: tuple[str, ...]
    cautions: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        return dataclasses.asdict(self)


def quantize_files(
    source: Source,
    dataset: RecordDataset,
    out: str,
    *,
    images: int,
    head: Head = "softmax",
    inference_type: InferenceType = "uint8",
    calibration_range: CalibrationRange = "image_percentile",
) -> QuantizeReport:
    """Quantises a network to a file, after a look at what is ahead.

    Writes `NAME_int8.tflite`, with the head and "int8io" in its name where
    they are not the usual ones, `NAME_int8.json` with what is returned, and
    `labels.txt` where the classes are known.

    Args:
        source: What to quantise.
        dataset: Calibrates with its training split.
        out: A folder, local or gs://; made where it is missing.
        images: How many to calibrate with, at most.
        head: What the file gives.
        inference_type: Of its input and output.
        calibration_range: How the images set the int8 ranges.

    Raises:
        InputError: An argument does not fit; nothing was written.
    """
    if images < 1:
        raise InputError(f"calibration_images {images} must be at least 1")
    ahead = forecast(blueprint(source.network))
    make_folder(out, "--out")
    for words in (*ahead.problems, *ahead.cautions):
        _say(f"forecast: {words}")
    pictures = calibration_images(dataset, images=images, cut=source.cut)
    count = len(pictures) - 2
    _say(f"quantising {source.network.name} with {count} training images")
    content = quantize(
        source.network,
        source.model,
        pictures,
        head=head,
        inference_type=inference_type,
        calibration_range=calibration_range,
    )
    path = os.path.join(
        out, file_name(source.network.name, head, inference_type)
    )
    write_bytes(path, content)
    if source.labels and head != "embedding":
        lines = "".join(f"{label}\n" for label in source.labels)
        write_text(os.path.join(out, LABELS), lines)
    model = read_model(content)
    found = forecast(model)
    report = QuantizeReport(
        network=source.network.name,
        head=head,
        file=path,
        bytes=len(content),
        input=port(model.main, model.main.inputs),
        output=port(model.main, model.main.outputs),
        operators=model.main.counts(),
        crop=source.cut.crop,
        resize=source.cut.resize,
        calibration=dataset.path,
        calibration_images=count,
        calibration_range=calibration_range,
        compiles=found.compiles,
        on_edge_tpu=sum(each.on_edge_tpu for each in found.operators),
        problems=found.problems,
        cautions=found.cautions,
    )
    facts = json.dumps(report.to_dict(), indent=2, ensure_ascii=False)
    write_text(f"{path.removesuffix('.tflite')}.json", facts + "\n")
    return report


def file_name(name: str, head: Head, inference_type: InferenceType) -> str:
    """That of the file for a network."""
    words = [name, "" if head == "softmax" else head, "int8"]
    words.append("" if inference_type == "uint8" else "int8io")
    return f"{'_'.join(word for word in words if word)}.tflite"


def port(graph: Graph, places: tuple[int, ...]) -> Port:
    """The only input or output of a quantised graph."""
    tensor = graph.tensors[places[0]]
    return Port(
        tensor.dtype, tensor.shape, tensor.scale[0], tensor.zero_point[0]
    )


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)
