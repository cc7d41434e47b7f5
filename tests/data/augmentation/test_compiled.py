"""The compiled kernel against TensorFlow's kernels, PIL, and its own graph."""

from __future__ import annotations

import shutil
from functools import partial

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from test_fused import AFFINE, COLOURS

from efficientnet_tf.data import compiled, preprocess
from efficientnet_tf.data.augmentation.drawing import NAMES, NO_OPS, Drawn
from efficientnet_tf.data.augmentation.fused import fused_image
from efficientnet_tf.data.augmentation.ops import OPS, argument
from efficientnet_tf.data.augmentation.policies import RANDAUGMENT_REACH
from efficientnet_tf.data.augmentation.recipe import Augmentation
from efficientnet_tf.data.cut import Cut
from efficientnet_tf.data.images import encode_jpeg
from efficientnet_tf.data.preprocess import TrainingCrop, training_image

PIXELS = 48
# (height, width): larger, smaller, of the size, thin, and a single pixel.
CROPS = [(91, 130), (30, 37), (PIXELS, PIXELS), (120, 5), (1, 1)]
RESIZES = {
    "bilinear": partial(tf.raw_ops.ResizeBilinear, half_pixel_centers=True),
    "bicubic": partial(tf.raw_ops.ResizeBicubic, half_pixel_centers=True),
    "legacy_bicubic": partial(
        tf.raw_ops.ResizeBicubic, half_pixel_centers=False
    ),
}
CUTS = {resize: Cut(PIXELS, "whole", resize) for resize in RESIZES}

needs_kernel = pytest.mark.skipif(
    not compiled.compiles(CUTS["bilinear"]),
    reason="no C compiler compiled the kernel as the package was installed",
)


def crop(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Waves and noise, uint8 `[height, width, 3]`."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [128 + 90 * np.sin(x / 9 + k) * np.cos(y / 13) for k in range(3)]
    noise = random.normal(0, 12, (height, width, 3))
    return np.clip(np.stack(waves, -1) + noise, 0, 255).astype(np.uint8)


def resized(part: np.ndarray, resize: str) -> np.ndarray:
    """TensorFlow's own kernel."""
    exact = tf.cast(part, tf.float32)[tf.newaxis]
    return RESIZES[resize](images=exact, size=[PIXELS, PIXELS])[0].numpy()


def drawn(*steps: tuple[str, float], centre=(0.5, 0.25)) -> Drawn:
    return Drawn(
        np.array([NAMES.index(op) for op, _ in steps], np.int32),
        np.array([value for _, value in steps], np.float32),
        np.array([centre] * len(steps), np.float32).reshape(-1, 2),
    )


def ours(part, ops=NO_OPS, *, mirrored=False, resize="bilinear", clip=True):
    image = compiled.crop_to_image(
        tf.constant(part), tf.constant(mirrored), ops, CUTS[resize], clip=clip
    )
    assert image.dtype == tf.float32
    assert image.shape == (PIXELS, PIXELS, 3)
    return image.numpy()


def by_graph(part, ops, *, mirrored=False, resize="bilinear"):
    """The same in TensorFlow's words."""
    return fused_image(
        tf.constant(part),
        lambda it: tf.clip_by_value(resized(it.numpy(), resize), 0.0, 255.0),
        tf.constant(mirrored),
        Drawn(*(tf.constant(each) for each in ops)),
        PIXELS,
    ).numpy()


@pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))),
    reason="there is no C compiler on this machine",
)
def test_where_there_is_a_compiler_it_is_compiled():
    """Else all that follows is skipped, and nobody sees it."""
    assert all(compiled.compiles(cut) for cut in CUTS.values())


def test_other_kernels_are_left_to_tensorflow():
    assert not compiled.compiles(Cut(PIXELS, "whole", "area"))


@needs_kernel
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("size", CROPS, ids=str)
@pytest.mark.parametrize("resize", RESIZES)
def test_crops_are_resized_as_by_tensorflow(resize, size, mirrored):
    part = crop(*size)
    expected = resized(part, resize)
    if mirrored:
        expected = expected[:, ::-1]
    found = ours(part, mirrored=mirrored, resize=resize, clip=False)
    # Float32 has 24 bits, and bicubic weights are sums of large terms.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)


@needs_kernel
@pytest.mark.parametrize("resize", ["bicubic", "legacy_bicubic"])
def test_what_overshoots_is_clipped_where_that_is_asked_for(resize):
    part = np.kron(crop(9, 9)[..., :1] // 128 * 255, np.ones((5, 5, 3)))
    part = part.astype(np.uint8)
    free = ours(part, resize=resize, clip=False)
    assert free.min() < -5 and free.max() > 260
    np.testing.assert_array_equal(
        ours(part, resize=resize), np.clip(free, 0, 255)
    )


@needs_kernel
@pytest.mark.parametrize("magnitude", [0, 4, 10, 17, 30])
@pytest.mark.parametrize("op", COLOURS)
def test_colour_ops_are_pils(op, magnitude):
    theirs, greys = COLOURS[op]
    value = argument(op, magnitude, RANDAUGMENT_REACH)
    part = crop(PIXELS, PIXELS)
    expected = np.asarray(theirs(Image.fromarray(part), value), float)
    found = ours(part, drawn((op, value)))
    assert np.abs(found - expected).max() <= greys(value)


@needs_kernel
@pytest.mark.parametrize("size", CROPS, ids=str)
@pytest.mark.parametrize("op", OPS)
def test_every_op_is_that_of_the_graph(op, size):
    """On all sizes, at two magnitudes; the affine ones in both directions."""
    part = crop(*size, seed=1)
    for magnitude in (6, 14):
        value = argument(op, magnitude, RANDAUGMENT_REACH)
        for sign in (1, -1) if op in AFFINE else (1,):
            steps = drawn((op, sign * value))
            close(
                ours(part, steps, mirrored=sign < 0),
                by_graph(part, steps, mirrored=sign < 0),
            )


@needs_kernel
@pytest.mark.parametrize("resize", RESIZES)
def test_several_ops_are_done_one_after_the_other(resize):
    random = np.random.default_rng(2)
    for number in range(30):
        names = random.choice(list(OPS), 3)
        steps = drawn(
            *((op, argument(op, 9, RANDAUGMENT_REACH)) for op in names),
            centre=random.random(2),
        )
        part = crop(*CROPS[number % 3], seed=number)
        close(
            ours(part, steps, resize=resize),
            by_graph(part, steps, resize=resize),
        )


def close(found: np.ndarray, expected: np.ndarray) -> None:
    """Equal, but for the few pixels that another rounding takes elsewhere.

    A place between two pixels goes to either, and a value between two grey
    levels is one of them for `Equalize` and `Posterize`.
    """
    far = np.abs(found - expected).max(axis=2) > 0.02
    assert far.mean() < 0.005
    assert np.abs(found - expected).mean() < 0.1


@needs_kernel
@pytest.mark.parametrize("pixels", [-47, -7, -1, 0, 2, 13, 47])
def test_translations_move_by_whole_pixels(pixels):
    """As NumPy does, left and up together."""
    part = crop(PIXELS, PIXELS)
    up = 5
    expected = np.full(part.shape, 128, np.float32)
    left = slice(max(pixels, 0), PIXELS + min(pixels, 0))
    to = slice(max(-pixels, 0), PIXELS - max(pixels, 0))
    expected[: PIXELS - up, to] = part[up:, left]
    steps = drawn(("TranslateX", pixels), ("TranslateY", up + 0.4))
    np.testing.assert_array_equal(ours(part, steps), expected)
    # And down, which is the other order of rows.
    expected = np.full(part.shape, 128, np.float32)
    expected[up:, to] = part[: PIXELS - up, left]
    steps = drawn(("TranslateX", pixels), ("TranslateY", -up))
    np.testing.assert_array_equal(ours(part, steps), expected)


@needs_kernel
def test_a_channel_of_two_levels_is_stretched_and_one_of_one_is_not():
    part = crop(PIXELS, PIXELS)
    part[..., 0] = 77 + (part[..., 0] > 128)
    part[..., 1] = 77
    found = ours(part, drawn(("AutoContrast", 0.0)))
    assert set(np.unique(found[..., 0])) == {0.0, 255.0}
    assert set(np.unique(found[..., 1])) == {77.0}


@needs_kernel
def test_far_beyond_the_image_all_is_grey():
    part = crop(*CROPS[0])
    for op in ("TranslateX", "TranslateY"):
        for value in (-1e9, 1e9):
            assert (ours(part, drawn((op, value))) == 128).all()


@needs_kernel
@pytest.mark.parametrize(
    ("part", "ops", "message"),
    [
        (np.zeros((4, 4, 1), np.uint8), NO_OPS, r"\[height, width, 3\]"),
        (np.zeros((0, 4, 3), np.uint8), NO_OPS, "not empty"),
        (
            np.zeros((4, 4, 3), np.uint8),
            NO_OPS._replace(arguments=np.zeros([1], np.float32)),
            "layers",
        ),
    ],
    ids=["grey", "empty", "layers"],
)
def test_inputs_that_do_not_fit_are_refused(part, ops, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        ours(part, ops)


@needs_kernel
@pytest.mark.parametrize("policy", ["none", "randaugment", "autoaugment"])
def test_training_images_are_the_same_without_it(policy, monkeypatch):
    jpeg = tf.constant(encode_jpeg(crop(91, 130), 95))
    augmentation = Augmentation(policy, "fused", 2, 9)

    def images() -> np.ndarray:
        image = tf.function(
            lambda seed: training_image(
                jpeg, seed, CUTS["bicubic"], TrainingCrop(), augmentation
            )
        )
        ops = {
            op.type
            for op in image.get_concrete_function(
                tf.TensorSpec([2], tf.int64)
            ).graph.get_operations()
        }
        used.append("CropToImage" in ops)
        return np.stack(
            [image(tf.constant([5, n], tf.int64)) for n in range(12)]
        )

    used: list[bool] = []
    with_it = images()
    monkeypatch.setattr(preprocess, "compiles", lambda cut: False)
    without = images()
    assert used == [True, False]
    for found, expected in zip(with_it, without, strict=True):
        close(found, expected)
    assert np.abs(np.diff(with_it, axis=0)).mean() > 1
