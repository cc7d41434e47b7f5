"""What a search rewards: accuracy, and how little it costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

Form = Literal["soft", "hard", "pareto"]

# Tan et al. 2019, equation 2 and below: an accuracy that is 5 % better is
# worth twice the latency.
EXPONENT = -0.07
# Their hard form: what costs too much is worth less in proportion.
HARD_EXPONENT = -1.0

Reward = Callable[[float, float, float, float], float]


def soft(score: float, cost: float, target: float, exponent: float) -> float:
    """The published reward, `score * (cost / target) ** exponent`.

    Args:
        score: The accuracy, in [0, 1], or what stands for it.
        cost: Of the network, above 0.
        target: The cost that changes nothing, in the same unit.
        exponent: Negative; w in the paper, on both sides of the target.
    """
    return float(score * (cost / target) ** exponent)


def hard(score: float, cost: float, target: float, exponent: float) -> float:
    """The score alone up to the target, and behind it `score * target / cost`.

    See `soft` for the arguments; the exponent is of no account.
    """
    beyond = HARD_EXPONENT if cost > target else 0.0
    return soft(score, cost, target, beyond)


# "pareto" has no single number: a front of accuracy and cost.
REWARDS: dict[Form, Reward] = {"soft": soft, "hard": hard}


def front(points: list[tuple[float, float]]) -> list[int]:
    """Places of the points that no other one beats.

    Args:
        points: Pairs of a score, the higher the better, and a cost, the lower
            the better.

    Returns:
        In the order of rising cost; of equal points the first.
    """
    order = sorted(
        range(len(points)), key=lambda i: (points[i][1], -points[i][0])
    )
    kept: list[int] = []
    for place in order:
        if not kept or points[place][0] > points[kept[-1]][0]:
            kept.append(place)
    return kept
