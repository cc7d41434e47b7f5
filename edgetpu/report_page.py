"""`report.html` of an export: one page that loads nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from edgetpu.forecast import Forecast
from edgetpu.layer_errors import EIGHT_BITS_DB, LayerError
from edgetpu.report import ExportReport
from edgetpu.report_drawings import Cell, memory_bar, network_diagram
from edgetpu.verify import JudgedImage, Verification
from efficientnet_tf.networks.edgetpu_memory import CACHE_BYTES, Memory
from efficientnet_tf.report_html.charts import Series, line_chart
from efficientnet_tf.report_html.page import (
    commands,
    page,
    paragraph,
    picture,
    section,
    table,
    tiles,
)

_LAYERS_SHOWN = 12
# Operators that belong to no layer of the network.
_ENDS = ("QUANTIZE", "DEQUANTIZE", "SOFTMAX")
_MIB = 2**20


def export_page(
    report: ExportReport,
    found: Forecast,
    verified: Verification,
    labels: Sequence[str],
) -> str:
    """Shows what an export made, and how to put it on a device.

    Args:
        report: The figures.
        found: What is forecast of the int8 file.
        verified: What int8 costs.
        labels: Names of the classes.

    Returns:
        HTML.
    """
    title = f"{report.network} for Coral's Edge TPU"
    return page(
        title,
        [
            f"<h1>{escape(title)}</h1>",
            _summary(report, found),
            _operators(report, found),
            _memory(report, found),
            _layers(verified),
            _images(
                "Sample predictions",
                "The first images compared: the class with what the float "
                "network and the int8 file say.",
                verified.samples,
                verified,
                labels,
            ),
            _images(
                "Images on which they differ most",
                "By divergence, in nats, the largest first.",
                verified.worst,
                verified,
                labels,
            ),
            _device(report),
        ],
    )


def _summary(report: ExportReport, found: Forecast) -> str:
    compared = report.comparison
    on = sum(operator.on_edge_tpu for operator in found.operators)
    figures = [
        ("top-1 float", _share(compared.float_top1)),
        ("top-1 int8", _share(compared.int8_top1)),
        ("same class", _share(compared.agreement)),
        ("divergence, nats", f"{compared.kl_mean:.4f}"),
        ("int8 file, MiB", f"{report.bytes / _MIB:.2f}"),
        ("on the Edge TPU", f"{on} of {len(found.operators)}"),
    ]
    if found.latency:
        figures.append(("ms, estimated", f"{found.latency.milliseconds:.1f}"))
    what = (
        f"{report.pixels} x {report.pixels} pixels, {report.classes} classes, "
        f"step {report.step:,}; calibrated with {report.calibration_images} "
        f"training images of {report.dataset}, ranges by "
        f"{report.calibration_range}, compared on {compared.images} "
        "validation images. Accuracy was measured on a CPU, by LiteRT."
    )
    return paragraph(what) + tiles(figures)


def _operators(report: ExportReport, found: Forecast) -> str:
    groups = _groups(report)
    cells = [
        Cell(
            each.index,
            each.name,
            *groups.get(each.index, (_end(each.index), each.name)),
            each.on_edge_tpu,
            each.reason,
        )
        for each in found.operators
    ]
    if report.compiled:
        log = report.compiled.log
        basis = (
            f"By forecast; the compiler put {log.on_edge_tpu} operators on the "
            f"Edge TPU and left {log.on_cpu} on the CPU."
        )
    else:
        basis = (
            "By forecast: the file was not compiled here. docs/coral.md says "
            "by what rules."
        )
    key = (
        '<p><span class="key line0">on the Edge TPU</span>'
        '<span class="key line1">on the CPU</span></p>'
    )
    counts = ", ".join(
        f"{count} {name}"
        for name, count in sorted(
            report.operators.items(), key=lambda each: -each[1]
        )
    )
    diagram = f'<div class="scroll">{network_diagram(cells)}</div>'
    said = [paragraph(words) for words in (*found.problems, *found.cautions)]
    return section(
        "Where each operator runs",
        paragraph(basis),
        key,
        diagram,
        paragraph(counts),
        *said,
    )


def _groups(report: ExportReport) -> dict[int, tuple[str, str]]:
    """The block and layer of each operator that has one."""
    return {
        error.index: (error.layer.split("_")[0], error.layer)
        for error in report.layers
        if error.operator not in _ENDS
    }


def _end(index: int) -> str:
    return "in" if index == 0 else "out"


def _memory(report: ExportReport, found: Forecast) -> str:
    sizes, basis = found.memory, "An estimate: the layout is Google's secret."
    log = report.compiled.log if report.compiled else None
    if log and log.on_chip_used_bytes is not None:
        on_chip, streamed = log.on_chip_used_bytes, log.off_chip_bytes or 0
        sizes = Memory(on_chip + streamed, on_chip, streamed)
        basis = "As the compiler says."
    return section(
        "Memory for parameters",
        paragraph(
            f"{sizes.on_chip_bytes / _MIB:.2f} MiB stay on the chip, "
            f"{sizes.streamed_bytes / _MIB:.2f} MiB are sent anew for each "
            f"image. {basis}"
        ),
        '<p><span class="key line0">on the chip</span>'
        '<span class="key line1">streamed</span>'
        '<span class="key line2">what the chip holds, about '
        f"{CACHE_BYTES / _MIB:.1f} MiB</span></p>",
        memory_bar(sizes),
    )


def _layers(verified: Verification) -> str:
    if not verified.layers:
        return ""
    points = tuple(
        (float(error.index), error.snr_db)
        for error in verified.layers
        if error.snr_db is not None
    )
    rows = [_layer_row(e) for e in verified.costliest(_LAYERS_SHOWN)]
    columns = ("layer", "operator", "signal-to-noise, dB", "lost, dB")
    chart = line_chart(
        "Signal-to-noise of what each operator gives, dB",
        [Series("dB", points)],
        "operator",
    )
    return section(
        "Error by layer",
        paragraph(
            "Of what each operator gives, against the float network on the "
            "same images, the median image's. Eight bits hold some "
            f"{EIGHT_BITS_DB:.0f} dB; 20 dB are an error of a tenth. A layer's "
            "loss is against the noisiest of its inputs: where it is large, "
            "that layer costs."
        ),
        f'<div class="charts">{chart}</div><h3>Layers that lose most</h3>',
        table(columns, rows, numbers=frozenset(columns[2:])),
    )


def _layer_row(error: LayerError) -> tuple[str, str, str, str]:
    snr = "exact" if error.snr_db is None else f"{error.snr_db:.1f}"
    return error.layer, error.operator, snr, f"{error.lost_db:.1f}"


def _images(
    title: str,
    about: str,
    images: Iterable[JudgedImage],
    verified: Verification,
    labels: Sequence[str],
) -> str:
    shown = "".join(_image(each, verified, labels) for each in images)
    return section(
        title, paragraph(about), f'<div class="images">{shown}</div>'
    )


def _image(
    judged: JudgedImage, verified: Verification, labels: Sequence[str]
) -> str:
    name = "" if judged.label is None else labels[judged.label]
    lines = (
        ("float", judged.float_class, judged.float_score),
        ("int8", judged.int8_class, judged.int8_score),
    )
    said = "".join(
        f'<div class="said{_wrong(judged, number)}"><span>{what}: '
        f"{escape(labels[number])}</span><span>{score:.1%}</span></div>"
        for what, number, score in lines
    )
    return (
        f"<figure>{picture(verified.pictures[judged.place], name)}<figcaption>"
        f'<div class="class"><span>{escape(name)}</span></div>{said}'
        f'<div class="said"><span>divergence</span><span>{judged.kl:.4f}'
        "</span></div></figcaption></figure>"
    )


def _wrong(judged: JudgedImage, number: int) -> str:
    known = judged.label is not None
    return " false" if known and number != judged.label else ""


def _device(report: ExportReport) -> str:
    stem = report.file.removesuffix(".tflite")
    compiled = f"{stem}_edgetpu.tflite"
    steps = []
    if not report.compiled:
        steps += [
            _step(
                "Compile it, on x86-64 Linux with Google's edgetpu-compiler, "
                "in the folder of this page:",
                f"edgetpu_compiler -s {report.file}",
            )
        ]
    steps += [
        _step(
            "On a computer with a USB Accelerator and libedgetpu, from this "
            "project's folder, with FOLDER for that of this page:",
            f"python -m edgetpu run FOLDER/{compiled} cat.jpg",
            f"python -m edgetpu benchmark FOLDER/{compiled}",
        ),
        _step(
            "On a Dev Board, where Python has NumPy, Pillow and LiteRT (or "
            "tflite_runtime), again from the project's folder:",
            f"scp -r edgetpu/run FOLDER/{compiled} FOLDER/labels.txt "
            "FOLDER/export.json cat.jpg mendel@BOARD:",
            f"ssh mendel@BOARD python3 -m run {compiled} cat.jpg",
            f"ssh mendel@BOARD python3 -m run --benchmark {compiled}",
        ),
        _step(
            "Without an Edge TPU, on any CPU:",
            f"python -m edgetpu run FOLDER/{report.file} cat.jpg",
        ),
        paragraph(
            f"The file takes raw pixels, {report.input.dtype} "
            f"{list(report.input.shape)}: the centre square by the rule "
            f'"{report.crop}", resized by "{report.resize}"; `run` does so by '
            "export.json. It gives probabilities in steps of 1/256."
        ),
    ]
    return section("On a device", *steps)


def _step(about: str, *lines: str) -> str:
    return paragraph(about) + commands(lines)


def _share(value: float | None) -> str:
    return "\u2013" if value is None else f"{value:.2%}"
