"""The section of docs/scaling.md about the grid search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from efficientnet_tf.marked_tables import filled, markdown, saved
from efficientnet_tf.networks import find_variant
from efficientnet_tf.search import paper_tables
from efficientnet_tf.search.grid import grid

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

_RUN = """### A grid on CIFAR-10

`scaling/small.json` is the network of six blocks of the study at the end of
this page, here for 64 pixels as `configs/cifar10.py` has it:

```
python main.py scale --base=docs/scaling/small.json --grid --data_dir=records \\
    --config=configs/cifar10.py --set train.epochs=1 --set train.batch=64 \\
    --set train.learning_rate_per_256=0.032 --set train.average_decay=0.98 \\
    --set train.warmup_epochs=0.2 --set data.resize=bilinear --out=runs/grid
```

"""
_VALIDATION_IMAGES = 2_000


def grid_section(file: Path) -> str:
    """The section, with what a grid search found.

    Args:
        file: What `scale --grid` wrote; the picture `grid.png` is beside it.

    Raises:
        InputError: It is missing.
    """
    found = saved(file, "`scale --grid`")
    return f"{_GRID}{_counted()}\n\n{_RUN}{_tried(found)}"


def _counted() -> str:
    """How many points B0's own grid has."""
    base = find_variant(paper_tables.B0)
    found = grid(base, 0.1, 0.15)
    return filled(
        f"Of B0 in steps of 0.1, {found.near} points are within 15 % of twice "
        f"the cost by the rule. {found.beyond} of them are not as built, and "
        f"{found.alike} round to another one's network: {len(found.points)} "
        "are left. The network of the paper's own choice is not among them, by "
        "what rounding does to it; `--grid_step=0.05 --grid_tolerance=0.3` "
        "has it."
    )


def _tried(found: dict[str, Any]) -> str:
    """The table of the trainings, and what it says."""
    rows = [
        [
            *(f"{each[name]:.1f}" for name in ("alpha", "beta", "gamma")),
            f"{each['pixels']}",
            f"{each['macs'] / 1e6:.2f} M",
            f"{each['real_ratio']:.2f}",
            f"{each['trainable_parameters']:,}",
            f"{each['top1']:.4f}",
        ]
        for each in found["tried"]
    ]
    header = (
        "alpha (depth)",
        "beta (width)",
        "gamma (pixels)",
        "pixels",
        "MACs",
        "times the base",
        "parameters",
        "top-1, measured",
    )
    best, *others = (each["top1"] for each in found["tried"])
    error = (best * (1 - best) / _VALIDATION_IMAGES) ** 0.5
    needed = 2 * error * 2**0.5
    alike = sum(best - other <= needed for other in others)
    said = filled(
        f"{found['near_two']} points are near twice the cost, "
        f"{found['beyond_after_rounding']} of them not as built and "
        f"{found['alike_after_rounding']} the network of another one. On "
        f"{_VALIDATION_IMAGES:,} validation images two must be {needed:.3f} "
        "apart to count, seeds left aside, of which each training has one: "
        f"{alike} of the {len(others)} others are as good as the first. After "
        "one epoch that ranks how fast networks learn; a choice of "
        "coefficients would need longer trainings and several seeds."
    )
    table = markdown(header, "r" * len(header), rows)
    picture = "![accuracy over the coefficients](scaling/grid.png)"
    return f"{table}\n{picture}\n\n{said}\n"
