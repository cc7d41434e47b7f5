"""How the stream of images is dealt to hosts, replicas and microbatches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
import tensorflow as tf

from efficientnet_tf.data.kinds import RecordDataset, Shards
from efficientnet_tf.training.batches import (
    _own_shares,
    host_batches,
    shares_ahead,
)
from efficientnet_tf.training.config import Config
from efficientnet_tf.training.config_files import override
from efficientnet_tf.training.run import Run, open_run

STEPS = 7  # over the end of an epoch of five
BATCH = 8


def dealt(
    run: Run, *, hosts: int, replicas: int, start: int = 0
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Images and targets of steps, as all replicas of all hosts see them."""
    parts = run.config.train.microbatches
    local = replicas // hosts
    streams = [
        host_batches(
            run,
            tf.distribute.InputContext(hosts, host, replicas),
            start=start * BATCH,
            dtype=tf.float32,
        ).as_numpy_iterator()
        for host in range(hosts)
    ]
    steps = []
    for _ in range(STEPS - start):
        blocks = [
            block
            for _ in range(parts)
            for stream in streams
            for block in islice(stream, local)
        ]
        images, targets = (
            np.concatenate(values) for values in zip(*blocks, strict=True)
        )
        steps.append((images, targets))
    return steps


Dealt = list[tuple[np.ndarray, np.ndarray]]


@pytest.fixture(scope="module")
def whole(config: Config) -> Callable[..., Dealt]:
    """Gives the steps of settings that nothing is dealt out of, made once."""
    made: dict[tuple[str, ...], Dealt] = {}

    def steps(settings: list[str]) -> Dealt:
        key = tuple(settings)
        if key not in made:
            run = open_run(override(config, settings))
            made[key] = dealt(run, hosts=1, replicas=1)
        return made[key]

    return steps


MIXING = ["data.mixup=0.3", "data.cutmix=1.0"]
AUGMENTED = [
    "data.augment=randaugment",
    "data.randaugment_layers=1",
    "data.jitter_hue=0.1",
    "data.erasing=0.5",
]


@pytest.mark.parametrize(
    ("hosts", "replicas", "parts", "start", "settings"),
    [
        (1, 2, 1, 0, MIXING),
        (2, 2, 1, 0, MIXING),
        (2, 4, 1, 3, MIXING),
        (1, 1, 4, 0, MIXING),
        (2, 2, 2, 5, MIXING),
        # What mixing is made of, by itself.
        (2, 4, 1, 3, []),
        (2, 2, 2, 5, []),
        (2, 2, 2, 5, AUGMENTED),
        pytest.param(2, 4, 1, 3, AUGMENTED, marks=pytest.mark.slow),
    ],
)
def test_a_step_has_the_same_images_however_it_is_dealt(
    config: Config,
    whole: Callable[..., Dealt],
    hosts: int,
    replicas: int,
    parts: int,
    start: int,
    settings: list[str],
) -> None:
    expected = whole(settings)[start:]
    run = open_run(override(config, [*settings, f"train.microbatches={parts}"]))
    found = dealt(run, hosts=hosts, replicas=replicas, start=start)
    for images, _ in found:
        assert images.shape == (BATCH, 32, 32, 3)
    check_same(found, expected)


def check_same(found: Dealt, expected: Dealt) -> None:
    for (images, targets), (one, those) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(images, one)
        np.testing.assert_array_equal(targets, those)


def test_the_settings_reach_the_images(config: Config) -> None:
    """An erased rectangle has the mean of the network's normalization."""
    run = open_run(override(config, ["data.erasing=1.0"]))
    images, _ = dealt(run, hosts=1, replicas=1)[0]
    mean = np.float32(run.network.normalization.mean)
    for image in images:
        assert (image == mean).all(-1).sum() > 10


def filed(
    squares: RecordDataset, records: int, files_wanted: int, folder: Path
) -> RecordDataset:
    """The first of the squares, in another number of files."""
    paths = [*squares.train.files, *squares.validation.files]
    stream = tf.data.TFRecordDataset(paths).take(records)
    files, counts = [], []
    for number, some in enumerate(
        np.array_split(list(stream.as_numpy_iterator()), files_wanted)
    ):
        files.append(str(folder / f"{number}"))
        counts.append(len(some))
        with tf.io.TFRecordWriter(files[-1]) as writer:
            for record in some:
                writer.write(record)
    shards = Shards(tuple(files), tuple(counts), squares.train.bytes)
    return replace(squares, train=shards)


@pytest.fixture(
    scope="module", params=[pytest.param(1, marks=pytest.mark.slow), 9]
)
def refiled(
    request: pytest.FixtureRequest,
    squares: RecordDataset,
    tmp_path_factory: pytest.TempPathFactory,
) -> RecordDataset:
    """With 9 files there are 8 lanes."""
    folder = tmp_path_factory.mktemp("refiled")
    return filed(squares, squares.train.images, request.param, folder)


def test_so_it_has_whatever_the_number_of_files(
    config: Config, refiled: RecordDataset
) -> None:
    run = replace(open_run(override(config, MIXING)), dataset=refiled)
    expected = dealt(run, hosts=1, replicas=1)
    found = dealt(run, hosts=4, replicas=4, start=3)
    check_same(found, expected[3:])


@pytest.mark.parametrize(("files", "parts"), [(3, 4), (9, 2)])
def test_microbatches_leave_a_step_its_images(
    config: Config,
    squares: RecordDataset,
    tmp_path: Path,
    files: int,
    parts: int,
) -> None:
    """Of an epoch of five batches and a quarter, in whatever rows."""
    dataset = filed(squares, 42, files, tmp_path)

    def steps(parts: int, start: int) -> list[set[int]]:
        settings = [f"train.microbatches={parts}"]
        run = replace(open_run(override(config, settings)), dataset=dataset)
        return [
            {crc32(image.tobytes()) for image in images}
            for images, _ in dealt(run, hosts=1, replicas=1, start=start)
        ]

    whole = steps(1, 0)
    assert [len(images) for images in whole] == [BATCH] * STEPS
    assert steps(parts, 0) == whole
    assert steps(parts, 3) == whole[3:]


@pytest.mark.parametrize("mixup", [0.0, 0.2])
def test_images_are_rounded_once_when_they_are_done(
    config: Config, mixup: float
) -> None:
    """To the bfloat16 that is nearest, mixed ones after they are mixed."""
    run = open_run(override(config, [f"data.mixup={mixup}"]))
    first = {}
    for dtype in (tf.float32, tf.bfloat16):
        batches = host_batches(
            run, tf.distribute.InputContext(), start=0, dtype=dtype
        )
        assert batches.element_spec[0].dtype == dtype
        first[dtype], _ = next(iter(batches))
    exact = first[tf.float32].numpy()
    found = first[tf.bfloat16].numpy()
    # NumPy's bfloat16 has ties go to the even one, as TensorFlow's.
    np.testing.assert_array_equal(found, exact.astype(found.dtype))
    assert (exact != found).any()


def test_images_of_two_bytes_are_batched_as_such(config: Config) -> None:
    """Not four bytes that are rounded afterwards."""
    run = open_run(config)
    images = _own_shares(
        run, 0, 4, tf.bfloat16, tf.distribute.InputContext()
    ).element_spec[0]
    assert images.dtype == tf.bfloat16


@pytest.mark.parametrize(
    ("size", "local", "ahead"),
    [
        # A batch of 2048 in float32 on one replica, then of 256 on each of 8.
        (2048 * 224**2 * 12, 1, 1),
        (256 * 224**2 * 12, 8, 8),
        (64 * 224**2 * 6, 8, 55),
        # Of 16 images of 32 pixels 5,461 would fit.
        (16 * 32**2 * 12, 1, 32),
    ],
)
def test_what_waits_is_bounded_in_bytes_and_batches(
    size: int, local: int, ahead: int
) -> None:
    assert shares_ahead(2 << 30, size, local) == ahead


def test_images_are_made_where_their_batch_is(config: Config) -> None:
    """That saves a copy and a queue; tf.data does it where it can."""
    stream = iter(
        host_batches(
            open_run(config),
            tf.distribute.InputContext(),
            start=0,
            dtype=tf.float32,
        )
    )
    next(stream)
    nodes = tf.data.experimental.get_model_proto(stream).nodes.values()
    assert "MapAndBatch" in {node.name for node in nodes}
