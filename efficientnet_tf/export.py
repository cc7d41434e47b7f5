"""A trained network as a file that Keras alone can open."""

from __future__ import annotations

import os
import tempfile

import tensorflow as tf

from efficientnet_tf.files import replacing
from efficientnet_tf.training.trained import TrainedModel


def export_keras(trained: TrainedModel, out: str) -> str:
    """Writes the averaged weights as `NAME.keras`.

    The file takes normalised images `[batch, pixels, pixels, 3]` and gives
    float32 logits; it needs no code of this project.

    Args:
        trained: The network.
        out: A folder, local or gs://; made if need be.

    Returns:
        The path of the file.
    """
    tf.io.gfile.makedirs(out)
    name = f"{trained.network.name}.keras"
    path = os.path.join(out, name)
    with tempfile.TemporaryDirectory() as folder:
        local = os.path.join(folder, name)
        trained.model.save(local)
        with replacing(path) as partial:
            tf.io.gfile.copy(local, partial)
    return path
