"""What the stream holds in memory is what its options say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from efficientnet_tf.data.images import EncodedImage, encode_jpeg
from efficientnet_tf.data.records import encode_record

FILES, EACH = 64, 30
MEGABYTE = 1_000_000
# Prints the most memory that a stream has taken, in bytes, over TensorFlow's.
PROGRAM = """
import os, pathlib, sys
import tensorflow as tf
from efficientnet_tf.data.cut import Cut
from efficientnet_tf.data.kinds import RecordDataset, Shards
from efficientnet_tf.data.pipeline import training_examples
from efficientnet_tf.data.preprocess import TrainingCrop

def most():
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024

folder, counts, shuffle_bytes = sys.argv[1], int(sys.argv[2]), sys.argv[3]
files = tuple(sorted(str(path) for path in pathlib.Path(folder).iterdir()))
size = sum(os.path.getsize(file) for file in files)
shards = Shards(files, (counts,) * len(files), size)
dataset = RecordDataset("x", folder, shards, shards, ("a", "b"), 0)
stream = iter(training_examples(
    dataset, cut=Cut(16, "whole", "bilinear"), crop=TrainingCrop(0.9), seed=0,
    places=32, shuffle_bytes=int(shuffle_bytes)))

tf.constant(0)
before = most()
for _ in range(2 * shards.images):
    next(stream)
print(most() - before)
"""


@pytest.mark.slow
def test_shuffling_takes_no_more_than_it_may(tmp_path: Path) -> None:
    """A large window against the smallest: what else there is, both have."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (256, 256, 3), np.uint8)
    content = encode_jpeg(pixels, 95)
    record = encode_record(
        EncodedImage(content, 256, 256),
        label=0,
        class_name="a",
        filename="x.jpg",
    )
    for file in range(FILES):
        with tf.io.TFRecordWriter(str(tmp_path / f"{file:02d}")) as writer:
            for _ in range(EACH):
                writer.write(record)
    total = FILES * EACH * len(record)
    assert total > 200 * MEGABYTE

    def taken(shuffle_bytes: int) -> int:
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(tmp_path)]
            + [str(EACH), str(shuffle_bytes)],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        )
        return int(ran.stdout)

    least, large = taken(1), taken(600 * MEGABYTE)
    assert large - least < 600 * MEGABYTE
    # It was used, too.
    assert large - least > 150 * MEGABYTE
