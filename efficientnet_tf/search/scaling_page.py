"""docs/scaling.md, made of the tables and of what was saved beside it.

    python -m efficientnet_tf.search.scaling_page docs/scaling.md

Nothing is trained: the study comes out of docs/scaling/study.json, which
`scaling_study` writes, the grid out of grid.json beside it, as `scale --grid`
writes it, the memory of training out of docs/rehearsals.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from efficientnet_tf.command_line import run
from efficientnet_tf.errors import InputError
from efficientnet_tf.marked_tables import filled, markdown
from efficientnet_tf.networks import find_variant, network
from efficientnet_tf.search import hbm, paper_tables
from efficientnet_tf.search.coefficients import Coefficients
from efficientnet_tf.search.explain import explain
from efficientnet_tf.search.paper_tables import Published
from efficientnet_tf.search.scaling_grid_page import grid_section
from efficientnet_tf.search.scaling_study_page import study_section
from efficientnet_tf.search.scaling_tables import (
    EXPLAINED_HEADER,
    explained_cells,
)
from efficientnet_tf.search.solve import by_phi

STUDY = "scaling/study.json"
GRID = "scaling/grid.json"
REHEARSALS = "rehearsals"
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
            grid_section(folder / GRID),
            _memory(folder / REHEARSALS),
            study_section(folder / STUDY),
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
    sentence = filled(
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
        filled("Table 2 of the paper, whose FLOPs are multiply-adds:") + "\n"
    )
    parts.append(_table(header, [_row(row) for row in paper_tables.FAMILY]))
    parts.append(filled("Table 7, B0 scaled:") + "\n")
    rows = [_row(row) for row in paper_tables.ONE_DIMENSION]
    parts.append(_table(header, rows))
    base = paper_tables.ONE_DIMENSION[0]
    large = paper_tables.ONE_DIMENSION[3].gmacs
    first = paper_tables.FAMILY[0].gmacs
    parts.append(
        filled(
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
    parts.append(filled("Table 3, other networks scaled:") + "\n")
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
        filled(
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
    text = filled(
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


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return markdown(header, "l" + "r" * (len(header) - 1), rows)


def _write(arguments: Sequence[str]) -> None:
    if len(arguments) != 1:
        raise InputError("name the page: docs/scaling.md")
    path = Path(arguments[0])
    path.write_text(page(path.parent), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(run("scaling_page.py", lambda: _write(sys.argv[1:])))
