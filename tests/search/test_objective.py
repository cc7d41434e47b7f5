"""Rewards against the formulae of Tan et al. 2019."""

from __future__ import annotations

import itertools

import pytest

from efficientnet_tf.search.objective import (
    EXPONENT,
    front,
    hard,
    soft,
)


# Section 3: of two models, one with latency l and accuracy a, the other with
# 2l and an accuracy 5 % better, the rewards are about equal:
# a * (l / T) ** b = a * (1 + 5 %) * (2 l / T) ** b, so b is about -0.07.
def test_twice_the_cost_is_worth_five_per_cent():
    assert EXPONENT == -0.07
    one = soft(0.70, 80.0, 75.0, EXPONENT)
    two = soft(0.70 * 1.05, 160.0, 75.0, EXPONENT)
    assert one == pytest.approx(two, rel=0.001)


# By a pocket calculator.
@pytest.mark.parametrize(
    ("cost", "expected"),
    [(75.0, 0.75), (150.0, 0.714479), (37.5, 0.787288), (750.0, 0.638354)],
)
def test_the_soft_reward_by_hand(cost, expected):
    assert soft(0.75, cost, 75.0, -0.07) == pytest.approx(expected, abs=2e-6)


# Figure 3: alpha = 0, beta = -1.
@pytest.mark.parametrize(
    ("cost", "expected"), [(10.0, 0.5), (80.0, 0.5), (160.0, 0.25)]
)
def test_the_hard_reward_is_flat_up_to_the_target(cost, expected):
    assert hard(0.5, cost, 80.0, -0.07) == expected


def test_the_front_is_what_nothing_beats():
    points = [(0.5, 3), (0.7, 9), (0.6, 3), (0.4, 1), (0.6, 5), (0.7, 9)]
    assert front(points) == [3, 2, 1]
    assert front([]) == []
    kept = [points[place] for place in front(points)]
    for (score, cost), other in itertools.product(kept, points):
        assert not (other[0] >= score and other[1] < cost)
        assert not (other[0] > score and other[1] <= cost)
