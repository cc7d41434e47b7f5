"""Picture files in class folders, with or without a folder for each split."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import tensorflow as tf

from efficientnet_tf.data.pictures import HELD_OUT, Picture, Source, few
from efficientnet_tf.errors import InputError

# Of a name in lower case. How a file is read, its content decides.
RECORDS = ("train-", "validation-")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")
_FORMATS = "JPEG, PNG, WebP, GIF or BMP"
# Of a folder that is a split rather than a class, in lower case.
_TRAINING = ("train", "training")


def folder_source(folder: str) -> Source:
    """The pictures of class folders.

    They lie in `folder/CLASS/`, or in `folder/train/CLASS/` and
    `folder/validation/CLASS/`; `val`, `valid` and `test` are taken for
    `validation`, the first of the four that is there. The one folder that an
    archive often wraps around `train` is looked through.

    Args:
        folder: Local or gs://.

    Returns:
        The pictures, to be turned upright.

    Raises:
        InputError: The folder has another layout.
    """
    folders, files = listing(folder)
    records = [name for name in files if name.startswith(RECORDS)]
    if records and not folders:
        raise InputError(
            f"{folder} already holds records ({few(records)}); give it as "
            "--data_dir, as it is"
        )
    if len(folders) == 1:
        inner = os.path.join(folder, folders[0])
        if "train" in listing(inner)[0]:
            folder, folders = inner, listing(inner)[0]
    held_out = [name for name in HELD_OUT if name in folders]
    validation = None
    if "train" in folders and held_out:
        train = find_pictures(f"{folder}/train")
        validation = find_pictures(f"{folder}/{held_out[0]}")
        for name in folders:
            if name not in ("train", held_out[0]):
                print(
                    f"{folder}/{name} is left out: {held_out[0]} is the "
                    "validation split",
                    file=sys.stderr,
                )
    else:
        _refuse_splits(folder, folders)
        train = find_pictures(folder)
    labels = tuple(sorted({picture.class_name for picture in train}))
    return Source("file", train, validation, labels, upright=True)


def _refuse_splits(folder: str, names: list[str]) -> None:
    """Refuses splits under other names, which would be taken for classes."""
    for name in names:
        if name.lower() not in _TRAINING:
            continue
        inner, files = listing(f"{folder}/{name}")
        if inner and not any(map(is_image_name, files)):
            raise InputError(
                f"{folder}/{name} holds folders as a split does, and among "
                f"{few(names)} are not both train and one of "
                f"{', '.join(HELD_OUT)}; rename them so"
            )


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
            f"{folder} holds files that are no {_FORMATS} by their name, or "
            f"in no class folder: {few(strangers)}; move them elsewhere"
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
    return [
        Picture(os.path.join(folder, place), place, place.partition("/")[0])
        for place in files
    ]


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


def _below(folder: str, place: str) -> Iterator[str]:
    """Files at any depth, named from `folder`, in the order of their names."""
    folders, files = listing(os.path.join(folder, place))
    for name in files:
        yield f"{place}/{name}"
    for name in folders:
        yield from _below(folder, f"{place}/{name}")
