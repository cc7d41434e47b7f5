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
from efficientnet_tf import command_line
from efficientnet_tf.errors import InputError, RunError, near
from efficientnet_tf.report import console, figures

if TYPE_CHECKING:
    from rich.table import Table

    from edgetpu.report import ExportReport
    from edgetpu.source import Source

EXPORT_HELP = """\
python -m edgetpu export --model_dir=RUN [--out=DIR]

Turns a trained network into a file for Coral's Edge TPU: calibrates on
training images, quantises to int8, compares int8 with float on validation
images, and compiles where Google's edgetpu_compiler is at hand.

DIR, RUN/export if not given, local or gs://, gets
  NAME_int8.tflite          takes raw pixels, runs on any CPU
  NAME_int8_edgetpu.tflite  the same for the Edge TPU, if it was compiled
  NAME_int8_edgetpu.log     what the compiler said
  labels.txt                names of the classes, one a line
  export.json               sizes, accuracy, operators on the Edge TPU
  report.html               the same to look at, and how to run it on a device

The compiler runs on x86-64 Linux only; it is the Debian package
edgetpu-compiler of Google's coral-edgetpu-stable repository. Without it
everything else is made, and the report says what to run where.
"""

FORECAST_HELP = """\
python -m edgetpu forecast FILE [--json] [--require=compiles|whole]

Says what edgetpu_compiler 16.0 would make of FILE, without running it. FILE is
a .tflite of anybody's, or the name of a network such as efficientnet-b0 or its
variant file (MINE.json), of which no .tflite is needed. It goes by Coral's
table of operators and limits, the versions that 16.0 reads, and how TensorFlow
Lite divides a graph: what needs an operator that cannot be mapped runs on the
CPU with it. Of each that does, the reason is told in the compiler's words, then
in ours with what would do.

Memory and time are estimates; docs/coral.md says how
far they are off. With --json:

  operators        index, name, on_edge_tpu, reason; in the file's order
  subgraphs        parts on the Edge TPU: 1, or 0 where nothing is there
  compiles         whether a file would come out; failures says why not
  parameter_bytes  parameters as the chip stores them
  on_chip_bytes    what stays there, streamed_bytes what is sent each time
  latency_ms       of the part on the Edge TPU; latency_basis says from what
  cautions         what else may surprise

A forecast is an answer, good or bad, and the exit code is 0; --require makes
it 1 where the file would not compile, or not run whole on the Edge TPU.
"""

QUANTIZE_HELP = """\
python -m edgetpu quantize --model=PATH [--calibration=PATH] [--out=DIR]

Makes an int8 file of a network: batch 1, static shapes, every tensor int8 or
uint8, convolutions with a scale per channel and dense layers with one, which
old runtimes need. PATH of the model is a model directory of `main.py train` or
`main.py import`, or a .keras file of `main.py export`, of which the usual crop,
kernel and normalization are taken: say others by --set.

Calibration images go through the evaluation's preprocessing; they are taken
evenly over the records, and as many of each class as there are. An all-black
and an all-white one are added, so that the input takes raw pixels (scale 1/128,
zero point 127; int8: -1). Same network and images, same bytes.

Before the conversion, which may take minutes, you are told what the Edge TPU
would make of the network; then what it would make of the file.

DIR, RUN/export or the folder of the .keras file if not given, gets
  NAME_int8.tflite            probabilities
  NAME_logits_int8.tflite     with --head=logits
  NAME_embedding_int8.tflite  with --head=embedding: the pooled features
  NAME_int8_int8io.tflite     with --inference_type=int8
  NAME_int8.json              the same figures, and how pictures are cut for it
  labels.txt                  names of the classes, if the model has them
"""

VERIFY_HELP = """\
python -m edgetpu verify FILE --model=PATH [--data_dir=DATA] [--out=DIR]

Says what int8 costs: classifies validation images by the float network and by
FILE, a .tflite that was quantised from it. PATH is as for quantize; DATA is as
--data_dir of main.py has it, the run's own if not given.

You are told how often both name the same class, the top-1 of each, how far
FILE's probabilities are from the float network's (Kullback-Leibler divergence,
in nats), the layers that lose most of the signal, and the images that differ
most. Signal-to-noise of a layer is of what it gives, and "lost" is how far that
is below what it was given.

FILE runs by LiteRT on this CPU; a compiled one on an Edge TPU, without its
layers. With --out: verify.json, and worst.png with the worst images. Ends with
1 where they agree on less than --min_agreement of the images, 0.97 if not
given.
"""

COMPILE_HELP = """\
python -m edgetpu compile FILE [FILE ...] [--out=DIR] [--json]

Runs Google's edgetpu_compiler on int8 .tflite files of anybody's, and believes
it only where it ends with 0, leaves each file, and each has an operator for the
Edge TPU. Several files are compiled together: they share the chip's memory for
parameters, the first ones first. What it fails on is told with cause and cure.

DIR, the folder of the first FILE if not given, gets
  NAME_edgetpu.tflite  for the Edge TPU
  NAME_edgetpu.log     what the compiler said
With --num_segments=2: NAME_segment_0_of_2.tflite, which runs on a CPU,
NAME_segment_0_of_2_edgetpu.tflite, and so on. All are written, or none.

The compiler runs on x86-64 Linux only; it is the Debian package
edgetpu-compiler of Google's coral-edgetpu-stable repository. It may be in a
container:

  --compiler='docker run --rm -v {folder}:{folder} -w {folder} IMAGE \
edgetpu_compiler'

Where there is none, you are told what to run where, and the exit code is 3.
With --json: files (name, size, the compiler's figures and its table), segments,
attempts of a search, compiler, flags, cautions; of a failure error, failures
(message, cause, cure) and output.
"""

SHOW_HELP = """\
python -m edgetpu show FILE [--json] [--tensors]

Opens FILE, a .tflite of anybody's: size, converter, operators with versions
and options, inputs and outputs with their quantization, parameters. One that
is compiled for the Edge TPU is opened further: parameters that stay on the
chip and such as are streamed, the oldest runtime that loads it, the token that
models compiled together share, instructions, inputs and outputs on the chip.
"""


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
        own = flags.FlagValues()
        for name in sorted(verbs[0].flags):
            own[name] = values[name]
        return f"{verbs[0].help}\nFlags:\n{command_line.flag_help(own)}"
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

    source = _source(values)
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
