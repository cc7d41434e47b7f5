"""Picture files in class folders."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import tensorflow as tf

from efficientnet_tf.errors import InputError

# Of a name in lower case. How a file is read, its content decides.
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture file of a class.

    Attributes:
        path: The file.
        place: Its name from the folder of classes, "cat/indoors/1.jpg".
    """

    path: str
    place: str

    @property
    def class_name(self) -> str:
        """The class's folder, which is the class's name."""
        return self.place.partition("/")[0]


def is_image_name(name: str) -> bool:
    """Whether a file's name ends as a picture's does, in any case."""
    return name.lower().endswith(IMAGE_SUFFIXES)


def find_pictures(folder: str) -> list[Picture]:
    """Finds the picture files of class folders, at any depth in them.

    Args:
        folder: A folder of class folders.

    Returns:
        All pictures, class by class. Hidden files are left out.

    Raises:
        InputError: There are fewer than two classes, an empty one, a picture
            in none, or a file that is no picture; those are named.
    """
    names, loose = listing(folder)
    places = {name: list(_below(folder, name)) for name in names}
    files = [place for each in places.values() for place in each]
    strangers = [place for place in files if not is_image_name(place)]
    strangers += [name for name in loose if is_image_name(name)]
    if strangers:
        raise InputError(
            f"{folder} holds files that are no JPEG or PNG in a class folder: "
            f"{few(strangers)}; move them elsewhere"
        )
    if broken := [name for name in names if len(name.splitlines()) != 1]:
        raise InputError(
            f"{folder} has class folders with a line break in their names "
            f"({', '.join(map(repr, broken))}); rename them"
        )
    if len(names) < 2:
        raise InputError(
            f"{folder} holds {len(names)} class folders ({few(names)}); "
            "give a folder of two or more, or of train/ and validation/"
        )
    if empty := [name for name in names if not places[name]]:
        raise InputError(
            f"{folder} has class folders without pictures: {few(empty)}; "
            "fill or remove them"
        )
    return [Picture(os.path.join(folder, place), place) for place in files]


def listing(folder: str) -> tuple[list[str], list[str]]:
    """Lists the folders and the files in a folder, without hidden ones.

    Returns:
        The names of both, sorted.

    Raises:
        InputError: The folder cannot be listed.
    """
    try:
        names = sorted(name.rstrip("/") for name in tf.io.gfile.listdir(folder))
    except tf.errors.OpError as error:
        raise InputError(
            f"source {folder} is no folder that can be read: {error.message}"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{folder} holds a name that is not UTF-8, {error.object!r}; "
            "rename it"
        ) from error
    folders: list[str] = []
    files: list[str] = []
    for name in names:
        if name.startswith((".", "__MACOSX")):
            continue
        # A picture is not asked whether it is a folder, which takes a request.
        image = is_image_name(name)
        folder_like = not image and tf.io.gfile.isdir(f"{folder}/{name}")
        (folders if folder_like else files).append(name)
    return folders, files


def few(names: list[str]) -> str:
    """Words a list of names: the first few, and how many there are."""
    rest = f" ... {len(names)} in all" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + rest


def _below(folder: str, place: str) -> Iterator[str]:
    """Files at any depth, named from `folder`, in the order of their names."""
    folders, files = listing(os.path.join(folder, place))
    for name in files:
        yield f"{place}/{name}"
    for name in folders:
        yield from _below(folder, f"{place}/{name}")
