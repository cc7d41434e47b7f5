"""docs/scaling.md, made of the tables and of what was saved beside it.

    python -m efficientnet_tf.search.scaling_page docs/scaling.md

Nothing is trained: the study comes out of docs/scaling/study.json, which
`scaling_study` writes, the memory of training out of docs/rehearsals.
"""

from __future__ import annotations

import json
import statistics
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from efficientnet_tf.command_line import run
from efficientnet_tf.errors import InputError
from efficientnet_tf.marked_tables import markdown
from efficientnet_tf.networks import find_variant, network
from efficientnet_tf.search import hbm, paper_tables
from efficientnet_tf.search.coefficients import Coefficients
from efficientnet_tf.search.explain import explain
from efficientnet_tf.search.grid import grid
from efficientnet_tf.search.paper_tables import Published
from efficientnet_tf.search.scaling_tables import (
    EXPLAINED_HEADER,
    explained_cells,
)
from efficientnet_tf.search.solve import by_phi

STUDY = "scaling/study.json"
REHEARSALS = "rehearsals"
_WIDTH = 80
_MIB = 2**20

_INTRO = """\
# Compound scaling

Generated (`python -m efficientnet_tf.search.scaling_page docs/scaling.md`); a
test holds the page against its generator. Costs are counted by
`efficientnet_tf/networks`; what the paper (Tan and Le, arXiv 1905.11946v5) says
is in columns of its own.

```
python main.py scale --base=efficientnet-b0 --phi=1
python main.py scale --base=efficientnet-b0 --budget=4.2GMACs --out=mine.json
python main.py scale --base=efficientnet-edgetpu-S --budget=8ms-edgetpu
python main.py scale --base=efficientnet-b0 --budget=HBM:16GiB \\
    --images_per_core=8
python main.py scale --explain
python main.py scale --base=efficientnet-lite0 --grid --data_dir=records \\
    --set model.pixels=64 --set train.epochs=2 --workers=2 --out=runs/grid
```

Depth is multiplied by alpha^phi, width by beta^phi and the image by gamma^phi;
`--alpha`, `--beta` and `--gamma` are the paper's 1.2, 1.1 and 1.15 if not
given. Channels become multiples of 8 as the original rounds them, repeats are
rounded up, pixels to the nearest. `--base` is any network that `--model` takes,
a variant file too; `--set model.pixels=N` and `--set model.classes=N` change it
first. `--out=FILE.json` writes a variant file for `--model=FILE.json`.

`--budget` looks for the network that costs most within it. The exponents are
whole hundredths and need not be the same: rounding wastes up to a third of a
budget where they are. They are never more than half a step of phi apart; those
of the shipped B7 are 6.2, 7.3 and 7.0. Of networks that cost the same it takes
the one whose exponents are closest together. Of networks of more than 100
blocks not every hundredth is tried, so that the answer comes in seconds. A
latency on the Edge TPU and the memory of training are estimates, and say so.
"""

_EXPLAINED = """\
## The shipped coefficients

`python main.py scale --explain`. The coefficients that ship were rounded by
hand. "rule" is what the paper's formula gives where phi is the network's
number; "phi" is the exponent that would give what ships. Beside the cost it is
the one at which 1.92^phi, the formula's own growth, gives the real ratio to B0.
"""

_ROUNDING = """\
## What rounding does

{sentence}

| phi | depth | width | pixels | GMACs | times B0 | by the rule |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: |
"""

_GRID = """\
## The grid search

The paper searches alpha, beta and gamma at phi = 1 under alpha * beta^2 *
gamma^2 = 2 and tells neither its grid nor its results. `--grid` takes every
point in steps of `--grid_step` whose cost is near twice the base's
(`--grid_tolerance`), by the rule and as counted after rounding; of points that
round to the same network it takes one. Each is trained by the engine of `train`
in a directory of its own, `--workers` at a time, which share the cores out. The
command given again keeps what is finished and goes on with the rest, after
`kill -9` too; given on two machines that see the folder, they share the work
out. `OUT/grid.json`, `OUT/grid.png` and `OUT/best.json`, the variant file of
the best, are what comes out.

"""

_STUDY = """\
## Width, depth, resolution or all three, on next to nothing

"""


def page(folder: Path) -> str:
    """The page in Markdown.

    Args:
        folder: Where the page and what it is made of are.

    Raises:
        InputError: Something is missing there.
    """
    return "\n".join(
        [
            _INTRO,
            _explained(),
            _rounding(),
            _paper(),
            _grid(),
            _memory(folder / REHEARSALS),
            _study(folder / STUDY),
        ]
    )


def _explained() -> str:
    rows = [explained_cells(row) for row in explain(Coefficients())]
    return f"{_EXPLAINED}\n{_table(EXPLAINED_HEADER, rows)}"


def _rounding() -> str:
    base = find_variant(paper_tables.B0)
    lines = []
    for phi in (0.5, 1, 2, 3, 4, 5, 6, 7):
        found = by_phi(base, Coefficients(), phi)
        variant = found.named.variant
        cells = (
            f"{phi:g}",
            f"{variant.depth:.3g}",
            f"{variant.width:.3g}",
            f"{variant.pixels}",
            f"{found.total.macs / 1e9:.3f}",
            f"{found.real_ratio:.2f}",
            f"{found.nominal_ratio:.2f}",
        )
        lines.append(f"| {' | '.join(cells)} |\n")
    one = by_phi(base, Coefficients(), 1.0)
    sentence = _filled(
        "The rule says that phi = 1 costs "
        f"{one.nominal_ratio:.2f} times the base. Built, B0 at phi = 1 costs "
        f"{one.real_ratio:.2f} times: repeats are rounded up, so that a stage "
        "of one block has two at any alpha above 1, and one of two has three. "
        "(It is the shipped B2 on images of 258 pixels.) At a larger phi the "
        "roundings weigh less."
    )
    return _ROUNDING.format(sentence=sentence) + "".join(lines)


def _paper() -> str:
    parts = ["## The paper's FLOPs\n"]
    header = (
        "network",
        "GMACs, published",
        "GMACs, counted",
        "difference",
        "top-1 on ImageNet, published",
    )
    parts.append(
        _filled("Table 2 of the paper, whose FLOPs are multiply-adds:") + "\n"
    )
    parts.append(_table(header, [_row(row) for row in paper_tables.FAMILY]))
    parts.append(_filled("Table 7, B0 scaled:") + "\n")
    rows = [_row(row) for row in paper_tables.ONE_DIMENSION]
    parts.append(_table(header, rows))
    base = paper_tables.ONE_DIMENSION[0]
    large = paper_tables.ONE_DIMENSION[3].gmacs
    first = paper_tables.FAMILY[0].gmacs
    parts.append(
        _filled(
            "The compound row agrees; the three of one dimension do not, and "
            "cannot: twice the resolution is four times the "
            "multiply-adds of every convolution, so that the published "
            f"{large:g} billion need a base of {large / 4:.3f}. Table 2 has "
            f"{first:g} for B0, table 7 itself {base.gmacs:g}, and the count "
            f"is {base.counted / 1e9:.3f}. Four times the depth or twice the "
            f"width can be four times the base at most, {4 * first:.2f} "
            "billion by table 2, and 1.8 is published. So table 7's rows of "
            "one dimension were counted of another base or in another way, "
            "which the paper does not tell."
        )
        + "\n"
    )
    parts.append(_filled("Table 3, other networks scaled:") + "\n")
    parts.append(_table(header, [_row(row) for row in paper_tables.OTHERS]))
    parts.append(_differences())
    return "\n".join(parts)


def _differences() -> str:
    """Why some rows of table 3 are off by more than 5 %."""
    rows = {(row.base, row.how): row for row in paper_tables.OTHERS}
    small = []
    for base in ("mobilenet-v1", "mobilenet-v2"):
        (row,) = (
            row
            for (name, how), row in rows.items()
            if name == base and how.startswith("compound")
        )
        counted = row.counted_at(288) / 1e9
        off = 100 * (counted / row.gmacs - 1)
        small.append(f"{base} takes {counted:.3f} ({off:+.1f} %)")
    deep = rows["resnet-50-v1.5", "depth, d=4"]
    wide = rows["resnet-50-v1.5", "width, w=2"]
    return (
        _filled(
            "ResNet-50's depth and width are exchanged in the paper: twice the "
            "width makes four times the multiply-adds of all but the stem and "
            f"the classifier, {wide.counted / 1e9:.2f} billion, which is the "
            f"{deep.gmacs:g} that it gives for the depth; four times the "
            "depth leaves the stem and the first block of each stage as they "
            f"are, {deep.counted / 1e9:.2f}, which is the {wide.gmacs:g} that "
            "it gives for the width. The compound MobileNets cost less on "
            "images of 288 pixels, the multiple of 32 below 1.3 x 224 = 291, "
            f"where no stride leaves a rest: {' and '.join(small)}. "
            "MobileNetV1's 0.6 is 0.569 (arXiv 1704.04861 has 569 million) "
            "with one digit. Repeats are rounded up as for EfficientNet, which "
            "the paper does not say of other networks."
        )
        + "\n"
    )


def _row(row: Published) -> list[str]:
    name = row.base.removeprefix("efficientnet-")
    shown = f"{name}, {row.how}" if row.how else name
    if not row.given:
        shown += " (factors not published)"
    return [
        shown,
        f"{row.gmacs:g}",
        f"{row.counted / 1e9:.3f}",
        f"{100 * row.difference:+.1f} %",
        f"{row.top1:g} %",
    ]


def _grid() -> str:
    base = find_variant(paper_tables.B0)
    found = grid(base, 0.1, 0.15)
    text = _filled(
        f"Of B0 in steps of 0.1, {found.near} points are within 15 % of twice "
        f"the cost by the rule. {found.beyond} of them are not as built, and "
        f"{found.alike} round to another one's network: {len(found.points)} "
        "are left. The network of the paper's own choice is not among them, by "
        "what rounding does to it; `--grid_step=0.05 --grid_tolerance=0.3` "
        "has it."
    )
    return f"{_GRID}{text}\n"


def _memory(folder: Path) -> str:
    files = sorted(folder.glob("*.json"))
    if not files:
        raise InputError(f"{folder} has no rehearsals")
    rows = []
    for file in files:
        rehearsed = json.loads(file.read_text(encoding="utf-8"))
        # The estimate is of steps that keep what the backward pass needs.
        if rehearsed["remat"] or rehearsed["microbatches"] > 1:
            continue
        built = network(
            rehearsed["model"],
            pixels=rehearsed["pixels"],
            classes=rehearsed["classes"],
        )
        images = rehearsed["images_per_core"]
        estimate = hbm.training_bytes(built, images).total
        peak = rehearsed["peak_hbm_bytes"]
        rows.append(
            [
                f"{rehearsed['model']} at {rehearsed['pixels']} px",
                f"{images}",
                f"{peak / _MIB:,.0f} MiB",
                f"{estimate / _MIB:,.0f} MiB",
                f"{100 * (estimate / peak - 1):+.0f} %",
            ]
        )
    text = _filled(
        "`--budget=HBM:16GiB` is the memory of a TPU core that trains by the "
        "default recipe. It is an estimate: four bytes each for weights, "
        "averages, gradients and RMSProp's two slots, "
        f"{hbm.KEPT:g} bfloat16 tensors for each convolution's output as a TPU "
        "lays it out (channels in lanes of 128, or images), and "
        f"{hbm.PROGRAM_BYTES // _MIB} MiB for programs. The factor is the "
        "median of the rehearsals that it is held against here, which makes "
        "the errors look better than those of another network would be. B0's "
        "rehearsal is newer than the others: its step keeps less than theirs. "
        "Before you rely on it, `python main.py rehearse` with the variant "
        "file compiles the real step."
    )
    header = ("network", "images a core", "compiled", "estimate", "error")
    return f"## Memory of a training\n\n{text}\n\n{_table(header, rows)}"


def _study(file: Path) -> str:
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except OSError:
        raise InputError(
            f"{file} is missing: see efficientnet_tf.search.scaling_study"
        ) from None
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
    return (
        f"{_STUDY}{_setting(found)}\n\n{_table(header, rows)}\n"
        f"{_filled(verdict(found))}\n"
    )


def _setting(found: dict[str, Any]) -> str:
    return _filled(
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


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return markdown(header, "l" + "r" * (len(header) - 1), rows)


def _filled(text: str) -> str:
    return textwrap.fill(
        text, _WIDTH, break_on_hyphens=False, break_long_words=False
    )


def _write(arguments: Sequence[str]) -> None:
    if len(arguments) != 1:
        raise InputError("name the page: docs/scaling.md")
    path = Path(arguments[0])
    path.write_text(page(path.parent), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(run("scaling_page.py", lambda: _write(sys.argv[1:])))
