"""All of an image's augmentation together: order, dtypes, seeds."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import tensorflow as tf

from efficientnet_tf.data.augmentation.applying import ARITHMETICS, apply_ops
from efficientnet_tf.data.augmentation.augment import augmented, drawn_ops
from efficientnet_tf.data.augmentation.drawing import NAMES, NO_OP, Drawn
from efficientnet_tf.data.augmentation.recipe import (
    NO_AUGMENTATION,
    Arithmetic,
    Augmentation,
    Erasing,
    Jitter,
)
from efficientnet_tf.data.cut import Cut
from efficientnet_tf.data.images import encode_jpeg
from efficientnet_tf.data.preprocess import TrainingCrop, training_image

ALL = Augmentation(
    "randaugment",
    "clean",
    jitter=Jitter(0.4, 0.4, 0.4, 0.1),
    erasing=Erasing(0.5, "noise"),
)
AUTO = Augmentation("autoaugment", "original")
EACH = [
    Augmentation("randaugment", "original", magnitude=28),
    AUTO,
    Augmentation(jitter=Jitter(0.4, 0.4, 0.4, 0.1)),
    Augmentation(erasing=Erasing(0.5)),
    ALL,
]


def test_nothing_is_done_where_nothing_is_asked_for() -> None:
    image = tf.zeros([4, 4, 3])
    assert augmented(image, tf.constant([0, 0]), NO_AUGMENTATION) is image


def test_images_are_clipped_and_cut_off_before_the_ops() -> None:
    image = tf.constant([[[-20.0, 0.9, 255.9], [300.0, 127.5, 3.0]]])
    # With magnitude 5 blends leave an image as it is: 0.18 * 5 + 0.1 = 1.
    augmentation = Augmentation("randaugment", layers=1, magnitude=5)
    for number in range(200):
        seed = tf.constant([0, number])
        drawn = drawn_ops(seed, augmentation)
        if NAMES[int(drawn.ops[0])] == "Color":
            found = augmented(image, seed, augmentation)
            expected = [[[0, 0, 255], [255, 127, 3]]]
            np.testing.assert_array_equal(found, np.float32(expected))
            return
    pytest.fail("no seed draws Color")


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_the_drawn_ops_are_done_one_after_the_other(
    arithmetic: Arithmetic, made: list[np.ndarray]
) -> None:
    functions = ARITHMETICS[arithmetic]
    augmentation = Augmentation("randaugment", arithmetic, 3, 9)
    names = set()
    image = tf.cast(made[0], tf.float32)
    run = tf.function(lambda seed: augmented(image, seed, augmentation))
    for number in range(40):
        seed = tf.constant([1, number])
        drawn = drawn_ops(seed, augmentation)
        expected = tf.constant(made[0])
        for op, value, centre in zip(*drawn, strict=True):
            name = NAMES[int(op)]
            names.add(name)
            expected = functions[name](expected, value, centre)
        found = run(seed)
        assert found.dtype == tf.float32
        difference = np.abs(found - tf.cast(expected, tf.float32))
        # A compiled graph may fold a multiplication into an addition.
        assert difference.max() <= 1
        assert (difference > 0).mean() < 0.01
    assert len(names) == len(NAMES)


def test_an_op_that_was_not_drawn_does_nothing(made: list[np.ndarray]) -> None:
    drawn = Drawn(tf.constant([NO_OP, NO_OP]), tf.ones([2]), tf.zeros([2, 2]))
    for image in made:
        np.testing.assert_array_equal(apply_ops(image, drawn, "clean"), image)


@pytest.mark.parametrize("augmentation", EACH)
def test_images_stay_in_range_and_differ_by_seed(
    augmentation: Augmentation, made: list[np.ndarray]
) -> None:
    # Bicubic interpolation overshoots.
    image = tf.cast(made[0], tf.float32)
    run = tf.function(lambda seed: augmented(image, seed, augmentation))
    found = [run(tf.constant([2, number])).numpy() for number in range(12)]
    for one in found:
        assert one.shape == image.shape
        assert one.dtype == np.float32
        assert one.min() >= 0
        assert one.max() <= 255
    assert len({one.tobytes() for one in found}) > 4


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_odd_shapes_and_unknown_ones(arithmetic: Arithmetic) -> None:
    signature = tf.TensorSpec([None, None, 3], tf.uint8)
    image = np.random.default_rng(0).integers(0, 256, (37, 23, 3), np.uint8)
    for function in ARITHMETICS[arithmetic].values():
        compiled = tf.function(
            lambda image, apply=function: apply(
                image, tf.constant(2.0), tf.constant([0.3, 0.6])
            ),
            input_signature=[signature],
        )
        expected = function(
            tf.constant(image), tf.constant(2.0), tf.constant([0.3, 0.6])
        )
        difference = np.abs(np.subtract(compiled(image), expected, dtype=float))
        # A compiled graph may fold a multiplication into an addition.
        assert difference.max() <= 1


def stream(calls: int, augmentation: Augmentation) -> list[np.ndarray]:
    """Images by their number, made by as many threads."""
    rng = np.random.default_rng(0)
    encoded = [
        encode_jpeg(rng.integers(0, 256, (40, 50, 3), np.uint8), 90)
        for _ in range(3)
    ]
    cut = Cut(32, "whole", "legacy_bicubic")

    def one(number: tf.Tensor, picture: tf.Tensor) -> tuple[tf.Tensor, ...]:
        seed = tf.stack([tf.constant(4, tf.int64), number])
        image = training_image(picture, seed, cut, TrainingCrop(), augmentation)
        return number, image

    pictures = tf.data.Dataset.from_tensor_slices(encoded).repeat(8)
    images = pictures.enumerate().map(
        one, num_parallel_calls=calls, deterministic=False
    )
    found = sorted(islice(images, 24), key=lambda pair: int(pair[0]))
    return [image.numpy() for _, image in found]


@pytest.mark.parametrize("augmentation", [AUTO, ALL])
def test_images_do_not_depend_on_the_number_of_threads(
    augmentation: Augmentation,
) -> None:
    alone, together = stream(1, augmentation), stream(7, augmentation)
    np.testing.assert_array_equal(np.stack(alone), np.stack(together))


@pytest.mark.parametrize("augmentation", EACH)
def test_augmentation_leaves_crops_and_flips_alone(
    augmentation: Augmentation, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[np.ndarray] = []

    def keep(image: tf.Tensor, *unused: object) -> tf.Tensor:
        seen.append(image.numpy())
        return image

    target = "efficientnet_tf.data.preprocess.augmented"
    picture = encode_jpeg(
        np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8), 90
    )
    cut = Cut(32, "whole", "bilinear")

    def image(number: int, *augmentation: Augmentation) -> tf.Tensor:
        seed = tf.constant([6, number])
        crop = TrainingCrop()
        return training_image(
            tf.constant(picture), seed, cut, crop, *augmentation
        )

    plain = [image(number) for number in range(8)]
    monkeypatch.setattr(target, keep)
    for number in range(8):
        image(number, augmentation)
    # The compiled kernel rounds otherwise than TensorFlow's, of either one.
    np.testing.assert_allclose(np.stack(plain), np.stack(seen), atol=1e-3)
