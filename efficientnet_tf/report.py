"""Tables at the end of long work."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from efficientnet_tf.data.check import Checked
    from efficientnet_tf.data.dataset import RecordDataset
    from efficientnet_tf.modeling.load_report import LoadReport
    from efficientnet_tf.predict import Prediction
    from efficientnet_tf.training.config import Config

# Problems of data that are named one by one.
PROBLEMS_SHOWN = 20

# Where nobody watches, lines are as long as they need to be.
PIPE_WIDTH = 120

Rows = list[tuple[str, str]]


def console() -> Console:
    """Where tables go: stdout, at the terminal's width."""
    return Console(
        width=None if sys.stdout.isatty() else PIPE_WIDTH,
        # Names of files and classes are shown as they are.
        markup=False,
        emoji=False,
    )


def figures(title: str, rows: Iterable[tuple[str, str]]) -> Table:
    """Names and values side by side."""
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, value)
    return table


def run_title(result: Mapping[str, Any]) -> str:
    """What was trained on what."""
    pixels = result["pixels"]
    return f"{result['model']} at {pixels} x {pixels} on {result['data']}"


def run_rows(result: Mapping[str, Any]) -> Rows:
    """What `result.json` says, for people."""
    return [
        (
            "trained",
            f"{result['steps']:,} steps, {result['epochs']:.1f} epochs on "
            f"{result['devices']}, {result['precision']}",
        ),
        *_score_rows(result),
        ("images per second", f"{result['images_per_second']:.0f}, training"),
        *(export_rows(result) if "files" in result else ()),
        ("everything", result["model_dir"]),
    ]


def evaluation_rows(result: Mapping[str, Any]) -> Rows:
    """What an evaluation found, for people."""
    return [
        (
            "checkpoint",
            f"{result['checkpoint']}, after {result['step']:,} steps",
        ),
        ("data", f"{result['data']}, {result['split']}"),
        *_score_rows(
            {
                **result,
                "validation_images": result["images"],
                "validation_skipped": result["skipped"],
            }
        ),
        ("loss", f"{result['loss']:.4f}"),
        (
            "calibration error",
            f"{result['calibration_error']:.4f}, expected, in 15 bins",
        ),
        ("everything", result["out"]),
    ]


def followed(line: Mapping[str, Any]) -> str:
    """A line of `follow.jsonl`, for people."""
    return (
        f"step {line['step']:,}: top-1 {line['top1']:.4f} averaged weights, "
        f"{line['raw_top1']:.4f} raw weights, top-5 {line['top5']:.4f}, "
        f"loss {line['loss']:.4f}, {line['images']:,} images"
    )


def export_facts(
    report: Mapping[str, Any] | None, files: Sequence[str], out: str
) -> dict[str, Any]:
    """What an export leaves for `result.json`.

    Args:
        report: The int8 export's report, as plain values; None without one.
        files: Paths of files besides those that it names.
        out: Its folder.
    """
    if report is None:
        return {"files": _sizes(files)}
    made = [report["file"]]
    if report["compiled"]:
        made.append(report["compiled"]["file"])
    paths = [*files, *(os.path.join(out, name) for name in made)]
    return {
        "int8_top1": report["comparison"]["int8_top1"],
        "int8_agreement": report["comparison"]["agreement"],
        "int8_float_top1": report["comparison"]["float_top1"],
        "int8_images": report["comparison"]["images"],
        "not_compiled": report["not_compiled"],
        "files": _sizes(paths),
    }


def export_rows(exported: Mapping[str, Any]) -> Rows:
    """What `export_facts` says, for people."""
    rows = _int8_rows(exported) if "int8_top1" in exported else []
    rows += [
        (f"{size / 1e6:.2f} MB", path)
        for path, size in exported["files"].items()
    ]
    return rows


def _int8_rows(exported: Mapping[str, Any]) -> Rows:
    rows = [
        (
            "int8 top-1",
            f"{exported['int8_top1']:.4f} on {exported['int8_images']:,} "
            f"images, where float has {exported['int8_float_top1']:.4f}",
        ),
        ("int8 agrees with float", f"{exported['int8_agreement']:.4f}"),
    ]
    if exported["not_compiled"]:
        rows.append(("not compiled", exported["not_compiled"]))
    return rows


def _sizes(paths: Iterable[str]) -> dict[str, int]:
    """Bytes of each file."""
    import tensorflow as tf

    return {path: tf.io.gfile.stat(path).length for path in paths}


def predictions(predicted: Iterable[Prediction]) -> Table:
    """The likeliest classes of images, a row each."""
    table = Table(title="predictions", title_justify="left")
    table.add_column("image", overflow="fold")
    table.add_column("class", overflow="fold")
    table.add_column("probability", justify="right")
    for prediction in predicted:
        table.add_section()
        image = prediction.image
        if prediction.error:
            table.add_row(image, prediction.error, "")
        for guess in prediction.top:
            table.add_row(image, guess.label, f"{guess.probability:.4f}")
            image = ""
    return table


def dataset_facts(dataset: RecordDataset) -> dict[str, Any]:
    """What `prepare` made."""
    return {
        "path": dataset.path,
        "classes": dataset.classes,
        "train_images": dataset.train.images,
        "train_shards": len(dataset.train.files),
        "validation_images": dataset.validation.images,
        "validation_shards": len(dataset.validation.files),
    }


def check_tables(checked: Checked) -> list[Table]:
    """What a check found, for people: counts, then the first of them."""
    counts = Table(title=checked.data_dir, title_justify="left")
    counts.add_column(no_wrap=True)
    for split in checked.records:
        counts.add_column(split, justify="right")
    rows = [("whole records", checked.records), *checked.counts().items()]
    for name, by_split in rows:
        counts.add_row(name, *(f"{n:,}" for n in by_split.values()))
    if not checked.problems:
        return [counts]
    shown = checked.problems[:PROBLEMS_SHOWN]
    title = f"{len(checked.problems):,} problems"
    if len(shown) < len(checked.problems):
        title += f", of which the first {len(shown)}; --json has all"
    named = Table("file", "at byte", "", title=title, title_justify="left")
    for each in shown:
        at = "" if each.offset is None else f"{each.offset:,}"
        named.add_row(each.file, at, f"{each.kind}: {each.what}")
    return [counts, named]


def import_facts(
    config: Config, model_dir: str, report: LoadReport
) -> dict[str, Any]:
    """What `import` made of a checkpoint."""
    network = config.network()
    return {
        "model": network.name,
        "checkpoint": report.source,
        "model_dir": model_dir,
        "pixels": network.pixels,
        "classes": network.classes,
        "normalization": network.normalization.name,
        "fused_stride": config.model.fused_stride,
        "variables": len(report.assigned),
        "averaged": report.averaged,
        "fresh": dict(Counter(report.fresh.values())),
        "unused": dict(Counter(report.unused.values())),
    }


def rows_of(facts: Mapping[str, Any]) -> Rows:
    """Facts as rows; counts by reason have a row each."""
    rows: Rows = []
    for name, value in facts.items():
        if isinstance(value, Mapping):
            rows += [(name, f"{n:,}: {reason}") for reason, n in value.items()]
        else:
            text = f"{value:,}" if isinstance(value, int) else str(value)
            rows.append((name, text))
    return rows


def _skipped(result: Mapping[str, Any]) -> str:
    """Of results that are older than the count, nothing."""
    skipped = result.get("validation_skipped")
    return f", {skipped:,} records could not be used" if skipped else ""


def _score_rows(result: Mapping[str, Any]) -> Rows:
    return [
        (
            f"top-{count}",
            f"{result[f'top{count}']:.4f} averaged weights, "
            f"{result[f'raw_top{count}']:.4f} raw weights, "
            f"{result['validation_images']:,} images{_skipped(result)}",
        )
        for count in (1, 5)
    ]
