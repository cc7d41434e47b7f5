"""A trained network for servers: TensorFlow alone takes pixels or JPEGs."""

from __future__ import annotations

import os
import tempfile

import tensorflow as tf

from efficientnet_tf.data.manifest import LABELS
from efficientnet_tf.data.preprocess import evaluation_image, normalize
from efficientnet_tf.data.reading import from_png
from efficientnet_tf.files import files_below, replacing_folder
from efficientnet_tf.training.trained import TrainedModel

# The signatures: of pixels, and of picture files.
PIXELS, ENCODED = "serving_default", "encoded"


def export_saved_model(trained: TrainedModel, out: str) -> str:
    """Writes the averaged weights as the SavedModel `NAME_saved_model`.

    Its signatures give `scores`, float32 `[n, classes]`, the softmax:

    - `serving_default` of `images`, float32 `[n, pixels, pixels, 3]` on 0..255;
    - `encoded` of `encoded`, strings `[n]` that are a JPEG or a PNG each, cut
      as for evaluation. EXIF is ignored, as TensorFlow does.

    The names of the classes are its asset `labels.txt`, a line each.

    Args:
        trained: The network.
        out: A folder, local or gs://; made if need be.

    Returns:
        The path of the folder that is the SavedModel.
    """
    path = os.path.join(out, f"{trained.network.name}_saved_model")
    with tempfile.TemporaryDirectory() as folder:
        labels = os.path.join(folder, LABELS)
        with open(labels, "w", encoding="utf-8") as file:
            file.writelines(f"{label}\n" for label in trained.labels)
        local = os.path.join(folder, "model")
        serving = _Serving(trained, labels)
        signatures = {PIXELS: serving.images, ENCODED: serving.encoded}
        tf.saved_model.save(serving, local, signatures=signatures)
        with replacing_folder(path) as partial:
            _copy(local, partial)
    return path


class _Serving(tf.Module):
    """What is saved: weights, names of classes, two functions."""

    def __init__(self, trained: TrainedModel, labels: str):
        super().__init__()
        # Keras's own objects would want Keras to be opened again.
        self.weights = [weight.value for weight in trained.model.weights]
        self.labels = tf.saved_model.Asset(labels)
        cut, network, model = trained.cut, trained.network, trained.model
        image = tf.TensorSpec([cut.pixels, cut.pixels, 3], tf.float32)

        def scores(images: tf.Tensor) -> dict[str, tf.Tensor]:
            inputs = normalize(images, network.normalization)
            return {"scores": tf.nn.softmax(model(inputs, training=False))}

        def scores_of_files(encoded: tf.Tensor) -> dict[str, tf.Tensor]:
            images = tf.map_fn(
                lambda content: evaluation_image(from_png(content), cut),
                encoded,
                fn_output_signature=image,
            )
            return scores(images)

        self.images = tf.function(
            scores,
            [tf.TensorSpec([None, *image.shape], tf.float32, "images")],
        )
        self.encoded = tf.function(
            scores_of_files, [tf.TensorSpec([None], tf.string, "encoded")]
        )


def _copy(source: str, target: str) -> None:
    """Copies the files of a local folder to another, local or gs://."""
    for path in files_below(source):
        place = os.path.join(target, os.path.relpath(path, source))
        tf.io.gfile.makedirs(os.path.dirname(place))
        tf.io.gfile.copy(path, place)
