"""What `scale` says to people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from efficientnet_tf.report import figures
from efficientnet_tf.search.budget import Budget
from efficientnet_tf.search.coefficients import Coefficients
from efficientnet_tf.search.explain import Explained
from efficientnet_tf.search.grid import RATIO, Grid
from efficientnet_tf.search.solve import Scaled

if TYPE_CHECKING:
    from efficientnet_tf.search.grid_run import Tried


def scaled_table(scaled: Scaled, budget: Budget | None, out: str) -> Table:
    """Coefficients and costs of a scaled network."""
    given, variant, total = (
        scaled.coefficients,
        scaled.named.variant,
        scaled.total,
    )
    base, exponents = scaled.base.variant, scaled.exponents
    rows = [
        (
            "depth",
            f"{variant.depth:g}, {base.depth:g} x {given.alpha:g}^"
            f"{exponents.depth:.4g}",
        ),
        (
            "width",
            f"{variant.width:g}, {base.width:g} x {given.beta:g}^"
            f"{exponents.width:.4g}",
        ),
        (
            "pixels",
            f"{variant.pixels}, {base.pixels} x {given.gamma:g}^"
            f"{exponents.pixels:.4g}",
        ),
        (
            "multiply-adds",
            f"{total.macs:,}, {scaled.real_ratio:.3f} times "
            f"{scaled.base.name}; the rule says {scaled.nominal_ratio:.3f}",
        ),
        ("trainable parameters", f"{total.trainable_parameters:,}"),
        ("dropout", f"{variant.dropout:g}, the base's: phi says nothing of it"),
    ]
    if budget:
        used = budget.cost(scaled.network)
        rows.append(
            (
                "budget",
                f"{budget.text} of {budget.measure}; "
                f"{budget.shown(used)} used, {used / budget.most:.1%}",
            )
        )
        if budget.basis:
            rows.append(("an estimate", budget.basis))
    if out:
        rows.append(("file", f"{out}; use it as --model={out}"))
    return figures(scaled.named.name, rows)


def explained_table(
    rows: Sequence[Explained], coefficients: Coefficients
) -> Table:
    """The shipped coefficients and the rule's, side by side."""
    given = coefficients
    table = Table(
        title="shipped coefficients, and the exponents that would give them",
        box=box.SIMPLE,
        pad_edge=False,
    )
    for name in EXPLAINED_HEADER:
        table.add_column(name, justify="right" if name != "network" else "left")
    for row in rows:
        table.add_row(*explained_cells(row))
    table.caption = (
        f"the rule: {given.alpha:g}^phi, {given.beta:g}^phi and 224 x "
        f"{given.gamma:g}^phi, phi being the network's number; each step "
        f"multiplies the cost by {given.nominal:.3g}. The shipped ones were "
        "rounded by hand"
    )
    return table


EXPLAINED_HEADER = (
    "network",
    "depth",
    "rule",
    "phi",
    "width",
    "rule",
    "phi",
    "pixels",
    "rule",
    "phi",
    "MACs",
    "step",
    "of B0",
    "phi",
)


def explained_cells(row: Explained) -> list[str]:
    """A row of that table."""
    return [
        row.name.removeprefix("efficientnet-"),
        f"{row.depth:g}",
        f"{row.rule_depth:.2f}",
        _phi(row.depth_phi),
        f"{row.width:g}",
        f"{row.rule_width:.2f}",
        _phi(row.width_phi),
        f"{row.pixels}",
        f"{row.rule_pixels:.0f}",
        _phi(row.pixels_phi),
        f"{row.macs / 1e9:.3f} G",
        "" if row.step_ratio is None else f"x {row.step_ratio:.2f}",
        f"x {row.ratio:.2f}",
        _phi(row.macs_phi),
    ]


def grid_table(grid: Grid, tried: Sequence[Tried], best: str) -> Table:
    """What was trained, the best first."""
    table = Table(
        title=f"{grid.base.name} at {grid.base.variant.pixels} pixels, "
        f"{RATIO:g} times its cost",
        box=box.SIMPLE,
        pad_edge=False,
    )
    for name in (
        "alpha",
        "beta",
        "gamma",
        "rule",
        "real",
        "pixels",
        "blocks",
        "parameters",
        "top-1",
    ):
        table.add_column(name, justify="right")
    for each in tried:
        point = each.point
        given = point.coefficients
        table.add_row(
            f"{given.alpha:g}",
            f"{given.beta:g}",
            f"{given.gamma:g}",
            f"{given.nominal:.2f}",
            f"{point.ratio:.2f}",
            str(point.total.pixels),
            str(point.total.blocks),
            f"{point.total.trainable_parameters:,}",
            f"failed: {each.failed}"
            if each.top1 is None
            else f"{each.top1:.4f}",
        )
    table.caption = (
        f"{grid.near} points are near {RATIO:g} by the rule; {grid.beyond} of "
        f"them cost something else after rounding, {grid.alike} round to "
        f"another's network; the best is in {best}"
    )
    return table


def _phi(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
