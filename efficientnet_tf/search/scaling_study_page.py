"""The section of docs/scaling.md about the study of four ways to scale."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from efficientnet_tf.marked_tables import filled, markdown, saved

_STUDY = """\
## Width, depth, resolution or all three, on next to nothing

"""


def study_section(file: Path) -> str:
    """The section, of a file that `scaling_study` wrote.

    Raises:
        InputError: It is missing.
    """
    found = saved(file, "efficientnet_tf.search.scaling_study")
    rows = []
    least = found["rows"][0]["macs"]
    for row in found["rows"]:
        top1 = row["top1"]
        rows.append(
            [
                row["way"],
                f"{row['depth']:g}",
                f"{row['width']:g}",
                f"{row['pixels']}",
                f"{row['blocks']}",
                f"{row['macs'] / 1e6:.2f} M",
                f"{row['macs'] / least:.2f}",
                f"{row['trainable_parameters']:,}",
                ", ".join(f"{each:.4f}" for each in top1),
                f"{statistics.mean(top1):.4f}",
            ]
        )
    header = (
        "scaled",
        "depth",
        "width",
        "pixels",
        "blocks",
        "MACs",
        "times",
        "parameters",
        "top-1, measured, by seed",
        "mean",
    )
    table = markdown(header, "l" + "r" * (len(header) - 1), rows)
    return f"{_STUDY}{_setting(found)}\n\n{table}\n{filled(verdict(found))}\n"


def _setting(found: dict[str, Any]) -> str:
    return filled(
        "`python -m efficientnet_tf.search.scaling_study --data_dir=records "
        f"--epochs={found['epochs']:g} --seeds={found['seeds']}`, on 10,000 "
        f"pictures of CIFAR-10 and {found['validation_images']:,} others for "
        f"validation: a network of six blocks for 32 pixels, scaled in four "
        "ways to the cost of 2.5 times its depth or as much of it as rounding "
        f"allows, each trained for {_epochs(found['epochs'])}. So short a "
        "training of so small a network says nothing of ImageNet, and favours "
        "what learns in few steps over what learns much."
    )


def _epochs(count: float) -> str:
    return "one epoch" if count == 1 else f"{count:g} epochs"


def verdict(found: dict[str, Any]) -> str:
    """What a study shows, and whether that is more than its noise.

    The noise is the pooled standard deviation between seeds, and the binomial
    one of the validation images, whichever is larger; a difference counts
    where it is above twice the error of a difference of two means.
    """
    rows = {row["way"]: row["top1"] for row in found["rows"]}
    means = {way: statistics.mean(top1) for way, top1 in rows.items()}
    seeds = min(len(top1) for top1 in rows.values())
    ranked = sorted(
        (way for way in means if way != "base"),
        key=lambda way: means[way],
        reverse=True,
    )
    middle = statistics.mean(means.values())
    images = found["validation_images"]
    binomial = (middle * (1 - middle) / images) ** 0.5
    between = 0.0
    if seeds > 1:
        spreads = [statistics.variance(top1) for top1 in rows.values()]
        between = statistics.mean(spreads) ** 0.5
    noise = max(binomial, between)
    needed = 2 * noise * (2 / seeds) ** 0.5
    first, last = ranked[0], ranked[-1]
    order = ", ".join(f"{way} {means[way]:.4f}" for way in ranked)
    said = (
        f"In the mean: {order}; the base {means['base']:.4f}. Seeds differ by "
        f"a standard deviation of {between:.4f}, and that of {images:,} "
        f"images is {binomial:.4f}: two means of {seeds} must be "
        f"{needed:.4f} apart to count. "
    )
    better = [way for way in ranked if means[way] - means["base"] > needed]
    said += f"Better than the base by that: {', '.join(better) or 'none'}. "
    beaten = [way for way in ranked[1:] if means[first] - means[way] > needed]
    if not beaten:
        return said + (
            f"The best, {first}, and the worst, {last}, are not: here no way "
            "to scale is better than another."
        )
    return said + (
        f"By that {first} is better than {' and '.join(beaten)}"
        + (
            "."
            if len(beaten) == len(ranked) - 1
            else f", and no better than "
            f"{' or '.join(way for way in ranked[1:] if way not in beaten)}."
        )
    )
