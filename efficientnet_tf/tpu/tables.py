"""A rehearsal for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table

from efficientnet_tf.report import Rows, figures
from efficientnet_tf.tpu.rehearsal import Rehearsal

# Rows shown of what would fill a screen.
_ROWS = 8


def pages(rehearsal: Rehearsal, tried: Sequence[Rehearsal] = ()) -> list[Table]:
    """Tables of a rehearsal, and of the search that it was found by."""
    shown = [figures(title(rehearsal), rows(rehearsal))]
    if rehearsal.layers:
        shown.append(layers_table(rehearsal))
    if tried:
        shown.append(figures("tried", search_rows(tried)))
    return shown


def title(rehearsal: Rehearsal) -> str:
    """What was rehearsed."""
    return (
        f"{rehearsal.model} at {rehearsal.pixels} x {rehearsal.pixels} on "
        f"{rehearsal.topology}"
    )


def rows(rehearsal: Rehearsal) -> Rows:
    """Names and values; of costs, those that are known."""
    found = [
        ("fits", _verdict(rehearsal)),
        (
            "batch",
            f"{rehearsal.batch:,}: {rehearsal.images_per_core:,} on each of "
            f"{rehearsal.cores:,} cores{_in_parts(rehearsal)}",
        ),
        (
            "trained",
            f"{rehearsal.classes:,} classes, {rehearsal.optimizer}, "
            f"{rehearsal.precision}",
        ),
    ]
    found += [
        (f"  {kind}", mebibytes(size))
        for kind, size in sorted(
            rehearsal.memory.items(), key=lambda item: -item[1]
        )
    ]
    found += [
        ("largest temporary", f"{mebibytes(row['bytes'])} {_place(row)}")
        for row in rehearsal.temporaries[:3]
    ]
    found += _cost_rows(rehearsal)
    found += [("refused", _refusal(row)) for row in rehearsal.refused[:_ROWS]]
    found += [
        ("counted once", f"a loop of unknown length, {name}")
        for name in rehearsal.unknown_loops
    ]
    found.append(
        (
            "tracing, compiling",
            f"{rehearsal.trace_seconds:.0f} s, "
            f"{rehearsal.compile_seconds:.0f} s"
            f"{', known before' if rehearsal.cached else ''}",
        )
    )
    found.append(
        (
            "by",
            f"the compiler of {rehearsal.compiler}, effort "
            f"{rehearsal.effort}; nothing ran on a TPU",
        )
    )
    return found


def layers_table(rehearsal: Rehearsal) -> Table:
    """The layers that cost most, by pass."""
    table = Table(
        title="where the step goes, by the compiler's estimate",
        title_justify="left",
        box=box.SIMPLE,
        pad_edge=False,
    )
    for name in ("layer", "pass"):
        table.add_column(name)
    for name in ("cycles", "share", "MB/image"):
        table.add_column(name, justify="right")
    total = sum(row["estimated_cycles"] for row in rehearsal.layers)
    dearest = sorted(rehearsal.layers, key=lambda row: -row["estimated_cycles"])
    for row in dearest[:_ROWS]:
        table.add_row(
            row["layer"],
            row["direction"],
            f"{row['estimated_cycles'] / 1e6:,.2f} M",
            f"{100 * row['estimated_cycles'] / max(total, 1):.1f} %",
            f"{row['moved_bytes'] / rehearsal.images_per_core / 1e6:,.2f}",
        )
    return table


def search_rows(tried: Sequence[Rehearsal]) -> Rows:
    """What a search for the largest batch has tried."""
    return [
        (
            f"batch {rehearsal.batch:,}",
            f"{_verdict(rehearsal)}"
            + (
                ""
                if rehearsal.estimated_cycles_per_image is None
                else f"; {rehearsal.estimated_cycles_per_image / 1e6:.3f} M "
                "estimated cycles per image"
            ),
        )
        for rehearsal in sorted(tried, key=lambda each: each.batch)
    ]


def mebibytes(size: float) -> str:
    """A size in MiB."""
    return f"{size / 2**20:,.0f} MiB"


def _verdict(rehearsal: Rehearsal) -> str:
    if rehearsal.peak_hbm_bytes is None:
        return "no: something is refused"
    peak, room = rehearsal.peak_hbm_bytes, rehearsal.hbm_bytes
    share = f"{100 * peak / room:.0f} % of a core's {mebibytes(room)}"
    return f"{'yes' if rehearsal.fits else 'no'}: {mebibytes(peak)}, {share}"


def _in_parts(rehearsal: Rehearsal) -> str:
    said = ""
    if rehearsal.microbatches > 1:
        said += f", in {rehearsal.microbatches} microbatches"
    if rehearsal.remat:
        said += ", blocks computed twice"
    return said


def _cost_rows(rehearsal: Rehearsal) -> Rows:
    flops, moved = rehearsal.flops_per_image, rehearsal.bytes_per_image
    cycles = rehearsal.estimated_cycles
    if flops is None or moved is None or cycles is None:
        return []
    limits = rehearsal.limit_images_per_second
    found = [
        ("FLOPs per image", f"{flops / 1e9:,.3f} G"),
        ("bytes per image", f"{moved / 1e6:,.1f} MB read and written"),
        ("FLOPs per byte", f"{rehearsal.arithmetic_intensity:.1f}"),
        (
            "limit by arithmetic",
            f"{limits['flops']:,.0f} images/s on a core, at published peak",
        ),
        (
            "limit by bandwidth",
            f"{limits['bytes']:,.0f} images/s on a core, at published peak",
        ),
        (
            "estimated cycles",
            f"{cycles / 1e6:,.1f} M a step, "
            f"{cycles / rehearsal.images_per_core / 1e6:.3f} M an image: the "
            "compiler's own estimate, no measurement",
        ),
    ]
    found += [
        (
            row["kind"],
            f"{row['count']:,} a step, {row['operand_bytes'] / 1e6:,.2f} MB "
            "from each core",
        )
        for row in rehearsal.collectives
    ]
    return found


def _place(row: dict[str, str]) -> str:
    return f"{row['layer']}, {row['direction']}"


def _refusal(row: dict[str, str | None]) -> str:
    what = row["operator"] or "the program"
    where = f" in {row['layer']}" if row["layer"] else ""
    return f"{what}{where}: {row['why']}"
