"""What a trained network says of single images."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from efficientnet_tf.data.images import read_jpeg
from efficientnet_tf.data.preprocess import evaluation_image, normalize
from efficientnet_tf.errors import InputError
from efficientnet_tf.training.trained import TrainedModel

IMAGES_AT_ONCE = 32
CLASSES_SAID = 5

_PICTURES = {".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".svg", ".pdf"}


@dataclass(frozen=True)
class Guess:
    """A class and how sure the network is of it.

    Attributes:
        index: Its number among the logits.
        label: Its name.
        probability: From 0 to 1.
    """

    index: int
    label: str
    probability: float


@dataclass(frozen=True)
class Prediction:
    """The answer to an image: its likeliest classes, or why there are none.

    Attributes:
        image: The path.
        top: The likeliest classes, the likeliest first; none of what is no
            image.
        error: Why the image could not be read, such as "is empty"; nothing
            where it could.
    """

    image: str
    top: tuple[Guess, ...] = ()
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values: `image` and `top`, or `image` and `error`."""
        if self.error:
            return {"image": self.image, "error": self.error}
        top = [dataclasses.asdict(guess) for guess in self.top]
        return {"image": self.image, "top": top}


def predict(
    trained: TrainedModel, images: Sequence[str]
) -> Iterator[Prediction]:
    """Classifies image files with the averaged weights.

    They are read as `prepare` reads them and cut as for evaluation.

    Args:
        trained: The network.
        images: Paths of files as `read_jpeg` takes them, local or gs://.

    Yields:
        An answer for each image, in order. A file that is missing or is no
        image has its error, and does not keep the others from theirs.
    """
    for start in range(0, len(images), IMAGES_AT_ONCE):
        some = images[start : start + IMAGES_AT_ONCE]
        read = [_pixels(trained, path) for path in some]
        right = [pixels for pixels in read if not isinstance(pixels, str)]
        answers = iter(_guesses(trained, right) if right else ())
        for path, pixels in zip(some, read, strict=True):
            if isinstance(pixels, str):
                yield Prediction(_shown(path), error=pixels)
            else:
                yield Prediction(path, next(answers))


def plot_paths(out: str, images: Sequence[str]) -> list[str]:
    """Where the picture of each prediction goes; nothing is made yet.

    Args:
        out: A .png for a single image, or a folder.
        images: Paths of the images.

    Returns:
        A path for each; images of the same name are numbered.

    Raises:
        InputError: There are several images and one .png, it ends like
            another kind of picture, or a plot would replace an image.
    """
    ending = os.path.splitext(out)[1].lower()
    if ending in _PICTURES:
        raise InputError(f"--save_plot {out} must end in .png, or be a folder")
    if ending == ".png":
        if len(images) > 1:
            raise InputError(
                f"--save_plot {out} holds one image, and {len(images)} were "
                "given; name a folder"
            )
        paths = [out]
    else:
        paths = _numbered(out, images)
    there = {os.path.realpath(image) for image in images}
    for path in paths:
        if os.path.realpath(path) in there:
            raise InputError(
                f"--save_plot {out}: {path} is one of the images and would be "
                "replaced; name another folder"
            )
    return paths


def _numbered(folder: str, images: Sequence[str]) -> list[str]:
    paths: list[str] = []
    for image in images:
        stem = os.path.splitext(os.path.basename(image))[0]
        path = os.path.join(folder, f"{stem}.png")
        number = 2
        while path in paths:
            path = os.path.join(folder, f"{stem}-{number}.png")
            number += 1
        paths.append(path)
    return paths


def _pixels(trained: TrainedModel, path: str) -> tf.Tensor | str:
    """float32 `[pixels, pixels, 3]` on 0..255, or why there are none."""
    if _shown(path) != path:
        return "has a name that is no UTF-8"
    try:
        encoded = tf.constant(read_jpeg(path).encoded)
        return evaluation_image(encoded, trained.cut)
    except InputError as error:
        return " ".join(str(error).removeprefix(path).split())
    except tf.errors.OpError as error:
        # Of too few pixels to cut a square out, for one.
        return f"cannot be cut for the network: {error.message}"


def _shown(path: str) -> str:
    """A path as it can be printed, whatever bytes it is of."""
    return path.encode(errors="backslashreplace").decode()


def _guesses(
    trained: TrainedModel, pixels: Sequence[tf.Tensor]
) -> Iterator[tuple[Guess, ...]]:
    """The likeliest classes of each image."""
    inputs = normalize(tf.stack(pixels), trained.network.normalization)
    probabilities = tf.nn.softmax(trained.model(inputs, training=False))
    count = min(CLASSES_SAID, probabilities.shape[1])
    best = tf.math.top_k(probabilities, count)
    for values, classes in zip(
        best.values.numpy(), best.indices.numpy(), strict=True
    ):
        yield tuple(
            Guess(int(number), trained.labels[number], float(value))
            for number, value in zip(classes, values, strict=True)
        )
