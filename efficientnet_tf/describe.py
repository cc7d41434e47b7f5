"""A network as a table. Loads no TensorFlow."""

from __future__ import annotations

import dataclasses
from typing import Any

from rich import box
from rich.table import Table

from efficientnet_tf.networks import (
    Network,
    costs,
    network,
    totals,
    variants,
)


def describe(network: Network) -> dict[str, Any]:
    """A network in numbers: its totals, and a row for each block.

    Returns:
        `name, pixels, trainable_parameters, total_parameters, macs, blocks`
        and `table`, a list of rows.
    """
    return {
        **dataclasses.asdict(totals(network)),
        "table": [dataclasses.asdict(row) for row in costs(network)],
    }


def every_network() -> list[dict[str, Any]]:
    """The totals of every variant."""
    return [dataclasses.asdict(totals(network(name))) for name in variants()]


def network_table(network: Network) -> Table:
    """The rows of a network and their sum."""
    table = Table(
        title=f"{network.name}, {network.pixels} x {network.pixels}",
        box=box.SIMPLE,
        pad_edge=False,
    )
    table.add_column("stage", justify="right")
    for name in ("block", "kind"):
        table.add_column(name)
    for name in ("resolution", "channels", "parameters", "MACs"):
        table.add_column(name, justify="right")
    for row in costs(network):
        table.add_row(
            "" if row.stage is None else str(row.stage),
            row.name,
            row.kind,
            str(row.pixels),
            str(row.channels),
            f"{row.trainable_parameters:,}",
            _millions(row.macs),
        )
    total = totals(network)
    table.add_section()
    table.add_row(
        "",
        f"{total.blocks} blocks",
        "",
        "",
        "",
        f"{total.trainable_parameters:,}",
        _millions(total.macs),
    )
    table.caption = (
        "resolution and channels are those of the output; with the "
        f"batch-norm statistics {total.total_parameters:,} parameters"
    )
    return table


def variants_table() -> Table:
    """Every variant, a row each."""
    table = Table(title="networks", box=box.SIMPLE, pad_edge=False)
    table.add_column("name", no_wrap=True)
    for name in ("pixels", "parameters", "MACs", "blocks", "classes"):
        table.add_column(name, justify="right")
    for name in variants():
        total = totals(network(name))
        table.add_row(
            name,
            str(total.pixels),
            f"{total.trainable_parameters:,}",
            _millions(total.macs),
            str(total.blocks),
            str(network(name).classes),
        )
    return table


def _millions(macs: int) -> str:
    return f"{macs / 1e6:,.1f} M"
