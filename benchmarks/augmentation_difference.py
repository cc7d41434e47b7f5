"""How far `fused` is from `clean`, in grey levels.

    python -m benchmarks.augmentation_difference

The hundred photographs of ../shared/data, or made pictures, are cut at 224
pixels by legacy bicubic, and get the same ops by both arithmetics. Printed are
means over the images: of all, of those without an affine op, of those with one.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks.pictures import read_pictures, write_pictures
from efficientnet_tf.command_line import run

PIXELS = 224


def differences(policy: str, jpegs: list[bytes]) -> list[tuple[bool, float]]:
    """Of each image whether an op moves it, and the mean difference."""
    import tensorflow as tf

    from efficientnet_tf.data.augmentation.augment import drawn_ops
    from efficientnet_tf.data.augmentation.moves import STILL, motion
    from efficientnet_tf.data.augmentation.recipe import Augmentation
    from efficientnet_tf.data.cut import Cut
    from efficientnet_tf.data.preprocess import TrainingCrop, training_image

    cut = Cut(PIXELS, "pad32", "legacy_bicubic")
    clean, fused = (
        Augmentation(policy, arithmetic)  # type: ignore[arg-type]
        for arithmetic in ("clean", "fused")
    )

    @tf.function(autograph=False)
    def compared(jpeg: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, ...]:
        ours, theirs = (
            training_image(jpeg, seed, cut, TrainingCrop(), augmentation)
            for augmentation in (fused, clean)
        )
        moved = motion(drawn_ops(seed, fused)) != STILL
        return moved, tf.reduce_mean(tf.abs(ours - theirs))

    found = []
    for number, jpeg in enumerate(jpegs):
        moved, grey = compared(tf.constant(jpeg), tf.constant([0, number]))
        found.append((bool(moved), float(grey)))
    return found


def main() -> None:
    """Prints a line for each policy."""
    with tempfile.TemporaryDirectory() as folder:
        said = write_pictures(Path(folder), PIXELS)
        jpegs = read_pictures(Path(folder)).jpegs
    print(f"{said}, grey levels between fused and clean")
    for policy in ("randaugment", "autoaugment"):
        found = differences(policy, jpegs)
        groups = {
            "all": found,
            "without an affine op": [x for x in found if not x[0]],
            "with one": [x for x in found if x[0]],
        }
        means = [
            f"{name} {sum(grey for _, grey in some) / max(1, len(some)):.1f}"
            for name, some in groups.items()
        ]
        print(f"{policy}: {', '.join(means)}")


if __name__ == "__main__":
    sys.exit(run("augmentation_difference.py", main))
