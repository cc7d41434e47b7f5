"""The search for the largest batch, on memories of known shape."""

from __future__ import annotations

import pytest

from efficientnet_tf.tpu.batch_search import SHARES, largest_share


@pytest.mark.parametrize("first", [1, 128, 4096])
@pytest.mark.parametrize(
    ("fixed", "each", "largest"),
    [
        (0.1, 0.9 / 347, 344),
        (0.3, 0.7 / 20, 16),
        (0.05, 0.95 / 1200, 1200),
        (0.5, 0.5 / 5, 4),
        (0.99, 0.5, None),
        (1.2, 0.1, None),
        (0.0, 1e-5, 4096),
    ],
)
def test_memory_in_proportion_takes_a_few_attempts(
    fixed: float, each: float, largest: int | None, first: int
) -> None:
    tried = []

    def attempt(share: int) -> tuple[bool, float]:
        tried.append(share)
        taken = fixed + each * share
        return taken <= 1, taken

    assert largest_share(SHARES, first, attempt) == largest
    assert len(tried) == len(set(tried)) <= 6


@pytest.mark.parametrize("limit", [1, 7, 8, 96, 700, 4095])
def test_other_memory_takes_bisection(limit: int) -> None:
    tried = []

    def attempt(share: int) -> tuple[bool, float]:
        # Says nothing of how far away the limit is.
        tried.append(share)
        return share <= limit, 0.999 if share <= limit else 1.001

    largest = max(share for share in SHARES if share <= limit)
    assert largest_share(SHARES, 128, attempt) == largest
    assert len(tried) == len(set(tried)) <= 60
