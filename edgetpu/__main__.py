r"""A network on Coral's Edge TPU: made, compiled, looked at, foretold.

usage: python -m edgetpu VERB [FILE] [FLAGS]

  export          from a trained network to an int8 file, compiled if it can be
  quantize        from a trained network to an int8 file, and no further
  forecast FILE   which operators of a .tflite would run on the Edge TPU, which
                  not and why, what memory and time it would take
  compile FILE    runs Google's compiler, and says what it made, or why not
  show FILE       what a .tflite holds, compiled for the Edge TPU or not
  verify FILE     what int8 costs: the file against the float network
  run FILE ...    classifies pictures, on the CPU or on an Edge TPU
  benchmark FILE  how long it takes

For example:

  python -m edgetpu export --model_dir=RUN --out=DIR
  python -m edgetpu forecast DIR/efficientnet-lite0_int8.tflite
  python -m edgetpu forecast efficientnet-edgetpu-S
  python -m edgetpu compile DIR/efficientnet-lite0_int8.tflite
  python -m edgetpu show DIR/efficientnet-lite0_int8_edgetpu.tflite
  python -m edgetpu verify DIR/efficientnet-lite0_int8.tflite --model=RUN
  python -m edgetpu run DIR/efficientnet-lite0_int8.tflite cat.jpg

`python -m edgetpu VERB --help` tells more. Exit codes: 0 done, 1 failed,
2 wrong input, 3 no compiler here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from absl import flags

from edgetpu.main_flags import define_flags
from edgetpu.main_help import (
    COMPILE_HELP,
    EXPORT_HELP,
    FORECAST_HELP,
    QUANTIZE_HELP,
    SHOW_HELP,
    VERIFY_HELP,
)
from efficientnet_tf import command_line
from efficientnet_tf.errors import InputError, RunError, near
from efficientnet_tf.report import console, figures

if TYPE_CHECKING:
    from rich.table import Table

    from edgetpu.report import ExportReport
    from edgetpu.source import Source


class Verb(NamedTuple):
    """What the first word of a command line stands for."""

    run: Callable[..., None]
    flags: set[str]
    help: str
    files: int = 0
    more_files: bool = False


def main(arguments: Sequence[str]) -> int:
    """Runs a command line.

    Args:
        arguments: What follows the program's name.

    Returns:
        0 when it went well, 2 where the command line or what it names is
        wrong, 3 where the compiler is missing, 1 where the work failed.
    """
    if arguments and arguments[0] in ON_THE_DEVICE:
        return _on_the_device(arguments[0], arguments[1:])
    values = define_flags()
    if not arguments or command_line.asks_for_help(arguments):
        print(_help(arguments, values))
        return 0

    def work() -> None:
        verb, files = _parse(values, arguments)
        verb.run(values, *files)

    return command_line.run("edgetpu", work)


def _on_the_device(name: str, arguments: Sequence[str]) -> int:
    """Runs what boards have too, which reads its own command line."""
    from edgetpu.run.__main__ import main as device_main

    return device_main(
        list(arguments), f"edgetpu {name}", benchmark=name == "benchmark"
    )


def _help(arguments: Sequence[str], values: flags.FlagValues) -> str:
    """That of the verb, if one is named, or else of all."""
    verbs = [VERBS[word] for word in arguments if word in VERBS]
    if len(verbs) == 1:
        own = command_line.flag_help(values, verbs[0].flags)
        return f"{verbs[0].help}\nFlags:\n{own}"
    return f"{__doc__}\nFlags:\n{command_line.flag_help(values)}"


def _parse(
    values: flags.FlagValues, arguments: Sequence[str]
) -> tuple[Verb, list[str]]:
    words = command_line.parse(values, arguments)
    if not words:
        raise InputError(
            f"say what to do: {near('', (*VERBS, *ON_THE_DEVICE))}"
        )
    name, files = words[0], words[1:]
    if name not in VERBS:
        known = (*VERBS, *ON_THE_DEVICE)
        raise InputError(f"unknown verb {name!r}: {near(name, known)}")
    verb = VERBS[name]
    if len(files) > verb.files and not verb.more_files:
        raise InputError(
            f"unexpected {files[verb.files]!r} after {name}; flags look like "
            "--model_dir=RUN"
        )
    if len(files) < verb.files:
        raise InputError(
            f"{name} needs a file, such as "
            f"`python -m edgetpu {name} model.tflite`"
        )
    for flag in values:
        if values[flag].present and flag not in verb.flags:
            allowed = ", ".join(f"--{each}" for each in sorted(verb.flags))
            raise InputError(
                f"{name} knows no --{flag}; its flags are {allowed}"
            )
    return verb, files


def _forecast(values: flags.FlagValues, path: str) -> None:
    from edgetpu import tables
    from edgetpu.blueprint import open_or_draw
    from edgetpu.forecast import forecast

    model = open_or_draw(path)
    found = forecast(model, multiple_subgraphs=values.multiple_subgraphs)
    _print(values, found.to_dict(), tables.forecast_pages(path, found))
    if values.require and not found.compiles:
        raise RunError(f"{path} would not compile: {found.failures[0].message}")
    if values.require == "whole" and not found.whole:
        raise RunError(f"{path} would not run whole on the Edge TPU")


def _source(values: flags.FlagValues) -> Source:
    if not values.model:
        raise InputError(
            "--model is missing; give a model directory or a .keras file"
        )
    from edgetpu.source import load_source

    return load_source(
        values.model, checkpoint=values.checkpoint, settings=values.set
    )


def _quantize(values: flags.FlagValues) -> None:
    from edgetpu import tables
    from edgetpu.quantize_files import quantize_files
    from edgetpu.source import default_out

    source = _source(values)
    report = quantize_files(
        source,
        source.open_data(values.calibration, "--calibration"),
        values.out or default_out(values.model),
        images=values.calibration_images
        or source.config.export.calibration_images,
        head=values.head,
        inference_type=values.inference_type,
        calibration_range=values.calibration_range
        or source.config.export.calibration_range,
    )
    _print(values, report.to_dict(), tables.quantized_pages(report))
    if not report.compiles:
        raise RunError(
            f"{report.file} was written, and would not compile: "
            f"{report.problems[0]}"
        )


def _verify(values: flags.FlagValues, path: str) -> None:
    from edgetpu.verify_file import verify_file, write_report
    from edgetpu.verify_tables import verified_pages
    from efficientnet_tf.files import make_folder

    source = _source(values)
    if values.out:
        make_folder(values.out, "--out")  # Before minutes are spent.
    report = verify_file(
        source,
        source.open_data(values.data_dir, "--data_dir"),
        path,
        images=values.verify_images or source.config.export.verify_images,
        delegate=values.delegate,
    )
    if values.out:
        write_report(report, values.out)
    _print(values, report.to_dict(), verified_pages(report))
    agreement = report.comparison.agreement
    if agreement < values.min_agreement:
        raise RunError(
            f"int8 and float agree on {agreement:.4f} of the images, less than "
            f"--min_agreement {values.min_agreement}"
        )


def _compile(values: flags.FlagValues, *paths: str) -> None:
    from edgetpu import tables
    from edgetpu.compile_files import compile_files, failed
    from edgetpu.compiler import CompileError
    from edgetpu.compiler_options import CompilerOptions
    from edgetpu.find_compiler import CompilerMissing, find_compiler

    options = CompilerOptions(
        min_runtime_version=values.min_runtime_version,
        num_segments=values.num_segments,
        intermediate_tensors=tuple(values.intermediate_tensors),
        search_delegate=values.search_delegate,
        delegate_search_step=values.delegate_search_step,
        timeout_seconds=values.timeout_seconds,
        multiple_subgraphs=values.multiple_subgraphs,
    )
    compiler = find_compiler(values.compiler)
    try:
        made = compile_files(paths, values.out, compiler, options)
    except (CompileError, CompilerMissing) as error:
        if values.json:
            print(json.dumps(failed(error), indent=2, ensure_ascii=False))
        raise
    _print(values, made.to_dict(), tables.compiled_pages(made))


def _show_file(values: flags.FlagValues, path: str) -> None:
    from edgetpu import tables
    from edgetpu.reader import open_model
    from edgetpu.show import show

    found = show(open_model(path))
    pages = tables.shown_pages(path, found, tensors=values.tensors)
    _print(values, found.to_dict(), pages)


def _print(
    values: flags.FlagValues, facts: dict[str, Any], pages: Iterable[Table]
) -> None:
    if values.json:
        print(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    for page in pages:
        console().print(page)


def _export(values: flags.FlagValues) -> None:
    if not values.model_dir:
        raise InputError("--model_dir is missing; give the run to export")
    from edgetpu.export import export
    from efficientnet_tf.training.config_files import override
    from efficientnet_tf.training.model_dir import ModelDir
    from efficientnet_tf.training.trained import load_trained, run_config

    fields = {
        "data.dir": values.data_dir,
        "export.checkpoint": values.checkpoint,
        "export.calibration_images": values.calibration_images,
        "export.calibration_range": values.calibration_range,
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
    _print(values, report.to_dict(), [_export_table(report, out)])


def _export_table(report: ExportReport, out: str) -> Table:
    from edgetpu import tables
    from edgetpu.verify_tables import comparison_rows

    compared = report.comparison
    rows = [
        ("int8 file", f"{report.file}, {tables.size(report.bytes)}"),
        ("input", f"raw pixels, {tables.port(report.input)}"),
        *comparison_rows(compared),
    ]
    if report.compiled:
        rows += tables.compiled_rows(report.compiled)
    if report.not_compiled:
        rows.append(("not compiled", report.not_compiled))
    return figures(f"{report.network} in {out}", rows)


VERBS = {
    "export": Verb(
        _export,
        {"model_dir", "out", "calibration_images", "verify_images"}
        | {"calibration_range", "checkpoint", "compiler", "data_dir", "json"},
        EXPORT_HELP,
    ),
    "quantize": Verb(
        _quantize,
        {"calibration", "calibration_images", "calibration_range"}
        | {"checkpoint", "head", "inference_type", "json", "model", "out"}
        | {"set"},
        QUANTIZE_HELP,
    ),
    "forecast": Verb(
        _forecast,
        {"json", "multiple_subgraphs", "require"},
        FORECAST_HELP,
        files=1,
    ),
    "compile": Verb(
        _compile,
        {"compiler", "delegate_search_step", "intermediate_tensors", "json"}
        | {"min_runtime_version", "multiple_subgraphs", "num_segments", "out"}
        | {"search_delegate", "timeout_seconds"},
        COMPILE_HELP,
        files=1,
        more_files=True,
    ),
    "show": Verb(_show_file, {"json", "tensors"}, SHOW_HELP, files=1),
    "verify": Verb(
        _verify,
        {"checkpoint", "data_dir", "delegate", "json", "min_agreement"}
        | {"model", "out", "set", "verify_images"},
        VERIFY_HELP,
        files=1,
    ),
}

ON_THE_DEVICE = ("run", "benchmark")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
