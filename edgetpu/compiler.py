"""Finds and runs Google's edgetpu_compiler, which is not ours to ship."""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from edgetpu.compiler_log import CompilerLog, parse_output
from edgetpu.graph import EDGE_TPU_OPERATOR
from edgetpu.reader import GraphError, read_graph
from efficientnet_tf.errors import InputError, RunError

COMPILER = "edgetpu_compiler"
VARIABLE = "EDGETPU_COMPILER"
TIMEOUT_SECONDS = 600.0


class CompileError(RunError):
    """The compiler did not make a file for the Edge TPU.

    Attributes:
        output: All that it printed.
    """

    def __init__(self, reason: str, output: str):
        super().__init__(f"{reason}\n{output}".rstrip())
        self.reason = reason
        self.output = output


@dataclass(frozen=True)
class Compiled:
    """What the compiler made.

    Attributes:
        content: The bytes of the compiled `.tflite` file.
        output: All that the compiler printed.
        log: The figures in it.
    """

    content: bytes
    output: str
    log: CompilerLog


def find_compiler(given: str | None = None) -> str | None:
    """Looks for the compiler.

    Args:
        given: Its path or its name in PATH. None looks at the environment's
            EDGETPU_COMPILER, then for edgetpu_compiler in PATH.

    Returns:
        Its path, or None where nothing was named and PATH has none.

    Raises:
        InputError: What was named is no program.
    """
    named, source = given, "--compiler"
    if named is None:
        named, source = os.environ.get(VARIABLE) or None, VARIABLE
    found = shutil.which(COMPILER if named is None else named)
    if named is not None and found is None:
        raise InputError(
            f"{source} {named!r} is no program that can be run; "
            f"give the path of {COMPILER}, or nothing to search PATH"
        )
    return os.path.abspath(found) if found else None


def how_to_compile(path: str) -> str:
    """Says in one line what to install where, and what to run then."""
    here = (platform.system(), platform.machine())
    if here == ("Linux", "x86_64"):
        place = f"{COMPILER} was not found"
    else:
        place = f"{COMPILER} runs on x86-64 Linux only, not on {' '.join(here)}"
    return (
        f"{place}; on x86-64 Linux install the Debian package edgetpu-compiler "
        "from Google's coral-edgetpu-stable repository, then run "
        f"{COMPILER} {path}"
    )


def compile_model(
    compiler: str,
    content: bytes,
    name: str,
    *,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Compiled:
    """Compiles a model in a temporary folder.

    A crash happens in a child of the compiler and its exit codes are not
    documented: it has succeeded when it says so, left a file, and the file
    has an operator for the Edge TPU.

    Args:
        compiler: Path of edgetpu_compiler.
        content: The bytes of an int8 `.tflite` file.
        name: The file's name without ".tflite", which the output shows.
        timeout_seconds: When to give up.

    Raises:
        CompileError: It failed; the message ends with its own words.
    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, f"{name}.tflite").write_bytes(content)
        # Relative names, so that the output does not depend on the folder.
        command = [compiler, "-s", "-o", ".", f"{name}.tflite"]
        code, output = _run(command, folder, timeout_seconds)
        if code:
            raise CompileError(
                f"{COMPILER} failed with exit code {code}", output
            )
        written = Path(folder, f"{name}_edgetpu.tflite")
        if not written.is_file():
            raise CompileError(f"{COMPILER} left no {written.name}", output)
        compiled = written.read_bytes()
    try:
        counts = read_graph(compiled).counts()
    except GraphError as error:
        raise CompileError(
            f"{COMPILER} left a {written.name} that cannot be read ({error})",
            output,
        ) from error
    if EDGE_TPU_OPERATOR not in counts:
        raise CompileError(
            f"{COMPILER} put nothing of {name}.tflite on the Edge TPU", output
        )
    return Compiled(compiled, output, parse_output(output))


def _run(
    command: list[str], folder: str, timeout_seconds: float
) -> tuple[int, str]:
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
            printed, _ = process.communicate(timeout=timeout_seconds)
        except BaseException as error:
            # The compiler's child holds the pipe too: end the whole session.
            os.killpg(process.pid, signal.SIGKILL)
            printed, _ = process.communicate()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            raise CompileError(
                f"{COMPILER} did not end within {timeout_seconds:g} seconds",
                printed.decode(errors="replace"),
            ) from error
    return process.returncode, printed.decode(errors="replace")
