"""What a data set's writer knew of it: `manifest.json` beside the records."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, Literal

import tensorflow as tf

from efficientnet_tf.errors import InputError
from efficientnet_tf.files import write_text

Split = Literal["train", "validation"]

MANIFEST = "manifest.json"
LABELS = "labels.txt"
MANIFEST_FORMAT = 1


@dataclass(frozen=True)
class ShardFile:
    """One file of records, and how to tell that it is whole.

    Attributes:
        file: Its name, without a folder.
        images: Records in it.
        bytes: Its size.
        sha256: Checksum of the file, 64 hexadecimal digits.
    """

    file: str
    images: int
    bytes: int
    sha256: str

    def __post_init__(self) -> None:
        numbers = (self.images, self.bytes)
        if any(type(number) is not int or number < 1 for number in numbers):
            raise ValueError(f"images and bytes of {self.file} are {numbers}")
        words = (self.file, self.sha256)
        if any(type(word) is not str for word in words) or "/" in self.file:
            raise ValueError(f"file and sha256 are {words}")


@dataclass(frozen=True)
class Manifest:
    """What a data set's writer knew of it.

    Attributes:
        name: Of the data set.
        first_label: What the records call the first class, 0 or 1.
        labels: Names of the classes, in the order of the logits.
        train: The training split's files, in order.
        validation: The validation split's.
    """

    name: str
    first_label: int
    labels: tuple[str, ...]
    train: tuple[ShardFile, ...]
    validation: tuple[ShardFile, ...]

    def __post_init__(self) -> None:
        if type(self.name) is not str or type(self.first_label) is not int:
            raise ValueError("name must be a word, first_label a number")
        if os.path.basename(self.name) != self.name or self.name == "..":
            # Runs are named by it.
            raise ValueError(f"name {self.name!r} is no name of a folder")
        if self.first_label not in (0, 1):
            raise ValueError(f"first_label is {self.first_label}, not 0 or 1")
        if not self.labels or any(type(x) is not str for x in self.labels):
            raise ValueError("labels must be words")
        if broken := [x for x in self.labels if len(x.splitlines()) > 1]:
            raise ValueError(f"the label {broken[0]!r} has a line break")
        if not self.train or not self.validation:
            raise ValueError("a split has no shards")
        files = [shard.file for shard in self.train + self.validation]
        if twice := [file for file, n in Counter(files).items() if n > 1]:
            raise ValueError(f"{twice[0]} is there twice")


def write_manifest(folder: str, manifest: Manifest) -> None:
    """Writes `manifest.json`, whole or not at all; the last file to write."""
    content: dict[str, Any] = {"format": MANIFEST_FORMAT, **asdict(manifest)}
    for split in ("train", "validation"):
        shards = content[split]
        images = sum(shard["images"] for shard in shards)
        content[split] = {"images": images, "shards": shards}
    text = json.dumps(content, indent=1, ensure_ascii=False)
    write_text(os.path.join(folder, MANIFEST), text + "\n")


def read_manifest(folder: str) -> Manifest:
    """Reads `manifest.json`; the shards themselves are not looked at.

    Raises:
        InputError: There is none, or it is not of this format.
    """
    path = os.path.join(folder, MANIFEST)
    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            content = json.loads(file.read())
        version = content.pop("format")
        if version != MANIFEST_FORMAT:
            raise ValueError(f"format is {version}, not {MANIFEST_FORMAT}")
        for split in ("train", "validation"):
            entry = content[split]
            shards = tuple(ShardFile(**shard) for shard in entry["shards"])
            if sum(shard.images for shard in shards) != entry["images"]:
                raise ValueError(f"images of {split} are not the shards' sum")
            content[split] = shards
        if type(content["labels"]) is not list:
            raise TypeError("labels must be a list")
        return Manifest(**{**content, "labels": tuple(content["labels"])})
    except tf.errors.OpError as error:
        raise InputError(f"{path} cannot be read: {error.message}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is no manifest of format {MANIFEST_FORMAT} "
            f"({type(error).__name__}: {error}); prepare the data anew"
        ) from error
