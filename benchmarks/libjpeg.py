"""The limit of an input pipeline: libjpeg-turbo decoding crops, in C.

`libjpeg.c` is compiled against the system's library (Debian:
libjpeg62-turbo-dev), which is not the copy inside TensorFlow.
"""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")
# More than a window of any picture that takes part.
_BUFFER_BYTES = 64 << 20


def compiled(folder: Path) -> Path | None:
    """The compiled library, or None without a compiler or the headers."""
    library = folder / "libjpeg_window.so"
    command = ["gcc", "-O2", "-shared", "-fPIC", str(SOURCE)]
    try:
        subprocess.run(
            [*command, "-o", str(library), "-ljpeg"],
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return library


def window_decoder(
    library: Path,
) -> Callable[[bytes, tuple[int, int, int, int]], None]:
    """What decodes a window (top, left, height, width) and drops it."""
    function = ctypes.CDLL(str(library)).decode_window
    buffer = ctypes.create_string_buffer(_BUFFER_BYTES)

    def decode(picture: bytes, window: tuple[int, int, int, int]) -> None:
        size = ctypes.c_ulong(len(picture))
        function(picture, size, *window, buffer)

    return decode
