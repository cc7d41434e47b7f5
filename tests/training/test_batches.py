"""How the stream of images is dealt to hosts, replicas and microbatches."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import tensorflow as tf

from efficientnet_tf.training.batches import host_batches
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


@pytest.mark.parametrize(
    ("hosts", "replicas", "parts", "start"),
    [(1, 2, 1, 0), (2, 2, 1, 0), (2, 4, 1, 3), (1, 1, 4, 0), (2, 2, 2, 5)],
)
@pytest.mark.parametrize(
    "mixing",
    [
        [],
        ["data.mixup=0.3", "data.cutmix=1.0"],
        ["data.augment=randaugment", "data.erasing=0.5", "data.jitter_hue=0.1"],
    ],
)
def test_a_step_has_the_same_images_however_it_is_dealt(
    config: Config,
    hosts: int,
    replicas: int,
    parts: int,
    start: int,
    mixing: list[str],
) -> None:
    whole = open_run(override(config, mixing))
    expected = dealt(whole, hosts=1, replicas=1)[start:]
    settings = [*mixing, f"train.microbatches={parts}"]
    run = open_run(override(config, settings))
    found = dealt(run, hosts=hosts, replicas=replicas, start=start)
    for (images, targets), (one, those) in zip(found, expected, strict=True):
        assert images.shape == (BATCH, 32, 32, 3)
        np.testing.assert_array_equal(images, one)
        np.testing.assert_array_equal(targets, those)
