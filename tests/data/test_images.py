import io
import warnings

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from efficientnet_tf.data.folders import find_pictures
from efficientnet_tf.data.images import (
    EncodedImage,
    as_jpeg,
    encode_jpeg,
    read_jpeg,
)
from efficientnet_tf.data.pictures import Picture
from efficientnet_tf.errors import InputError

ORIENTATION = 0x0112
# Of a JPEG of quality 100: to YCbCr, to the cosines, and back.
ROUNDING = 3


def gradient(height: int = 40, width: int = 60) -> np.ndarray:
    """A smooth picture, dark at the top left: JPEG hardly changes it."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 3, y * 4, x + y], -1).astype(np.uint8)


def pixels_of(image: EncodedImage) -> np.ndarray:
    with Image.open(io.BytesIO(image.encoded)) as decoded:
        assert (decoded.format, decoded.mode) == ("JPEG", "RGB")
        assert decoded.size == (image.width, image.height)
        assert ORIENTATION not in decoded.getexif()
        return np.asarray(decoded).astype(int)


def far(a: np.ndarray, b: np.ndarray) -> int:
    return int(np.abs(a.astype(int) - b.astype(int)).max())


def decoded_by_tensorflow(encoded: bytes) -> np.ndarray:
    return tf.io.decode_jpeg(
        encoded, channels=3, dct_method="INTEGER_ACCURATE"
    ).numpy()


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("name", ["a.jpg", "b.JPEG", "ein Bild – ü.jpg"])
def test_an_rgb_jpeg_is_passed_through(tmp_path, name, progressive):
    path = tmp_path / name
    Image.fromarray(gradient()).save(path, "JPEG", progressive=progressive)
    assert read_jpeg(str(path)) == EncodedImage(path.read_bytes(), 40, 60)


def test_what_lies_in_the_file_counts_not_its_name(tmp_path):
    png, jpeg = tmp_path / "png.jpg", tmp_path / "jpeg.png"
    Image.fromarray(gradient()).save(png, "PNG")
    Image.fromarray(gradient()).save(jpeg, "JPEG")
    assert far(pixels_of(read_jpeg(str(png))), gradient()) <= ROUNDING
    assert read_jpeg(str(jpeg)).encoded == jpeg.read_bytes()


def palette(image: Image.Image) -> Image.Image:
    return image.quantize(256)


def palette_with_alpha(image: Image.Image) -> Image.Image:
    quantized = image.quantize(256)
    quantized.info["transparency"] = bytes(range(256))
    return quantized


def with_alpha(image: Image.Image) -> Image.Image:
    image = image.convert("RGBA")
    image.putalpha(Image.fromarray(gradient()[..., 0]))
    return image


@pytest.mark.parametrize(
    ("kind", "convert"),
    [
        ("GIF", palette),
        ("PNG", palette),
        ("PNG", palette_with_alpha),
        ("PNG", with_alpha),
        ("WEBP", with_alpha),
    ],
)
def test_palettes_and_alpha_become_rgb(tmp_path, kind, convert):
    path = tmp_path / "picture.png"
    picture = convert(Image.fromarray(gradient()))
    picture.save(path, kind, **({"lossless": True} if kind == "WEBP" else {}))
    with Image.open(path) as decoded:
        truth = np.asarray(decoded.convert("RGBA"))[..., :3]
    assert far(pixels_of(read_jpeg(str(path))), truth) <= ROUNDING


def test_alpha_is_dropped_as_tensorflow_drops_it(tmp_path):
    path = tmp_path / "alpha.png"
    with_alpha(Image.fromarray(gradient())).save(path)
    truth = tf.io.decode_png(path.read_bytes(), channels=3).numpy()
    assert far(truth, gradient()) == 0
    assert far(pixels_of(read_jpeg(str(path))), truth) <= ROUNDING


def test_a_grey_jpeg_is_passed_through(tmp_path):
    """As by the original's writer; its reader asks for three channels."""
    path = tmp_path / "grey.jpg"
    Image.fromarray(gradient()[..., 0]).save(path, quality=100)
    got = read_jpeg(str(path))
    assert got == EncodedImage(path.read_bytes(), 40, 60)
    seen = decoded_by_tensorflow(got.encoded)
    assert far(seen, np.repeat(gradient()[..., :1], 3, -1)) <= ROUNDING


def test_a_grey_png_becomes_rgb(tmp_path):
    path = tmp_path / "grey.jpg"
    Image.fromarray(gradient()[..., 0]).save(path, "PNG")
    got = pixels_of(read_jpeg(str(path)))
    assert far(got, np.repeat(gradient()[..., :1], 3, -1)) <= ROUNDING


def test_cmyk_becomes_rgb(tmp_path):
    path = tmp_path / "cmyk.jpg"
    Image.fromarray(gradient()).convert("CMYK").save(path, quality=100)
    got = pixels_of(read_jpeg(str(path)))
    truth = decoded_by_tensorflow(path.read_bytes())
    assert far(got, truth) <= ROUNDING
    assert far(got, gradient()) <= ROUNDING


def test_16_bits_become_the_upper_8(tmp_path):
    path = tmp_path / "deep.png"
    deep = gradient()[..., 0].astype(np.uint16) * 256 + 255
    Image.fromarray(deep).save(path)
    truth = tf.io.decode_png(path.read_bytes(), channels=3).numpy()
    assert far(truth[..., 0], gradient()[..., 0]) == 0
    assert far(pixels_of(read_jpeg(str(path))), truth) <= ROUNDING


def test_black_and_white_becomes_rgb(tmp_path):
    path = tmp_path / "bits.png"
    Image.fromarray(gradient()[..., 0] > 90).save(path)
    truth = np.repeat((gradient()[..., :1] > 90) * 255, 3, -1)
    assert far(pixels_of(read_jpeg(str(path))), truth) <= ROUNDING


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_of_an_animation_the_first_frame(tmp_path, kind):
    path = tmp_path / "moving.png"
    red, blue = (Image.new("RGB", (20, 10), c) for c in ("red", "blue"))
    red.save(path, kind, save_all=True, append_images=[blue], duration=50)
    got = pixels_of(read_jpeg(str(path)))
    assert far(got, np.full([10, 20, 3], [255, 0, 0])) <= ROUNDING


@pytest.mark.parametrize(
    ("orientation", "upright"),
    # What is stored, undone: EXIF 2.3, tag 0x0112.
    [
        (2, lambda stored: stored[:, ::-1]),
        (3, lambda stored: stored[::-1, ::-1]),
        (4, lambda stored: stored[::-1]),
        (5, lambda stored: stored.transpose(1, 0, 2)),
        (6, lambda stored: np.rot90(stored, -1)),
        (7, lambda stored: np.rot90(stored, 2).transpose(1, 0, 2)),
        (8, lambda stored: np.rot90(stored, 1)),
    ],
)
def test_exif_turns_a_picture_upright(tmp_path, orientation, upright):
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    image = Image.fromarray(gradient())
    image.save(path, exif=exif, quality=100, subsampling=0)
    got = read_jpeg(str(path))
    truth = upright(gradient())
    assert (got.height, got.width) == truth.shape[:2]
    assert far(pixels_of(got), truth) <= ROUNDING


def test_exif_can_be_ignored_as_the_original_does():
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    buffer = io.BytesIO()
    Image.fromarray(gradient()).save(buffer, "JPEG", exif=exif)
    got = as_jpeg(buffer.getvalue(), "x.jpg", upright=False)
    assert got == EncodedImage(buffer.getvalue(), 40, 60)


@pytest.mark.parametrize("orientation", [0, 1, 9])
def test_exif_that_does_not_turn_changes_nothing(tmp_path, orientation):
    path = tmp_path / "upright.jpg"
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(gradient()).save(path, exif=exif)
    assert read_jpeg(str(path)).encoded == path.read_bytes()


def test_broken_exif_spoils_no_picture(tmp_path):
    path = tmp_path / "exif.jpg"
    Image.fromarray(gradient()).save(path, exif=b"Exif\0\0MM\0*garbage!")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        assert read_jpeg(str(path)).encoded == path.read_bytes()


@pytest.mark.parametrize(
    ("kind", "cut"),
    [
        *(("JPEG", cut) for cut in (1, 2, 50, 0.5, 0.9)),
        # A PNG's last 12 bytes carry no pixels.
        *(("PNG", cut) for cut in (50, 0.5, 0.9)),
    ],
)
def test_a_truncated_picture_is_refused(tmp_path, kind, cut):
    noise = np.random.default_rng(0).integers(0, 256, [64, 64, 3], np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, kind)
    content = buffer.getvalue()
    lost = cut if isinstance(cut, int) else int(len(content) * cut)
    path = tmp_path / "cut.jpg"
    path.write_bytes(content[:-lost])
    with pytest.raises(InputError, match="does not decode") as error:
        read_jpeg(str(path))
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"a label, not a picture\n", "is not a picture"),
        (b"\xff\xd8\xff\xe0", "is not a picture|does not decode"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
    ],
)
def test_what_is_no_picture_is_refused(tmp_path, content, says):
    path = tmp_path / "text.jpg"
    path.write_bytes(content)
    with pytest.raises(InputError, match=says) as error:
        read_jpeg(str(path))
    assert str(path) in str(error.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "none.jpg", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            read_jpeg(str(path))


def test_a_picture_of_too_many_pixels_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "bomb.png"
    Image.fromarray(gradient()).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(InputError, match="does not decode.*exceeds limit"):
        read_jpeg(str(path))


def test_encoded_pixels_decode_elsewhere():
    encoded = encode_jpeg(gradient(), 100)
    with Image.open(io.BytesIO(encoded)) as image:
        assert far(np.asarray(image), gradient()) <= ROUNDING
        assert not image.info.get("progressive")
    assert far(decoded_by_tensorflow(encoded), gradient()) <= ROUNDING
    assert len(encode_jpeg(gradient(), 50)) < len(encoded)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros([4, 4], np.uint8),
        np.zeros([4, 4, 4], np.uint8),
        np.zeros([4, 4, 3], np.float32),
    ],
)
def test_other_pixels_are_not_encoded(pixels):
    with pytest.raises(ValueError, match="uint8"):
        encode_jpeg(pixels, 95)


def test_pictures_are_found_at_any_depth(tmp_path):
    for place in ("b/2.PNG", "b/.x.jpg", "a ü/in doors/1.jpg", "a ü/3.JPeG"):
        file = tmp_path / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (tmp_path / ".git").mkdir()
    (tmp_path / "README.txt").touch()
    places = ["a ü/3.JPeG", "a ü/in doors/1.jpg", "b/2.PNG"]
    found = find_pictures(str(tmp_path))
    assert found == [
        Picture(f"{tmp_path}/{place}", place, place.partition("/")[0])
        for place in places
    ]
    assert [picture.class_name for picture in found] == ["a ü", "a ü", "b"]
