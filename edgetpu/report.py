"""What an export has made, in words and numbers."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from edgetpu.compile_files import CompiledFile
from edgetpu.layer_errors import LayerError
from edgetpu.verify import Comparison, JudgedImage
from efficientnet_tf.data.cut import CropRule, ResizeKernel
from efficientnet_tf.networks.stages import NormalizationName
from efficientnet_tf.training.config import CalibrationRange


@dataclass(frozen=True)
class Port:
    """The input or output of a file.

    Attributes:
        dtype: "uint8".
        shape: Sizes, the batch of one first.
        scale: Real value of one step.
        zero_point: Value that stands for 0.
    """

    dtype: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int


@dataclass(frozen=True)
class ExportReport:
    """What an export has made, as `export.json` says it.

    Attributes:
        network: Name of the variant.
        step: Training steps behind the weights.
        dataset: Where calibration and comparison images came from.
        pixels: Side of the input image.
        crop: How much of a picture went into it: see `Cut`.
        resize: The kernel that brought it to size.
        normalization: What the network expects of pixels; the file does it.
        classes: Number of scores.
        file: Name of the int8 file in the folder.
        bytes: Its size.
        input: It takes (pixel - 127) / 128, which is pixels as they are.
        output: It gives the softmax.
        operators: How often each operator occurs.
        calibration_images: Training images that set the int8 ranges, an all-0
            and an all-255 image not counted.
        calibration_range: How they did.
        comparison: What int8 costs on validation images.
        worst: The images on which int8 and float differ most.
        layers: What each operator of the int8 file loses.
        problems: What would keep the compiler from taking the file whole.
        compiled: What the compiler made of it, or None.
        not_compiled: Why there is none, or None.
    """

    network: str
    step: int
    dataset: str
    pixels: int
    crop: CropRule
    resize: ResizeKernel
    normalization: NormalizationName
    classes: int
    file: str
    bytes: int
    input: Port
    output: Port
    operators: dict[str, int]
    calibration_images: int
    calibration_range: CalibrationRange
    comparison: Comparison
    worst: tuple[JudgedImage, ...]
    layers: tuple[LayerError, ...]
    problems: tuple[str, ...]
    compiled: CompiledFile | None
    not_compiled: str | None

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        return dataclasses.asdict(self)
