from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.flags import add_flags, finish
from benchmarks.harness import Row
from benchmarks.machine import this_machine, usable_cores
from benchmarks.results import (
    RESULTS,
    Result,
    from_json,
    load,
    number,
    save,
    to_json,
)
from efficientnet_tf.errors import InputError

ROOT = Path(__file__).parents[2]
RESULT = Result(
    benchmark="trial",
    command="python -m benchmarks.trial",
    machine=this_machine(["numpy", "no-such-package"]),
    settings={"batch": 8},
    rows=(
        Row("us", "step", 1.0, "s", 0.9, 1.1, 5, "them", 0.5, 0.4, 0.6),
        Row("them", "step", 2.0, "s"),
    ),
    missing={"others": "not installed"},
)


def test_the_machine() -> None:
    machine = RESULT.machine
    assert machine.cores == usable_cores() >= 1
    assert machine.memory_gib > 0 and machine.load_average >= 0
    assert set(machine.versions) == {"numpy"}
    line = machine.line()
    for part in (machine.cpu, machine.isa, machine.date, "numpy 2."):
        assert part in line


def test_the_schema(tmp_path: Path) -> None:
    """What other programs write and read."""
    said = json.loads(save(RESULT, tmp_path).read_text())
    assert set(said) == {
        "benchmark",
        "command",
        "machine",
        "settings",
        "rows",
        "missing",
        "kind",
    }
    assert said["kind"] == "measured"
    assert said["rows"][0] == {
        "name": "us",
        "metric": "step",
        "value": 1.0,
        "unit": "s",
        "low": 0.9,
        "high": 1.1,
        "samples": 5,
        "peer": "them",
        "ratio": 0.5,
        "ratio_low": 0.4,
        "ratio_high": 0.6,
    }
    assert load(tmp_path / "trial.json") == RESULT


def test_the_least_that_a_row_needs() -> None:
    said = json.loads(to_json(RESULT))
    said["rows"] = [{"name": "a", "metric": "b", "value": 1.0, "unit": "MB"}]
    row = Row("a", "b", 1.0, "MB")
    assert from_json(json.dumps(said), "x.json").rows == (row,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"kind": "dreamt"},
            "kind 'dreamt' must be one of measured, estimated",
        ),
        ({"rows": [{"name": "a"}]}, "x.json is no benchmark's result"),
        ({"extra": 1}, "extra"),
    ],
)
def test_what_is_no_result(change: dict, message: str) -> None:
    text = json.dumps(json.loads(to_json(RESULT)) | change)
    with pytest.raises(InputError, match=message):
        from_json(text, "x.json")


def test_text_that_is_no_json() -> None:
    with pytest.raises(InputError, match=r"x\.json is no benchmark's result"):
        from_json("{", "x.json")


def test_a_file_is_whole_at_any_time(tmp_path: Path) -> None:
    many = dataclasses.replace(RESULT, rows=RESULT.rows * 2000)
    source = save(many, tmp_path / "source")
    code = (
        "import sys; from pathlib import Path\n"
        "from benchmarks.results import load, save\n"
        "result = load(Path(sys.argv[1]))\n"
        "while True: save(result, Path(sys.argv[2]))\n"
    )
    kept = tmp_path / "kept" / "trial.json"
    writer = subprocess.Popen(
        [sys.executable, "-c", code, source, kept.parent], cwd=ROOT
    )
    try:
        end = time.monotonic() + 30
        while not kept.exists() and time.monotonic() < end:
            time.sleep(0.01)
        for _ in range(10):
            assert load(kept) == many
    finally:
        writer.kill()
        writer.wait()
    assert load(kept) == many


def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    path = save(RESULT, tmp_path)
    odd = dataclasses.replace(RESULT, settings={"batch": object()})
    with pytest.raises(TypeError):
        save(odd, tmp_path)
    assert load(path) == RESULT
    assert list(tmp_path.iterdir()) == [path]


def _given(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_flags(parser, rounds=3)
    return parser.parse_args(words)


def test_json_is_all_of_the_output(capsys, tmp_path: Path) -> None:
    finish(RESULT, _given("--json", f"--save={tmp_path}"))
    said = capsys.readouterr()
    assert from_json(said.out, "output") == RESULT
    assert said.err == f"saved {tmp_path / 'trial.json'}\n"


def test_the_table(capsys) -> None:
    finish(RESULT, _given())
    said = capsys.readouterr().out
    for part in ("0.9 to 1.1", "0.50", "missing: others: not installed"):
        assert part in said
    assert RESULT.machine.cpu in said


def test_flags() -> None:
    assert _given("--save").save == RESULTS
    assert (_given().rounds, _given("--rounds=9").rounds) == (3, 9)
    assert _given().save is None


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (0.01234567, "0.01235"), (12.3456, "12.35")]
    + [(1234.5, "1,234"), (-0.5, "-0.5")],
)
def test_numbers(value: float, shown: str) -> None:
    assert number(value) == shown


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")))
def test_what_is_kept(path: Path) -> None:
    result = load(path)
    assert result.benchmark == path.stem
    names = {row.name for row in result.rows}
    for row in result.rows:
        assert row.peer is None or row.peer in names
