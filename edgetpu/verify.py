"""Holds an int8 file against the float network."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from edgetpu.run import Runner
from edgetpu.run.quiet import quiet
from edgetpu.samples import to_uint8
from efficientnet_tf.data.preprocess import normalize
from efficientnet_tf.errors import RunError
from efficientnet_tf.networks import Network

_FLOAT_BATCH = 32


@dataclass(frozen=True)
class Comparison:
    """What int8 costs on real images.

    Attributes:
        images: Number of images.
        float_top1: Share that the float network gets right, on the very
            images of an evaluation.
        int8_top1: Share that the int8 file gets right, on the same images
            rounded to pixels.
        agreement: Share for which both name the same class.
    """

    images: int
    float_top1: float
    int8_top1: float
    agreement: float


def compare(
    network: Network,
    model: keras.Model,
    content: bytes,
    examples: Iterable[tuple[tf.Tensor, tf.Tensor]],
) -> Comparison:
    """Classifies images by the float network and by the int8 file.

    The class is the one with the highest score. The file's scores have 256
    steps: of classes with the same score the one with the lower number counts.

    Args:
        network: What the model was built from.
        model: Normalised images -> logits.
        content: The bytes of the `.tflite` file.
        examples: A data set of (float32 `[pixels, pixels, 3]` on 0..255,
            int32 label).

    Raises:
        ValueError: There are no examples.
        RunError: The file cannot be run, as where the scales of its numbers
            are beyond what int8 arithmetic takes.
    """
    try:
        with quiet():
            runner = Runner(content, threads=os.cpu_count())
    except ValueError as error:
        reason = str(error).partition("\n")[0]
        raise RunError(
            f"the int8 network cannot be run ({reason}); the weights may be "
            "far too large, as after a training that went wrong"
        ) from error
    labels: list[np.ndarray] = []
    floats: list[np.ndarray] = []
    ints: list[int] = []
    for images, truth in tf.data.Dataset.batch(examples, _FLOAT_BATCH):
        logits = model(normalize(images, network.normalization))
        floats.append(np.argmax(logits, axis=-1))
        labels.append(truth.numpy())
        ints += [
            int(np.argmax(runner.scores(image)))
            for image in to_uint8(images.numpy())
        ]
    if not ints:
        raise ValueError("no examples to compare on")
    truths, by_float = np.concatenate(labels), np.concatenate(floats)
    by_int8 = np.asarray(ints)
    return Comparison(
        images=len(ints),
        float_top1=float(np.mean(by_float == truths)),
        int8_top1=float(np.mean(by_int8 == truths)),
        agreement=float(np.mean(by_float == by_int8)),
    )
