"""Names of classes out of files, and ImageNet's.

`imagenet_labels.txt` has a line for each of the 1000 classes of ILSVRC 2012,
WordNet's number and words, in the order of the numbers, which is that of the
logits of all published networks. Source: `imagenet_synsets.txt` and
`imagenet_synset_to_lemma.txt` of timm 1.0.31 (Apache License 2.0); the words
are WordNet's. The original's `labels_map.json` says the same.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import tensorflow as tf

from efficientnet_tf.errors import InputError
from efficientnet_tf.networks import IMAGENET_CLASSES

# What logit 0 stands for in networks of one class more than their data.
BACKGROUND = "background"
# Of networks that were trained on ImageNet with a background.
BACKGROUND_CLASSES = IMAGENET_CLASSES + 1

_SYNSET = re.compile(r"n\d{8}")
_IMAGENET = Path(__file__).parent / "imagenet_labels.txt"


def read_labels(
    path: str, classes: int, *, background: bool | None = None
) -> tuple[str, ...]:
    """Reads names of classes.

    The file has a line for each class, or is a JSON object from the class's
    number to its name, `{"0": "tench, Tinca tinca", ...}`, as the original
    publishes it. Two classes may have the same name.

    Args:
        path: A file, local or gs://; "imagenet" means the names of ImageNet
            that come with the package. A file of that name is "./imagenet".
        classes: Number of logits.
        background: Whether logit 0 is the background, which the file may
            leave out; None says so of a network of 1001 classes.

    Returns:
        As many names as there are logits.

    Raises:
        InputError: The file is missing, no UTF-8 text, or does not name all
            classes, and no more.
    """
    if path == "imagenet":
        return imagenet_labels(classes)
    if background is None:
        background = classes == BACKGROUND_CLASSES
    needed = f"{classes - 1} or {classes}" if background else f"{classes}"
    try:
        labels = _parse(_content(path))
        if len(labels) not in (classes, classes - background):
            raise InputError(f"has {len(labels)} labels")
        for label in labels:
            # It would be two lines of the run's labels.txt.
            if len(label.splitlines()) > 1:
                raise InputError(f"has a line break in the label {label!r}")
    except InputError as error:
        raise InputError(
            f"{path} {error}; the network needs {needed} labels"
        ) from error
    return (BACKGROUND, *labels) if len(labels) < classes else labels


def imagenet_labels(classes: int) -> tuple[str, ...]:
    """Names of the classes of ImageNet 2012.

    Args:
        classes: 1000, or 1001 for "background" and the 1000.

    Raises:
        InputError: It is another number.
    """
    labels = tuple(line.partition("\t")[2] for line in _imagenet_lines())
    if classes == len(labels):
        return labels
    if classes == BACKGROUND_CLASSES:
        return (BACKGROUND, *labels)
    raise InputError(
        f"ImageNet has 1000 labels, or 1001 with the background; the network "
        f"needs {classes}"
    )


def same_classes(ours: tuple[str, ...], theirs: tuple[str, ...]) -> bool:
    """Whether two lists of names can be of the same classes.

    Numbers name nothing: they are the same as any other names, as many. Of
    ImageNet's classes, WordNet's numbers and words are the same.
    """
    if len(ours) != len(theirs):
        return False
    if _only_numbers(ours) or _only_numbers(theirs):
        return True
    return _words(ours) == _words(theirs)


def _only_numbers(labels: tuple[str, ...]) -> bool:
    """Whether labels count up, as those of records without names."""
    first = labels[0] if labels else ""
    return first.isdecimal() and labels == tuple(
        str(int(first) + number) for number in range(len(labels))
    )


def _words(labels: tuple[str, ...]) -> tuple[str, ...]:
    """WordNet's words where its numbers stand for them."""
    if not (labels and _SYNSET.fullmatch(labels[-1])):
        return labels
    known = dict(line.split("\t", 1) for line in _imagenet_lines())
    return tuple(known.get(label, label) for label in labels)


def _imagenet_lines() -> list[str]:
    return _IMAGENET.read_text(encoding="utf-8").splitlines()


def _content(path: str) -> str:
    """The text of a file; the errors from here on lack its name."""
    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            content = bytes(file.read())
    except tf.errors.OpError as error:
        raise InputError(f"cannot be read: {error.message}") from error
    try:
        # Windows' editors begin a file with a mark, which "-sig" drops.
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("is no UTF-8 text") from None


def _parse(text: str) -> tuple[str, ...]:
    if not text.strip():
        raise InputError("is empty: it has 0 labels")
    if text.lstrip().startswith("{"):
        return _from_map(text)
    if text.lstrip().startswith("["):
        raise InputError(
            "is a JSON list; write a label on each line, or a map from numbers "
            "to labels"
        )
    lines = [line.strip() for line in text.rstrip().split("\n")]
    if "" in lines:
        raise InputError(
            f"has {len(lines)} lines, of which line {lines.index('') + 1} is "
            "empty"
        )
    return tuple(lines)


def _from_map(text: str) -> tuple[str, ...]:
    """Labels of a JSON object whose keys are 0, 1, 2 and so on."""
    try:
        pairs = json.loads(text, object_pairs_hook=list)
    except ValueError as error:
        raise InputError(
            f"begins like a JSON map of labels and is none: {error}"
        ) from None
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise InputError(f"has {len(keys)} labels, two of class {key}")
    names = dict(pairs)
    for number in map(str, range(len(names))):
        label = names.get(number)
        if not isinstance(label, str) or not label.strip():
            raise InputError(
                f"has {len(names)} labels and none for class {number}"
            )
    return tuple(names[str(number)].strip() for number in range(len(names)))
