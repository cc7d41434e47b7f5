"""The pixels of evaluation and training, against NumPy and PIL."""

import io
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from efficientnet_tf.data.images import encode_jpeg
from efficientnet_tf.data.preprocess import (
    TrainingCrop,
    evaluation_image,
    normalize,
    training_image,
)
from efficientnet_tf.networks.families import CENTERED, IMAGENET

# Decoding a part of a JPEG differs from decoding it all along the borders.
MEAN_GREYS, MOST_GREYS = 0.05, 12
# TensorFlow decodes by the fast integer cosines, as the original did; PIL by
# the accurate ones.
MEAN_DECODER_GREYS = 2.0


def tf1_bicubic(image: np.ndarray, size: int) -> np.ndarray:
    """TF1's kernel: corners not aligned, no half pixels, a = -0.75."""
    for axis in (0, 1):
        length = image.shape[axis]
        place = np.arange(size) * (length / size)
        first = np.floor(place).astype(int)
        part = place - first
        total = 0.0
        for tap in range(-1, 3):
            weight = _cubic(np.abs(part - tap))
            taken = np.clip(first + tap, 0, length - 1)
            shape = [1, 1, 1]
            shape[axis] = size
            total = total + weight.reshape(shape) * np.take(image, taken, axis)
        image = total
    return image


def _cubic(x: np.ndarray, a: float = -0.75) -> np.ndarray:
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    return np.where(x <= 1, near, far)


def picture(height: int, width: int) -> bytes:
    """A smooth picture with some structure."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / 9 + k) + np.cos(y / (7 + k)) for k in range(3)]
    pixels = 128 + 55 * np.stack(waves, axis=-1)
    return encode_jpeg(pixels.round().astype(np.uint8), 95)


def decoded(encoded: bytes) -> np.ndarray:
    """The whole picture, by TensorFlow's decoder."""
    return tf.image.decode_jpeg(encoded, channels=3).numpy().astype(float)


def decoded_by_pil(encoded: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"), float)


def expected(image: np.ndarray, pixels: int, padding: int) -> np.ndarray:
    """The centre crop by NumPy."""
    height, width = image.shape[:2]
    side = int(pixels / (pixels + padding) * min(height, width))
    top, left = (height - side + 1) // 2, (width - side + 1) // 2
    crop = image[top : top + side, left : left + side]
    return tf1_bicubic(crop, pixels)


@pytest.mark.parametrize(("height", "width"), [(150, 200), (201, 133), (9, 8)])
@pytest.mark.parametrize(("pixels", "padding"), [(64, 32), (96, 0)])
def test_evaluation_image(height, width, pixels, padding):
    encoded = picture(height, width)
    found = evaluation_image(
        tf.constant(encoded), pixels=pixels, crop_padding=padding
    ).numpy()
    assert found.shape == (pixels, pixels, 3)
    assert found.dtype == np.float32
    difference = np.abs(found - expected(decoded(encoded), pixels, padding))
    assert difference.mean() < MEAN_GREYS
    assert difference.max() < MOST_GREYS


def test_real_photos(shared):
    with zipfile.ZipFile(shared / "data" / "photos-100.zip") as archive:
        photos = [
            archive.read(name)
            for name in sorted(archive.namelist())[:12]
            if name.upper().endswith(".JPEG")
        ]
    assert len(photos) >= 10
    for encoded in photos:
        found = evaluation_image(
            tf.constant(encoded), pixels=224, crop_padding=32
        ).numpy()
        for image, greys in (
            (decoded(encoded), MEAN_GREYS),
            (decoded_by_pil(encoded), MEAN_DECODER_GREYS),
        ):
            difference = np.abs(found - expected(image, 224, 32))
            assert difference.mean() < greys


def test_the_modern_kernel_would_be_noticed():
    encoded = picture(150, 200)
    crop = decoded(encoded)[25:125, 50:150]
    modern = tf.image.resize(crop, [64, 64], "bicubic").numpy()
    difference = np.abs(modern - tf1_bicubic(crop, 64))
    assert difference.mean() > 2 * MEAN_GREYS


def train(encoded, seed, **options):
    crop = TrainingCrop(**options)
    return training_image(
        tf.constant(encoded),
        tf.constant([0, seed]),
        pixels=48,
        crop_padding=0,
        crop=crop,
    ).numpy()


def test_training_images_follow_from_their_seed():
    encoded = picture(150, 200)
    np.testing.assert_array_equal(train(encoded, 3), train(encoded, 3))
    assert np.abs(train(encoded, 3) - train(encoded, 4)).mean() > 1


def ramp(height: int, width: int) -> bytes:
    """A picture whose red says where x is, and green where y is."""
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x, y, 0 * x], axis=-1).astype(np.uint8)
    return encode_jpeg(pixels, 100)


def test_crops_have_the_area_and_aspect_that_was_asked_for():
    height, width = 180, 240
    encoded = ramp(height, width)
    areas, aspects, flips = [], [], 0
    for seed in range(200):
        image = train(encoded, seed, min_area=0.3)
        # From the first to the last pixel a crop spans 47 of its 48 shares.
        spans = [
            (image[:, -1, 0] - image[:, 0, 0]).mean() * 48 / 47,
            (image[-1, :, 1] - image[0, :, 1]).mean() * 48 / 47,
        ]
        flips += spans[0] < 0
        areas.append(abs(spans[0]) * spans[1] / (height * width))
        aspects.append(abs(spans[0]) / spans[1])
    assert 0.27 < min(areas) < 0.4
    assert 0.8 < max(areas) < 1.05
    assert 0.72 < min(aspects) < 0.85
    assert 1.2 < max(aspects) < 1.37
    assert 70 < flips < 130


def test_no_flip_where_none_is_asked_for():
    encoded = ramp(100, 120)
    for seed in range(40):
        image = train(encoded, seed, min_area=0.5, flip=False)
        assert image[:, -1, 0].mean() > image[:, 0, 0].mean()


def test_a_crop_that_cannot_be_falls_back_to_the_centre():
    # No crop of 95 % of a picture this long has an aspect of 4/3 at most.
    encoded = picture(40, 200)
    image = train(encoded, 0, min_area=0.95, flip=False)
    centre = evaluation_image(
        tf.constant(encoded), pixels=48, crop_padding=0
    ).numpy()
    np.testing.assert_array_equal(image, centre)


@pytest.mark.parametrize("normalization", [IMAGENET, CENTERED])
def test_normalize(normalization):
    pixels = np.array([[[0, 127, 255], [10, 20, 30]]], np.uint8)
    mean, std = np.array(normalization.mean), np.array(normalization.std)
    np.testing.assert_allclose(
        normalize(tf.constant(pixels), normalization).numpy(),
        (pixels - mean) / std,
        rtol=1e-5,
    )
