"""docs/augmentation.md: every op of AutoAugment and RandAugment, in pictures.

    python -m efficientnet_tf.augmentation_page docs/augmentation.md

Writes a picture for each arithmetic into the folder that is named like the
page. The photo comes with scikit-learn.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args

import numpy as np
from PIL import Image

from efficientnet_tf.command_line import run
from efficientnet_tf.contact_sheet import Tile, save_sheet
from efficientnet_tf.data.augmentation.ops import OPS, Op, argument
from efficientnet_tf.data.augmentation.policies import RANDAUGMENT_REACH
from efficientnet_tf.data.augmentation.recipe import Arithmetic
from efficientnet_tf.errors import InputError
from efficientnet_tf.files import write_text

LEVELS = (3, 10, 17)
_PIXELS = 224
# Where a patch has its centre.
_MIDDLE = (0.5, 0.5)

_INTRO = """\
# Augmentation

Generated (`python -m efficientnet_tf.augmentation_page docs/augmentation.md`);
a test holds the page against its generator.

`--set data.augment=randaugment` gives each training image
`data.randaugment_layers` of the 16 ops, all at the level
`data.randaugment_magnitude`; `--set data.augment=autoaugment` one of the 25
pairs of policy v0. `data.augment_arithmetic` says how they are computed.

    python main.py show --set data.augment=randaugment

writes a sheet of what a network would see of your own data.

## What a level means

The argument that each op is given by RandAugment at a level; half of the
images get the negative one where it says ±. Full level is 10, and the original
goes beyond: 17 for B5, 28 for B7 and B8.

"""

_MEANINGS: dict[Op, str] = {
    "AutoContrast": "stretches each channel to 0..255",
    "Equalize": "makes all values of a channel equally frequent",
    "Invert": "255 less each value",
    "Rotate": "degrees",
    "Posterize": "bits that are kept",
    "Solarize": "value from which on is inverted",
    "Color": "share of the image, the rest is its grey one",
    "Contrast": "share of the image, the rest is a grey",
    "Brightness": "share of the image, the rest is black",
    "Sharpness": "share of the image, the rest is a smooth one",
    "ShearX": "pixels across per pixel down",
    "ShearY": "pixels down per pixel across",
    "TranslateX": "pixels across",
    "TranslateY": "pixels down",
    "Cutout": "half the side of a grey patch, in pixels",
    "SolarizeAdd": "added to the values below 128",
}

_ARITHMETICS: dict[Arithmetic, str] = {
    "original": """\
As published weights were trained, in bytes that wrap: `Solarize` at level 10
inverts everything, `Posterize` below level 2.5 keeps one bit and beyond 20 all
of them or one again, `Contrast` blends with a grey that the image's size
decides, in place of its mean.""",
    "clean": """\
As PIL computes them, and as the papers describe them. Every op is compared
with PIL's at every level, and at most one grey level off.""",
    "fused": """\
For speed, in float32 without rounding: what moves pixels comes before all other
ops, whatever their order. Translations alone move the image; others are put
together and the crop is sampled once.""",
}


def page() -> str:
    """The page in Markdown."""
    lines = [
        "| op | argument | " + " | ".join(map(str, LEVELS)) + " |",
        "|---|---|" + "---|" * len(LEVELS),
    ]
    for op, meaning in _MEANINGS.items():
        cells = [_number(op, level) for level in LEVELS]
        lines.append(f"| {op} | {meaning} | {' | '.join(cells)} |")
    parts = [_INTRO + "\n".join(lines) + "\n"]
    for arithmetic in get_args(Arithmetic):
        parts.append(
            f"## `data.augment_arithmetic={arithmetic}`\n\n"
            f"{_ARITHMETICS[arithmetic]}\n\n"
            f"![every op at the levels {', '.join(map(str, LEVELS))}]"
            f"(augmentation/{arithmetic}.jpg)\n"
        )
    return "\n".join(parts)


def tiles(arithmetic: Arithmetic) -> Iterator[Tile]:
    """The photo itself and what an op makes of it at each level, op by op."""
    photo = _photo()
    for op in OPS:
        yield Tile(photo, op)
        for level in LEVELS:
            given = argument(op, level, RANDAUGMENT_REACH)
            said = _number(op, level).removeprefix("±")
            yield Tile(
                _changed(photo, op, given, arithmetic),
                f"level {level}: {said}".rstrip(": "),
            )


def _changed(
    photo: np.ndarray, op: Op, given: float, arithmetic: Arithmetic
) -> np.ndarray:
    """What an op makes of a photo; both uint8 `[pixels, pixels, 3]`."""
    import tensorflow as tf

    from efficientnet_tf.data.augmentation.applying import ARITHMETICS
    from efficientnet_tf.data.augmentation.colours import to_bytes
    from efficientnet_tf.data.augmentation.drawing import NAMES, Drawn
    from efficientnet_tf.data.augmentation.fused import fused_image

    image, centre = tf.constant(photo), tf.constant(_MIDDLE)
    if arithmetic != "fused":
        function = ARITHMETICS[arithmetic][op]
        return function(image, tf.constant(given), centre).numpy()
    drawn = Drawn(
        tf.constant([NAMES.index(op)]), tf.constant([given]), centre[tf.newaxis]
    )
    fused = fused_image(
        image,
        lambda crop: tf.cast(crop, tf.float32),
        tf.constant(False),
        drawn,
        _PIXELS,
    )
    return to_bytes(fused).numpy()


def _number(op: Op, level: int) -> str:
    """The argument in words; none where the op takes none."""
    if not any(argument(op, each, RANDAUGMENT_REACH) for each in LEVELS):
        return ""
    sign = "±" if OPS[op].signed else ""
    return f"{sign}{argument(op, level, RANDAUGMENT_REACH):.4g}"


def _photo() -> np.ndarray:
    """uint8 `[pixels, pixels, 3]`, the middle of "flower.jpg"."""
    from sklearn.datasets import load_sample_image

    whole = load_sample_image("flower.jpg")
    side = min(whole.shape[:2])
    left = (whole.shape[1] - side) // 2
    square = Image.fromarray(whole[:side, left : left + side])
    return np.asarray(square.resize((_PIXELS, _PIXELS), Image.Resampling.BOX))


def main(arguments: Sequence[str]) -> int:
    """Writes the page and its pictures; returns the exit code."""

    def work() -> None:
        if len(arguments) != 1:
            raise InputError("name the page to write, such as docs/page.md")
        path = Path(arguments[0])
        folder = path.with_suffix("")
        folder.mkdir(parents=True, exist_ok=True)
        for arithmetic in get_args(Arithmetic):
            save_sheet(
                os.path.join(folder, f"{arithmetic}.jpg"),
                list(tiles(arithmetic)),
                columns=1 + len(LEVELS),
            )
        write_text(str(path), page())

    return run("python -m efficientnet_tf.augmentation_page", work)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
