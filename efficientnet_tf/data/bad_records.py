"""Which records could not be used, and why.

The pipeline, which may run on other machines, leaves an empty file of a
record's number for each that it passes over, however often it meets it. The
host looks these records up, and writes a line of each for people.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from typing import Literal

import tensorflow as tf

from efficientnet_tf.data.counts import FILES_AT_ONCE
from efficientnet_tf.data.frames import read_frames
from efficientnet_tf.data.images import JPEG_BEGIN
from efficientnet_tf.data.kinds import RecordDataset
from efficientnet_tf.data.reading import parser, raw_records
from efficientnet_tf.data.soundness import class_of, sound_jpeg
from efficientnet_tf.errors import RunError
from efficientnet_tf.files import read_text, write_text

# In a model directory: the files without content, and the lines.
NOTES = "bad_records"
LINES = "bad_records.jsonl"

Reason = Literal[
    "damaged record",
    "missing record",
    "no example",
    "no picture",
    "wrong label",
    "empty image",
    "no JPEG",
    "damaged JPEG",
]
_SHOWN = 3


@dataclass(frozen=True)
class BadRecord:
    """A record that cannot be used.

    Attributes:
        number: In the training split, from 0.
        file: Where it lies.
        record: Which record of that file, from 0.
        reason: Why.
    """

    number: int
    file: str
    record: int
    reason: Reason

    def __str__(self) -> str:
        return f"{self.file} record {self.record}: {self.reason}"


class BadRecords:
    """What a training has passed over so far."""

    def __init__(self, dataset: RecordDataset, folder: str, max_share: float):
        """Binds it to a run; nothing is read yet.

        Args:
            dataset: Whose training split.
            folder: The model directory.
            max_share: Of the training split, from which on it is too much.
        """
        self._dataset = dataset
        self._notes = os.path.join(folder, NOTES)
        self._lines = os.path.join(folder, LINES)
        self._max_share = max_share
        self._known: dict[int, BadRecord] | None = None

    def counts(self) -> dict[str, int]:
        """How many there are by reason."""
        found = Counter(bad.reason for bad in (self._known or {}).values())
        return dict(sorted(found.items()))

    def shown(self) -> str:
        """The first ones in words."""
        known = (self._known or {}).values()
        return "; ".join(str(bad) for bad in islice(known, _SHOWN))

    def look(self) -> None:
        """Looks up what was noted since, and writes the lines.

        The first time in a process all are looked up that were ever noted:
        they may have been mended. Of those that can be used, note and line are
        removed.

        Raises:
            RunError: It is more than the share; the first ones are named.
            tf.errors.OpError: A file cannot be read.
        """
        known = self._known or {}
        new = sorted(self._noted() - known.keys())
        with ThreadPoolExecutor(FILES_AT_ONCE) as pool:
            found = list(pool.map(partial(look_up, self._dataset), new))
        for number, bad in zip(new, found, strict=True):
            if bad:
                known[number] = bad
            else:
                tf.io.gfile.remove(os.path.join(self._notes, str(number)))
        self._known = dict(sorted(known.items()))
        text = "".join(
            json.dumps(asdict(bad)) + "\n" for bad in self._known.values()
        )
        if text != (read_text(self._lines) or ""):
            write_text(self._lines, text)
        images = self._dataset.train.images
        if len(self._known) > self._max_share * images:
            raise RunError(
                f"{len(self._known):,} of {images:,} training records cannot "
                f"be used, more than data.max_bad_share {self._max_share:g} "
                f"({self.shown()}; all in {self._lines}); `check` tells "
                "what is wrong with them, a larger share passes over them"
            )

    def _noted(self) -> set[int]:
        if not tf.io.gfile.isdir(self._notes):
            return set()
        names = tf.io.gfile.listdir(self._notes)
        return {int(name) for name in names if name.isdecimal()}


def note(folder: str, numbers: tf.Tensor, sound: tf.Tensor) -> None:
    """Leaves files of the records that are not sound; for the pipeline.

    Args:
        folder: Local or gs://.
        numbers: Of records in the split, int64 `[records]`.
        sound: Which of these are sound, int64, ascending.
    """
    count = tf.size(numbers, tf.int64)
    is_bad = tf.tensor_scatter_nd_update(
        tf.fill([count], True), sound[:, None], tf.zeros_like(sound) > 0
    )
    bad = tf.strings.as_string(tf.boolean_mask(numbers, is_bad))

    def write(place: tf.Tensor) -> tf.Tensor:
        tf.io.write_file(tf.strings.join([folder, bad[place]], "/"), "")
        return place + 1

    tf.while_loop(
        lambda place: place < tf.size(bad), lambda place: (write(place),), [0]
    )


def look_up(dataset: RecordDataset, number: int) -> BadRecord | None:
    """Reads a training record again, and finds out what is wrong with it.

    Args:
        dataset: Whose training split.
        number: Of the record.

    Returns:
        The record; None if it can be used, or the split has none of that
        number.

    Raises:
        tf.errors.OpError: Its file cannot be read.
    """
    if number >= dataset.train.images:
        return None
    file, record = dataset.train.place(number)
    reason = _reason(dataset, number, file, record)
    return reason and BadRecord(number, file, record, reason)


def _reason(
    dataset: RecordDataset, number: int, file: str, record: int
) -> Reason | None:
    stretch = dataset.train.stretch(number, number + 1)
    ((_, raw),) = raw_records(dataset, dataset.train, *stretch)
    if dataset.kind != "folder" and not raw[0].numpy():
        frame = next(islice(read_frames(file), record, None), None)
        return "damaged record" if frame else "missing record"
    try:
        # As the pipeline runs it: what is Python in it raises `OpError` there.
        encoded, label = tf.function(parser(dataset))(*raw)
    # The message may hold bytes of the record, which are no text.
    except (tf.errors.OpError, UnicodeDecodeError):
        return "no picture" if dataset.kind == "folder" else "no example"
    try:
        class_of(label, dataset)
    except tf.errors.OpError:
        return "wrong label"
    if not encoded.numpy():
        return "empty image"
    try:
        sound_jpeg(encoded)
        return None
    except tf.errors.OpError:
        pass
    is_jpeg = encoded.numpy().startswith(JPEG_BEGIN)
    return "damaged JPEG" if is_jpeg else "no JPEG"
