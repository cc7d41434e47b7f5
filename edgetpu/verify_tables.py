"""What `verify` found, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from efficientnet_tf.report import Rows, figures

if TYPE_CHECKING:
    from edgetpu.layer_errors import LayerError
    from edgetpu.verify import Comparison
    from edgetpu.verify_file import VerifyReport

# Share of the images for which float and int8 are to name the same class.
MIN_AGREEMENT = 0.97

_FEW = (
    "few: quantise by another --calibration_range (image_percentile is that of "
    "new runs), and look at the layers that lose most"
)

_LAYERS_SHOWN = 10
_IMAGES_SHOWN = 8


def comparison_rows(found: Comparison) -> Rows:
    """What int8 costs, and what may mend it where it is much."""
    rows, notes = [], []
    if found.agreement < MIN_AGREEMENT:
        notes.append(("", _FEW))
    if found.float_top1 is not None and found.int8_top1 is not None:
        rows += [
            ("top-1 float", f"{found.float_top1:.2%}"),
            ("top-1 int8", f"{found.int8_top1:.2%}"),
        ]
    return [
        *rows,
        ("same class", f"{found.agreement:.2%} of {found.images:,} images"),
        *notes,
        (
            "divergence",
            f"{found.kl_mean:.4f} nats in the mean, {found.kl_p99:.4f} for 99 "
            f"in 100, {found.kl_max:.4f} at worst",
        ),
    ]


def verified_pages(report: VerifyReport) -> Iterator[Table]:
    """A comparison: in all, by layer, and the images that differ most."""
    found = report.verification
    rows = [("network", report.network), ("images", report.data)]
    if report.not_labelled:
        rows.append(("no top-1", report.not_labelled))
    yield figures(report.file, [*rows, *comparison_rows(found.comparison)])
    if found.layers:
        yield _layer_table(found.costliest(_LAYERS_SHOWN))
    table = Table(
        "image",
        "is",
        "float",
        "int8",
        title="images on which they differ most",
        title_justify="left",
    )
    table.add_column("nats", justify="right")
    for each in found.worst[:_IMAGES_SHOWN]:
        table.add_row(
            str(each.place),
            report.name(each.label),
            f"{report.name(each.float_class)} {each.float_score:.2f}",
            f"{report.name(each.int8_class)} {each.int8_score:.2f}",
            f"{each.kl:.4f}",
        )
    yield table


def _layer_table(errors: Sequence[LayerError]) -> Table:
    """Layers and what they lose."""
    table = Table(
        "layer",
        "operator",
        title="layers that lose most",
        title_justify="left",
    )
    for name in ("signal-to-noise, dB", "lost, dB"):
        table.add_column(name, justify="right")
    for error in errors:
        table.add_row(
            error.layer,
            error.operator,
            "exact" if error.snr_db is None else f"{error.snr_db:.1f}",
            f"{error.lost_db:.1f}",
        )
    return table
