"""What `show`, `forecast`, `quantize` and `compile` found, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from rich.table import Table

from edgetpu.compile_files import CompiledFile, CompileReport
from edgetpu.compiler_log import MAPPED
from edgetpu.forecast import Forecast, OperatorForecast
from edgetpu.package import Layer
from edgetpu.show import EdgeTpuPart, Shown, ShownGraph, ShownTensor
from efficientnet_tf.report import Rows, figures

if TYPE_CHECKING:
    from edgetpu.quantize_files import QuantizeReport
    from edgetpu.report import Port


def size(count: int) -> str:
    """Bytes as the compiler writes them."""
    for unit, power in (("MiB", 20), ("KiB", 10)):
        if count >= 2**power:
            return f"{count / 2**power:.2f} {unit}"
    return f"{count} B"


def shown_pages(path: str, shown: Shown, *, tensors: bool) -> Iterator[Table]:
    """A file: what it is, its parts on the Edge TPU, its operators.

    Args:
        path: Where it was read.
        shown: What is in it.
        tensors: Whether to list all tensors too.
    """
    yield figures(path, _file_rows(shown))
    for part in shown.edge_tpu:
        yield figures(
            f"operator {part.index} on the Edge TPU", _part_rows(part)
        )
    for number, graph in enumerate(shown.graphs):
        title = f"subgraph {number}" if number else "operators"
        yield _operator_table(title, graph)
        if tensors:
            yield _tensor_table(graph)


def forecast_pages(path: str, found: Forecast) -> Iterator[Table]:
    """A forecast: figures, the compiler's table, what stays on the CPU."""
    yield figures(path, _forecast_rows(found))
    yield _status_table(found)
    left = [each for each in found.operators if not each.on_edge_tpu]
    if left and found.compiles:
        yield _left_table(left)


def quantized_pages(made: QuantizeReport) -> Iterator[Table]:
    """An int8 file and what is forecast of it."""
    total = sum(made.operators.values())
    rows = [
        ("int8 file", f"{made.file}, {size(made.bytes)}"),
        ("input", port(made.input)),
        ("output", f"{made.head}, {port(made.output)}"),
        (
            "calibrated with",
            f"{made.calibration_images} images of {made.calibration}, by "
            f"{made.calibration_range}",
        ),
        ("on the Edge TPU", f"{made.on_edge_tpu} of {total} operators"),
    ]
    rows += [("problem", problem) for problem in made.problems]
    rows += [("note", caution) for caution in made.cautions]
    yield figures(made.network, rows)


def port(taken: Port) -> str:
    """An input or output."""
    return (
        f"{taken.dtype} {list(taken.shape)}, scale {taken.scale:.7g}, zero "
        f"point {taken.zero_point}"
    )


def compiled_pages(made: CompileReport) -> Iterator[Table]:
    """Files from the compiler, then what is worth knowing of all of them."""
    for file in made.files:
        yield figures(f"{file.file} in {made.folder}", compiled_rows(file))
    rows = [
        (f"try {number}", f"{attempt.operators} operators to the Edge TPU")
        for number, attempt in enumerate(made.attempts, 1)
    ]
    rows += [("note", caution) for caution in made.cautions]
    if rows:
        yield figures("besides", rows)


def compiled_rows(compiled: CompiledFile) -> Rows:
    """What the compiler said of a file."""
    log = compiled.log
    return [
        ("Edge TPU file", f"{compiled.file}, {size(compiled.bytes)}"),
        (
            "operators",
            f"{_known(log.on_edge_tpu)} on the Edge TPU, "
            f"{_known(log.on_cpu)} on the CPU",
        ),
        (
            "parameters",
            f"{_size_if_known(log.on_chip_used_bytes)} on chip, "
            f"{_size_if_known(log.off_chip_bytes)} streamed",
        ),
        *(
            (row.operator, f"{row.count} on the CPU: {row.status}")
            for row in log.rows
            if row.status != MAPPED
        ),
    ]


def _known(count: int | None) -> str:
    return "?" if count is None else str(count)


def _size_if_known(count: int | None) -> str:
    return "?" if count is None else size(count)


def _file_rows(shown: Shown) -> Rows:
    main = shown.graphs[0]
    rows = [
        ("size", f"{size(shown.bytes)}, {shown.bytes:,} bytes"),
        ("written by", shown.description or "not said"),
        ("needs", f"TensorFlow Lite {shown.min_runtime or 'not said'}"),
        (
            "compiled",
            "for the Edge TPU" if shown.compiled else "not for the Edge TPU",
        ),
        (
            "operators",
            ", ".join(f"{n} {name}" for name, n in main.counts.items()),
        ),
        ("parameters", size(main.parameter_bytes)),
    ]
    for words, places in (("input", main.inputs), ("output", main.outputs)):
        rows += [(words, _told(main.tensors[place])) for place in places]
    return rows


def _told(tensor: ShownTensor) -> str:
    open_ = ", batch left open" if tensor.dynamic else ""
    return (
        f"{tensor.dtype} {list(tensor.shape)}{open_}, "
        f"{_quantization(tensor)}: {tensor.name}"
    )


def _quantization(tensor: ShownTensor) -> str:
    if not tensor.scale:
        return "not quantized"
    if len(tensor.scale) > 1:
        return f"{len(tensor.scale)} scales along axis {tensor.axis}"
    return f"scale {tensor.scale[0]:.7g}, zero point {tensor.zero_point[0]}"


def _part_rows(part: EdgeTpuPart) -> Rows:
    package, program = part.package, part.package.runs
    rows = [
        ("parameters on the chip", size(part.cached_bytes)),
        ("parameters streamed", size(part.streamed_bytes)),
        ("runtime", f"{package.min_runtime} or newer"),
        ("caching token", str(part.caching_token)),
        ("programs", ", ".join(each.type for each in package.executables)),
        ("instructions", size(program.instruction_bytes)),
        ("scratch on the host", size(program.scratch_bytes)),
        ("chip, batch", f"{program.chip}, {program.batch}"),
    ]
    if program.estimated_cycles:
        rows.append(("cycles", f"{program.estimated_cycles:,}, a guess"))
    rows += [("input", _layer(layer)) for layer in program.inputs]
    rows += [("output", _layer(layer)) for layer in program.outputs]
    return rows


def _layer(layer: Layer) -> str:
    return (
        f"{layer.dtype} {list(layer.shape)}, scale {layer.scale:.7g}, zero "
        f"point {layer.zero_point}: {layer.name}"
    )


def _operator_table(title: str, graph: ShownGraph) -> Table:
    table = Table(title=title, title_justify="left")
    for column in ("", "operator", "version", "output", "parameters"):
        right = column in ("", "version", "parameters")
        table.add_column(column, justify="right" if right else "left")
    table.add_column("options", overflow="fold")
    for operator in graph.operators:
        constants = [
            graph.tensors[place]
            for place in operator.inputs
            if graph.tensors[place].constant
        ]
        outputs = [graph.tensors[place] for place in operator.outputs]
        table.add_row(
            str(operator.index),
            operator.name,
            str(operator.version),
            ", ".join(
                f"{tensor.dtype} {'x'.join(map(str, tensor.shape))}"
                for tensor in outputs
            ),
            size(sum(tensor.bytes for tensor in constants)),
            ", ".join(
                f"{name} {_plain(value)}"
                for name, value in operator.options.items()
            ),
        )
    return table


def _plain(value: object) -> str:
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _tensor_table(graph: ShownGraph) -> Table:
    table = Table(title="tensors", title_justify="left")
    table.add_column("", justify="right")
    table.add_column("name", overflow="fold")
    for column in ("type", "shape", "size", "quantization"):
        table.add_column(column)
    for tensor in graph.tensors:
        table.add_row(
            str(tensor.index),
            tensor.name,
            tensor.dtype + (", constant" if tensor.constant else ""),
            "x".join(map(str, tensor.shape)),
            size(tensor.bytes),
            _quantization(tensor),
        )
    return table


def _forecast_rows(found: Forecast) -> Rows:
    count = sum(operator.on_edge_tpu for operator in found.operators)
    total = len(found.operators)
    sizes = found.memory
    rows = []
    for failure in found.failures:
        rows += [
            ("compiler", f"fails: {failure.message}"),
            ("because", failure.cause),
            ("cure", failure.cure),
        ]
    if found.compiles:
        rows.append(("compiler", "16.0 takes it, by all that is known"))
    rows += [
        ("on the Edge TPU", f"{count} of {total} operators"),
        ("subgraphs", str(found.subgraphs)),
        ("parameters", f"about {size(sizes.parameter_bytes)} as stored there"),
        ("on the chip", f"about {size(sizes.on_chip_bytes)}"),
        ("streamed", f"about {size(sizes.streamed_bytes)} for each input"),
    ]
    if found.latency:
        rows.append(
            (
                "latency",
                f"about {found.latency.milliseconds:.1f} ms; "
                f"{found.latency.basis}",
            )
        )
    return [*rows, *(("note", caution) for caution in found.cautions)]


def _status_table(found: Forecast) -> Table:
    table = Table(title="as the compiler's -s", title_justify="left")
    table.add_column("operator")
    table.add_column("count", justify="right")
    table.add_column("status", overflow="fold")
    counts = Counter(
        (operator.name, operator.reason.partition(":")[0])
        for operator in found.operators
    )
    order = sorted(counts.items(), key=lambda row: (row[0][1] != MAPPED, row))
    for (name, status), count in order:
        table.add_row(name, str(count), status)
    return table


def _left_table(left: list[OperatorForecast]) -> Table:
    table = Table(title="on the CPU", title_justify="left")
    table.add_column("", justify="right")
    table.add_column("operator", overflow="fold", max_width=24)
    table.add_column("why, and what would do", overflow="fold")
    for reason, operators in groupby(left, key=lambda each: each.reason):
        run = list(operators)
        names = dict.fromkeys(operator.name for operator in run)
        first, last = run[0].index, run[-1].index
        numbers = str(first) if first == last else f"{first} to {last}"
        table.add_row(numbers, ", ".join(names), reason)
    return table
