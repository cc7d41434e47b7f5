"""Which images are picked, against the records' own order."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from edgetpu import calibrate
from edgetpu.calibrate import calibration_images
from edgetpu.samples import picked_examples, to_uint8
from efficientnet_tf.data.cut import Cut
from efficientnet_tf.data.dataset import Shards
from efficientnet_tf.data.pipeline import evaluation_examples

CUT = Cut(32, "pad32", "legacy_bicubic")


def everything(dataset, split):
    examples = evaluation_examples(dataset, split, cut=CUT)
    return [image for image, _ in examples.as_numpy_iterator()]


@pytest.mark.parametrize("wanted", [1, 5, 7, 12, 13, 23, 24, 500])
def test_picks_spread_evenly(dataset, wanted):
    examples = picked_examples(dataset, "train", images=wanted, cut=CUT)
    order = [image.tobytes() for image in everything(dataset, "train")]
    places = [
        order.index(image.tobytes())
        for image, _ in examples.as_numpy_iterator()
    ]

    assert len(places) == min(wanted, 24)
    assert places == sorted(set(places))
    gaps = np.diff(places)
    if len(gaps):
        assert gaps.max() <= 2 * gaps.min()
        # The first and the last part of the split are there too.
        assert places[0] < 24 / len(places) + gaps.min()
        assert places[-1] >= 24 - 24 / len(places) - gaps.max()


def test_labels_come_along(dataset):
    examples = picked_examples(dataset, "validation", images=24, cut=CUT)
    labels = [int(label) for _, label in examples.as_numpy_iterator()]
    assert labels == [0, 1, 2, 3] * 6


def test_rounds_to_the_nearest_pixel_and_cuts_overshoot():
    images = np.array([-7.3, 0.4, 0.6, 254.6, 261.0], np.float32)
    assert to_uint8(images).tolist() == [0, 0, 1, 255, 255]


def test_calibration_ends_with_black_and_white(dataset):
    images = calibration_images(dataset, images=10, cut=CUT)
    assert (images.dtype, images.shape) == (np.uint8, (12, 32, 32, 3))
    assert not images[-2].any()
    assert (images[-1] == 255).all()
    again = calibration_images(dataset, images=10, cut=CUT)
    np.testing.assert_array_equal(images, again)


def test_calibration_takes_the_device_pixels_of_training(dataset):
    images = calibration_images(dataset, images=24, cut=CUT)
    truth = np.stack(everything(dataset, "train"))
    assert np.abs(images[:-2] - truth.clip(0, 255)).max() <= 0.5


def test_many_files_are_not_all_read(dataset, monkeypatch, tmp_path):
    monkeypatch.setattr(calibrate, "MOST_FILES", 3)
    records = list(
        tf.data.TFRecordDataset(list(dataset.train.files)).as_numpy_iterator()
    )
    files = []
    for number in range(12):
        files.append(str(tmp_path / f"train-{number:05d}-of-00012"))
        # What must not be read is not even there.
        if number in (0, 4, 8):
            with tf.io.TFRecordWriter(files[-1]) as writer:
                for record in records[2 * number : 2 * number + 2]:
                    writer.write(record)
    many = dataclasses.replace(dataset, train=Shards(tuple(files), (2,) * 12))
    images = calibration_images(many, images=3, cut=CUT)
    assert len(images) == 3 + 2
