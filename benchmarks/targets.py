"""What the input pipeline shall reach, and whether a run's figures do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.harness import Row


@dataclass(frozen=True)
class Target:
    """A ratio that is asked for.

    Attributes:
        name: Whose figure.
        peers: Against whom; the fastest of those that took part counts.
        ratio: At least so much.
    """

    name: str
    peers: tuple[str, ...]
    ratio: float


@dataclass(frozen=True)
class Verdict:
    """What a run says to a target.

    Attributes:
        target: What was asked.
        peer: The fastest peer that took part; None where none did.
        ratio: Against it, the median of the rounds.
    """

    target: Target
    peer: str | None
    ratio: float | None

    @property
    def said(self) -> str:
        """In a word."""
        if self.ratio is None:
            return "not measured"
        return "reached" if self.ratio >= self.target.ratio else "missed"


_OTHERS = ("torchvision", "opencv", "grain", "DataLoader")
_WITH_OPS = (
    "original", "keras", "keras_cv", "torchvision", "grain", "DataLoader",
)  # fmt: skip


def _task(name: str) -> tuple[Target, ...]:
    """Of a policy."""
    ours, peers = f"{name}: ours", _named(name, _WITH_OPS)
    return (
        Target(ours, _named(name, ("without ops",)), 0.65),
        Target(ours, peers, 2.0),
        Target(f"{ours}, clean", peers, 1.3),
        Target(f"{ours}, original", peers, 1.3),
    )


def _named(task: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{task}: {name}" for name in names)


TARGETS = (
    Target("bilinear: ours", ("bilinear: limit",), 0.72),
    Target("bilinear: ours", _named("bilinear", _OTHERS), 1.0),
    Target("legacy_bicubic: ours", ("legacy_bicubic: limit",), 0.62),
    Target("legacy_bicubic: ours", _named("legacy_bicubic", _OTHERS), 1.0),
    Target("bicubic: ours", _named("bicubic", _OTHERS), 1.0),
    *_task("randaugment"),
    *_task("autoaugment"),
)


def verdicts(rows: Sequence[Row], metric: str) -> list[Verdict]:
    """Holds all targets against the rows of a result.

    Args:
        rows: With a ratio for each name and peer.
        metric: Which of their figures.
    """
    ratios = {
        (row.name, row.peer): row.ratio
        for row in rows
        if row.metric == metric and row.peer and row.ratio is not None
    }
    found = []
    for target in TARGETS:
        against = [
            (ratio, peer)
            for peer in target.peers
            if (ratio := ratios.get((target.name, peer))) is not None
        ]
        ratio, best = min(against, default=(None, None))
        found.append(Verdict(target, best, ratio))
    return found
