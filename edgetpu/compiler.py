"""Runs Google's edgetpu_compiler, and believes only what it left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgetpu.compiler_log import (
    Attempt,
    CompilerLog,
    parse_attempts,
    parse_output,
)
from edgetpu.compiler_options import CompilerOptions
from edgetpu.find_compiler import COMPILER, Compiler
from edgetpu.graph import EDGE_TPU_OPERATOR
from edgetpu.known_failures import Failure, explained
from edgetpu.reader import GraphError, read_graph
from efficientnet_tf.errors import InputError, RunError

# What the compiler may need beyond its own time-out, to start and to write.
GRACE_SECONDS = 60.0

_PLAIN = CompilerOptions()


class CompileError(RunError):
    """The compiler did not make a file for the Edge TPU.

    Attributes:
        reason: What happened, and what is known of it.
        output: All that it printed.
        failures: Known causes and cures, as the output shows them.
    """

    def __init__(
        self, reason: str, output: str, failures: tuple[Failure, ...] = ()
    ):
        told = "; ".join(f"{known.cause}; {known.cure}" for known in failures)
        self.reason = f"{reason}: {told}" if told else reason
        super().__init__(f"{self.reason}\n{output}".rstrip())
        self.output = output
        self.failures = failures


@dataclass(frozen=True)
class CompiledModel:
    """A file for the Edge TPU.

    Attributes:
        name: Without ".tflite": that of the model and "_edgetpu", or
            "_segment_0_of_2_edgetpu".
        content: Its bytes.
        log: The compiler's figures.
        segment: The bytes of the segment that it was compiled from; None where
            it was a whole model.
    """

    name: str
    content: bytes
    log: CompilerLog
    segment: bytes | None = None


@dataclass(frozen=True)
class Compilation:
    """What one run of the compiler made.

    Attributes:
        models: In the order of the models given, each one's segments in a row.
        attempts: The tries of a search; empty without one.
        output: All that the compiler printed.
    """

    models: tuple[CompiledModel, ...]
    attempts: tuple[Attempt, ...]
    output: str


def compile_models(
    compiler: Compiler,
    models: Mapping[str, bytes],
    options: CompilerOptions = _PLAIN,
    *,
    grace_seconds: float = GRACE_SECONDS,
) -> Compilation:
    """Compiles models in a temporary folder; several ones for one chip.

    Several models share the chip's memory for parameters, the first ones
    first. A crash happens in a child of the compiler and its exit codes are
    not documented: it has succeeded when it says so, left each file, and each
    file has an operator for the Edge TPU.

    Args:
        compiler: What to run.
        models: The bytes of int8 `.tflite` files, by their names without
            ".tflite", which the output shows.
        options: How to compile.
        grace_seconds: How long the compiler may take beyond its own time-out.

    Raises:
        InputError: There is no model, or one is no model.
        CompileError: It failed; the message ends with its own words.
    """
    if not models:
        raise InputError("there is no model to compile; give one")
    limit = grace_seconds + options.longest_seconds(_operators(models))
    with tempfile.TemporaryDirectory() as folder:
        for name, content in models.items():
            Path(folder, f"{name}.tflite").write_bytes(content)
        # Relative names, so that the output does not depend on the folder.
        command = [
            *compiler.in_folder(folder),
            *("-s", "-o", ".", *options.flags()),
            *(_as_word(f"{name}.tflite") for name in models),
        ]
        code, output = _run(command, folder, limit)
        if code:
            raise CompileError(
                f"{COMPILER} {_end(code)}",
                output,
                explained(output),
            )
        return Compilation(
            models=tuple(
                _compiled(Path(folder), name, output)
                for model in models
                for name in options.compiled_stems(model)
            ),
            attempts=parse_attempts(output),
            output=output,
        )


def _end(code: int) -> str:
    """What an exit code other than 0 says; below 0 it is a signal's."""
    if code > 0:
        return f"failed with exit code {code}"
    return f"crashed, or was killed: it ended by {signal.Signals(-code).name}"


def _operators(models: Mapping[str, bytes]) -> int:
    return sum(
        len(read_graph(content).operators) for content in models.values()
    )


def _as_word(file: str) -> str:
    """A name that is not taken for a flag."""
    return f"./{file}" if file.startswith("-") else file


def _compiled(folder: Path, name: str, output: str) -> CompiledModel:
    written = folder / f"{name}.tflite"
    if not written.is_file():
        raise CompileError(
            f"{COMPILER} left no {written.name}", output, explained(output)
        )
    content = written.read_bytes()
    try:
        counts = read_graph(content).counts()
    except GraphError as error:
        raise CompileError(
            f"{COMPILER} left a {written.name} that cannot be read ({error})",
            output,
        ) from error
    if EDGE_TPU_OPERATOR not in counts:
        raise CompileError(
            f"{COMPILER} put nothing of {written.name} on the Edge TPU; "
            "python -m edgetpu forecast says why",
            output,
        )
    table, segment = folder / f"{name}.log", None
    if "_segment_" in name:
        uncompiled = folder / f"{name.removesuffix('_edgetpu')}.tflite"
        segment = uncompiled.read_bytes() if uncompiled.is_file() else None
    return CompiledModel(
        name=name,
        content=content,
        log=_log(
            written.name,
            output,
            table.read_text(errors="replace") if table.is_file() else "",
        ),
        segment=segment,
    )


def _log(file: str, output: str, table: str) -> CompilerLog:
    """The figures of one file.

    Args:
        file: Its name.
        output: What the compiler printed of all of them.
        table: What it wrote into the file's own log; empty if it did not.
    """
    logs = parse_output(output, table=table)
    for log in logs:
        if log.output_model and os.path.basename(log.output_model) == file:
            return log
    # One that does not name its files, as an old one or one whose lines are
    # torn: figures that may be another model's are worse than none.
    return logs[0] if len(logs) == 1 else parse_output("", table=table)[0]


def _run(command: list[str], folder: str, seconds: float) -> tuple[int, str]:
    """Exit code, and standard output and error as they came."""
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise CompileError(
            f"{command[0]} cannot be run: {error}", ""
        ) from error
    with process:
        try:
            printed, _ = process.communicate(timeout=seconds)
        except BaseException as error:
            # The compiler's child holds the pipe too: end the whole session.
            os.killpg(process.pid, signal.SIGKILL)
            printed, _ = process.communicate()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            raise CompileError(
                f"{COMPILER} did not end within {seconds:g} seconds; give it "
                "more by --timeout_seconds, or it hangs",
                printed.decode(errors="replace"),
            ) from error
    return process.returncode, printed.decode(errors="replace")
