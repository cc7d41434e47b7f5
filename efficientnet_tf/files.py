"""Files that are there whole or not at all, local or on gs://."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from efficientnet_tf.errors import InputError, RunError


def write_text(path: str, text: str) -> None:
    """Writes a UTF-8 file that is there whole or not at all."""
    write_bytes(path, text.encode())


def write_bytes(path: str, content: bytes) -> None:
    """Writes a file that is there whole or not at all.

    Raises:
        RunError: There is no room for it.
    """
    try:
        with (
            replacing(path) as temporary,
            tf.io.gfile.GFile(temporary, "wb") as file,
        ):
            file.write(content)
    except tf.errors.ResourceExhaustedError as error:
        # TensorFlow's own words are of the hidden file.
        reason = error.message.rpartition("; ")[-1]
        raise RunError(
            f"{path} cannot be written: {reason}; make room, or give another "
            "folder"
        ) from error


def make_folder(path: str, flag: str) -> None:
    """Makes a folder, and makes sure that it can be written.

    Args:
        path: Local or gs://; the folders above it are made as well.
        flag: Who named it, for the error.

    Raises:
        InputError: It cannot be.
    """
    try:
        tf.io.gfile.makedirs(path)
        trial = os.path.join(path, ".trial")
        write_text(trial, "")
        tf.io.gfile.remove(trial)
    except tf.errors.OpError as error:
        raise InputError(
            f"{flag} {path} cannot be written: {error.message}"
        ) from error


def read_text(path: str) -> str | None:
    """Reads a UTF-8 file; None where there is none.

    Raises:
        InputError: It is something else.
    """
    if not tf.io.gfile.exists(path):
        return None
    with tf.io.gfile.GFile(path, "rb") as file:
        content = bytes(file.read())
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise InputError(f"{path} is no UTF-8 text") from None


@contextmanager
def replacing(path: str) -> Iterator[str]:
    """Gives a hidden name beside `path` to write, then renames it to `path`.

    Where the block raises, what it wrote is removed and `path` left alone; a
    process that is killed leaves the hidden file, which ends in ".tmp".
    """
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield temporary
        tf.io.gfile.rename(temporary, path, overwrite=True)
    except BaseException:
        if tf.io.gfile.exists(temporary):
            tf.io.gfile.remove(temporary)
        raise


@contextmanager
def replacing_folder(path: str) -> Iterator[str]:
    """Gives a hidden folder beside `path` to fill, then renames it to `path`.

    What is at `path` steps aside until the new one has its place. Where the
    block raises, what it wrote is removed and `path` left alone. On gs://,
    which has no folders, the files change one by one.
    """
    folder, name = os.path.split(path)
    mark = uuid.uuid4().hex[:8]
    temporary = os.path.join(folder, f".{name}.{mark}.tmp")
    aside = os.path.join(folder, f".{name}.{mark}.old.tmp")
    try:
        tf.io.gfile.makedirs(temporary)
        yield temporary
        if tf.io.gfile.exists(path):
            tf.io.gfile.rename(path, aside)
        try:
            tf.io.gfile.rename(temporary, path)
        except BaseException:
            if tf.io.gfile.exists(aside):
                tf.io.gfile.rename(aside, path)
            raise
    finally:
        # What stepped aside and could not come back is all there is.
        done = (temporary, aside) if tf.io.gfile.exists(path) else (temporary,)
        for left in done:
            if tf.io.gfile.exists(left):
                tf.io.gfile.rmtree(left)


def files_below(path: str) -> tuple[str, ...]:
    """The files of a folder, at any depth, by name; of a file, itself."""
    if not tf.io.gfile.isdir(path):
        return (path,)
    return tuple(
        sorted(
            os.path.join(folder, name)
            for folder, _, names in tf.io.gfile.walk(path)
            for name in names
        )
    )
