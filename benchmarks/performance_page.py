"""docs/performance.md, made of what the benchmarks have saved.

    python -m benchmarks.performance_page docs/performance.md

Reads results/*.json, results/published.csv and results/experiments.csv.
"""

from __future__ import annotations

import csv
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bounds import bound, bytes_per_image, flops_per_image
from benchmarks.harness import Row
from benchmarks.input_pipeline_worker import IMAGES_PER_CORE
from benchmarks.limits import ARITHMETIC, BANDWIDTH, PRODUCT, SUM
from benchmarks.results import (
    RESULTS,
    Result,
    load,
    number,
    ratio_spread,
    spread,
)
from benchmarks.targets import verdicts
from benchmarks.train_step_worker import IMAGES
from efficientnet_tf.command_line import run
from efficientnet_tf.errors import InputError
from efficientnet_tf.networks import network, variants

PUBLISHED, EXPERIMENTS = "published.csv", "experiments.csv"
EXPERIMENT_COLUMNS = (
    "date",
    "change",
    "why",
    "predicted",
    "measured",
    "kept",
)
PUBLISHED_COLUMNS = ("benchmark", "name", "metric", "value", "where", "source")

_WIDTH = 80

_INTRO = """\
# Performance

Generated (`python -m benchmarks.performance_page docs/performance.md`) from
`benchmarks/results/`; a test holds it against its generator. Each section names
the command that measures it anew; `--save` keeps what it finds.

All who are compared take turns in one run, each round from the other end.
**measured** is the median of the rounds, with the quartiles beside it; a
**ratio** is the first name's figure by the peer's, the median of the rounds'
ratios, again with its quartiles; of images per second more is better, of
seconds and bytes less. Figures hold for the machine that the section names, at
the load that it names; ratios go further. **estimated** is what a compiler
says of a program that nobody has run.
"""

_NOT_PUBLISHED = """\
There is no column **published**: no source is known that gives these figures
for such a machine. One would be a row of `benchmarks/results/published.csv`.
"""
_LIMIT = (
    "**limit** is what no step can surpass on this machine, as long as no "
    "cache holds what a layer gives for a batch: {flops:.2f} GFLOP "
    "and at least {bytes:.0f} MB an image for {name} (see "
    "`benchmarks/bounds.py`), at {gflops:.1f} GFLOP/s and {gigabytes:.1f} "
    "GB/s; {by} decide."
)
_NO_LIMIT = (
    "There is no column **limit**: `python -m benchmarks.limits --save` was "
    "not run on the same machine with as many threads."
)


@dataclass(frozen=True)
class Section:
    """A benchmark's part of the page.

    Attributes:
        title: Its heading.
        text: What one should know to read the figures.
        command: What takes them.
    """

    title: str
    text: str
    command: str


SECTIONS = {
    "train_step": Section(
        "A train step on a CPU",
        "Float32, softmax cross entropy with label smoothing, SGD with "
        "momentum; each contender in a process of its own. keras.applications' "
        "network runs in the project's own train call; tf_keras in the "
        "least `tf.function`; timm on PyTorch, eager, channels last. Ours "
        "chooses oneDNN's kernels at this size, which TensorFlow 2.20 leaves "
        "off on such a machine; the peers on TensorFlow take part as they are "
        "installed, and once more with oneDNN asked for. The time to the "
        "first step includes importing, building and tracing.",
        "python -m benchmarks.train_step",
    ),
    "input_pipeline": Section(
        "The input pipeline",
        "Images per second of CPU time of all threads and processes of a "
        "contender, in batches, on the same crops of the same pictures. limit: "
        "libjpeg-turbo of the system decodes the crops in C, by TensorFlow's "
        "settings, and does nothing else; decoding: TensorFlow's own decoder "
        "in tf.data does nothing else. ours: `training_image`, ops in the "
        "arithmetic fused unless another one is named; uncompiled: the same "
        "where no C compiler was at hand when it was installed. plain: the "
        "obvious tf.data chain, float32, no antialias. original: the graph of "
        "tensorflow/tpu in TensorFlow 2's words, legacy kernels, ops in uint8. "
        "keras, keras_cv: their RandAugment behind the plain chain, float32. "
        "torchvision: PIL, whole decode, antialias, uint8; grain and "
        "DataLoader prepare the same by threads and by processes. opencv: "
        "whole decode, no antialias, uint8. RandAugment is 2 ops at magnitude "
        "10, which is a third of the way in torchvision's; the ops follow the "
        "bilinear kernel.",
        "taskset -c 0 python -m benchmarks.input_pipeline --threads=1",
    ),
    "input_stream": Section(
        "The stream of a training",
        "From 512 records in 16 TFRecord files with 1000 classes, by one "
        "thread and in float32, unless its name says otherwise, resized by "
        "the bilinear kernel. ours, whole: what training calls: records are "
        "read, checked, judged, shuffled, decoded, cut, mirrored and batched. "
        "limit and ours: as above. Images per second of CPU time, and by the "
        "clock on the wall.",
        "python -m benchmarks.input_pipeline --tasks=whole",
    ),
    "input_memory": Section(
        "What the input pipeline holds",
        "The default recipe for ImageNet on one host with one replica: the "
        "largest resident memory of a process that has built the network and "
        "takes batches of 2048 float32 images, TensorFlow included. "
        "shuffle_bytes is 3 GiB by default, prefetch_bytes 2 GiB. On one "
        "replica a batch of 2048, 1.2 GiB, waits whatever prefetch_bytes is: "
        "what is between those two rows is chance. Allowed: 12 GiB.",
        "python -m benchmarks.input_memory",
    ),
    "scaling_costs": Section(
        "Networks that are costed in a minute",
        "Scaled by exponents at random, rounded, resolved into blocks and "
        "costed: multiply-adds, parameters, activations; one core, no "
        "TensorFlow. Aimed at: 100,000.",
        "python -m benchmarks.scaling_costs",
    ),
    "limits": Section(
        "What this machine can do",
        "The best of the rounds, by the CPU's seconds, times threads: what "
        "others take of the machine lowers no limit. The limits above are made "
        "of it.",
        "python -m benchmarks.limits",
    ),
    "train_step_tpu": Section(
        "A train step for a TPU",
        "The same train step and keras.applications' network in it, compiled "
        "for a TPU with the same options. Nothing was run: bytes, memory and "
        "cycles are the compiler's own account.",
        "python -m benchmarks.train_step_tpu",
    ),
    "efficiency": Section(
        "What the paper claims of size and speed",
        "An image at a time through LiteRT, on one thread by that thread's own "
        "clock, float32 and int8, each network at its published size with "
        "fresh weights, as it is built here and as keras.applications builds "
        "it (whose EfficientNets normalise pixels themselves). The paper says "
        "that EfficientNet-B1 is 7.6 times smaller than ResNet-152 and 5.7 "
        "times faster on one core: ratios of 0.13 and 0.18.",
        "python -m benchmarks.efficiency",
    ),
    "trace_time": Section(
        "Time to trace",
        "The default recipe at the published size, in a fresh process each.",
        "python -m benchmarks.trace_time",
    ),
    "host_overhead": Section(
        "What the host adds to a step",
        "A network so small that little but overhead is left. A training pays "
        "for the call once in `train.steps_per_call` steps.",
        "python -m benchmarks.host_overhead",
    ),
    "memory": Section(
        "Memory for time",
        "Resident memory beyond what the process had before its first step.",
        "python -m benchmarks.memory",
    ),
    "pointwise": Section(
        "1x1 convolutions as matrix products",
        "All gradients of a small network, with either.",
        "python -m benchmarks.pointwise",
    ),
    "build_time": Section(
        "Time to build",
        "Fresh weights included.",
        "python -m benchmarks.build_time",
    ),
    "litert_latency": Section(
        "An image on a CPU, by LiteRT",
        "EfficientNet-EdgeTPU-S as `python main.py export` writes it, and "
        "keras.applications' MobileNetV2 as TensorFlow's guide converts it; "
        "batch 1, 1001 classes, fresh weights, each file in a process of its "
        "own that has LiteRT with its defaults (XNNPACK) and nothing else. "
        "latency_ms is what one waits, cpu_ms what all threads together use, "
        "which does not count what others take of the machine. Aimed at: int8 "
        "at least twice as fast as float on one thread. On this processor most "
        "of int8's time is in XNNPACK's kernels for AVX512-VNNI, which "
        "multiplies four bytes and adds them up in one instruction (`perf "
        "record`: xnn_qs8_qc8w_igemm and gemm, avx512vnni_prfm). float16 and "
        "dynamic_range save space first: weights of the former become float32 "
        "as the file is loaded, and inputs of the latter int8 each time.",
        "python -m benchmarks.litert_latency",
    ),
    "fine_tuning": Section(
        "Fine-tuning against training from scratch",
        "Top-1 on five classes of CIFAR-10, by a network that learnt the other "
        "five before, and by a fresh one.",
        "python -m benchmarks.fine_tuning",
    ),
}


def page(results: Path) -> str:
    """The page's text.

    Args:
        results: The folder of the saved results.

    Raises:
        InputError: A file in it is no result, or belongs to no section.
    """
    found = {path.stem: load(path) for path in sorted(results.glob("*.json"))}
    strange = sorted(found.keys() - SECTIONS.keys())
    if strange:
        raise InputError(
            f"{strange[0]}.json belongs to no section of the page; there is: "
            f"{', '.join(SECTIONS)}"
        )
    published = read_table(results / PUBLISHED, PUBLISHED_COLUMNS)
    parts = [_INTRO] if published else [_INTRO, _NOT_PUBLISHED]
    for name, section in SECTIONS.items():
        parts.append(f"## {section.title}\n")
        if name in found:
            mine = [row for row in published if row["benchmark"] == name]
            limits = found.get("limits") if name == "train_step" else None
            parts += _section(section, found[name], mine, limits)
        else:
            how = f" `{section.command} --save`" if section.command else ""
            parts.append(f"Not taken yet.{how}\n")
    parts += _experiments(read_table(results / EXPERIMENTS, EXPERIMENT_COLUMNS))
    return "\n".join(parts)


def read_table(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """The rows of a file that is written by hand.

    Raises:
        InputError: It has other columns, or a row has another number of them.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    if not rows:
        raise InputError(f"{path.name} is empty; it needs {','.join(columns)}")
    header, *lines = rows
    if tuple(header) != columns:
        raise InputError(
            f"{path.name} has the columns {','.join(header)}; it needs "
            f"{','.join(columns)}"
        )
    for line in lines:
        if len(line) != len(columns):
            raise InputError(
                f"{path.name}: a row has {len(line)} of {len(columns)} "
                f"columns: {','.join(line)[:60]}"
            )
    return [dict(zip(columns, line, strict=True)) for line in lines]


def _section(
    section: Section,
    result: Result,
    published: list[dict[str, str]],
    limits: Result | None,
) -> list[str]:
    """Text, tables, and the machine."""
    settings = ", ".join(f"{key} {v}" for key, v in result.settings.items())
    parts = [_paragraph(section.text), f"`{result.command}`: {settings}.\n"]
    bounds: dict[str, float] = {}
    if result.benchmark == "train_step":
        said, bounds = _bounds(result, limits)
        parts += [_paragraph(line) for line in said]
    parts.append(_figures(result, published, bounds))
    if result.benchmark == "input_pipeline":
        parts.append(_verdicts(result))
    ratios = [row for row in result.rows if row.ratio is not None]
    if ratios:
        parts.append(_ratios(ratios))
    parts += [
        f"- published of {row['name']}: {row['where']}; {row['source']}\n"
        for row in published
    ]
    parts += [
        f"- missing: {name}: {reason}\n"
        for name, reason in result.missing.items()
    ]
    return [*parts, f"Machine: {result.machine.line()}.\n"]


def _bounds(
    result: Result, limits: Result | None
) -> tuple[list[str], dict[str, float]]:
    """Sentences about the limit, and images per second by network."""
    same = limits is not None and (
        limits.machine.cpu == result.machine.cpu
        and limits.settings["threads"] == result.settings["threads"]
    )
    if limits is None or not same:
        return [_NO_LIMIT], {}
    best = {(row.name, row.metric): row.value for row in limits.rows}
    gflops, gigabytes = best[PRODUCT, ARITHMETIC], best[SUM, BANDWIDTH]
    said, found = [], {}
    for name in dict.fromkeys(row.name for row in result.rows):
        if name not in variants():
            continue
        resolved = network(name, pixels=int(result.settings["pixels"]))
        most = bound(resolved, gflops * 1e9, gigabytes * 1e9)
        found[name] = most.images_per_second
        said.append(
            _LIMIT.format(
                flops=flops_per_image(resolved) / 1e9,
                bytes=bytes_per_image(resolved) / 1e6,
                name=name,
                gflops=gflops,
                gigabytes=gigabytes,
                by=most.by,
            )
        )
    return said, found


def _figures(
    result: Result,
    published: list[dict[str, str]],
    bounds: Mapping[str, float],
) -> str:
    """A row for each name and metric; columns only where they hold something.

    Published, measured and limit never share one.
    """
    theirs = {(row["name"], row["metric"]): row["value"] for row in published}
    ours = {(row.name, row.metric): row for row in result.rows}
    header = ["name", "metric", "unit"]
    header += ["published"] if theirs else []
    header += [result.kind, "quartiles"]
    header += ["limit", "share of it"] if bounds else []
    lines = []
    for key in [*ours, *(key for key in theirs if key not in ours)]:
        row = ours.get(key)
        cells = [*key, row.unit if row else ""]
        cells += [theirs.get(key, "")] if theirs else []
        cells += [number(row.value), spread(row)] if row else ["", ""]
        if bounds:
            limit = bounds.get(key[0]) if key[1] == IMAGES else None
            share = f"{row.value / limit:.0%}" if row and limit else ""
            cells += [number(limit) if limit else "", share]
        lines.append(cells)
    return _markdown(header, lines, left=3)


def _verdicts(result: Result) -> str:
    """What was asked of the input pipeline."""
    lines = [
        [
            verdict.target.name,
            verdict.peer or ", ".join(verdict.target.peers),
            verdict.said,
            f"{verdict.target.ratio:.2f}",
            f"{verdict.ratio:.2f}" if verdict.ratio else "",
        ]
        for verdict in verdicts(result.rows, IMAGES_PER_CORE)
    ]
    header = ["asked of", "against the fastest", "", "asked", "ratio"]
    return _markdown(header, lines, left=3)


def _ratios(compared: list[Row]) -> str:
    lines = [
        [
            row.name,
            row.peer or "",
            row.metric,
            f"{row.ratio:.2f}",
            ratio_spread(row),
        ]
        for row in compared
    ]
    header = ["name", "peer", "metric", "ratio", "quartiles"]
    return _markdown(header, lines, left=3)


def _experiments(tried: list[dict[str, str]]) -> list[str]:
    """What was tried, also where it was of no use."""
    parts = [
        "## What was tried\n",
        "The prediction was written down before the measurement, and stays "
        "where it was wrong; kept by hand in "
        "`benchmarks/results/experiments.csv`.\n",
    ]
    if tried:
        lines = [list(row.values()) for row in tried]
        header = list(EXPERIMENT_COLUMNS)
        return [*parts, _markdown(header, lines, left=len(header))]
    return [*parts, "Nothing yet.\n"]


def _paragraph(text: str) -> str:
    return textwrap.fill(text, _WIDTH, break_on_hyphens=False) + "\n"


def _markdown(header: list[str], lines: list[list[str]], left: int) -> str:
    """A table whose first `left` columns are words, and the rest numbers."""
    rules = ["---"] * left + ["---:"] * (len(header) - left)
    table = [header, rules, *lines]
    return "".join(
        f"| {' | '.join(cell.replace('|', '/') for cell in line)} |\n"
        for line in table
    )


def _main() -> None:
    if len(sys.argv) != 2:
        raise InputError("usage: python -m benchmarks.performance_page FILE")
    Path(sys.argv[1]).write_text(page(RESULTS), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(run("performance_page.py", _main))
