"""What TensorBoard itself reads out of a run's events."""

import io

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import (
    EventAccumulator,
)
from tensorboard.plugins.hparams import metadata

from efficientnet_tf.training.evaluation import Scores
from efficientnet_tf.training.events import Events
from efficientnet_tf.training.input_grid import draw_inputs

COLOURS = np.array([[250, 10, 10], [10, 250, 10], [10, 10, 250]], np.float32)
NAMES = ("red", "green, verdant", "blue")


def read(folder):
    """A folder of events as TensorBoard has it after loading."""
    found = EventAccumulator(str(folder))
    found.Reload()
    return found


def note(events, step, top1):
    events.training(
        step,
        loss=1 / step,
        learning_rate=0.1,
        gradient_norm=2.0,
        images_per_second=80.0,
        input_wait_share=0.25,
        bad_records={"wrong label": 3},
    )
    events.evaluation(step, averaged=Scores(top1, 0.9, 0.7, 10))


def steps_and_values(found, tag):
    return [(event.step, event.value) for event in found.Scalars(tag)]


def test_scalars_are_grouped_by_what_they_are_of(tmp_path):
    with Events(str(tmp_path)) as events:
        note(events, 4, 0.5)
        events.evaluation(
            8, averaged=Scores(0.6, 0.9, 0.7, 10), raw=Scores(0.4, 0.8, 0.9, 10)
        )
        # Seen while the run goes on.
        found = read(tmp_path)
    assert set(found.Tags()["scalars"]) == {
        "train/loss",
        "train/learning_rate",
        "train/gradient_norm",
        "train/images_per_second",
        "train/input_wait_share",
        "train/bad_records/wrong_label",
        "validation/top1",
        "validation/top5",
        "validation/loss",
        "validation/raw_top1",
        "validation/raw_top5",
        "validation/raw_loss",
    }
    assert steps_and_values(found, "train/loss") == [(4, 0.25)]
    assert [step for step, _ in steps_and_values(found, "validation/top1")] == [
        4,
        8,
    ]
    ((step, value),) = steps_and_values(found, "validation/raw_top1")
    assert (step, value) == (8, pytest.approx(0.4))


def test_a_run_that_goes_on_takes_back_what_it_does_again(tmp_path):
    """Killed after step 12, with a checkpoint of step 8."""
    with Events(str(tmp_path)) as events:
        events.inputs(np.zeros([1, 8, 8, 3]), np.zeros(1, int), NAMES)
        for step in (4, 8, 12):
            note(events, step, 0.1)
    with Events(str(tmp_path), 8) as events:
        for step in (12, 16):
            note(events, step, 0.5)
    found = read(tmp_path)
    assert steps_and_values(found, "validation/top1") == [
        (4, pytest.approx(0.1)),
        (8, pytest.approx(0.1)),
        (12, 0.5),
        (16, 0.5),
    ]
    assert len(found.Images("train/inputs")) == 1


def test_hparams_are_those_of_the_config(config, tmp_path):
    with Events(str(tmp_path)) as events:
        events.hparams(config)
        events.ended(15, Scores(0.75, 1.0, 0.5, 10))
    found = read(tmp_path)
    tags = found.PluginTagToContent(metadata.PLUGIN_NAME)
    start = metadata.parse_session_start_info_plugin_data(
        tags[metadata.SESSION_START_INFO_TAG]
    )
    assert start.hparams["train.epochs"].number_value == 3
    assert start.hparams["train.optimizer"].string_value == "rmsprop"
    assert start.hparams["data.flip"].bool_value is True
    # What is left open has no value to compare.
    assert "data.normalization" not in start.hparams
    assert metadata.SESSION_END_INFO_TAG in tags
    assert steps_and_values(found, "final/top1") == [(15, 0.75)]


def test_inputs_are_seen_as_the_network_gets_them(tmp_path):
    classes = np.arange(20) % 3
    images = np.tile(COLOURS[classes][:, None, None], (1, 32, 32, 1))
    images[0] += 30  # Bicubic interpolation overshoots.
    with Events(str(tmp_path)) as events:
        events.inputs(images, classes, NAMES)
    (event,) = read(tmp_path).Images("train/inputs")
    with Image.open(io.BytesIO(event.encoded_image_string)) as picture:
        pixels = np.asarray(picture)
    assert pixels.shape == (event.height, event.width, 3)
    for colour, count in zip(COLOURS[1:], (5, 5), strict=True):
        # 16 of them: 0, 1, 2, 0, ..., 0.
        same = (pixels == colour).all(axis=2).sum()
        assert same == count * 144 * 144
    red = (pixels == COLOURS[0]).all(axis=2).sum()
    assert red == 5 * 144 * 144
    assert (pixels[8:152, 8:152] == [255, 40, 40]).all()


def ink(picture):
    return int((np.asarray(picture.convert("L")) < 120).sum())


def test_blended_labels_have_both_names():
    images = np.full([3, 24, 24, 3], 255.0)
    shares = np.array([[0.7, 0.3, 0], [0, 1, 0], [0.5, 0, 0.5]])
    blended = draw_inputs(images, shares, NAMES)
    plain = draw_inputs(images, shares.argmax(axis=1), NAMES)
    assert blended.height > plain.height
    assert ink(blended) > 1.5 * ink(plain) > 0
    long = draw_inputs(images, shares, ["m" * 200, "", "\u732b\n"])
    assert long.size == blended.size
    # Nothing reaches over the right edge.
    assert (np.asarray(long)[:, -8:] == 255).all()


@pytest.mark.parametrize("pixels", [24, 224, 600])
def test_one_image_has_a_readable_size(pixels):
    picture = draw_inputs(np.zeros([1, pixels, pixels, 3]), np.zeros(1), "x")
    assert 144 <= picture.width <= 272
