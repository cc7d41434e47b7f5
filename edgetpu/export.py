"""The whole way from a trained network to files for Coral."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass

import tensorflow as tf

from edgetpu.calibrate import calibration_images
from edgetpu.compile_files import CompiledFile
from edgetpu.compiler import Compilation, CompileError, compile_models
from edgetpu.find_compiler import find_compiler, how_to_compile
from edgetpu.forecast import forecast
from edgetpu.quantize import quantize
from edgetpu.quantize_files import file_name, port
from edgetpu.reader import read_model
from edgetpu.report import ExportReport
from edgetpu.report_page import export_page
from edgetpu.samples import picked_examples
from edgetpu.verify import Verification, verify
from efficientnet_tf.data.dataset import RecordDataset
from efficientnet_tf.data.manifest import LABELS
from efficientnet_tf.errors import InputError, RunError
from efficientnet_tf.files import make_folder, write_bytes, write_text
from efficientnet_tf.training.trained import TrainedModel

REPORT, PAGE = "export.json", "report.html"


class ExportError(RunError):
    """The file was written, but the compiler would not take it whole."""


def export(
    trained: TrainedModel,
    dataset: RecordDataset,
    out: str,
    *,
    calibration_images: int,
    verify_images: int,
    compiler: str | None = None,
) -> ExportReport:
    """Quantises a network, compares, compiles it where that can be done.

    Writes `NAME_int8.tflite`, `labels.txt`, `export.json` and `report.html`,
    and where there is a compiler `NAME_int8_edgetpu.tflite` and its output in
    `.log`.

    Args:
        trained: What to export.
        dataset: Calibrates with its training and compares on its validation
            split.
        out: A folder, local or `gs://`; made where it is missing.
        calibration_images: How many at most.
        verify_images: How many at most.
        compiler: See `find_compiler`.

    Raises:
        InputError: An argument does not fit; nothing was written.
        ExportError: The compiler would not take the file whole. It and the
            report were written.
        CompileError: The compiler failed. The same.
    """
    first = _check(trained, dataset, calibration_images, verify_images)
    program = find_compiler(compiler)
    make_folder(out, "--out")
    int8 = file_name(trained.network.name, "softmax", "uint8")
    files = _Files(out, int8.removesuffix(".tflite"))
    content, calibrated = _quantized(trained, dataset, calibration_images)
    verified = _verified(trained, dataset, content, verify_images, first)

    files.remove_compiled()
    files.write(files.int8, content)
    write_text(
        files.path(LABELS), "".join(f"{label}\n" for label in trained.labels)
    )
    model = read_model(content)
    found = forecast(model)
    problems = found.problems
    compiled, failure = None, None
    if program and not problems:
        _say(f"compiling with {program}")
        try:
            compiled = files.write_compiled(
                compile_models(program, {files.stem: content})
            )
        except CompileError as error:
            failure = error
    report = ExportReport(
        network=trained.network.name,
        step=trained.step,
        dataset=dataset.name,
        pixels=trained.cut.pixels,
        crop=trained.cut.crop,
        resize=trained.cut.resize,
        normalization=trained.network.normalization.name,
        classes=trained.network.classes,
        file=files.int8,
        bytes=len(content),
        input=port(model.main, model.main.inputs),
        output=port(model.main, model.main.outputs),
        operators=model.main.counts(),
        calibration_images=calibrated,
        calibration_range=trained.config.export.calibration_range,
        comparison=verified.comparison,
        worst=verified.worst,
        layers=verified.layers,
        problems=problems,
        compiled=compiled,
        not_compiled=None
        if compiled
        else _reason(files.path(files.int8), problems, failure),
    )
    text = json.dumps(report.to_dict(), indent=2, ensure_ascii=False)
    write_text(files.path(REPORT), text + "\n")
    shown = export_page(report, found, verified, trained.labels)
    write_text(files.path(PAGE), shown)
    if problems:
        raise ExportError(
            f"{files.path(files.int8)} was written, but is not fit for the "
            f"Edge TPU: {'; '.join(problems)}"
        )
    if failure:
        raise CompileError(
            f"{failure.reason}; {files.path(files.int8)} was written. "
            "The compiler said:",
            failure.output,
        ) from failure
    return report


@dataclass(frozen=True)
class _Files:
    """Names in the folder; a file appears whole or not at all."""

    folder: str
    stem: str

    @property
    def int8(self) -> str:
        return f"{self.stem}.tflite"

    @property
    def compiled(self) -> str:
        return f"{self.stem}_edgetpu.tflite"

    @property
    def log(self) -> str:
        return f"{self.stem}_edgetpu.log"

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def write(self, name: str, content: bytes) -> None:
        write_bytes(self.path(name), content)

    def remove_compiled(self) -> None:
        """An earlier export's file must not stand beside a newer one's."""
        for name in (REPORT, PAGE, self.compiled, self.log):
            if tf.io.gfile.exists(self.path(name)):
                tf.io.gfile.remove(self.path(name))

    def write_compiled(self, made: Compilation) -> CompiledFile:
        (model,) = made.models
        self.write(self.compiled, model.content)
        write_text(self.path(self.log), made.output)
        return CompiledFile(
            file=self.compiled,
            bytes=len(model.content),
            output=self.log,
            log=model.log,
        )


def _check(
    trained: TrainedModel,
    dataset: RecordDataset,
    calibration_images: int,
    verify_images: int,
) -> int:
    """Refuses what does not fit; the logit of the data's first class."""
    for name, value in (
        ("calibration_images", calibration_images),
        ("verify_images", verify_images),
    ):
        if value < 1:
            raise InputError(f"{name} {value} must be at least 1")
    classes = trained.network.classes
    if classes != len(trained.labels):
        raise InputError(
            f"the network has {classes} classes and the run "
            f"{len(trained.labels)} labels; they must be as many"
        )
    return trained.check_labels(dataset)


def _quantized(
    trained: TrainedModel, dataset: RecordDataset, images: int
) -> tuple[bytes, int]:
    """The int8 file, and from how many real images."""
    pictures = calibration_images(dataset, images=images, cut=trained.cut)
    count = len(pictures) - 2
    _say(f"quantising {trained.network.name} with {count} training images")
    content = quantize(
        trained.network,
        trained.model,
        pictures,
        calibration_range=trained.config.export.calibration_range,
    )
    return content, count


def _verified(
    trained: TrainedModel,
    dataset: RecordDataset,
    content: bytes,
    images: int,
    first_logit: int,
) -> Verification:
    count = min(images, dataset.validation.images)
    _say(f"comparing int8 with float on {count} validation images")
    examples = picked_examples(
        dataset, "validation", images=images, cut=trained.cut
    )
    examples = examples.map(lambda image, label: (image, label + first_logit))
    return verify(
        trained.network, trained.model, content, examples, images=count
    )


def _reason(
    path: str, problems: tuple[str, ...], failure: CompileError | None
) -> str:
    if problems:
        return f"not tried: {problems[0]}"
    if failure:
        return failure.reason
    return how_to_compile([path])


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)
