"""Compiles files for the Edge TPU and puts what comes out into a folder."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgetpu.compiler import (
    Compilation,
    CompiledModel,
    CompileError,
    compile_models,
)
from edgetpu.compiler_log import Attempt, CompilerLog
from edgetpu.compiler_options import CompilerOptions
from edgetpu.find_compiler import Compiler, CompilerMissing, how_to_compile
from edgetpu.forecast import Forecast, forecast
from edgetpu.known_failures import Failure
from edgetpu.reader import open_model, read_content
from efficientnet_tf.errors import InputError, RunError
from efficientnet_tf.networks.edgetpu_memory import CACHE_BYTES

_NEWEST_COMPILER = "16."


@dataclass(frozen=True)
class CompiledFile:
    """What edgetpu_compiler made.

    Attributes:
        file: Its name in the folder.
        bytes: Its size.
        output: Name of the file with all that the compiler printed.
        log: The figures in that.
    """

    file: str
    bytes: int
    output: str
    log: CompilerLog


@dataclass(frozen=True)
class CompileReport:
    """What a call of the compiler made.

    Attributes:
        folder: Where the files are.
        files: One for each model, or for each of its segments.
        segments: Names of the uncompiled segments, which run on a CPU.
        attempts: The tries of a search; empty without one.
        compiler: What was run.
        flags: Its flags, besides -s and -o.
        cautions: What else is worth knowing.
    """

    folder: str
    files: tuple[CompiledFile, ...]
    segments: tuple[str, ...]
    attempts: tuple[Attempt, ...]
    compiler: str
    flags: tuple[str, ...]
    cautions: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        return dataclasses.asdict(self)


def compile_files(
    paths: Sequence[str],
    out: str | None,
    compiler: Compiler | None,
    options: CompilerOptions,
) -> CompileReport:
    """Compiles files, several ones for one chip.

    Writes `NAME_edgetpu.tflite`, or `NAME_segment_0_of_2.tflite` and
    `NAME_segment_0_of_2_edgetpu.tflite` and so on, and the compiler's output in
    `.log` beside each compiled one; all of them or none. What was compiled is
    left alone.

    Args:
        paths: `.tflite` files, int8; the first ones first in the chip's memory.
        out: A local folder, made where it is missing; that of the first file
            if None.
        compiler: What to run, or None where there is none.
        options: How to compile.

    Raises:
        InputError: A file is missing, no model, or compiled already, or two
            have the same name.
        CompilerMissing: There is no compiler; the message says what to do.
        CompileError: It failed; nothing was written.
        RunError: The folder cannot be written.
    """
    models = _read(paths)
    forecasts = _forecasts(paths, options)
    folder = out or os.path.dirname(paths[0]) or "."
    if compiler is None:
        raise CompilerMissing(
            "; ".join(
                [
                    *_refusals(forecasts),
                    how_to_compile(paths, folder, options.flags()),
                ]
            )
        )
    _make(folder)
    made = compile_models(compiler, models, options)
    _write(folder, _files(made))
    return CompileReport(
        folder=folder,
        files=tuple(_compiled_file(model) for model in made.models),
        segments=tuple(
            _segment_file(model) for model in made.models if model.segment
        ),
        attempts=made.attempts,
        compiler=str(compiler),
        flags=tuple(options.flags()),
        cautions=(
            *_old(made),
            *_refusals(forecasts),
            *_crowd(tuple(forecasts.values())),
        ),
    )


def failed(error: CompileError | CompilerMissing) -> dict[str, Any]:
    """A failure as plain values, for JSON."""
    known: tuple[Failure, ...] = ()
    output, reason = "", str(error)
    if isinstance(error, CompileError):
        output, known, reason = error.output, error.failures, error.reason
    return {
        "files": [],
        "error": reason,
        "failures": [dataclasses.asdict(failure) for failure in known],
        "output": output,
    }


def _read(paths: Sequence[str]) -> dict[str, bytes]:
    models: dict[str, bytes] = {}
    for path in paths:
        name = Path(path).stem
        if name in models:
            raise InputError(
                f"two files are named {name}: what is made of the second one "
                "would take the place of the first; rename it"
            )
        models[name] = read_content(path)
    return models


def _forecasts(
    paths: Sequence[str], options: CompilerOptions
) -> dict[str, Forecast]:
    found = {}
    for path in paths:
        model = open_model(path)
        try:
            found[path] = forecast(
                model, multiple_subgraphs=options.multiple_subgraphs
            )
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
    return found


def _refusals(forecasts: Mapping[str, Forecast]) -> Iterator[str]:
    """What the forecast holds against files."""
    for path, found in forecasts.items():
        for failure in found.failures:
            yield (
                f"{path} is forecast not to compile: {failure.cause}; "
                f"{failure.cure}"
            )


def _crowd(forecasts: Sequence[Forecast]) -> Iterator[str]:
    needed = sum(found.memory.parameter_bytes for found in forecasts)
    if len(forecasts) > 1 and needed > CACHE_BYTES:
        yield (
            f"together the models have about {needed / 2**20:.2f} MiB of "
            f"parameters for some {CACHE_BYTES / 2**20:.2f} MiB on the chip: "
            "what does not fit is streamed with each run; compiled alone, each "
            "has the whole chip, and fills it anew when they take turns"
        )


def _old(made: Compilation) -> Iterator[str]:
    version = made.models[0].log.version
    if version and not version.startswith(_NEWEST_COMPILER):
        yield (
            f"compiler {version} is not the newest, 16.0.384591198, for which "
            "the forecast speaks"
        )


def _compiled_file(model: CompiledModel) -> CompiledFile:
    return CompiledFile(
        file=f"{model.name}.tflite",
        bytes=len(model.content),
        output=f"{model.name}.log",
        log=model.log,
    )


def _segment_file(model: CompiledModel) -> str:
    return f"{model.name.removesuffix('_edgetpu')}.tflite"


def _files(made: Compilation) -> Iterator[tuple[str, bytes]]:
    for model in made.models:
        if model.segment:
            yield _segment_file(model), model.segment
        yield f"{model.name}.log", made.output.encode()
        yield f"{model.name}.tflite", model.content


def _make(folder: str) -> None:
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"--out {folder} cannot be made: {error.strerror}; give another"
        ) from error


def _write(folder: str, files: Iterator[tuple[str, bytes]]) -> None:
    """Writes all of them beside, then puts them into their places.

    By hand, since TensorFlow's file system would be the only reason to have
    TensorFlow where files are compiled.
    """
    try:
        with tempfile.TemporaryDirectory(
            dir=folder, prefix=".compiled-"
        ) as fresh:
            for name, content in files:
                Path(fresh, name).write_bytes(content)
            for name in sorted(os.listdir(fresh)):
                os.replace(os.path.join(fresh, name), Path(folder, name))
    except OSError as error:
        raise RunError(
            f"what was compiled cannot be written into {folder}: "
            f"{error.strerror}; make room, or give another --out"
        ) from error
