"""What an export writes besides the int8 file, format by format."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial

from edgetpu.float_files import export_float
from efficientnet_tf.data.manifest import LABELS
from efficientnet_tf.export import export_keras
from efficientnet_tf.files import files_below, make_folder, write_text
from efficientnet_tf.saved_model import export_saved_model
from efficientnet_tf.training.config import ExportFormat
from efficientnet_tf.training.trained import TrainedModel

# Write what a network has learnt into a folder; say where.
_WRITERS: dict[ExportFormat, Callable[[TrainedModel, str], str]] = {
    "keras": export_keras,
    "float": partial(export_float, weights="float"),
    "float16": partial(export_float, weights="float16"),
    "dynamic_range": partial(export_float, weights="dynamic_range"),
    "saved_model": export_saved_model,
}


def export_formats(
    trained: TrainedModel, out: str, formats: Iterable[ExportFormat]
) -> tuple[str, ...]:
    """Writes a network in other formats than int8, each whole or not at all.

    Files of formats that are not named are left alone. `labels.txt` has the
    names of the classes.

    Args:
        trained: The network.
        out: A folder, local or gs://; made if need be.
        formats: "int8" among them is `export`'s, and passed over.

    Returns:
        Paths of the files, those in the folder of a SavedModel too.

    Raises:
        InputError: The folder cannot be written, or the network has no classes.
    """
    make_folder(out, "--out")
    labels = "".join(f"{label}\n" for label in trained.labels)
    write_text(os.path.join(out, LABELS), labels)
    paths: list[str] = []
    for word in formats:
        if word != "int8":
            paths += files_below(_WRITERS[word](trained, out))
    return tuple(paths)
