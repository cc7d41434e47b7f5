"""What TensorFlow says when a step fails, in one line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from efficientnet_tf.errors import RunError

REASON_CHARACTERS = 300

_CAUSES = {
    tf.errors.DataLossError: "a file of records is damaged",
    tf.errors.ResourceExhaustedError: "out of memory; a smaller batch may fit",
}
# What the system says of a full disk, which TensorFlow counts as memory.
_NO_ROOM = "No space left on device"
# What TensorFlow says of itself around a reason.
_OPERATOR = re.compile(r"\{\{.*?\}\} ?| \[Op:\w+\]( name:)?")
# Another process of the training, or a server, is not there any more.
_GONE = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
)
# What the input pipeline's operators say of records.
_RECORD_WORDS = ("has the label", "JPEG", "Key: image/", "parse")


class WorkerGone(RunError):
    """Another process or a server is gone; a training can go on later."""


@contextmanager
def device_errors(what: str, *, shared: bool = False) -> Iterator[None]:
    """Turns an error of the devices or the input pipeline into a RunError.

    Args:
        what: What was being done, for the message.
        shared: Whether other hosts or a TPU take part, which may go away.

    Raises:
        WorkerGone: One of them does not answer.
        RunError: The block failed otherwise.
    """
    try:
        yield
    except tf.errors.OpError as error:
        said = _gist(error.message)
        gist = said[:REASON_CHARACTERS]
        if shared and isinstance(error, _GONE):
            raise WorkerGone(
                f"{what}: a worker is gone ({type(error).__name__}: {gist})"
            ) from error
        cause = _CAUSES.get(type(error), type(error).__name__)
        if _NO_ROOM in said:
            cause = "the disk is full"
        if any(word in said for word in _RECORD_WORDS):
            cause = "a record cannot be used"
        raise RunError(f"{what}: {cause}: {gist}") from error


def _gist(message: str) -> str:
    """The sentence between the stack trace and the names of nodes."""
    message = _OPERATOR.sub("", message)
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    nodes = [n for n, line in enumerate(lines) if line.startswith("[[{{node")]
    if not lines:
        return "no reason given"
    sentence = lines[nodes[0] - 1] if nodes and nodes[0] else lines[0]
    if "assertion failed: [" in sentence:
        sentence = sentence.partition("assertion failed: [")[2]
        return sentence.replace("] [", " ").rstrip("]").replace(" ;", ";")
    return sentence
