"""Settings and tables of networks, which are read before TensorFlow is."""

from __future__ import annotations

from pathlib import Path

from efficientnet_tf.errors import InputError
from efficientnet_tf.networks import NamedVariant, parse_variant


def text_of(path: str) -> str | None:
    """Reads a UTF-8 file, local or gs://; None where there is none.

    Raises:
        InputError: It is something else.
    """
    if "://" in path:
        # Only here, so that local files need no TensorFlow.
        from efficientnet_tf.files import read_text

        return read_text(path)
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise InputError(f"{path} is no UTF-8 text") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None


def load_variant(path: str) -> NamedVariant:
    """Reads a variant file, local or gs://.

    Raises:
        InputError: There is none, or it holds what no network has.
    """
    text = text_of(path)
    if text is None:
        raise InputError(f"{path}: no variant file of that name")
    return parse_variant(text, path)
