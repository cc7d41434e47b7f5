"""Opens a .tflite file for LiteRT, with the Edge TPU where it needs one."""

from __future__ import annotations

import ctypes
import os
import sys

try:
    from ai_edge_litert.interpreter import Interpreter, load_delegate
except ImportError:
    # What Coral's own images have.
    from tflite_runtime.interpreter import Interpreter, load_delegate

from .quiet import quiet

# Names an operator of a file that is compiled for the Edge TPU.
COMPILED = b"edgetpu-custom-op"

# At byte 4 of any .tflite file.
_MARK = b"TFL3"

# The function that makes a delegate of a library.
_CREATE = "tflite_plugin_create_delegate"
_LIBRARIES = {
    "darwin": "libedgetpu.1.dylib",
    "win32": "edgetpu.dll",
    "cygwin": "edgetpu.dll",
}


class LoadError(ValueError):
    """A model, or a delegate, that LiteRT cannot load."""


def open_interpreter(
    model: str | bytes,
    *,
    delegate: str | None = None,
    threads: int | None = None,
) -> Interpreter:
    """Loads a model and makes room for its tensors.

    Args:
        model: Path of a `.tflite` file, or its content.
        delegate: Shared library that runs what was compiled for the Edge TPU;
            None takes the usual one where the file is compiled, and the CPU
            where it is not.
        threads: CPU threads; None leaves it to LiteRT.

    Raises:
        LoadError: The file, or the delegate, cannot be loaded.
    """
    content = model if isinstance(model, bytes) else _read(model)
    name = "the model" if isinstance(model, bytes) else model
    if content[4:8] != _MARK:
        raise LoadError(
            f"{name} is no TensorFlow Lite model: it has no TFL3 at byte 4; "
            "give a .tflite file"
        )
    delegates = _delegates(delegate, COMPILED in content)
    try:
        with quiet():
            interpreter = Interpreter(
                model_content=content,
                num_threads=threads,
                experimental_delegates=delegates,
            )
            interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        cure = ""
        if "Flatbuffer" in str(error):
            cure = "; it is cut off or damaged: copy or convert it anew"
        raise LoadError(f"LiteRT cannot load {name}: {error}{cure}") from error
    return interpreter


def _delegates(delegate: str | None, compiled: bool) -> list | None:
    """What runs the operator of a compiled file; None for the CPU."""
    if delegate:
        return [_edge_tpu(delegate)]
    if not compiled:
        return None
    try:
        return [_edge_tpu(edge_tpu_library())]
    except LoadError as error:
        raise LoadError(
            "the model is compiled for the Edge TPU and does not run "
            f"without one: {error}; else give the file that was compiled"
        ) from error


def edge_tpu_library() -> str:
    """The usual name of the Edge TPU's library on this system."""
    return _LIBRARIES.get(sys.platform, "libedgetpu.so.1")


def _read(path: str) -> bytes:
    if not os.path.isfile(path):
        raise LoadError(f"{path} is no file; give a .tflite file")
    with open(path, "rb") as file:
        return file.read()


def _edge_tpu(library: str) -> object:
    try:
        # LiteRT's own object breaks where the library is not there, or is
        # another one.
        loaded = ctypes.CDLL(library)
    except OSError as error:
        raise LoadError(
            f"delegate {library!r} cannot be loaded ({error}); "
            "install the Edge TPU runtime, libedgetpu"
        ) from error
    if not hasattr(loaded, _CREATE):
        raise LoadError(
            f"delegate {library!r} is a library without {_CREATE}; give the "
            "Edge TPU runtime, libedgetpu"
        )
    try:
        return load_delegate(library)
    except (RuntimeError, ValueError) as error:
        raise LoadError(
            f"delegate {library!r} does not start ({error}); is an Edge TPU "
            "attached, and not in use by another program?"
        ) from error
