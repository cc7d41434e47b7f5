"""Images by workers of a service, one of which is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from efficientnet_tf.data.cut import Cut
from efficientnet_tf.data.images import EncodedImage, encode_jpeg
from efficientnet_tf.data.kinds import RecordDataset, Shards
from efficientnet_tf.data.preprocess import TrainingCrop
from efficientnet_tf.data.records import encode_record
from efficientnet_tf.data.served import served_examples
from efficientnet_tf.data.service import served
from efficientnet_tf.errors import InputError

ROOT = Path(__file__).parents[2]
CUT = Cut(8, "whole", "bilinear")
FILES, EACH = 12, 10
TOTAL = FILES * EACH


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> RecordDataset:
    folder = tmp_path_factory.mktemp("data")
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    picture = EncodedImage(encode_jpeg(noise, 90), 96, 96)
    files = []
    for file in range(FILES):
        files.append(str(folder / f"{file}"))
        with tf.io.TFRecordWriter(files[-1]) as writer:
            for number in range(EACH):
                writer.write(
                    encode_record(
                        picture,
                        label=file * EACH + number,
                        class_name="x",
                        filename="x.jpg",
                    )
                )
    shards = Shards(tuple(files), (EACH,) * FILES, 1000 * TOTAL)
    labels = tuple(map(str, range(TOTAL)))
    return RecordDataset("x", str(folder), shards, shards, labels, 0)


@contextmanager
def serve(*flags: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process of `serve-data`, and the address that it prints."""
    with subprocess.Popen(
        [sys.executable, "main.py", "serve-data", *flags],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
    ) as process:
        try:
            said = process.stdout.readline().strip()
            assert said.startswith("--set=data.service=grpc://"), said
            yield process, said.rpartition("=")[2]
        finally:
            process.kill()


def stream(
    dataset: RecordDataset,
    address: str,
    job: str,
    epochs: int | None,
    start: int = 0,
) -> tf.data.Dataset:
    examples = served_examples(
        dataset,
        cut=CUT,
        crop=TrainingCrop(),
        seed=0,
        start=start,
        epochs=epochs,
        shuffle_bytes=20 * 1000 * 4,
    )
    return served(examples.batch(5), dataset, address, job)


def labels(batches: Iterator) -> Counter[int]:
    return Counter(
        int(label) for _, several in batches for label in several.numpy()
    )


def crops(batches: Iterator) -> list[tuple[int, bytes]]:
    return [
        (int(label), image.numpy().tobytes())
        for images, several in batches
        for image, label in zip(images, several, strict=True)
    ]


@pytest.mark.slow
def test_two_workers_one_of_which_is_killed(dataset: RecordDataset) -> None:
    with (
        serve() as (_, address),
        serve(f"--dispatcher={address}") as (second, same),
    ):
        assert same == address
        # Every record once an epoch, whoever reads it.
        found = labels(iter(stream(dataset, address, "whole", 3)))
        assert found == Counter(dict.fromkeys(range(TOTAL), 3))
        # A run that goes on leaves out the files that are done.
        rest = stream(dataset, address, "rest", 2, start=TOTAL * 3 // 2)
        assert labels(iter(rest)).total() == TOTAL // 2

        # What the dead had in hand is lost, and nothing comes twice: no two
        # crops of a noisy picture are the same.
        batches = iter(stream(dataset, address, "killed", None))
        seen = crops(islice(batches, TOTAL // 5))
        second.kill()
        seen += crops(islice(batches, 6 * TOTAL // 5))
        assert len(seen) == len(set(seen)) == 7 * TOTAL
        assert {label for label, _ in seen} == set(range(TOTAL))


def made(dataset: RecordDataset, **options: int | None) -> list[int]:
    """Labels as one worker makes them, of windows of two files."""
    examples = served_examples(
        dataset,
        cut=CUT,
        crop=TrainingCrop(),
        shuffle_bytes=2 * EACH * 1000 * 4,
        **{"seed": 0, "epochs": 1, **options},
    )
    # In the order in which they are begun.
    one_thread = tf.data.Options()
    one_thread.threading.private_threadpool_size = 1
    return [int(label) for _, label in examples.with_options(one_thread)]


@pytest.mark.parametrize("half", [TOTAL // 2, TOTAL // 2 - EACH])
def test_a_run_that_goes_on_is_wrong_by_a_few_files(
    dataset: RecordDataset, half: int
) -> None:
    """The four that were open as a window began, and four that came after."""
    in_hand = 2 * 4
    before = made(dataset)[:half]
    files = Counter(label // EACH for label in before)
    assert sum(count < EACH for count in files.values()) <= in_hand
    seen = Counter(before + made(dataset, start=half))
    assert seen.total() == TOTAL
    # What is lost of some has been seen twice of others.
    assert TOTAL - len(seen) <= in_hand * EACH // 2


def test_a_window_of_a_worker_follows_the_seed(dataset: RecordDataset) -> None:
    """Of one file: there is no order of files in which seeds differ."""
    one = replace(dataset, train=dataset.train.some(slice(1)))
    orders = [made(one, seed=seed) for seed in (0, 0, 1)]
    assert sorted(orders[0]) == sorted(orders[2]) == list(range(EACH))
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]


def test_nobody_answers(dataset: RecordDataset) -> None:
    with pytest.raises(InputError, match="grpc://localhost:1 does not answer"):
        stream(dataset, "grpc://localhost:1", "x", 1)


def test_a_folder_of_pictures_is_not_for_a_service(
    dataset: RecordDataset,
) -> None:
    with pytest.raises(InputError, match="data.service reads TFRecords"):
        served(
            tf.data.Dataset.range(1),
            replace(dataset, kind="folder"),
            "grpc://localhost:1",
            "x",
        )
