"""What TensorFlow says when a step fails, in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from efficientnet_tf.errors import RunError

REASON_CHARACTERS = 300

_CAUSES = {
    tf.errors.DataLossError: "a file of records is damaged",
    tf.errors.ResourceExhaustedError: "out of memory; a smaller batch may fit",
}
# What the input pipeline's operators say of records.
_RECORD_WORDS = ("has the label", "JPEG", "Key: image/", "parse")


@contextmanager
def device_errors(what: str) -> Iterator[None]:
    """Turns an error of the devices or the input pipeline into a RunError.

    Args:
        what: What was being done, for the message.
    """
    try:
        yield
    except tf.errors.OpError as error:
        # Behind its first lines TensorFlow names nodes and shows the trace.
        said = error.message.split("\n\t")[0].split(" [[{{node")[0]
        gist = " ".join(said.split())[-REASON_CHARACTERS:]
        cause = _CAUSES.get(type(error), type(error).__name__)
        if any(word in said for word in _RECORD_WORDS):
            cause = "a record cannot be used"
        raise RunError(f"{what}: {cause}: {gist}") from error
