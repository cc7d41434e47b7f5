"""The command line: `python -m edgetpu export --model_dir=RUN --out=DIR`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from absl import flags

from efficientnet_tf import command_line
from efficientnet_tf.errors import InputError, near
from efficientnet_tf.report import console, figures

if TYPE_CHECKING:
    from edgetpu.report import ExportReport

VERBS = ("export",)

HELP = """\
python -m edgetpu export --model_dir=RUN [--out=DIR]

Turns a trained network into a file for Coral's Edge TPU: calibrates on
training images, quantises to int8, compares int8 with float on validation
images, and compiles where Google's edgetpu_compiler is at hand.

DIR gets
  NAME_int8.tflite          takes raw pixels, runs on any CPU
  NAME_int8_edgetpu.tflite  the same for the Edge TPU, if it was compiled
  NAME_int8_edgetpu.log     what the compiler said
  labels.txt                names of the classes, one a line
  export.json               sizes, accuracy, operators on the Edge TPU

The compiler runs on x86-64 Linux only; it is the Debian package
edgetpu-compiler of Google's coral-edgetpu-stable repository. Without it
everything else is made, and the report says what to run where.

Flags:
"""


def main(arguments: Sequence[str]) -> int:
    """Runs a command line.

    Args:
        arguments: What follows the program's name.

    Returns:
        0 when it went well, 2 where the command line or what it names is
        wrong, 1 where the export or the compiler failed.
    """
    values = _flags()
    if not arguments or command_line.asks_for_help(arguments):
        print(HELP + command_line.flag_help(values))
        return 0

    def work() -> None:
        _parse(values, arguments)
        _export(values)

    return command_line.run("edgetpu", work)


def _flags() -> flags.FlagValues:
    values = flags.FlagValues()
    flags.DEFINE_string(
        "model_dir", None, "A run: its model directory.", flag_values=values
    )
    flags.DEFINE_string(
        "out",
        None,
        "Where the files go, local or gs://; RUN/export if not given.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "calibration_images",
        None,
        "Training images that set the int8 ranges; as the run's config says "
        "(500 by default) if not given.",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "verify_images",
        None,
        "Validation images to compare int8 with float on; as above.",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_enum(
        "checkpoint",
        None,
        ["last", "best"],
        "Which weights; as the run's config says (last by default) if not "
        "given.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "compiler",
        None,
        "Path of edgetpu_compiler; EDGETPU_COMPILER from the environment, "
        "then PATH, if not given.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "data_dir",
        None,
        "The run's data, if it has moved since the training.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "json",
        False,
        "Print the report as JSON instead of a table.",
        flag_values=values,
    )
    return values


def _parse(values: flags.FlagValues, arguments: Sequence[str]) -> None:
    words = command_line.parse(values, arguments)
    if not words:
        raise InputError(f"say what to do: {near('', VERBS)}")
    if words[0] not in VERBS:
        raise InputError(f"unknown verb {words[0]!r}: {near(words[0], VERBS)}")
    if len(words) > 1:
        raise InputError(
            f"unexpected {words[1]!r} after {words[0]}; flags look like "
            "--model_dir=RUN"
        )
    if not values.model_dir:
        raise InputError("--model_dir is missing; give the run to export")


def _export(values: flags.FlagValues) -> None:
    from edgetpu.export import export
    from efficientnet_tf.training.config_files import override
    from efficientnet_tf.training.model_dir import ModelDir
    from efficientnet_tf.training.trained import load_trained, run_config

    fields = {
        "data.dir": values.data_dir,
        "export.checkpoint": values.checkpoint,
        "export.calibration_images": values.calibration_images,
        "export.verify_images": values.verify_images,
    }
    said = [f"{name}={value}" for name, value in fields.items() if value]
    config = override(run_config(values.model_dir), said)
    out = values.out or ModelDir(values.model_dir).export
    trained = load_trained(
        values.model_dir, config, checkpoint=config.export.checkpoint
    )
    report = export(
        trained,
        trained.open_data(),
        out,
        calibration_images=config.export.calibration_images,
        verify_images=config.export.verify_images,
        compiler=values.compiler,
    )
    if values.json:
        print(json.dumps(report.to_dict(), indent=2, ensure_ascii=False))
    else:
        _show(report, out)


def _show(report: ExportReport, out: str) -> None:
    compared = report.comparison
    rows = [
        ("int8 file", f"{report.file}, {_mib(report.bytes)}"),
        (
            "input",
            f"raw pixels, uint8 {list(report.input.shape)}, "
            f"scale {report.input.scale}, zero point {report.input.zero_point}",
        ),
        ("top-1 float", f"{compared.float_top1:.2%}"),
        ("top-1 int8", f"{compared.int8_top1:.2%}"),
        ("same class", f"{compared.agreement:.2%} of {compared.images} images"),
    ]
    if report.compiled:
        log = report.compiled.log
        rows += [
            (
                "Edge TPU file",
                f"{report.compiled.file}, {_mib(report.compiled.bytes)}",
            ),
            (
                "operators",
                f"{_known(log.on_edge_tpu)} on the Edge TPU, "
                f"{_known(log.on_cpu)} on the CPU",
            ),
            (
                "parameters",
                f"{_mib(log.on_chip_used_bytes)} on chip, "
                f"{_mib(log.off_chip_bytes)} streamed",
            ),
        ]
    if report.not_compiled:
        rows.append(("not compiled", report.not_compiled))
    console().print(figures(f"{report.network} in {out}", rows))


def _mib(size: int | None) -> str:
    return "?" if size is None else f"{size / 2**20:.2f} MiB"


def _known(count: int | None) -> str:
    return "?" if count is None else str(count)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
