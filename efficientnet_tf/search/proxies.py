"""How well cheap figures of a network foretell a longer training.

    python -m efficientnet_tf.search.proxies SHORT LONGER

SHORT is the folder of a finished search with --proxy=short. A first call begins
a search in LONGER that trains 24 of its networks for all of --trial_epochs; any
number of `python main.py search --resume --out=LONGER` do so. Given again, it
prints the rank correlations and writes LONGER/proxies.json.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from optuna.trial import TrialState
from rich.table import Table
from scipy.stats import kendalltau, spearmanr

from efficientnet_tf.command_line import run
from efficientnet_tf.errors import InputError
from efficientnet_tf.files import make_folder, write_text
from efficientnet_tf.networks import NamedVariant
from efficientnet_tf.report import console
from efficientnet_tf.search import study as studies
from efficientnet_tf.search.outcome import outcome
from efficientnet_tf.search.run import opened
from efficientnet_tf.search.space import SPACES, candidate
from efficientnet_tf.search.synflow import synflow
from efficientnet_tf.search.trial import SHORT, prepared
from efficientnet_tf.training.model_dir import ModelDir

NETWORKS = 24
REPORT = "proxies.json"
# What is held against the longer training.
PROXIES = ("short", "synflow", "trainable_parameters", "macs")


def begin(short: str, longer: str) -> int:
    """Begins the longer training of a search's networks.

    Args:
        short: Folder of a search with --proxy=short.
        longer: Folder of the search to begin.

    Returns:
        How many networks there are.

    Raises:
        InputError: The first has no such networks, or too few.
    """
    study, settings, config = opened(short, "")
    if settings.proxy != "short":
        raise InputError(f"{short} holds no search with --proxy=short")
    first = [
        trial
        for trial in studies.reported(study)
        if trial.state == TrialState.COMPLETE
        and "same_as" not in trial.user_attrs
    ][:NETWORKS]
    if len(first) < NETWORKS:
        raise InputError(
            f"{short} has {len(first)} different networks; {NETWORKS} are "
            "needed: --resume it with more --trials"
        )
    make_folder(longer, "LONGER")
    begun = studies.create(
        studies.open_storage(studies.storage_url("", longer)),
        replace(settings, proxy="none", trials=len(first), pruning="off"),
        config,
    )
    for trial in first:
        begun.enqueue_trial(trial.params, user_attrs={"short": trial.number})
    return len(first)


def compare(short: str, longer: str) -> dict[str, Any]:
    """Rank correlations of each proxy with the longer training.

    Returns:
        `epochs`, `short_epochs`, `networks`, a row for each, and `spearman`
        and `kendall`, each by proxy.

    Raises:
        InputError: The longer trainings are not all done.
    """
    study, settings, config = opened(longer, "")
    early, _, _ = opened(short, "")
    before = {trial.number: trial for trial in early.get_trials()}
    sources = {t.number: t.user_attrs["short"] for t in study.get_trials()}
    found = outcome(study, settings, config)
    if found["complete"] < settings.trials:
        raise InputError(
            f"{found['complete']} of {settings.trials} networks are trained; "
            f"first python main.py search --resume --out={longer}"
        )
    rows = []
    for row in found["trials"]:
        named = NamedVariant(
            f"{settings.space}-{row['number']}",
            candidate(SPACES[settings.space], row["chosen"]),
        )
        network = prepared(config, named, settings).network()
        source = before[int(sources[row["number"]])]
        rows.append(
            {
                "longer": row["score"],
                "short": source.user_attrs["score"],
                "synflow": synflow(network),
                "trainable_parameters": row["trainable_parameters"],
                "macs": row["macs"],
            }
        )
    truth = [row["longer"] for row in rows]
    result = {
        "epochs": settings.trial_epochs,
        "short_epochs": settings.trial_epochs * SHORT,
        "networks": rows,
    }
    pairs = {
        proxy: rank_correlations([row[proxy] for row in rows], truth)
        for proxy in PROXIES
    }
    for place, name in enumerate(("spearman", "kendall")):
        result[name] = {proxy: pair[place] for proxy, pair in pairs.items()}
    write_text(
        ModelDir(longer).join(REPORT), json.dumps(result, indent=1) + "\n"
    )
    return result


def rank_correlations(
    told: Sequence[float], truth: Sequence[float]
) -> tuple[float, float]:
    """Spearman's coefficient and Kendall's, both from -1 to 1."""
    return (
        float(spearmanr(told, truth).statistic),
        float(kendalltau(told, truth).statistic),
    )


def correlations_table(result: dict[str, Any]) -> Table:
    """A row for each proxy."""
    table = Table(title=f"{len(result['networks'])} networks")
    for name in ("proxy", "Spearman", "Kendall"):
        table.add_column(name)
    for proxy in PROXIES:
        table.add_row(
            proxy,
            f"{result['spearman'][proxy]:+.2f}",
            f"{result['kendall'][proxy]:+.2f}",
        )
    return table


def _main(arguments: Sequence[str]) -> None:
    if len(arguments) != 2:
        raise InputError(
            "usage: python -m efficientnet_tf.search.proxies SHORT LONGER"
        )
    short, longer = arguments
    if not os.path.exists(os.path.join(longer, studies.FILE)):
        count = begin(short, longer)
        print(
            f"{count} networks wait in {longer}: now python main.py search "
            f"--resume --out={longer}"
        )
        return
    console().print(correlations_table(compare(short, longer)))


if __name__ == "__main__":
    sys.exit(run("search.proxies", lambda: _main(sys.argv[1:])))
