"""Which images are picked of classes of unequal size."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from edgetpu.stratify import stratified


def picked(labels, images):
    """Labels and places of what is picked; an image is its own place."""
    examples = [(np.array(place), label) for place, label in enumerate(labels)]
    places = [int(image) for image in stratified(iter(examples), images)]
    return [labels[place] for place in places], places


def test_a_rare_class_is_there():
    labels, _ = picked("a" * 50 + "b" * 50 + "c", 9)
    assert Counter(labels) == {"a": 4, "b": 4, "c": 1}


def test_one_of_each_comes_first():
    labels, places = picked("aaabbbcccddd", 3)
    assert labels == ["a", "b", "c"]
    assert places == [0, 3, 6]


def test_the_order_is_kept():
    _, places = picked("abcabcabc", 6)
    assert places == [0, 1, 2, 3, 4, 5]
    _, places = picked("aaaaaaab", 4)
    assert places == [0, 1, 2, 7]


@pytest.mark.parametrize("images", [3, 4, 100])
def test_all_of_few(images):
    assert picked("aab", images)[1] == [0, 1, 2]


def test_none_of_none():
    assert stratified(iter([]), 5) == []


def test_labels_may_be_numbers_of_numpy():
    examples = [(np.zeros(1), np.int32(label)) for label in (1, 1, 2)]
    assert len(stratified(examples, 2)) == 2
