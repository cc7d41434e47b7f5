"""Pictures of a source: where each lies, in which split and order it goes.

A source lists its pictures; the order and what is held out follow from the
seed and the pictures' places in the source alone.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import tensorflow as tf

from efficientnet_tf.errors import InputError

# "file": the file is the picture; "span": it lies somewhere in the file, as in
# an archive; "example": what lies there is a `tf.train.Example` with it.
Holder = Literal["file", "span", "example"]

# Names of what validates, the first that a source has.
HELD_OUT = ("validation", "val", "valid", "test")

_SHOWN = 5
# Of so many pictures the size is asked for.
_ASKED = 64


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture and its class.

    Attributes:
        path: The file that it is, or lies in; local or gs://.
        place: Its name in the source, "cat/indoors/1.jpg", which no other
            picture of its split has. Its last part goes into the record.
        class_name: What it shows.
        offset: Where it begins in the file, in bytes.
        size: Its bytes; None for all of the file.
    """

    path: str
    place: str
    class_name: str
    offset: int = 0
    size: int | None = None


@dataclass(frozen=True)
class Source:
    """What there is to prepare.

    Attributes:
        holder: How the pictures lie in their files.
        train: Of the training split, in any order.
        validation: Of the validation split; None where some of the training
            pictures are to be held out.
        labels: Names of the classes, in the order of the logits.
        upright: Whether pictures are turned as their EXIF says. The original
            passes ImageNet's through as they are.
        image_key: Feature of an example that holds the picture.
    """

    holder: Holder
    train: list[Picture]
    validation: list[Picture] | None
    labels: tuple[str, ...]
    upright: bool
    image_key: str = ""


def both_splits(
    source: Source, holdout: float, seed: int
) -> tuple[list[Picture], list[Picture]]:
    """Training and validation pictures, in the order of the records.

    Args:
        source: The pictures.
        holdout: Share of every class that is held out where the source does
            not say what validates; at least one picture.
        seed: Decides which pictures that are, and the order.

    Raises:
        InputError: A class has too few pictures, or validation a class that
            training has not.
    """
    train, validation = source.train, source.validation
    if validation is None:
        train, validation = _held_out(train, holdout, seed)
    unknown = {p.class_name for p in validation} - {p.class_name for p in train}
    if unknown:
        folder = validation[0].path
        raise InputError(
            f"validation has classes that train has not: "
            f"{few(sorted(unknown))}; the first picture is {folder}"
        )
    return _drawn(train, "order", seed), _drawn(validation, "order", seed)


def read_span(path: str, offset: int, size: int) -> bytes:
    """Reads a part of a file, and no more than that where it is local.

    Raises:
        InputError: It cannot be read, or the file ends before.
    """
    try:
        if "://" in path:
            with tf.io.gfile.GFile(path, "rb") as file:
                file.seek(offset)
                content = bytes(file.read(size))
        else:
            # TensorFlow reads ahead, half a megabyte for each seek.
            with open(path, "rb", buffering=0) as local:
                local.seek(offset)
                content = local.read(size)
    except (OSError, tf.errors.OpError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    if len(content) < size:
        raise InputError(
            f"{path} ends before byte {offset + size:,}; give a whole file"
        )
    return content


def mean_bytes(pictures: list[Picture]) -> float:
    """What a picture takes, about: the mean of every so many-th.

    A file that is not there counts as none; whoever reads it will say so.
    """
    asked = pictures[:: max(1, len(pictures) // _ASKED)]
    return sum(map(_bytes, asked)) / max(1, len(asked))


def few(names: list[str]) -> str:
    """Words a list of names: the first few, and how many there are."""
    rest = f" ... {len(names)} in all" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + rest


def _bytes(picture: Picture) -> int:
    if picture.size is not None:
        return picture.size
    try:
        return int(tf.io.gfile.stat(picture.path).length)
    except tf.errors.NotFoundError:
        return 0


def _held_out(
    pictures: list[Picture], holdout: float, seed: int
) -> tuple[list[Picture], list[Picture]]:
    """Parts training and validation pictures, class by class."""
    train: list[Picture] = []
    validation: list[Picture] = []

    def class_name(picture: Picture) -> str:
        return picture.class_name

    for name, group in groupby(sorted(pictures, key=class_name), class_name):
        drawn = _drawn(group, "holdout", seed)
        if len(drawn) < 2:
            raise InputError(
                f"class {name} holds one picture, {drawn[0].path}; "
                "give it two or more, so that one can be held out"
            )
        count = math.floor(len(drawn) * holdout + 0.5)
        count = min(max(count, 1), len(drawn) - 1)
        validation += drawn[:count]
        train += drawn[count:]
    return train, validation


def _drawn(
    pictures: Iterable[Picture], purpose: str, seed: int
) -> list[Picture]:
    """A random order in which a further picture moves none of the others."""

    def lot(picture: Picture) -> bytes:
        ticket = f"{purpose}/{seed}/{picture.place}"
        return hashlib.sha256(ticket.encode()).digest()

    return sorted(pictures, key=lot)
