"""Finds Google's edgetpu_compiler, which is not ours to ship."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass

from efficientnet_tf.errors import InputError, RunError

COMPILER = "edgetpu_compiler"
VARIABLE = "EDGETPU_COMPILER"

# Stands in a command for the folder where the files are.
FOLDER = "{folder}"
CONTAINER_EXAMPLE = (
    f"docker run --rm -v {FOLDER}:{FOLDER} -w {FOLDER} IMAGE {COMPILER}"
)
_CONTAINERS = ("docker", "nerdctl", "podman")


class CompilerMissing(RunError):
    """There is no compiler here; the message says what to run where."""

    exit_code = 3


@dataclass(frozen=True)
class Compiler:
    """How the compiler is started.

    Attributes:
        command: Its path; or that of another program with what leads to the
            compiler, such as a container's, where `{folder}` stands for the
            folder with the files.
    """

    command: tuple[str, ...]

    def __str__(self) -> str:
        return shlex.join(self.command)

    def in_folder(self, folder: str) -> list[str]:
        """The command for files in a folder, in which it is to be run."""
        return [word.replace(FOLDER, folder) for word in self.command]


def find_compiler(given: str | None = None) -> Compiler | None:
    """Looks for the compiler.

    Args:
        given: Its path, its name in PATH, or a command that runs it elsewhere:
            see `CONTAINER_EXAMPLE`. None looks at the environment's
            EDGETPU_COMPILER, then for edgetpu_compiler in PATH.

    Returns:
        None where nothing was named and PATH has none.

    Raises:
        InputError: What was named is no program, or a container that could not
            see the files.
    """
    if given is not None:
        return _named(given, "--compiler")
    if variable := os.environ.get(VARIABLE):
        return _named(variable, VARIABLE)
    found = shutil.which(COMPILER)
    return Compiler((os.path.abspath(found),)) if found else None


def how_to_compile(
    files: Sequence[str], out: str = "", flags: Sequence[str] = ()
) -> str:
    """Says in one line what to install where, and what to run then.

    Args:
        files: Models to compile.
        out: Folder for what comes out; that where one stands if empty.
        flags: Of the compiler.
    """
    here = (platform.system(), platform.machine())
    if here == ("Linux", "x86_64"):
        place = f"{COMPILER} was not found"
    else:
        place = f"{COMPILER} runs on x86-64 Linux only, not on {' '.join(here)}"
    words = [COMPILER, *flags, *(("-o", out) if out else ()), *files]
    return (
        f"{place}; on x86-64 Linux, or in a container of it, install the "
        "Debian package edgetpu-compiler from Google's repository `deb "
        "https://packages.cloud.google.com/apt coral-edgetpu-stable main`, "
        f"then run {shlex.join(words)}"
    )


def _named(named: str, source: str) -> Compiler:
    whole = shutil.which(named)
    if whole:
        return Compiler((os.path.abspath(whole),))
    words = _words(named)
    program = shutil.which(words[0]) if words else None
    if program is None:
        raise InputError(
            f"{source} {named!r} is no program that can be run; "
            f"give the path of {COMPILER}, or nothing to search PATH, or a "
            f"command such as '{CONTAINER_EXAMPLE}'"
        )
    if os.path.basename(program) in _CONTAINERS and not any(
        FOLDER in word for word in words
    ):
        raise InputError(
            f"{source} {named!r} lets the container see no file; say where "
            f"by {FOLDER}, as in '{CONTAINER_EXAMPLE}'"
        )
    return Compiler((os.path.abspath(program), *words[1:]))


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return []
