"""What a search has found: figures, files and pictures."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from contextlib import suppress
from typing import Any

import optuna
import tensorflow as tf
from optuna.trial import FrozenTrial, TrialState
from rich import box
from rich.table import Table

from efficientnet_tf.files import make_folder, write_text
from efficientnet_tf.networks import NamedVariant, totals, variant_text
from efficientnet_tf.networks.edgetpu_latency import milliseconds
from efficientnet_tf.search.objective import REWARDS, front
from efficientnet_tf.search.search_plots import save_front, save_history
from efficientnet_tf.search.settings import Settings
from efficientnet_tf.search.space import SPACES, candidate
from efficientnet_tf.search.study import reported, retry_history
from efficientnet_tf.search.trial import prepared
from efficientnet_tf.training.config import Config
from efficientnet_tf.training.model_dir import ModelDir

SHOWN = 10
REPORT = "search.json"


def outcome(
    study: optuna.Study, settings: Settings, config: Config
) -> dict[str, Any]:
    """A search as plain values.

    Returns:
        `settings`; `trials`, a row for each that has ended, with `number,
        state, score, cost, reward, same_as, retry_of, network, macs,
        trainable_parameters, edgetpu_ms, began, ended, chosen`; counts;
        `best`, the number of the best trial, or None; `front`, the numbers of
        those that no other beats in score and cost.
    """
    rows = [
        _row(trial, settings, config)
        for trial in sorted(reported(study), key=lambda trial: trial.number)
    ]
    good = [row for row in rows if row["state"] == "complete"]
    best = max(good, key=lambda row: row["reward"], default=None)
    kept = front([(row["score"], row["cost"]) for row in good])
    return {
        "settings": dataclasses.asdict(settings),
        "data": os.path.basename(config.data.dir.rstrip("/")),
        "pixels": config.model.pixels,
        "train_images": config.data.train_images,
        "best": best and best["number"],
        "front": [good[place]["number"] for place in kept],
        "complete": len(good),
        "pruned": sum(row["state"] == "pruned" for row in rows),
        "failed": sum(row["state"] == "fail" for row in rows),
        "reused": sum(row["same_as"] is not None for row in rows),
        "retried": sum(bool(row["retry_of"]) for row in rows),
        "trials": rows,
    }


def write_outcome(found: dict[str, Any], out: str) -> None:
    """Writes search.json, variant files and pictures into a folder."""
    directory = ModelDir(out)
    write_text(directory.join(REPORT), _json(found))
    settings = found["settings"]
    rows = {row["number"]: row for row in found["trials"]}
    if found["best"] is None:
        return
    write_text(
        directory.join("best.json"), _file(settings, rows[found["best"]])
    )
    make_folder(directory.join("front"), "--out")
    for number in found["front"]:
        path = directory.join("front", f"{number}.json")
        write_text(path, _file(settings, rows[number]))
    _remove_others(directory.join("front"), found["front"])
    save_history(directory.join("history.png"), {settings["sampler"]: found})
    save_front(directory.join("front.png"), {settings["sampler"]: found})


def _json(found: dict[str, Any]) -> str:
    """Text for any reader: what is no number has no place in JSON."""
    return json.dumps(found, indent=1, allow_nan=False) + "\n"


def _remove_others(folder: str, numbers: list[int]) -> None:
    """Removes files of trials that a later one has beaten."""
    for name in tf.io.gfile.listdir(folder):
        trial = re.fullmatch(r"(\d+)\.json", name)
        if trial and int(trial[1]) not in numbers:
            # Another worker may have done so.
            with suppress(tf.errors.NotFoundError):
                tf.io.gfile.remove(os.path.join(folder, name))


def tables(found: dict[str, Any], out: str) -> list[Table]:
    """The best trials, and how the search went."""
    settings = found["settings"]
    good = [row for row in found["trials"] if row["state"] == "complete"]
    table = Table(
        title=f"{settings['space']}: {found['complete']} complete, "
        f"{found['pruned']} pruned, {found['failed']} failed; "
        f"{found['reused']} reused, {found['retried']} retried",
        title_justify="left",
        box=box.SIMPLE,
        pad_edge=False,
    )
    names = ("trial", "reward", "score", settings["cost"], "MACs", "parameters")
    for name in (*names, "Edge TPU ms, est."):
        table.add_column(name, justify="right")
    order = sorted(good, key=lambda row: -row["reward"])[:SHOWN]
    if settings["objective"] == "pareto":
        shown = {number: None for number in found["front"]}
        order = [row for row in good if row["number"] in shown]
        order.sort(key=lambda row: row["cost"])
    for row in order:
        table.add_row(
            f"{row['number']}",
            f"{row['reward']:.4f}",
            f"{row['score']:.4f}",
            f"{row['cost']:,.4g}",
            f"{row['macs'] / 1e6:,.1f} M",
            f"{row['trainable_parameters']:,}",
            f"{row['edgetpu_ms']:.2f}",
        )
    everything = f"everything: {out}/{REPORT}"
    table.caption = (
        f"no trial is complete yet; {everything}"
        if found["best"] is None
        else f"the winner: {out}/best.json, as --model=FILE.json takes it; "
        f"those that no other beats: {out}/front; {everything}"
    )
    return [table]


def _row(
    trial: FrozenTrial, settings: Settings, config: Config
) -> dict[str, Any]:
    named = NamedVariant(
        f"{settings.space}-{trial.number}",
        candidate(SPACES[settings.space], _chosen(trial, settings)),
    )
    network = prepared(config, named, settings).network()
    total = totals(network)
    kept = trial.user_attrs
    score, cost = kept.get("score"), kept.get("cost")
    reward = None
    if trial.state == TrialState.COMPLETE:
        reward = _reward(settings, kept["score"], kept["cost"])
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "score": score,
        "cost": cost,
        "reward": reward,
        "same_as": kept.get("same_as"),
        "retry_of": retry_history(trial),
        "network": kept.get("network"),
        "macs": total.macs,
        "trainable_parameters": total.trainable_parameters,
        "edgetpu_ms": round(milliseconds(network), 4),
        "seconds": kept.get("seconds"),
        "began": f"{trial.datetime_start}",
        "ended": f"{trial.datetime_complete}",
        "chosen": _chosen(trial, settings),
    }


def _chosen(trial: FrozenTrial, settings: Settings) -> dict[str, Any]:
    """All places of the table, those with one option too."""
    space = SPACES[settings.space]
    return {
        name: trial.params.get(name, options[0])
        for number in range(1, len(space.base.stages) + 1)
        for column, options in space.columns.items()
        for name in (f"stage{number}.{column}",)
    }


def _reward(settings: Settings, score: float, cost: float) -> float:
    """The number that "best" goes by; of a front, the score."""
    if settings.objective == "pareto" or settings.target is None:
        return score
    reward = REWARDS[settings.objective]
    return reward(score, cost, settings.target, settings.exponent)


def _file(settings: dict[str, Any], row: dict[str, Any]) -> str:
    variant = candidate(SPACES[settings["space"]], row["chosen"])
    return variant_text(
        NamedVariant(f"{settings['space']}-{row['number']}", variant)
    )
