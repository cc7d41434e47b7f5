"""What a trained network says of single images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from efficientnet_tf.data.images import read_jpeg
from efficientnet_tf.data.preprocess import evaluation_image, normalize
from efficientnet_tf.training.trained import TrainedModel

IMAGES_AT_ONCE = 32
CLASSES_SAID = 5


@dataclass(frozen=True)
class Guess:
    """A class and how sure the network is of it, from 0 to 1."""

    label: str
    probability: float


@dataclass(frozen=True)
class Prediction:
    """The likeliest classes of an image, the likeliest first."""

    image: str
    guesses: tuple[Guess, ...]


def predict(trained: TrainedModel, images: Sequence[str]) -> list[Prediction]:
    """Classifies image files with the averaged weights.

    They are read as `prepare` reads them and cut as for evaluation.

    Args:
        trained: The network.
        images: Paths of JPEG or PNG files, local or gs://.

    Raises:
        InputError: A file is missing or is no image; it is named.
    """
    predictions: list[Prediction] = []
    for start in range(0, len(images), IMAGES_AT_ONCE):
        some = images[start : start + IMAGES_AT_ONCE]
        probabilities = _probabilities(trained, some)
        count = min(CLASSES_SAID, probabilities.shape[1])
        best = tf.math.top_k(probabilities, count)
        for image, values, classes in zip(
            some, best.values.numpy(), best.indices.numpy(), strict=True
        ):
            guesses = tuple(
                Guess(trained.labels[number], float(value))
                for number, value in zip(classes, values, strict=True)
            )
            predictions.append(Prediction(image, guesses))
    return predictions


def _probabilities(trained: TrainedModel, images: Sequence[str]) -> tf.Tensor:
    """float32 `[images, classes]`."""
    pictures = tf.stack(
        [
            evaluation_image(tf.constant(read_jpeg(path).encoded), trained.cut)
            for path in images
        ]
    )
    inputs = normalize(pictures, trained.network.normalization)
    return tf.nn.softmax(trained.model(inputs, training=False))
