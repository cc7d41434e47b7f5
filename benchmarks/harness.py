"""How every benchmark measures: in turn, several times over, by medians.

Whoever is compared takes turns, so that a machine that slows down slows all of
them; each round begins at the other end, so that nobody always follows the
same one. A ratio is the median of the rounds' ratios rather than the ratio of
the medians: both sides of a round met the same machine. The first rounds warm
up and are not counted.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from efficientnet_tf.errors import InputError

# What a turn found, by metric.
Figures = Mapping[str, float]
# Takes a turn; is given the number of the round, below 0 in a warm-up.
Turn = Callable[[int], Figures]
Samples = dict[str, list[Figures]]

WALL, CPU = "wall_seconds", "cpu_seconds"
SECONDS = {WALL: "s", CPU: "s"}


@dataclass(frozen=True)
class Row:
    """One figure, held against a peer's or by itself.

    Attributes:
        name: Whose it is.
        metric: What was measured, the unit left out.
        value: Median over the rounds.
        unit: Of the value.
        low: Lower quartile over the rounds; None for what has no rounds.
        high: Upper quartile.
        samples: Rounds.
        peer: Another row's name; None where nothing is compared. A figure
            that is held against several has a row for each.
        ratio: This one's value by the peer's, the median over the rounds.
        ratio_low: Lower quartile of the ratio.
        ratio_high: Upper quartile.
    """

    name: str
    metric: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    samples: int = 1
    peer: str | None = None
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None


def timed(work: Callable[[], object], count: int = 1) -> Turn:
    """A turn that calls `work`, in wall and in process CPU seconds.

    Args:
        work: What is measured; it must wait for its own end.
        count: Things that one call does, by which its seconds are divided.
    """

    def turn(_: int) -> Figures:
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        return {
            WALL: (time.perf_counter() - wall) / count,
            CPU: (time.process_time() - cpu) / count,
        }

    return turn


def in_order(names: Iterable[str], number: int) -> list[str]:
    """Who comes when in a round: every second round goes backwards."""
    names = list(names)
    return names[::-1] if number % 2 else names


def alternate(
    turns: Mapping[str, Turn],
    *,
    rounds: int,
    warmup: int = 1,
    tell: Callable[[str], None] = lambda line: None,
) -> Samples:
    """Lets all take turns.

    Args:
        turns: What is compared, by name.
        rounds: Turns of each that count.
        warmup: Turns of each before them.
        tell: Is told each turn in a line.

    Returns:
        What each turn found, by name, in the order of the rounds.

    Raises:
        InputError: There is no round.
    """
    if rounds < 1 or warmup < 0:
        raise InputError(
            f"--rounds {rounds} must be at least 1, after {warmup} warm-ups"
        )
    samples: Samples = {name: [] for name in turns}
    for number in range(-warmup, rounds):
        for name in in_order(turns, number):
            found = turns[name](number)
            said = ", ".join(f"{key} {found[key]:.4g}" for key in found)
            tell(f"round {number + 1} of {rounds}: {name}: {said}")
            if number >= 0:
                samples[name].append(found)
    return samples


def rows(
    samples: Mapping[str, Sequence[Figures]],
    units: Mapping[str, str],
    peers: Mapping[str, Sequence[str]] | None = None,
) -> tuple[Row, ...]:
    """Medians, quartiles and ratios of what `alternate` found.

    Args:
        samples: By name; all of them have the same rounds.
        units: By metric, in the order of the rows. A metric that somebody does
            not have is left out for them.
        peers: Against whom each is held. Those that are not among the samples
            are left out.
    """
    table = []
    for name, runs in samples.items():
        others = [n for n in (peers or {}).get(name, ()) if n in samples]
        for metric, unit in units.items():
            if metric not in runs[0]:
                continue
            alone = _row(name, metric, unit, _column(runs, metric))
            against = [
                _compared(alone, runs, other, samples[other])
                for other in others
                if metric in samples[other][0]
            ]
            table += against or [alone]
    return tuple(table)


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile; of one value three times it."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def _column(runs: Sequence[Figures], metric: str) -> list[float]:
    return [run[metric] for run in runs]


def _row(name: str, metric: str, unit: str, values: Sequence[float]) -> Row:
    low, middle, high = quartiles(values)
    return Row(name, metric, middle, unit, low, high, len(values))


def _compared(
    row: Row, runs: Sequence[Figures], peer: str, theirs: Sequence[Figures]
) -> Row:
    ours, others = _column(runs, row.metric), _column(theirs, row.metric)
    # A clock may see nothing of what is very short.
    ratios = [
        mine / other for mine, other in zip(ours, others, strict=True) if other
    ]
    low, middle, high = quartiles(ratios) if ratios else (None, None, None)
    return Row(
        row.name,
        row.metric,
        row.value,
        row.unit,
        row.low,
        row.high,
        row.samples,
        peer,
        middle,
        low,
        high,
    )
