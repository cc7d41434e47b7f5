"""What was asked of the input pipeline against rows made by hand."""

from __future__ import annotations

import pytest

from benchmarks.harness import Row
from benchmarks.input_pipeline import LIMIT, TASKS, WITHOUT_OPS
from benchmarks.input_pipeline_peers import CONTENDERS
from benchmarks.targets import TARGETS, Target, verdicts

METRIC = "images_per_core_second"


def row(name: str, peer: str, ratio: float, metric: str = METRIC) -> Row:
    return Row(name, metric, 1.0, "", peer=peer, ratio=ratio)


def verdict(rows: list[Row], target: Target) -> tuple[str, str | None]:
    (found,) = (v for v in verdicts(rows, METRIC) if v.target == target)
    return found.said, found.peer


@pytest.mark.parametrize(
    ("grain", "opencv", "said"),
    [(1.8, 1.01, "reached"), (1.8, 1.0, "reached"), (1.8, 0.99, "missed")],
)
def test_the_fastest_peer_decides(
    grain: float, opencv: float, said: str
) -> None:
    target = next(t for t in TARGETS if t.name == "bicubic: ours")
    rows = [
        row("bicubic: ours", "bicubic: grain", grain),
        row("bicubic: ours", "bicubic: opencv", opencv),
        row("bicubic: ours", "bicubic: limit", 0.5),
        row("bilinear: ours", "bilinear: opencv", 0.1),
        row("bicubic: ours", "bicubic: torchvision", 0.1, "images_per_second"),
    ]
    assert verdict(rows, target) == (said, "bicubic: opencv")


def test_who_did_not_take_part_is_not_beaten() -> None:
    assert {v.said for v in verdicts([], METRIC)} == {"not measured"}


def test_targets_speak_of_contenders() -> None:
    known = {LIMIT, WITHOUT_OPS, *CONTENDERS}
    for target in TARGETS:
        for name in (target.name, *target.peers):
            task, _, contender = name.partition(": ")
            assert task in TASKS
            assert contender in known
