"""Where the files of a TF1 checkpoint are: a prefix, a directory, an archive.

Works on local paths and on gs://.
"""

from __future__ import annotations

import lzma
import os
import re
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from efficientnet_tf.errors import InputError

_ARCHIVE = re.compile(r".*\.(tar|tgz|tbz2|txz|tar\.(gz|bz2|xz))")
_PART = re.compile(r"\.(index|meta|data-\d+-of-\d+)$")
_NAMED = re.compile(r'model_checkpoint_path: *"([^"]*)"')


@contextmanager
def checkpoint_prefix(path: str) -> Iterator[str]:
    """The prefix of a checkpoint, to be read while the context lasts.

    Args:
        path: The prefix itself, one of its files, a directory with one
            checkpoint in it or below it, or an archive of such a directory.

    Raises:
        InputError: There is no checkpoint, or more than one and no file that
            says which.
    """
    if _ARCHIVE.fullmatch(path):
        with tempfile.TemporaryDirectory() as folder:
            _extract(path, folder)
            yield _in_directory(folder, path)
    elif tf.io.gfile.isdir(path):
        yield _in_directory(path, path)
    else:
        yield _whole(_PART.sub("", path), path)


def _extract(path: str, folder: str) -> None:
    try:
        with (
            tf.io.gfile.GFile(path, "rb") as file,
            tarfile.open(fileobj=file, mode="r:*") as archive,
        ):
            archive.extractall(folder, filter="data")
    except tf.errors.OpError as error:
        raise InputError(f"{path} cannot be read: {error.message}") from error
    except (
        tarfile.TarError,
        EOFError,
        lzma.LZMAError,
        zlib.error,
        OSError,
    ) as error:
        raise InputError(
            f"{path} cannot be unpacked as a whole archive: "
            f"{str(error).splitlines()[0]}; fetch it again"
        ) from error


def _in_directory(folder: str, path: str) -> str:
    """The prefix of the only checkpoint, or of the one that is named."""
    prefixes = []
    named = ""
    for where, _, files in tf.io.gfile.walk(folder):
        for file in files:
            if file.endswith(".index"):
                prefixes.append(os.path.join(where, file[: -len(".index")]))
            elif file == "checkpoint":
                with tf.io.gfile.GFile(
                    os.path.join(where, file), "rb"
                ) as state:
                    found = _NAMED.search(state.read().decode(errors="replace"))
                # It often holds a path on the machine that trained.
                named = os.path.basename(found[1]) if found else named
    if tf.io.gfile.exists(os.path.join(folder, "config.json")):
        raise InputError(
            f"{path} is a run of this project, not of the original; it is "
            "taken up by --init_from"
        )
    if not prefixes:
        raise InputError(f"{path} holds no checkpoint: no file ends in .index")
    if len(prefixes) > 1:
        prefixes = [p for p in prefixes if os.path.basename(p) == named] or (
            sorted(prefixes)
        )
    if len(prefixes) > 1:
        names = ", ".join(os.path.relpath(p, folder) for p in prefixes[:3])
        raise InputError(
            f"{path} holds {len(prefixes)} checkpoints ({names}); give the "
            "prefix of one"
        )
    return _whole(prefixes[0], path)


def _names(folder: str) -> list[str]:
    return [str(name) for name in tf.io.gfile.listdir(folder)]


def _whole(prefix: str, path: str) -> str:
    """The prefix, if all of its files are there."""
    if not tf.io.gfile.exists(f"{prefix}.index"):
        what = (
            "is no checkpoint" if tf.io.gfile.exists(path) else "is not there"
        )
        raise InputError(
            f"{path} {what}; give the prefix of one (PREFIX.index is a file), "
            "a directory or a .tar.gz"
        )
    if set(prefix) & set("*?[]"):
        raise InputError(
            f"{path}: TensorFlow takes the name for a pattern; it must not "
            "contain any of * ? [ ]"
        )
    folder, base = os.path.split(prefix)
    part = re.compile(rf"{re.escape(base)}\.data-\d+-of-(\d+)")
    parts = list(filter(None, map(part.fullmatch, _names(folder or "."))))
    if not parts or len(parts) != int(parts[0][1]):
        raise InputError(
            f"{path} is not whole: {prefix}.index is there, but not all of "
            f"{os.path.basename(prefix)}.data-*"
        )
    return prefix
