"""Random erasing: how often, where, how much, and by what."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from efficientnet_tf.data.augmentation.erasing import erased
from efficientnet_tf.data.augmentation.recipe import Erasing

MEAN = (124.0, 116.0, 104.0)
HEIGHT, WIDTH = 80, 60
IMAGE = tf.fill([HEIGHT, WIDTH, 3], 7.0)


def many(erasing: Erasing, count: int) -> np.ndarray:
    """float32 `[count, height, width, 3]`."""

    @tf.function
    def all_of_them() -> tf.Tensor:
        return tf.map_fn(
            lambda number: erased(IMAGE, tf.stack([1, number]), erasing),
            tf.range(count),
            fn_output_signature=tf.float32,
        )

    return all_of_them().numpy()


@pytest.mark.parametrize("probability", [0.25, 1.0])
def test_as_many_as_asked_for(probability: float) -> None:
    images = many(Erasing(probability, "mean", MEAN), 400)
    changed = (images != 7).any((1, 2, 3)).mean()
    # Four deviations of a binomial share.
    spread = np.sqrt(probability * (1 - probability) / 400)
    assert changed == pytest.approx(probability, abs=4 * spread)


def test_one_rectangle_of_the_papers_areas_and_aspects() -> None:
    images = many(Erasing(1.0, "mean", MEAN), 400)
    areas, aspects, touched = [], [], np.zeros((HEIGHT, WIDTH))
    for image in images:
        inside = image[..., 0] != 7
        rows, columns = inside.any(1), inside.any(0)
        np.testing.assert_array_equal(inside, rows[:, None] & columns)
        for line in (rows, columns):
            assert np.abs(np.diff(np.pad(line, 1).astype(int))).sum() == 2
        areas.append(inside.mean())
        aspects.append(rows.sum() / columns.sum())
        touched += inside
        np.testing.assert_array_equal(
            image[inside], np.broadcast_to(MEAN, (inside.sum(), 3))
        )
    # torchvision's: area 0.02 to 0.33 evenly, aspect 0.3 to 3.3 by logarithm;
    # sides are rounded, and tall ones more often fit this image.
    assert 0.015 < min(areas) < 0.04
    assert 0.31 < max(areas) < 0.34
    assert np.mean(areas) == pytest.approx(0.175, abs=0.02)
    assert 0.27 < min(aspects) < 0.4
    assert 2.7 < max(aspects) < 3.6
    assert np.median(aspects) == pytest.approx(1.0, abs=0.2)
    for edge in (touched[0], touched[-1], touched[:, 0], touched[:, -1]):
        assert edge.sum() > 0
    assert touched[5:-5, 5:-5].min() > 0


def test_noise_is_uniform_and_only_inside() -> None:
    images = many(Erasing(1.0, "noise", MEAN), 60)
    noise = images[images != 7]
    counts, _ = np.histogram(noise, 16, (0, 255))
    assert counts.sum() == len(noise)
    np.testing.assert_allclose(counts / len(noise), 1 / 16, rtol=0.05)
    assert np.unique(noise[:1000]).size > 900


def test_erasing_follows_from_the_seed() -> None:
    erasing = Erasing(1.0, "noise", MEAN)
    first, second = many(erasing, 5), many(erasing, 5)
    np.testing.assert_array_equal(first, second)
    assert np.abs(first[0] - first[1]).max() > 1


def test_an_image_that_no_rectangle_fits_stays() -> None:
    # Of one row: every rectangle is as high as the image, or higher.
    line = tf.fill([1, 9, 3], 7.0)
    for number in range(20):
        found = erased(line, tf.constant([0, number]), Erasing(1.0))
        np.testing.assert_array_equal(found, line)
