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

# The function that makes a delegate of a library.
_CREATE = "tflite_plugin_create_delegate"
_LIBRARIES = {
    "darwin": "libedgetpu.1.dylib",
    "win32": "edgetpu.dll",
    "cygwin": "edgetpu.dll",
}


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
        ValueError: The file, or the delegate, cannot be loaded.
    """
    content = model if isinstance(model, bytes) else _read(model)
    compiled = COMPILED in content
    library = delegate or (edge_tpu_library() if compiled else None)
    try:
        delegates = [_edge_tpu(library)] if library else None
        with quiet():
            interpreter = Interpreter(
                model_content=content,
                num_threads=threads,
                experimental_delegates=delegates,
            )
            interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        if compiled and not delegate:
            raise ValueError(
                "the model is compiled for the Edge TPU and does not run "
                f"without one: {error}; else give the file that was compiled"
            ) from error
        raise ValueError(f"LiteRT cannot load the model: {error}") from error
    return interpreter


def edge_tpu_library() -> str:
    """The usual name of the Edge TPU's library on this system."""
    return _LIBRARIES.get(sys.platform, "libedgetpu.so.1")


def _read(path: str) -> bytes:
    if not os.path.isfile(path):
        raise ValueError(f"{path} is no file; give a .tflite file")
    with open(path, "rb") as file:
        return file.read()


def _edge_tpu(library: str) -> object:
    try:
        # LiteRT's own object breaks where the library is not there, or is
        # another one.
        loaded = ctypes.CDLL(library)
    except OSError as error:
        raise ValueError(
            f"delegate {library!r} cannot be loaded ({error}); "
            "install the Edge TPU runtime, libedgetpu"
        ) from error
    if not hasattr(loaded, _CREATE):
        raise ValueError(
            f"delegate {library!r} is a library without {_CREATE}; give the "
            "Edge TPU runtime, libedgetpu"
        )
    try:
        return load_delegate(library)
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"delegate {library!r} does not start ({error}); is an Edge TPU "
            "attached, and not in use by another program?"
        ) from error
