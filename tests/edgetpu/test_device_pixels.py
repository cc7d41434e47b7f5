"""What a board makes of a picture, against TensorFlow's own kernels."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
from PIL import Image

from edgetpu.run.pixels import CROPS, KERNELS, network_pixels, read_picture
from edgetpu.samples import to_uint8
from efficientnet_tf.data.cut import Cut
from efficientnet_tf.data.preprocess import evaluation_image

# Down, up, to the same side, and by a whole number.
SIZES = ((67, 91, 32), (20, 31, 48), (64, 100, 64), (192, 192, 64))


def _jpeg(height, width, quality=95):
    random = np.random.default_rng(height * width)
    coarse = random.integers(0, 256, (height // 4, width // 4, 3), np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.BICUBIC)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, subsampling=0)
    return file.getvalue()


@pytest.mark.parametrize(
    ("size", "crop", "resize"), [*itertools.product(SIZES, CROPS, KERNELS)]
)
def test_pixels_are_those_of_the_evaluation(size, crop, resize):
    height, width, pixels = size
    jpeg = _jpeg(height, width)
    cut = Cut(pixels, crop, resize)
    # Decoded by TensorFlow: Pillow's decoder rounds its cosines otherwise.
    import tensorflow as tf

    picture = tf.image.decode_jpeg(jpeg, channels=3).numpy()
    ours = network_pixels(picture, pixels, crop, resize)
    theirs = to_uint8(evaluation_image(tf.constant(jpeg), cut).numpy())
    apart = np.abs(ours.astype(int) - theirs)
    # Sums in another order round a half the other way.
    assert apart.max() <= 1
    assert (apart > 0).mean() < 1e-3


def test_rules_are_those_of_the_project():
    from typing import get_args

    from efficientnet_tf.data.cut import CropRule, ResizeKernel

    assert set(CROPS) == set(get_args(CropRule))
    assert set(KERNELS) == set(get_args(ResizeKernel))


def test_pillow_decodes_as_tensorflow_where_cosines_are_exact(tmp_path):
    import tensorflow as tf

    jpeg = _jpeg(80, 120)
    path = tmp_path / "picture.jpg"
    path.write_bytes(jpeg)
    exact = tf.io.decode_jpeg(jpeg, 3, dct_method="INTEGER_ACCURATE")
    np.testing.assert_array_equal(read_picture(str(path)), exact.numpy())


def test_a_board_sees_photographs_as_the_evaluation_does(photos, tmp_path):
    """TensorFlow decodes by fast cosines, and Pillow by exact ones."""
    import tensorflow as tf

    cut = Cut(224, "pad32", "legacy_bicubic")
    path = tmp_path / "photo.jpg"
    for photo in photos[:10]:
        path.write_bytes(photo)
        ours = network_pixels(
            read_picture(str(path)), cut.pixels, cut.crop, cut.resize
        )
        jpeg = tf.constant(photo)
        theirs = to_uint8(evaluation_image(jpeg, cut).numpy())
        assert np.abs(ours.astype(int) - theirs).mean() < 2.1


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_any_picture_becomes_rgb(tmp_path, mode):
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    # Of the 216 colours that Pillow's palette has.
    red, green, blue = colour = (204, 102, 51)
    Image.new("RGB", (40, 30), colour).convert(mode).save(path)
    if mode == "L":
        # ITU-R 601-2, as Pillow's manual has it.
        colour = (0.299 * red + 0.587 * green + 0.114 * blue,) * 3
    found = read_picture(str(path))
    assert found.shape == (30, 40, 3)
    assert np.abs(found - np.array(colour)).max() <= 2


def test_a_turned_picture_is_upright(tmp_path):
    image = Image.new("RGB", (40, 30))
    image.paste((255, 255, 255), (0, 0, 10, 30))
    exif = Image.Exif()
    exif[0x0112] = 6  # To be turned by a quarter, clockwise.
    image.save(tmp_path / "a.png", exif=exif)
    turned = read_picture(str(tmp_path / "a.png"))
    assert turned.shape == (40, 30, 3)
    assert turned[0].min() == 255
    assert turned[-1].max() == 0


@pytest.mark.parametrize("content", [None, b"", b"no picture"])
def test_no_picture(tmp_path, content):
    path = tmp_path / "a.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.jpg is no picture"):
        read_picture(str(path))
