"""What is called sound decodes for every crop; what is not, does not decode."""

from __future__ import annotations

import io
import os
import threading
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from efficientnet_tf.data import soundness
from efficientnet_tf.data.images import encode_jpeg
from efficientnet_tf.data.kinds import RecordDataset, Shards
from efficientnet_tf.data.soundness import judged, sound_jpeg

Damage = Callable[[bytearray, np.random.Generator], None]


def flip(content: bytearray, random: np.random.Generator) -> None:
    for _ in range(random.integers(1, 9)):
        content[random.integers(2, len(content))] ^= 1 << random.integers(8)


def zeroes(content: bytearray, random: np.random.Generator) -> None:
    begin = random.integers(2, len(content))
    end = min(begin + 300, len(content) - 2)
    content[begin:end] = bytes(max(0, end - begin))


def noise(content: bytearray, random: np.random.Generator) -> None:
    begin = random.integers(content.find(b"\xff\xda"), len(content) - 2)
    end = min(begin + 300, len(content) - 2)
    content[begin:end] = random.bytes(max(0, end - begin))


def header(content: bytearray, random: np.random.Generator) -> None:
    for _ in range(3):
        place = random.integers(2, content.find(b"\xff\xda") + 10)
        content[place] = random.integers(256)


def marker(content: bytearray, random: np.random.Generator) -> None:
    begin = random.integers(content.find(b"\xff\xda") + 20, len(content) - 4)
    content[begin : begin + 2] = bytes([0xFF, random.integers(1, 256)])


def cut_off(content: bytearray, random: np.random.Generator) -> None:
    del content[random.integers(3, len(content)) :]


def gap(content: bytearray, random: np.random.Generator) -> None:
    begin = random.integers(content.find(b"\xff\xda"), len(content) - 10)
    del content[begin : begin + random.integers(1, 200)]


def more(content: bytearray, random: np.random.Generator) -> None:
    content += random.bytes(random.integers(1, 50))


DAMAGES = (flip, zeroes, noise, header, marker, cut_off, gap, more)


def picture(random: np.random.Generator) -> bytearray:
    """A small JPEG of any kind that writers make."""
    shape = tuple(random.integers(40, 100, 2))
    smooth = random.integers(0, 256, (6, 6, 3), np.uint8)
    image = Image.fromarray(smooth).resize(shape, Image.Resampling.BICUBIC)
    options: dict[str, object] = {
        "quality": int(random.integers(50, 100)),
        "subsampling": int(random.integers(0, 3)),
        "progressive": bool(random.integers(4) == 0),
    }
    if random.integers(3) == 0:
        options["restart_marker_rows"] = 1
    if random.integers(4) == 0:
        thumbnail = io.BytesIO()
        image.resize((24, 24)).save(thumbnail, "JPEG")
        # As a camera's notes hold one.
        options["comment"] = thumbnail.getvalue()
    if random.integers(4) == 0:
        image = image.convert("L" if random.integers(2) else "CMYK")
        options.pop("subsampling")
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return bytearray(file.getvalue())


def decodes(encoded: bytes, *window: int) -> bool:
    try:
        if window:
            tf.image.decode_and_crop_jpeg(encoded, window, channels=3)
        else:
            tf.io.decode_jpeg(encoded, channels=3)
    except tf.errors.InvalidArgumentError:
        return False
    return True


def crops(encoded: bytes) -> set[bool]:
    """Whether some of its crops decode."""
    height, width, _ = tf.image.extract_jpeg_shape(encoded).numpy().tolist()
    windows = (
        (0, 0, 1, 1),
        (height - 1, 0, 1, 1),
        (0, 0, max(1, height // 2), max(1, width // 2)),
        (height // 2, width // 2, height - height // 2, width - width // 2),
        (0, 0, height, width),
    )
    return {decodes(encoded, *window) for window in windows}


@tf.function(input_signature=[tf.TensorSpec([], tf.string)])
def judge(encoded: tf.Tensor) -> tf.Tensor:
    return sound_jpeg(encoded)


def is_sound(encoded: bytes) -> bool:
    try:
        return bool(judge(encoded).numpy() == encoded)
    # The message may hold bytes of the picture, which are no text.
    except (tf.errors.OpError, UnicodeDecodeError):
        return False


def check(count: int, seed: int) -> Counter[str]:
    random = np.random.default_rng(seed)
    met: Counter[str] = Counter()
    for _ in range(count):
        content = picture(random)
        assert is_sound(bytes(content))
        DAMAGES[random.integers(len(DAMAGES))](content, random)
        encoded = bytes(content)
        if is_sound(encoded):
            height, width, _ = tf.image.extract_jpeg_shape(encoded).numpy()
            if int(height) * int(width) > 1_000_000:
                continue  # A size that was changed takes long to decode.
            assert crops(encoded) == {True}
            met["sound"] += 1
        else:
            assert not decodes(encoded)
            met["not sound"] += 1
    return met


def test_damaged_pictures() -> None:
    met = check(150, seed=0)
    assert min(met["sound"], met["not sound"]) > 30


@pytest.mark.slow
def test_many_damaged_pictures() -> None:
    check(6000, seed=1)


@pytest.mark.parametrize("content", [b"", b"\xff", b"\xff\xd8", b"GIF89a"])
def test_what_is_no_picture_at_all(content: bytes) -> None:
    assert not is_sound(content)


@pytest.mark.skipif(os.cpu_count() == 1, reason="one thread has nobody to meet")
def test_records_are_judged_side_by_side_and_stay_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each waits for another one; alone it gives up, and counts as bad."""
    meeting = threading.Barrier(2, timeout=10)
    picture = encode_jpeg(np.zeros((8, 8, 3), np.uint8), 90)

    def parse(place: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        def meet(place: np.int64) -> bytes:
            meeting.wait()
            return b"" if place == 3 else picture

        met = tf.numpy_function(meet, [place], tf.string)
        return tf.ensure_shape(met, []), place

    monkeypatch.setattr(soundness, "parser", lambda dataset: parse)
    shards = Shards(("x",), (8,))
    names = tuple("abcdefgh")
    dataset = RecordDataset("x", "x", shards, shards, names, 0)
    places, _, labels = judged(dataset, (tf.range(8, dtype=tf.int64),))
    sound = [0, 1, 2, 4, 5, 6, 7]
    assert places.numpy().tolist() == [*sound, 8]
    assert labels.numpy().tolist() == [*sound, soundness.NO_CLASS]
