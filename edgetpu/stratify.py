"""Picks images so that no class is forgotten."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Hashable, Iterable

import numpy as np


def stratified(
    examples: Iterable[tuple[np.ndarray, Hashable]], images: int
) -> list[np.ndarray]:
    """Takes as many images of each class as there are, as far as can be.

    The first one of each class comes before any second one, and so on.

    Args:
        examples: Images and their classes.
        images: How many to take at most.

    Returns:
        The images in their order; the same each time. No more than `images` of
        them are held at a time.
    """
    seen: Counter[Hashable] = Counter()
    # The largest (rank in its class, place) is the first to go.
    kept: list[tuple[int, int, np.ndarray]] = []
    for place, (image, label) in enumerate(examples):
        entry = (-seen[label], -place, image)
        seen[label] += 1
        if len(kept) < images:
            heapq.heappush(kept, entry)
        else:
            heapq.heappushpop(kept, entry)
    return [image for _, _, image in sorted(kept, key=lambda each: -each[1])]
