from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.bounds import bound, bytes_per_image, flops_per_image
from benchmarks.harness import Row
from benchmarks.limits import ARITHMETIC, BANDWIDTH, PRODUCT, SUM
from benchmarks.machine import this_machine
from benchmarks.performance_page import (
    EXPERIMENT_COLUMNS,
    EXPERIMENTS,
    PUBLISHED,
    PUBLISHED_COLUMNS,
    page,
)
from benchmarks.results import RESULTS, Result, save
from efficientnet_tf.errors import InputError
from efficientnet_tf.networks import network

ROOT = Path(__file__).parents[2]
B0 = "efficientnet-b0"
PEER = "keras.applications EfficientNetB0"


def result(benchmark: str, *rows: Row) -> Result:
    return Result(
        benchmark=benchmark,
        command=f"python -m benchmarks.{benchmark}",
        machine=this_machine([]),
        settings={"pixels": 224, "batch": 32, "threads": 2},
        rows=rows,
    )


TRAIN_STEP = result(
    "train_step",
    Row(B0, "images_per_second", 20.0, "images/s", 19.0, 21.0, 7, PEER, 1.5),
    Row(PEER, "images_per_second", 13.0, "images/s", 12.0, 14.0, 7),
)
# 50 GFLOP/s are 21.6 images of 2.3 GFLOP; 20 GB/s are more than those.
LIMITS = result(
    "limits",
    Row(PRODUCT, ARITHMETIC, 50.0, "GFLOP/s"),
    Row(SUM, BANDWIDTH, 20.0, "GB/s"),
)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A folder without any result."""
    for name, columns in (
        (PUBLISHED, PUBLISHED_COLUMNS),
        (EXPERIMENTS, EXPERIMENT_COLUMNS),
    ):
        (tmp_path / name).write_text(",".join(columns) + "\n")
    return tmp_path


def table(text: str, heading: str) -> list[dict[str, str]]:
    """The first table below a heading, by its columns."""
    below = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in re.findall(r"^\|.*\|$", below, re.M)
    ]
    width = len(lines[0])
    rows = [line for line in lines[2:] if len(line) == width]
    return [dict(zip(lines[0], row, strict=True)) for row in rows]


def test_the_page_is_as_its_generator_makes_it() -> None:
    assert (ROOT / "docs/performance.md").read_text() == page(RESULTS), (
        "run: python -m benchmarks.performance_page docs/performance.md"
    )


def test_the_bound_of_a_machine() -> None:
    resolved = network(B0)
    # From the paper's 0.39 billion multiply-adds, and timm's 6.75 M
    # activations (tests/golden/activations.csv).
    assert flops_per_image(resolved) == pytest.approx(6 * 0.386e9, rel=0.01)
    assert bytes_per_image(resolved) == pytest.approx(20 * 6.75e6, rel=0.01)
    slow = bound(resolved, 50e9, 20e9)
    assert (slow.by, slow.images_per_second) == (
        "FLOPs",
        pytest.approx(21.6, rel=0.01),
    )
    narrow = bound(resolved, 500e9, 20e9)
    assert (narrow.by, narrow.images_per_second) == (
        "bytes",
        pytest.approx(148, rel=0.01),
    )


def test_published_measured_and_limit_have_columns_of_their_own(
    results: Path,
) -> None:
    save(TRAIN_STEP, results)
    save(LIMITS, results)
    with (results / PUBLISHED).open("a") as file:
        file.write(f"train_step,{B0},images_per_second,99,there,a paper\n")
    text = page(results)
    ours, peer = table(text, "A train step on a CPU")
    assert ours["published"] == "99" and peer["published"] == ""
    assert ours["measured"] == "20" and peer["measured"] == "13"
    assert float(ours["limit"]) == pytest.approx(21.6, rel=0.01)
    assert ours["share of it"] == "93%" and peer["limit"] == ""
    assert ours["quartiles"] == "19 to 21"
    assert f"published of {B0}: there; a paper" in text
    assert "FLOPs decide" in text
    assert f"| {B0} | {PEER} | images_per_second | 1.50 |" in text


def test_a_limit_of_other_threads_is_not_shown(results: Path) -> None:
    save(TRAIN_STEP, results)
    settings = {"threads": 1}
    save(dataclasses.replace(LIMITS, settings=settings), results)
    text = page(results)
    assert "limit" not in table(text, "A train step on a CPU")[0]
    assert "There is no column **limit**" in text
    assert "There is no column **published**" in text


def test_what_a_compiler_says_is_not_called_measured(results: Path) -> None:
    rows = (Row(B0, "bytes_per_image", 120.0, "MB", peer=PEER, ratio=0.8),)
    said = dataclasses.replace(
        result("train_step_tpu", *rows), kind="estimated"
    )
    save(said, results)
    (row,) = table(page(results), "A train step for a TPU")[:1]
    assert row["estimated"] == "120" and "measured" not in row


def test_what_was_not_taken_is_named(results: Path) -> None:
    text = page(results)
    assert "Not taken yet. `python -m benchmarks.train_step --save`" in text
    assert text.endswith("Nothing yet.\n")


def test_experiments(results: Path) -> None:
    with (results / EXPERIMENTS).open("a") as file:
        file.write('2026-01-02,"a|b",why,faster,slower,no\n')
    (row,) = table(page(results), "What was tried")
    assert list(row) == list(EXPERIMENT_COLUMNS)
    assert row["change"] == "a/b" and row["kept"] == "no"


@pytest.mark.parametrize(
    ("text", "message"),
    [("a,b\n", "has the columns a,b"), ("", "is empty")]
    + [(",".join(EXPERIMENT_COLUMNS) + "\n1,2\n", "a row has 2 of 6")],
)
def test_a_table_that_is_wrong(results: Path, text: str, message: str) -> None:
    (results / EXPERIMENTS).write_text(text)
    with pytest.raises(InputError, match=f"experiments.csv.* {message}"):
        page(results)


def test_a_result_without_a_section(results: Path) -> None:
    save(result("strange"), results)
    with pytest.raises(
        InputError, match=r"strange\.json belongs to no section"
    ):
        page(results)


def test_the_command_needs_no_tensorflow(tmp_path: Path) -> None:
    path = tmp_path / "performance.md"
    code = (
        "import sys, runpy\n"
        f"sys.argv = ['x', {str(path)!r}]\n"
        "try: runpy.run_module('benchmarks.performance_page', "
        "run_name='__main__')\n"
        "except SystemExit as end: assert not end.code\n"
        "assert not {'tensorflow', 'keras', 'torch'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    assert path.read_text() == page(RESULTS)
