"""Picture files, read as JPEGs of RGB or grey.

These are what records hold; readers ask for three channels of either.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from efficientnet_tf.errors import InputError

# By which TensorFlow knows a JPEG.
JPEG_BEGIN = b"\xff\xd8\xff"

# Of pictures that cannot be passed through, as in the original's writer.
RECODED_QUALITY = 100

# GIF, BMP and WebP often come under a JPEG's name. The other formats that
# Pillow knows include some that run programs.
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")
_TURNED = range(2, 9)


@dataclass(frozen=True)
class EncodedImage:
    """A picture as a JPEG of RGB or grey.

    Attributes:
        encoded: The JPEG, whose EXIF readers ignore.
        height: In pixels.
        width: In pixels.
    """

    encoded: bytes
    height: int
    width: int


def read_jpeg(path: str) -> EncodedImage:
    """Reads a picture file, turned upright, as a JPEG: see `as_jpeg`.

    Args:
        path: A file, or a `gs://` address.

    Returns:
        The picture.

    Raises:
        InputError: The file is missing, or is not a picture that decodes to
            its end.
    """
    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            content = file.read()
    except tf.errors.OpError as error:
        raise InputError(f"{path} cannot be read: {error.message}") from error
    return as_jpeg(content, path)


def as_jpeg(content: bytes, name: str, *, upright: bool = True) -> EncodedImage:
    """Decodes a picture, all of it, and makes it a JPEG that decodes to RGB.

    As in the original's writer, the bytes of RGB and grey JPEGs are passed
    through and everything else is encoded anew at quality 100: other formats,
    CMYK and palette pictures, the first frame of an animation. The content
    decides, not the name. 16 bits become 8 by dropping the lower ones, and an
    alpha channel is dropped, as `tf.io.decode_png(channels=3)` does.

    Zeroed bytes in the middle of a JPEG still decode, to wrong pixels: that
    nobody can tell here.

    Args:
        content: A file's.
        name: Of the file, for the error.
        upright: Whether a picture that its EXIF turns is turned, and encoded
            anew. The original ignores EXIF, as its reader does.

    Returns:
        The picture.

    Raises:
        InputError: It is not a picture that decodes to its end.
    """
    if not content:
        raise InputError(f"{name} is empty; give a JPEG, PNG, WebP, GIF or BMP")
    try:
        return _as_jpeg(content, upright)
    except UnidentifiedImageError:
        reason = (
            "is not a picture, or not a whole one; give a JPEG, PNG, WebP, GIF "
            "or BMP"
        )
    # Pillow's decoders raise whatever a broken file makes them stumble over.
    except Exception as error:
        reason = f"does not decode: {error}; give a whole file"
    raise InputError(f"{name} {reason}")


def encode_jpeg(pixels: np.ndarray, quality: int) -> bytes:
    """Encodes a picture, without chroma subsampling.

    Args:
        pixels: uint8 `[height, width, 3]`, RGB.
        quality: 1 to 100, in the scale of libjpeg.

    Returns:
        A baseline JPEG.

    Raises:
        ValueError: The pixels have another shape or type.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(
            f"pixels are {pixels.dtype} {list(pixels.shape)}; "
            "a JPEG is made of uint8 [height, width, 3]"
        )
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    image.save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def _as_jpeg(content: bytes, upright: bool) -> EncodedImage:
    with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
        image.load()
        turned = upright and _orientation(image) in _TURNED
        # Phones' "MPO" is a JPEG with more pictures behind the first.
        jpeg = image.format in ("JPEG", "MPO")
        if jpeg and image.mode in ("RGB", "L") and not turned:
            return EncodedImage(content, image.height, image.width)
        rgb = _rgb(ImageOps.exif_transpose(image) if turned else image)
    encoded = encode_jpeg(np.asarray(rgb), RECODED_QUALITY)
    return EncodedImage(encoded, rgb.height, rgb.width)


def _orientation(image: Image.Image) -> int:
    """EXIF orientation: 1 is upright, as is a picture without sound EXIF."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # As above; broken metadata spoils no picture.
        return 1


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        high_byte = np.asarray(image).astype(np.uint16) >> 8
        image = Image.fromarray(high_byte.astype(np.uint8))
    if image.mode == "P":
        # Straight to RGB, Pillow warns of a palette with transparency.
        image = image.convert("RGBA")
    return image.convert("RGB")
