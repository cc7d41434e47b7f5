"""The pixels of evaluation and training, against NumPy and PIL.

Every crop rule, kernel and normalization is written here a second time. No
two JPEG decoders agree to a grey level: what is resized comes from the same
decoder on both sides, and the decoders' own difference is bounded apart.
"""

import io
from typing import get_args

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from efficientnet_tf.data.cut import CropRule, Cut, ResizeKernel
from efficientnet_tf.data.images import encode_jpeg
from efficientnet_tf.data.preprocess import (
    TrainingCrop,
    evaluation_image,
    normalize,
    training_image,
    training_window,
)
from efficientnet_tf.networks.families import NORMALIZATIONS

MOST_GREYS = 1.0
# Decoding a part of a JPEG differs from decoding it all along the borders.
MEAN_PART_GREYS, MOST_PART_GREYS = 0.05, 12
# TensorFlow decodes by the fast integer cosines, as the original did; PIL by
# the accurate ones.
MEAN_DECODER_GREYS = 2.5


def cubic(x: np.ndarray, a: float) -> np.ndarray:
    """R. Keys, "Cubic Convolution Interpolation", 1981; a is his free one."""
    x = np.abs(x)
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def legacy_bicubic(length: int, size: int) -> np.ndarray:
    """TF1: no half pixels, a = -0.75, the outermost pixel goes on outside."""
    place = np.arange(size) * (length / size)
    weights = np.zeros((size, length))
    for tap in range(-1, 3):
        pixel = np.floor(place).astype(int) + tap
        inside = pixel.clip(0, length - 1)
        weights[np.arange(size), inside] += cubic(place - pixel, -0.75)
    return weights


def bicubic(length: int, size: int) -> np.ndarray:
    """Half pixels, a = -0.5, and outside there is nothing to weigh."""
    place = (np.arange(size) + 0.5) * (length / size) - 0.5
    weights = cubic(place[:, None] - np.arange(length), -0.5)
    return weights / weights.sum(axis=1, keepdims=True)


def bilinear(length: int, size: int) -> np.ndarray:
    """Half pixels, the nearer of two the heavier."""
    place = (np.arange(size) + 0.5) * (length / size) - 0.5
    place = place.clip(0, length - 1)
    return np.maximum(0, 1 - np.abs(place[:, None] - np.arange(length)))


def area(length: int, size: int) -> np.ndarray:
    """The mean over what a pixel of the result covers."""
    begin = np.arange(size)[:, None] * (length / size)
    pixel = np.arange(length)
    covered = np.minimum(begin + length / size, pixel + 1)
    covered = covered - np.maximum(begin, pixel)
    return np.maximum(0, covered) * (size / length)


# From a length and a size to weights, float64 `[size, length]`.
KERNELS = {
    "legacy_bicubic": legacy_bicubic,
    "bicubic": bicubic,
    "bilinear": bilinear,
    "area": area,
}
# What the original adds to the side of the result before it takes its share:
# 32 until November 2021, round(side / 7) since its commit 22d5cab.
PADDINGS = {
    "pad32": lambda pixels: 32,
    "fraction": lambda pixels: round(pixels / 7),
    "whole": lambda pixels: 0,
}
# The original's constants; AdvProp's is "x * 2 / 255 - 1" of its eval_ckpt.
NORMALIZED = {
    "imagenet": lambda x: (
        (x - np.array([0.485, 0.456, 0.406]) * 255)
        / (np.array([0.229, 0.224, 0.225]) * 255)
    ),
    "centered127": lambda x: (x - 127) / 128,
    "centered128": lambda x: (x - 128) / 128,
    "unit": lambda x: x * 2 / 255 - 1,
    # Source: keras.applications' mode "caffe", whose blue is first.
    "caffe": lambda x: x - np.array([103.939, 116.779, 123.68])[::-1],
}


def resized(image: np.ndarray, cut: Cut) -> np.ndarray:
    """`[height, width, 3]` -> float64 `[pixels, pixels, 3]`."""
    kernel = KERNELS[cut.resize]
    down, across = (kernel(length, cut.pixels) for length in image.shape[:2])
    lower = np.tensordot(down, image, axes=1)
    return np.moveaxis(np.tensordot(lower, across, axes=(1, 1)), 1, 2)


def square(height: int, width: int, cut: Cut) -> list[int]:
    """Top, left, height and width of the centre."""
    share = cut.pixels / (cut.pixels + PADDINGS[cut.crop](cut.pixels))
    side = int(np.float32(share) * np.float32(min(height, width)))
    return [(height - side + 1) // 2, (width - side + 1) // 2, side, side]


def decoded(encoded: bytes) -> np.ndarray:
    """The whole picture, by TensorFlow's decoder."""
    return tf.image.decode_jpeg(encoded, channels=3).numpy()


def decoded_by_pil(encoded: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))


def decoded_part(encoded: bytes, cut: Cut) -> np.ndarray:
    """The centre, by TensorFlow's decoder."""
    with Image.open(io.BytesIO(encoded)) as image:
        where = square(image.height, image.width, cut)
    return tf.image.decode_and_crop_jpeg(encoded, where, channels=3).numpy()


def cut_out(image: np.ndarray, cut: Cut) -> np.ndarray:
    top, left, side, _ = square(*image.shape[:2], cut)
    return image[top : top + side, left : left + side]


def ours(encoded: bytes, cut: Cut) -> np.ndarray:
    image = evaluation_image(tf.constant(encoded), cut).numpy()
    assert image.shape == (cut.pixels, cut.pixels, 3)
    assert image.dtype == np.float32
    return image


def most_greys(encoded: bytes, cut: Cut) -> float:
    """How far we are from NumPy, at the worst pixel."""
    expected = resized(decoded_part(encoded, cut), cut)
    return np.abs(ours(encoded, cut) - expected).max()


def drawn(height: int, width: int) -> np.ndarray:
    """Waves, an edge and noise, uint8."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / 9 + k) + np.cos(y / (7 + k)) for k in range(3)]
    pixels = 128 + 55 * np.stack(waves, axis=-1)
    pixels[y * width > x * height] *= 0.3
    pixels += np.random.default_rng(0).normal(0, 10, pixels.shape)
    return pixels.clip(0, 255).round().astype(np.uint8)


def picture(height: int, width: int) -> bytes:
    return encode_jpeg(drawn(height, width), 95)


def grey_picture(height: int, width: int) -> bytes:
    """A JPEG of one channel."""
    file = io.BytesIO()
    Image.fromarray(drawn(height, width)[..., 0]).save(file, "JPEG")
    return file.getvalue()


def test_every_word_is_written_here_a_second_time():
    assert set(PADDINGS) == set(get_args(CropRule))
    assert set(KERNELS) == set(get_args(ResizeKernel))
    assert set(NORMALIZED) == set(NORMALIZATIONS)


# fmt: off
# The original's padding since 22d5cab, for the sizes of its networks.
FRACTION = {224: 32, 240: 34, 260: 37, 280: 40, 300: 43, 380: 54, 456: 65,
            475: 68, 528: 75, 600: 86, 672: 96, 800: 114}
# fmt: on


@pytest.mark.parametrize("pixels", FRACTION)
def test_shares_are_the_originals(pixels):
    assert Cut(pixels, "pad32", "area").share == pixels / (pixels + 32)
    fraction = Cut(pixels, "fraction", "area").share
    assert fraction == pixels / (pixels + FRACTION[pixels])
    assert fraction == pytest.approx(0.875, abs=1e-3)
    assert Cut(pixels, "whole", "area").share == 1


@pytest.mark.parametrize("make", [picture, grey_picture])
@pytest.mark.parametrize(("height", "width"), [(150, 200), (201, 133), (9, 8)])
@pytest.mark.parametrize("crop", PADDINGS)
@pytest.mark.parametrize("resize", KERNELS)
def test_evaluation_image(make, height, width, crop, resize):
    encoded = make(height, width)
    for pixels in (64, 97):
        cut = Cut(pixels, crop, resize)
        assert most_greys(encoded, cut) < MOST_GREYS
        whole = resized(cut_out(decoded(encoded), cut), cut)
        difference = np.abs(ours(encoded, cut) - whole)
        assert difference.mean() < MEAN_PART_GREYS
        assert difference.max() < MOST_PART_GREYS


@pytest.mark.parametrize("resize", KERNELS)
def test_a_square_of_the_right_size_stays_as_it_is(resize):
    encoded = picture(64, 64)
    np.testing.assert_array_equal(
        ours(encoded, Cut(64, "whole", resize)), decoded(encoded)
    )


@pytest.mark.parametrize("crop", PADDINGS)
def test_a_picture_one_pixel_high_is_no_error(crop):
    encoded = encode_jpeg(np.full((1, 5, 3), 90, np.uint8), 100)
    image = ours(encoded, Cut(32, crop, "legacy_bicubic"))
    np.testing.assert_allclose(image, 90, atol=1)


@pytest.mark.parametrize("resize", KERNELS)
def test_kernels_on_photos(photos, resize):
    cut = Cut(260, "pad32", resize)
    assert max(most_greys(photo, cut) for photo in photos[::5]) < MOST_GREYS


@pytest.mark.parametrize("crop", PADDINGS)
def test_crops_on_photos(photos, crop):
    cut = Cut(300, crop, "legacy_bicubic")
    assert max(most_greys(photo, cut) for photo in photos[1::10]) < MOST_GREYS


def test_decoders_on_photos(photos):
    cut = Cut(224, "pad32", "legacy_bicubic")
    for photo in photos[2::10]:
        for image, greys in (
            (decoded(photo), MEAN_PART_GREYS),
            (decoded_by_pil(photo), MEAN_DECODER_GREYS),
        ):
            expected = resized(cut_out(image, cut), cut)
            assert np.abs(ours(photo, cut) - expected).mean() < greys


@pytest.mark.parametrize("resize", KERNELS)
def test_kernels_are_tensorflows_own(resize):
    encoded = picture(150, 200)
    for pixels in (64, 224):
        cut = Cut(pixels, "pad32", resize)
        part = decoded_part(encoded, cut)[np.newaxis].astype(np.float32)
        if resize == "legacy_bicubic":
            expected = tf.compat.v1.image.resize_bicubic(part, [pixels] * 2)
        else:
            expected = tf.image.resize(part, [pixels] * 2, resize)
        np.testing.assert_array_equal(ours(encoded, cut), expected[0])


# Where it shrinks, PIL widens its kernels to smooth, and TensorFlow does not;
# a box is as wide as it should be in both.
@pytest.mark.parametrize(
    ("resize", "theirs", "height", "width", "pixels"),
    [
        ("bilinear", Image.Resampling.BILINEAR, 83, 97, 224),
        ("bicubic", Image.Resampling.BICUBIC, 83, 97, 224),
        ("area", Image.Resampling.BOX, 201, 192, 64),
        ("area", Image.Resampling.BOX, 128, 150, 64),
    ],
)
def test_kernels_are_pils(resize, theirs, height, width, pixels):
    encoded = picture(height, width)
    cut = Cut(pixels, "whole", resize)
    part = decoded_part(encoded, cut)
    # Channel by channel in float: bytes would be cut off at 0 and 255.
    expected = [
        Image.fromarray(part[..., channel].astype(np.float32)).resize(
            (pixels, pixels), theirs
        )
        for channel in range(3)
    ]
    difference = ours(encoded, cut) - np.stack(expected, axis=-1)
    assert np.abs(difference).max() < MOST_GREYS


def test_kernels_cannot_be_taken_for_each_other():
    encoded = picture(150, 200)
    images = [ours(encoded, Cut(64, "pad32", resize)) for resize in KERNELS]
    for place, image in enumerate(images):
        for other in images[:place]:
            assert np.abs(image - other).max() > 10 * MOST_GREYS


def train(encoded, seed, cut=None, **options):
    return training_image(
        tf.constant(encoded),
        tf.constant([0, seed]),
        cut or Cut(48, "whole", "legacy_bicubic"),
        TrainingCrop(**options),
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


@pytest.mark.parametrize("resize", KERNELS)
def test_random_crops_go_through_the_kernel(resize, monkeypatch):
    parts = []
    decode = tf.image.decode_and_crop_jpeg

    def remembered(*arguments, **options):
        parts.append(decode(*arguments, **options))
        return parts[-1]

    monkeypatch.setattr(tf.image, "decode_and_crop_jpeg", remembered)
    encoded = picture(150, 200)
    for seed in range(4):
        for pixels in (48, 160):
            cut = Cut(pixels, "whole", resize)
            image = train(encoded, seed, cut, flip=False)
            difference = np.abs(image - resized(parts[-1].numpy(), cut))
            assert difference.max() < MOST_GREYS
    assert len({part.shape for part in parts}) == 4


def test_dct_scaling_leaves_crops_that_are_not_twice_as_large():
    encoded = picture(90, 95)
    for seed in range(6):
        np.testing.assert_array_equal(
            train(encoded, seed, dct_scaling=True), train(encoded, seed)
        )


@pytest.mark.parametrize("ratio", [2, 4, 8])
def test_dct_scaling_is_an_average_of_squares(ratio):
    """A block's lowest cosines are about the means of its squares."""
    pixels = 24
    side = pixels * ratio
    y, x = np.mgrid[0 : side + 9, 0 : side + 9]
    waves = [128 + 90 * np.sin(x / 40 + k) * np.cos(y / 50) for k in range(3)]
    encoded = encode_jpeg(np.stack(waves, axis=-1).astype(np.uint8), 95)
    window, _ = training_window(
        tf.constant(encoded),
        tf.constant([0, 5]),
        Cut(pixels, "whole", "area"),
        TrainingCrop(min_area=0.95),
    )
    top, left, height, width = window.numpy()
    assert min(height, width) >= side
    found = train(
        encoded,
        5,
        Cut(pixels, "whole", "area"),
        min_area=0.95,
        flip=False,
        dct_scaling=True,
    )
    part = decoded(encoded)[top : top + height, left : left + width]
    expected = np.asarray(
        Image.fromarray(part).resize((pixels,) * 2, Image.Resampling.BOX)
    )
    # A corner that is no multiple of the ratio moves by less than a pixel of
    # the result: these waves have 4 grey levels a pixel, at an eighth 18.
    difference = np.abs(found - expected)
    assert difference.mean() < 2.5 * ratio / 2
    assert difference.max() < 9 * ratio / 2


@pytest.mark.parametrize("resize", KERNELS)
def test_a_crop_that_cannot_be_falls_back_to_the_centre(resize):
    # No crop of 95 % of a picture this long has an aspect of 4/3 at most.
    encoded = picture(40, 200)
    cut = Cut(48, "pad32", resize)
    image = train(encoded, 0, cut, min_area=0.95, flip=False)
    np.testing.assert_array_equal(image, ours(encoded, cut))


@pytest.mark.parametrize("word", NORMALIZED)
def test_normalize(word):
    pixels = np.array([[[0, 127, 255], [10, 20, 30]]], np.uint8)
    image = normalize(tf.constant(pixels), NORMALIZATIONS[word]).numpy()
    assert image.dtype == np.float32
    np.testing.assert_allclose(
        image, NORMALIZED[word](pixels.astype(float)), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("word", NORMALIZED)
def test_normalize_on_photos(photos, word):
    cut = Cut(224, "pad32", "legacy_bicubic")
    normalization = NORMALIZATIONS[word]
    for photo in photos[3::20]:
        image = normalize(ours(photo, cut), normalization).numpy()
        expected = NORMALIZED[word](resized(decoded_part(photo, cut), cut))
        greys = np.abs(image - expected) * normalization.std
        assert greys.max() < MOST_GREYS
