"""ImageNet 2012 in the archives that it comes in, read without unpacking.

`ILSVRC2012_img_train.tar` holds an archive for each class, "n01440764.tar";
`ILSVRC2012_img_val.tar` holds pictures whose classes a list says, in the order
of their names. Only the archives' headers are read here; a picture is read from
its place in them when its turn comes.
"""

from __future__ import annotations

import importlib.util
import io
import os
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from efficientnet_tf.data.pictures import Picture, Source, few, read_span
from efficientnet_tf.errors import InputError
from efficientnet_tf.files import read_text
from efficientnet_tf.progress import progress

TRAIN_TAR = "ILSVRC2012_img_train.tar"
VALIDATION_TAR = "ILSVRC2012_img_val.tar"
# A synset a line; the name that the original's writer looks for.
SYNSETS = "synset_labels.txt"

_CLASS_TAR = re.compile(r"(n\d{8})\.tar")
# Of a header; where the pictures are small it holds some of the next.
_READ_BYTES = 4096
_READ_BYTES_REMOTE = 1 << 20


def has_archives(folder: str) -> bool:
    """Whether a folder holds ImageNet's archive of training pictures."""
    return bool(tf.io.gfile.exists(os.path.join(folder, TRAIN_TAR)))


def archive_source(folder: str, validation_labels: str = "") -> Source:
    """The pictures in both archives of ImageNet 2012.

    Args:
        folder: Where they are, local or gs://.
        validation_labels: A file with the synset of each validation picture,
            a line each, in the order of the pictures' names. Empty for
            `synset_labels.txt` in the folder or, where that is not, the list
            that tensorflow-datasets carries.

    Returns:
        The pictures, of classes in the order of their synsets, which is that
        of all published networks; not to be turned, as in the original.

    Raises:
        InputError: An archive is missing or is not whole, or the list does
            not fit it.
    """
    train = list(_train(os.path.join(folder, TRAIN_TAR)))
    labels = tuple(sorted({picture.class_name for picture in train}))
    if len(labels) < 2:
        raise InputError(
            f"{folder}/{TRAIN_TAR} holds {len(labels)} archives of classes, "
            '"n01440764.tar" and so on; take it as ImageNet gives it'
        )
    path = os.path.join(folder, VALIDATION_TAR)
    members = sorted(_members(path, 0, None))
    names, synsets = _synsets(folder, validation_labels)
    if len(synsets) != len(members):
        raise InputError(
            f"{names} has {len(synsets):,} lines for the {len(members):,} "
            f"pictures of {path}; name another by --validation_labels"
        )
    validation = [
        Picture(path, place, synset, offset, size)
        for (place, offset, size), synset in zip(members, synsets, strict=True)
    ]
    if unknown := sorted(set(synsets) - set(labels)):
        raise InputError(
            f"{names} names classes that {TRAIN_TAR} has not: {few(unknown)}"
        )
    return Source("span", train, validation, labels, upright=False)


def _train(path: str) -> Iterator[Picture]:
    classes = list(_members(path, 0, None))
    with progress("reading the archive", len(classes)) as advance:
        for number, (name, begin, length) in enumerate(classes, 1):
            found = _CLASS_TAR.fullmatch(os.path.basename(name))
            if not found:
                raise InputError(
                    f"{path} holds {name}, which is no archive of a class; "
                    "take it as ImageNet gives it"
                )
            synset = found[1]
            for place, offset, size in _members(path, begin, length):
                file = os.path.basename(place)
                yield Picture(path, f"{synset}/{file}", synset, offset, size)
            advance(number)


def _members(
    path: str, begin: int, length: int | None
) -> Iterator[tuple[str, int, int]]:
    """Name, offset in the file and size of each file of an archive.

    Args:
        path: The file that the archive lies in.
        begin: Where, in bytes.
        length: Of the archive; None for the file's end.
    """
    try:
        if length is None:
            length = int(tf.io.gfile.stat(path).length)
        buffer = _READ_BYTES_REMOTE if "://" in path else _READ_BYTES
        span = io.BufferedReader(_Span(path, begin, length), buffer)
        with tarfile.open(fileobj=span, mode="r:") as archive:
            for member in archive:
                if member.isfile():
                    yield member.name, begin + member.offset_data, member.size
    except tf.errors.OpError as error:
        raise InputError(f"{path} cannot be read: {error.message}") from error
    except tarfile.TarError as error:
        raise InputError(
            f"{path} is no whole archive ({error} at byte {begin:,} or "
            "behind); download it again"
        ) from error


class _Span(io.RawIOBase):
    """A part of a file, as a file."""

    def __init__(self, path: str, begin: int, length: int):
        self._path = path
        self._begin = begin
        self._length = length
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        origin = {
            os.SEEK_SET: 0,
            os.SEEK_CUR: self._at,
            os.SEEK_END: self._length,
        }
        self._at = origin[whence] + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = max(0, min(len(buffer), self._length - self._at))
        content = read_span(self._path, self._begin + self._at, count)
        buffer[:count] = content
        self._at += count
        return count


def _synsets(folder: str, given: str) -> tuple[str, list[str]]:
    """A list's name, and the synset of each validation picture."""
    path = given or os.path.join(folder, SYNSETS)
    text = read_text(path)
    if text is None and given:
        raise InputError(f"--validation_labels {given} is no file")
    if text is None:
        path = _list_of_tfds()
        text = Path(path).read_text(encoding="utf-8")
    return path, text.split()


def _list_of_tfds() -> str:
    found = importlib.util.find_spec("tensorflow_datasets")
    path = ""
    if found and found.origin:
        package = os.path.dirname(found.origin)
        path = f"{package}/datasets/imagenet2012/validation_labels.txt"
    if not os.path.isfile(path):
        raise InputError(
            "nothing says what the validation pictures show: name a file of "
            "their synsets by --validation_labels, or pip install "
            "'efficientnet-tf[tfds]', which brings one"
        )
    return path
