"""docs/search.md against what writes it, and its saved searches."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from efficientnet_tf.errors import InputError
from efficientnet_tf.search import proxies, search_page
from efficientnet_tf.search.objective import soft

PAGE = Path(__file__).parents[2] / "docs" / "search.md"
FOLDER = PAGE.with_suffix("")


def test_the_page_is_what_its_generator_writes():
    text = PAGE.read_text()
    assert search_page.with_tables(text, FOLDER) == text


def test_a_page_without_a_marker_is_refused():
    with pytest.raises(InputError, match="searches: begin"):
        search_page.with_tables("nothing", FOLDER)


@pytest.mark.parametrize("name", search_page.SEARCHES)
def test_a_saved_search_is_what_its_settings_say(name):
    found = json.loads((FOLDER / f"{name}.json").read_text())
    settings = found["settings"]
    assert settings["sampler"] == name
    for row in found["trials"]:
        if row["state"] == "complete":
            reward = soft(row["score"], row["macs"], settings["target"], -0.07)
            assert row["reward"] == pytest.approx(reward)
    firsts = [
        row["network"] for row in found["trials"] if row["same_as"] is None
    ]
    assert len(set(firsts)) == len(firsts)


def test_rank_correlations_of_scipy_are_those_by_hand():
    """Four networks of which two neighbours are exchanged.

    Spearman 1 - 6 * 2 / (4 * 15) = 0.8; of six pairs five agree.
    """
    spearman, kendall = proxies.rank_correlations([1, 3, 2, 4], [1, 2, 3, 4])
    assert spearman == pytest.approx(0.8)
    assert kendall == pytest.approx(4 / 6)
