"""The whole stream of a training, from TFRecords to batches of targets.

Read, checked, judged, shuffled, decoded, cut, mirrored, batched and given
targets: `host_batches`, which every training calls, with tf.data's settings as
they are but for the number of threads.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.input_pipeline_job import Job
from benchmarks.pictures import read_pictures

if TYPE_CHECKING:
    import tensorflow as tf

    from efficientnet_tf.training.config import Config

# So that each of 256 shards has two.
RECORDS = 512
# Images of a turn for each of another contender: records are judged and
# shuffled by hundreds.
LONGER = 4


@dataclass(frozen=True)
class Stream:
    """What a stream is read from, and by how many threads.

    Attributes:
        threads: Threads of tf.data.
        shards: Files of the training split.
        classes: Names in the manifest.
        dtype: Of the images; a TPU takes bfloat16.
    """

    threads: int = 1
    shards: int = 16
    classes: int = 1000
    dtype: str = "float32"


WHOLE = "ours, whole"
STREAMS = {
    WHOLE: Stream(),
    "2 threads": Stream(threads=2),
    "1 shard": Stream(shards=1),
    "256 shards": Stream(shards=256),
    "10 classes": Stream(classes=10),
    "20000 classes": Stream(classes=20_000),
    "bfloat16": Stream(dtype="bfloat16"),
}


def write_records(
    folder: Path, shards: int, classes: int, records: int = RECORDS
) -> str:
    """Writes the pictures as a data set with a manifest, and says where."""
    from efficientnet_tf.data.images import EncodedImage
    from efficientnet_tf.data.manifest import Manifest, write_manifest
    from efficientnet_tf.data.records import (
        encode_record,
        shard_name,
        write_shard,
    )

    out = folder / f"records-{shards}-{classes}"
    if out.is_dir():
        return str(out)
    out.mkdir()
    jpegs = read_pictures(folder).jpegs

    def record(number: int) -> bytes:
        jpeg = jpegs[number % len(jpegs)]
        # Classes as far apart as may be; nobody reads the sides.
        label = number * 7919 % classes
        return encode_record(
            EncodedImage(jpeg, 1, 1),
            label=label,
            class_name=str(label),
            filename=f"{number}.jpg",
        )

    train = tuple(
        write_shard(
            str(out / shard_name("train", shard, shards)),
            (record(number) for number in range(shard, records, shards)),
        )
        for shard in range(shards)
    )
    validation = write_shard(
        str(out / shard_name("validation", 0, 1)), [record(0)]
    )
    labels = tuple(str(number) for number in range(classes))
    name = hashlib.sha256(str(out).encode()).hexdigest()[:8]
    write_manifest(str(out), Manifest(name, 0, labels, train, (validation,)))
    return str(out)


def whole(job: Job) -> Iterator[Any]:
    """The batches of one host with one replica."""
    import tensorflow as tf

    from efficientnet_tf.training.config import Config

    default = Config()
    batches = training_batches(
        replace(
            default,
            model=replace(
                default.model, name="efficientnet-b0", pixels=job.pixels
            ),
            train=replace(default.train, batch=job.batch),
            data=replace(
                default.data,
                dir=job.records,
                resize=job.resize,  # type: ignore[arg-type]
                augment=job.policy,  # type: ignore[arg-type]
                # A single batch ahead: no more than is measured.
                prefetch_bytes=1,
            ),
        ),
        tf.as_dtype(job.dtype),
    )
    options = tf.data.Options()
    options.threading.private_threadpool_size = job.threads
    return iter(batches.with_options(options))


def training_batches(config: Config, dtype: tf.DType) -> tf.data.Dataset:
    """What a training on one replica of one host takes."""
    import tensorflow as tf

    from efficientnet_tf.training.batches import host_batches
    from efficientnet_tf.training.run import open_run

    run = open_run(config, tempfile.mkdtemp())
    return host_batches(run, tf.distribute.InputContext(), start=0, dtype=dtype)
