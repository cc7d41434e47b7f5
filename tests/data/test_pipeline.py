"""Which records come, in what order, with what labels."""

from collections import Counter
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import tensorflow as tf

from efficientnet_tf.data.cut import Cut
from efficientnet_tf.data.dataset import RecordDataset, Shards
from efficientnet_tf.data.images import EncodedImage, encode_jpeg
from efficientnet_tf.data.pipeline import (
    evaluation_examples,
    training_examples,
)
from efficientnet_tf.data.preprocess import TrainingCrop
from efficientnet_tf.data.records import encode_record, write_shard

COUNTS = (5, 7, 4)
TOTAL = sum(COUNTS)
CUT = Cut(32, "whole", "legacy_bicubic")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> RecordDataset:
    """Sixteen grey records in three files: label and grey tell which."""
    folder = tmp_path_factory.mktemp("grey")
    shards = []
    number = 0
    for index, count in enumerate(COUNTS):
        records = []
        for _ in range(count):
            pixels = np.full((16, 16, 3), 10 * number, np.uint8)
            records.append(
                encode_record(
                    EncodedImage(encode_jpeg(pixels, 100), 16, 16),
                    label=number + 1,
                    class_name=str(number),
                    filename=f"{number}.jpg",
                )
            )
            number += 1
        path = str(folder / f"train-{index:05d}-of-00003")
        write_shard(path, records)
        shards.append(path)
    labels = tuple(str(n) for n in range(TOTAL))
    split = Shards(tuple(shards), COUNTS)
    return RecordDataset("grey", str(folder), split, split, labels, 1)


def stream(dataset, count, **options):
    """Labels of the first examples of a training stream."""
    examples = training_examples(
        dataset,
        cut=CUT,
        crop=TrainingCrop(),
        **{"seed": 0, **options},
    )
    return [int(label) for _, label in islice(examples, count)]


def test_every_epoch_has_every_record_once_in_an_order_of_its_own(dataset):
    labels = stream(dataset, 3 * TOTAL)
    epochs = [labels[k : k + TOTAL] for k in range(0, 3 * TOTAL, TOTAL)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(TOTAL))
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_images_belong_to_their_labels(dataset):
    examples = training_examples(dataset, cut=CUT, crop=TrainingCrop(), seed=0)
    for image, label in islice(examples, TOTAL):
        assert image.shape == (32, 32, 3)
        np.testing.assert_allclose(image, 10.0 * int(label), atol=2)


@pytest.mark.parametrize("start", [1, 7, 16, 17, 40])
def test_a_stream_can_begin_anywhere(dataset, start):
    whole = training_examples(dataset, cut=CUT, crop=TrainingCrop(), seed=5)
    later = training_examples(
        dataset,
        cut=CUT,
        crop=TrainingCrop(),
        seed=5,
        start=start,
    )
    expected = list(islice(whole, start, start + 20))
    for (image, label), (same, also) in zip(
        expected, islice(later, 20), strict=True
    ):
        assert int(label) == int(also)
        np.testing.assert_array_equal(image, same)


def test_the_order_follows_from_the_seed_alone(dataset):
    tf.random.set_seed(0)
    first = stream(dataset, 20)
    tf.random.set_seed(123)
    assert stream(dataset, 20) == first
    assert stream(dataset, 20, seed=1) != first


def test_hosts_share_the_stream(dataset):
    whole = stream(dataset, 2 * TOTAL, places=2)
    parts = [stream(dataset, TOTAL, places=2, part=k, parts=2) for k in (0, 1)]
    assert parts[0] == whole[0::2]
    assert parts[1] == whole[1::2]


def test_evaluation_has_every_record_once_in_order(dataset):
    examples = evaluation_examples(dataset, "validation", cut=CUT)
    assert [int(label) for _, label in examples] == list(range(TOTAL))
    shares = [
        evaluation_examples(dataset, "train", cut=CUT, part=k, parts=3)
        for k in range(3)
    ]
    labels = Counter(int(label) for share in shares for _, label in share)
    assert labels == Counter(range(TOTAL))


@pytest.mark.parametrize(("first_label", "lost"), [(0, 15), (2, 0)])
def test_labels_out_of_range_are_of_no_class(dataset, first_label, lost):
    wrong = replace(dataset, first_label=first_label)
    examples = evaluation_examples(wrong, "validation", cut=CUT)
    labels = [int(label) for _, label in examples]
    shift = 1 - first_label
    expected = [number + shift for number in range(TOTAL)]
    expected[lost] = -1
    assert labels == expected
