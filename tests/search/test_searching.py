"""Whole searches on real trainings of tiny networks."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
import tensorflow as tf

import main
from efficientnet_tf.errors import InputError, RunError, Stopped
from efficientnet_tf.networks import network
from efficientnet_tf.search import outcome, proxies, run, study, trial
from efficientnet_tf.search.objective import soft
from efficientnet_tf.search.settings import Settings
from efficientnet_tf.training.config import (
    Config,
    DataConfig,
    ModelConfig,
    TrainConfig,
)
from efficientnet_tf.training.model_dir import ModelDir

pytestmark = pytest.mark.filterwarnings(
    "ignore::optuna.exceptions.ExperimentalWarning"
)
SETTINGS = Settings(space="small", trials=6, trial_epochs=1.0, population=3)


@pytest.fixture(scope="module", autouse=True)
def old_objects() -> Iterator[None]:
    """Leaves TensorFlow's own out of the collection that ends each trial."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def config(pictures: Path) -> Config:
    return Config(
        model=ModelConfig(pixels=32),
        data=DataConfig(
            dir=str(pictures), crop="whole", prefetch_bytes=4_000_000
        ),
        train=TrainConfig(batch=8, average_decay=0.0),
    )


@pytest.fixture
def trained(monkeypatch) -> list[str]:
    """Names of the networks that were trained; nothing is, nor drawn."""
    names: list[str] = []
    for picture in ("save_history", "save_front"):
        monkeypatch.setattr(outcome, picture, lambda path, searches: None)

    def score(config, network, place, strategy, watch):
        names.append(network.name)
        return 0.5 + len(network.blocks) / 100 + network.blocks[0].expands / 7

    for proxy in ("none", "short"):
        monkeypatch.setitem(trial._SCORES, proxy, score)
    return names


def searched(settings, config, out):
    return run.search(
        settings, config, str(out), strategy=tf.distribute.get_strategy()
    )


def resumed(out, **more):
    return run.resume(str(out), strategy=tf.distribute.get_strategy(), **more)


def test_a_network_is_trained_once(nano, config, trained, tmp_path):
    settings = replace(SETTINGS, trials=20, sampler="random")
    found = searched(settings, config, tmp_path)
    rows = found["trials"]
    prints = {row["network"] for row in rows}
    assert len(rows) == 20
    # Two operations in each of two stages; a skip changes nothing here.
    assert len(prints) == len(trained) == 4
    assert found["reused"] == 16
    for row in rows:
        if row["same_as"] is not None:
            source = rows[row["same_as"]]
            assert source["network"] == row["network"]
            assert source["same_as"] is None
            assert (source["score"], source["cost"]) == (
                row["score"],
                row["cost"],
            )


def test_rewards_are_the_formulas_and_the_winner_is_a_file(
    nano, config, trained, tmp_path
):
    found = searched(replace(SETTINGS, target=1e5), config, tmp_path)
    for row in found["trials"]:
        assert row["cost"] == row["macs"]
        expected = soft(row["score"], row["cost"], 1e5, -0.07)
        assert row["reward"] == pytest.approx(expected)
    best = max(found["trials"], key=lambda row: row["reward"])
    assert found["best"] == best["number"]
    won = network(str(tmp_path / "best.json"), classes=2, pixels=32)
    assert won.name == f"small-{best['number']}"
    from efficientnet_tf.networks import totals

    assert totals(won).macs == best["macs"]
    for number in found["front"]:
        assert network(str(tmp_path / "front" / f"{number}.json"))
    kept = json.loads((tmp_path / "search.json").read_text())
    assert kept == json.loads(json.dumps(found))


def test_the_target_is_the_cost_of_the_base(nano, config, trained, tmp_path):
    found = searched(SETTINGS, config, tmp_path)
    from efficientnet_tf.networks import NamedVariant, totals
    from efficientnet_tf.search.space import base

    around = network(NamedVariant("x", base(nano)), classes=2, pixels=32)
    assert found["settings"]["target"] == totals(around).macs


def test_several_objectives(nano, config, trained, tmp_path):
    settings = replace(
        SETTINGS, objective="pareto", sampler="nsga2", cost="edgetpu_ms"
    )
    found = searched(settings, config, tmp_path)
    assert found["complete"] == 6
    points = {
        (row["score"], row["cost"])
        for row in found["trials"]
        if row["state"] == "complete"
    }
    front = [
        (row["score"], row["cost"])
        for row in (found["trials"][number] for number in found["front"])
    ]
    assert front == sorted(front)
    # Of every score that nothing cheaper reaches, one.
    assert set(front) == {
        (score, cost)
        for score, cost in points
        if not any(
            (s >= score and c < cost) or (s > score and c <= cost)
            for s, c in points
        )
    }


def test_resuming_goes_on_to_more_trials(nano, config, trained, tmp_path):
    searched(SETTINGS, config, tmp_path)
    found = resumed(tmp_path, trials=9)
    assert [row["number"] for row in found["trials"]] == list(range(9))
    assert found["settings"]["trials"] == 9
    assert run.best(str(tmp_path)) == found


def test_a_search_is_begun_once(nano, config, trained, tmp_path):
    searched(SETTINGS, config, tmp_path)
    with pytest.raises(InputError, match="--resume joins it"):
        searched(SETTINGS, config, tmp_path)
    with pytest.raises(InputError, match="there is no search in"):
        resumed(tmp_path / "elsewhere")


def test_a_training_that_fails_is_told_and_passed_over(
    nano, config, trained, tmp_path, monkeypatch
):
    def diverges(config, network, place, strategy, watch):
        if network.blocks[0].kind == "fused":
            raise RunError("training diverged")
        return 0.5

    monkeypatch.setitem(trial._SCORES, "none", diverges)
    found = searched(replace(SETTINGS, sampler="random"), config, tmp_path)
    assert found["failed"] + found["complete"] == 6
    assert found["failed"] > 0
    best = found["trials"][found["best"]]
    assert best["chosen"]["stage1.operation"] == "separable"


def test_below_the_median_a_training_ends(
    nano, config, trained, tmp_path, monkeypatch
):
    """After ten trials; the last evaluation ends by itself."""
    told = iter(range(100, 0, -1))
    ends = []

    def watched(config, network, place, strategy, watch):
        top1 = next(told) / 100
        watch(5, 10, top1)
        ends.append(top1)
        watch(10, 10, top1 / 10)
        return top1

    monkeypatch.setitem(trial._SCORES, "none", watched)
    monkeypatch.setattr(trial, "fingerprint", lambda network: network.name)
    settings = replace(SETTINGS, trials=14, sampler="random", exponent=0.0)
    found = searched(settings, config, tmp_path)
    assert (found["complete"], found["pruned"]) == (10, 4)
    assert len(ends) == 10


def test_a_trial_that_is_stopped_goes_back_into_the_queue(
    nano, config, trained, tmp_path, monkeypatch
):
    def stopped(config, network, place, strategy, watch):
        raise Stopped("SIGTERM", 143, 3)

    honest = trial._SCORES["none"]
    monkeypatch.setitem(trial._SCORES, "none", stopped)
    with pytest.raises(Stopped):
        searched(SETTINGS, config, tmp_path)
    monkeypatch.setitem(trial._SCORES, "none", honest)
    found = resumed(tmp_path)
    assert (found["complete"], found["failed"], found["retried"]) == (6, 0, 1)
    (again,) = [row for row in found["trials"] if row["retry_of"]]
    assert again["retry_of"] == [0]
    # Its training goes on in the place, and under the name, of the first.
    assert trained[0] == "small-0"


def test_a_trial_of_a_dead_worker_is_found_and_done_again(
    nano, config, trained, tmp_path, monkeypatch
):
    monkeypatch.setattr(study, "HEARTBEAT_SECONDS", 1)
    monkeypatch.setattr(study, "GRACE_SECONDS", 1)
    searched(replace(SETTINGS, trials=2), config, tmp_path)
    opened, _, _ = run.opened(str(tmp_path), "")
    with pytest.warns(UserWarning, match="supposed to be used with"):
        dead = opened.ask()
    opened._storage.record_heartbeat(dead._trial_id)
    found = resumed(tmp_path, trials=4)
    states = {t.number: t.state.name for t in opened.get_trials()}
    assert states[dead.number] == "FAIL"
    assert dead.number not in [row["number"] for row in found["trials"]]
    assert (found["complete"], found["retried"]) == (4, 1)


# Everything real: the engine, the model directories, what stays in them.
def test_a_trial_is_a_run_of_the_engine(nano, config, tmp_path):
    settings = replace(SETTINGS, trials=2, sampler="random")
    found = searched(settings, config, tmp_path)
    assert found["complete"] == 2
    for name in ("history.png", "front.png"):
        assert (tmp_path / name).read_bytes()[:4] == b"\x89PNG"
    folder = tmp_path / "trials" / "0"
    kept = json.loads((folder / "result.json").read_text())
    assert kept["top1"] == found["trials"][0]["score"]
    assert kept["epochs"] == pytest.approx(1.0, abs=0.2)
    assert (folder / "metrics.jsonl").exists()
    assert not (folder / "checkpoints").exists()
    written = json.loads((folder / "config.json").read_text())
    assert written["config"]["model"]["name"] == "small-0"


def test_synflow_trains_nothing(nano, config, tmp_path):
    settings = replace(SETTINGS, trials=2, proxy="synflow", sampler="random")
    found = searched(settings, config, tmp_path)
    assert all(row["score"] > 0 for row in found["trials"])
    assert not (tmp_path / "trials").exists()


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ([], "--out=FOLDER is missing"),
        (["--out=o", "--space=mnass"], "did you mean mnas"),
        (["--out=o", "--cost=flops"], "unknown --cost"),
        (["--out=o", "--trials=0"], "--trials 0 must be at least 1"),
        (["--out=o", "--trial_epochs=-1"], "must be above 0"),
        (["--out=o", "--exponent=0.07"], "must not be above 0"),
        (["--out=o", "--objective=pareto"], "try --sampler=nsga2"),
        (["--out=o", "--resume", "--cost=macs"], "leave it out"),
        (["--out=o", "--resume", "--set=train.batch=8"], "--set was decided"),
        (["--out=o", "--best", "--trials=9"], "--trials was decided"),
        (["--out=o", "--resume"], "there is no search in"),
        (["--out=o", "--best"], "there is no search in"),
        (["--out=gs://b/o", "--best"], "name a database"),
        (["--out=o", "--storage=study.db"], "must be a URL"),
        (["--out=o", "--storage=nosql://x/y"], "cannot be opened"),
    ],
)
def test_what_the_command_line_says(flags, says, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main.main(["search", "--data_dir=digits", *flags]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1


COMMAND = [
    sys.executable,
    str(Path(__file__).parents[2] / "main.py"),
    "search",
]


@pytest.mark.slow
def test_a_worker_is_killed_and_another_does_its_trial(pictures, tmp_path):
    out = tmp_path / "out"
    begin = [
        *COMMAND,
        "--space=small",
        "--sampler=random",
        "--trials=4",
        "--trial_epochs=2",
        f"--data_dir={pictures}",
        f"--out={out}",
        "--set=model.pixels=32",
        "--set=train.batch=8",
        "--set=data.crop=whole",
    ]
    worker = subprocess.Popen(begin, start_new_session=True)
    while not (out / "trials" / "1" / "config.json").exists():
        assert worker.poll() is None
        time.sleep(0.2)
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    line = [*COMMAND, "--resume", f"--out={out}", "--json"]
    done = subprocess.run(line, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    assert (found["complete"], found["failed"]) == (4, 0)
    assert found["retried"] == 1
    (again,) = [row for row in found["trials"] if row["retry_of"]]
    assert again["retry_of"] == [1]


def test_a_study_keeps_optunas_own_trials(nano, config, trained, tmp_path):
    """What optuna-dashboard opens."""
    searched(SETTINGS, config, tmp_path)
    kept = optuna.load_study(
        storage=f"sqlite:///{tmp_path}/study.db", study_name=study.NAME
    )
    assert len(kept.trials) == 6
    assert kept.best_value == max(t.value for t in kept.trials)


def test_weights_are_removed_of_what_ended_badly_and_kept_of_a_stop(
    config, tmp_path, monkeypatch
):
    """A trial that was stopped goes on from them."""
    for number, (error, left) in enumerate(
        (
            (optuna.TrialPruned("below the median"), False),
            (RunError("training diverged"), False),
            (Stopped("SIGTERM", 143, 3), True),
        )
    ):
        place = tmp_path / f"{number}"

        def fails(config, place, *, strategy, watch, error=error):
            for name in ("checkpoints", "best"):
                (Path(place) / name).mkdir(parents=True)
            (Path(place) / "metrics.jsonl").write_text("")
            raise error

        monkeypatch.setattr(trial, "train", fails)
        with pytest.raises(type(error)):
            trial._trained(config, None, str(place), None, None)
        kept = {path.name for path in place.iterdir()}
        weights = {"checkpoints", "best"} if left else set()
        assert kept - {".lock"} == {"metrics.jsonl"} | weights


def test_weights_are_left_to_who_has_taken_a_trial_over(
    config, tmp_path, monkeypatch
):
    def fails(config, place, *, strategy, watch):
        raise RunError("another process has taken over")

    monkeypatch.setattr(trial, "train", fails)
    directory = ModelDir(str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    with directory.held(), pytest.raises(RunError):
        trial._trained(config, None, str(tmp_path), None, None)
    assert (tmp_path / "checkpoints").exists()


def test_the_front_holds_no_file_of_an_earlier_one(
    nano, config, trained, tmp_path
):
    found = searched(SETTINGS, config, tmp_path)
    (tmp_path / "front" / "999.json").write_text("{}")
    (tmp_path / "front" / "mine.json").write_text("{}")
    run.best(str(tmp_path))
    kept = {path.name for path in (tmp_path / "front").iterdir()}
    assert kept == {"mine.json"} | {f"{n}.json" for n in found["front"]}


@pytest.mark.parametrize("name", ["target", "exponent", "trial_epochs"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_settings_are_numbers(name, value):
    with pytest.raises(InputError, match=f"--{name} .* must be a number"):
        Settings(**{name: value})


def test_a_report_is_json(nano, config, trained, tmp_path):
    """NaN is none, for whoever reads it with another program."""
    found = searched(SETTINGS, config, tmp_path)
    found["trials"][0]["score"] = float("nan")
    with pytest.raises(ValueError, match="not JSON compliant"):
        outcome.write_outcome(found, str(tmp_path))


@pytest.mark.parametrize("storage", ["", "sqlite:///{}/s.db"])
def test_a_stop_says_what_goes_on(
    nano, config, trained, tmp_path, monkeypatch, capsys, storage
):
    def stopped(config, network, place, strategy, watch):
        raise Stopped("SIGTERM", 143, 3)

    monkeypatch.setitem(trial._SCORES, "none", stopped)
    out = tmp_path / "out"
    words = [f"--storage={storage.format(tmp_path)}"] if storage else []
    begin = ["search", "--space=small", f"--data_dir={config.data.dir}"]
    begin += ["--set=model.pixels=32", "--set=data.crop=whole"]
    assert main.main([*begin, f"--out={out}", *words]) == 143
    said = capsys.readouterr().err
    assert f"SIGTERM: search --resume --out={out}" in said
    assert "the same command" not in said
    assert ("the same --storage" in said) == bool(storage)


def test_no_password_is_printed():
    url = "postgresql://me:secret@localhost:1/name"
    with pytest.raises(InputError, match=r"me:\*\*\*@localhost") as raised:
        study.open_storage(study.storage_url(url, "out"))
    assert "secret" not in str(raised.value)
    with pytest.raises(InputError, match="cannot be opened") as raised:
        study.open_storage("no such:secret@://x")
    assert "secret" not in str(raised.value)


def test_a_best_that_is_not_there_is_not_named(
    nano, config, trained, tmp_path, monkeypatch
):
    def diverges(config, network, place, strategy, watch):
        raise RunError("training diverged")

    monkeypatch.setitem(trial._SCORES, "none", diverges)
    found = searched(replace(SETTINGS, trials=1), config, tmp_path)
    (table,) = outcome.tables(found, "out")
    assert "best.json" not in table.caption
    assert "no trial is complete" in table.caption


def test_a_score_of_synflow_is_no_accuracy(
    nano, config, trained, tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(trial._SCORES, "synflow", lambda *given: 22.2)
    searched(replace(SETTINGS, trials=1, proxy="synflow"), config, tmp_path)
    said = capsys.readouterr().err
    assert "synflow 22.2" in said
    assert "top-1" not in said


def test_a_study_that_was_killed_as_it_began_is_none(
    nano, config, trained, tmp_path, monkeypatch
):
    monkeypatch.setattr(study, "BEGINNING_SECONDS", 0.0, raising=False)
    optuna.create_study(
        storage=f"sqlite:///{tmp_path}/study.db", study_name=study.NAME
    )
    with pytest.raises(InputError, match="no search to go on with"):
        resumed(tmp_path)
    assert searched(SETTINGS, config, tmp_path)["complete"] == 6


def test_the_longer_training_takes_no_pruned_trial(tmp_path, monkeypatch):
    """Optuna gives a pruned trial the value that it reported last."""
    monkeypatch.setattr(proxies, "NETWORKS", 1)
    url = study.storage_url("", str(tmp_path))
    begun = study.create(
        study.open_storage(url), replace(SETTINGS, proxy="short"), Config()
    )
    begun.add_trial(
        optuna.trial.create_trial(
            state=optuna.trial.TrialState.PRUNED, value=0.5
        )
    )
    with pytest.raises(InputError, match="has 0 different networks"):
        proxies.begin(str(tmp_path), str(tmp_path / "longer"))
