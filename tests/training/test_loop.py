"""The loop against itself: resumed, split over replicas, killed."""

import json
import os
import re
import shutil
import signal
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from efficientnet_tf.data.cut import Cut
from efficientnet_tf.errors import InputError, RunError, Stopped
from efficientnet_tf.training import loop
from efficientnet_tf.training.batches import training_batches
from efficientnet_tf.training.config_files import override
from efficientnet_tf.training.journal import Journal
from efficientnet_tf.training.loop import train
from efficientnet_tf.training.model_dir import ModelDir, mean_pace
from efficientnet_tf.training.run import open_run
from efficientnet_tf.training.trained import load_trained, run_config

ROOT = Path(__file__).parents[2]
TIMES = {"images_per_second", "input_wait_seconds"}


def weights(model_dir, kind="averaged"):
    """All variables of a kind in the last checkpoint, by name."""
    reader = tf.train.load_checkpoint(str(Path(model_dir) / "checkpoints"))
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if name.startswith(f"{kind}/")
    }


def without_times(rows):
    return [
        {key: value for key, value in asdict(row).items() if key not in TIMES}
        for row in rows
    ]


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory):
    """An uninterrupted run: its directory and result."""
    path = str(tmp_path_factory.mktemp("runs") / "whole")
    return path, train(config, path)


def test_a_run_learns_and_leaves_what_it_should(config, whole, squares_dir):
    path, result = whole
    assert result["steps"] == 15
    assert result["epochs"] == pytest.approx(3.0)
    assert result["validation_images"] == 13
    assert result["top1"] > 0.6
    assert result["top5"] == 1.0
    present = ModelDir(path)
    assert present.labels() == ("red", "green", "blue")
    assert present.result() == result
    assert result["images_per_second"] > 0
    assert result["model_dir"] == path
    rows = present.metrics()
    assert [row.step for row in rows] == [5, 10, 15]
    assert rows[-1].top1 == result["top1"]
    assert rows[-1].loss < rows[0].loss
    assert all(row.images_per_second > 0 for row in rows)
    assert all(row.input_wait_seconds >= 0 for row in rows)
    resolved = present.config()
    assert (resolved.model.classes, resolved.model.pixels) == (3, 32)
    assert resolved.data.train_images == 40
    assert resolved.data.normalization == "imagenet"
    content = json.loads((Path(path) / "config.json").read_text())
    assert content["versions"]["tensorflow"] == tf.__version__
    assert tf.train.latest_checkpoint(present.checkpoints).endswith("step-15")
    assert list(Path(present.tensorboard).glob("events.out.tfevents.*"))


def test_the_best_checkpoint_is_the_best(config, whole):
    path, _ = whole
    rows = ModelDir(path).metrics()
    best = max(rows, key=lambda row: (row.top1, row.step))
    assert (
        load_trained(path, run_config(path), checkpoint="best").step
        == best.step
    )


def test_loaded_weights_are_those_of_the_checkpoint(config, whole):
    path, _ = whole
    trained = load_trained(path, run_config(path))
    saved = weights(path)
    assert trained.step == 15
    for weight in trained.model.weights:
        name = weight.path.replace("/", ".S")
        key = f"averaged/{name}/.ATTRIBUTES/VARIABLE_VALUE"
        np.testing.assert_array_equal(weight.numpy(), saved[key])


def check_same_run(path, expected):
    for kind in ("model", "averaged", "optimizer"):
        theirs, found = weights(expected, kind), weights(path, kind)
        assert theirs.keys() == found.keys()
        for name, value in theirs.items():
            np.testing.assert_array_equal(found[name], value, err_msg=name)
    assert without_times(ModelDir(path).metrics()) == without_times(
        ModelDir(expected).metrics()
    )


@pytest.mark.parametrize("stop", [pytest.param(5, marks=pytest.mark.slow), 8])
def test_a_run_that_failed_goes_on_as_an_uninterrupted_one(
    config, whole, tmp_path, monkeypatch, stop
):
    """Before its checkpoint, or between two of them."""
    path = str(tmp_path / "resumed")

    class Stop(Exception):
        pass

    after_call = loop._Training._evaluate_and_save

    def stopping(self):
        if self._step >= stop:
            raise Stop
        after_call(self)

    with monkeypatch.context() as patch:
        patch.setattr(loop._Training, "_evaluate_and_save", stopping)
        with pytest.raises(Stop):
            train(config, path)
    train(config, path)
    check_same_run(path, whole[0])


@pytest.mark.parametrize(
    "stop", [*(pytest.param(n, marks=pytest.mark.slow) for n in (5, 8)), 15]
)
def test_a_run_that_was_asked_to_stop_goes_on_as_an_uninterrupted_one(
    config, whole, tmp_path, monkeypatch, stop
):
    """Where an evaluation is due, between two, and at the very end."""
    path = str(tmp_path / "stopped")
    trained = Journal.trained

    def asked(self):
        trained(self)
        if int(self._state.step.numpy()) == stop:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "trained", asked)
        with pytest.raises(Stopped, match=f"SIGTERM: saved at step {stop}; "):
            train(config, path)
    assert tf.train.latest_checkpoint(f"{path}/checkpoints").endswith(
        f"step-{stop}"
    )
    assert ModelDir(path).result() is None
    result = train(config, path)
    check_same_run(path, whole[0])
    assert result["top1"] == whole[1]["top1"]


def test_lines_of_steps_done_again_are_dropped(config, whole, tmp_path):
    present = ModelDir(str(tmp_path))
    shutil.copy(Path(whole[0]) / "metrics.jsonl", tmp_path)
    with open(present.join("metrics.jsonl"), "a") as file:
        file.write('{"step": 20, "epo')
    assert [row.step for row in present.metrics()] == [5, 10, 15]
    present.keep_metrics_until(10)
    assert [row.step for row in present.metrics()] == [5, 10]


def test_training_takes_the_pixels_that_the_data_section_says(config):
    def first_images(run):
        batches = training_batches(
            run, tf.distribute.get_strategy(), start=0, dtype=tf.float32
        )
        return next(iter(batches))[0].numpy()

    usual = open_run(config)
    other = open_run(
        override(config, ["data.resize=area", "data.normalization=unit"])
    )
    assert usual.network.normalization.name == "imagenet"
    assert other.network.normalization.name == "unit"
    assert other.config.data.normalization == "unit"
    images = first_images(usual)
    np.testing.assert_array_equal(first_images(usual), images)
    assert np.abs(first_images(other) - images).max() > 1


def test_pixels_may_reach_the_network_another_way(config, whole):
    path, _ = whole
    changed = override(
        run_config(path), ["data.normalization=unit", "data.crop=fraction"]
    )
    trained = load_trained(path, changed)
    assert trained.network.normalization.name == "unit"
    assert trained.cut == Cut(32, "fraction", "legacy_bicubic")
    own = load_trained(path, run_config(path))
    assert own.network.normalization.name == "imagenet"
    assert own.cut == Cut(32, "whole", "legacy_bicubic")


def test_a_finished_run_is_not_done_again(config, whole, monkeypatch):
    path, result = whole
    monkeypatch.setattr(loop, "_Training", None)
    assert train(config, path) == result


def test_another_run_is_refused_and_left_alone(config, whole):
    path, _ = whole
    before = {
        file: file.read_bytes()
        for file in Path(path).rglob("*")
        if file.is_file()
    }
    with pytest.raises(InputError, match=r"train\.epochs 3.*not 4.*another"):
        train(override(config, ["train.epochs=4"]), path)
    with pytest.raises(InputError, match=r"model\.name 'tiny', not"):
        train(override(config, ["model.name=efficientnet-lite0"]), path)
    after = {
        file: file.read_bytes()
        for file in Path(path).rglob("*")
        if file.is_file()
    }
    assert after == before


def test_two_replicas_equal_one(config, whole, tmp_path, mirrored):
    path = str(tmp_path / "mirrored")
    result = train(config, path, strategy=mirrored)
    assert result["devices"] == "2 x CPU"
    for kind in ("model", "averaged"):
        expected, found = weights(whole[0], kind), weights(path, kind)
        for name, value in expected.items():
            np.testing.assert_allclose(
                found[name], value, rtol=2e-3, atol=2e-4, err_msg=name
            )
    alone, both = (ModelDir(place).metrics() for place in (whole[0], path))
    for one, two in zip(alone, both, strict=True):
        assert two.loss == pytest.approx(one.loss, rel=1e-4)


def test_replicas_must_divide_the_batch(config, tmp_path, mirrored):
    with pytest.raises(InputError, match=r"train.batch 7 .*2 replicas.*try 6"):
        train(
            override(config, ["train.batch=7"]),
            str(tmp_path / "x"),
            strategy=mirrored,
        )
    assert not (tmp_path / "x").exists()


def test_divergence_is_said(config, tmp_path):
    """The step, its learning rate, the layer, and what is left."""
    path = str(tmp_path / "hot")
    hot = override(
        config,
        [
            "train.learning_rate_per_256=1e30",
            "train.warmup_epochs=0.0",
            "train.checkpoint_epochs=0.2",
            "train.steps_per_call=1",
        ],
    )
    with pytest.raises(RunError) as raised:
        train(hot, path)
    said = re.search(
        r"diverged in step (\d+), at a learning rate of (\S+): the first that "
        r"is not finite is the (output|gradient) of [a-z0-9_/]+; the "
        r"checkpoint of step (\d+) is good",
        str(raised.value),
    )
    assert said, raised.value
    step = int(said[1])
    assert float(said[2]) == pytest.approx(1e30 * 8 / 256, rel=1e-3)
    assert int(said[4]) == step - 1
    for name, value in weights(path, "model").items():
        assert np.isfinite(value).all(), name
    (last,) = Path(path).glob(f"checkpoints/step-{step - 1}.index")
    assert last.is_file()


@pytest.mark.slow
def test_bfloat16_trains(config, tmp_path):
    low = override(config, ["train.precision=bfloat16", "train.epochs=1.0"])
    result = train(low, str(tmp_path / "low"))
    assert result["precision"] == "mixed_bfloat16"
    assert np.isfinite(result["loss"])
    saved = weights(tmp_path / "low", "model")
    assert {value.dtype for value in saved.values()} == {np.dtype("float32")}


def test_classes_must_be_those_of_the_data(config, tmp_path):
    with pytest.raises(InputError, match="model.classes 7 was given, .* has 3"):
        train(override(config, ["model.classes=7"]), str(tmp_path / "x"))
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
def test_seeds_decide(config, whole, tmp_path):
    again, other = str(tmp_path / "again"), str(tmp_path / "other")
    train(config, again)
    train(override(config, ["train.seed=1"]), other)
    name = "averaged/stem_conv.Skernel/.ATTRIBUTES/VARIABLE_VALUE"
    expected = weights(whole[0])[name]
    np.testing.assert_array_equal(weights(again)[name], expected)
    assert np.abs(weights(other)[name] - expected).max() > 0.01


def test_checkpoints_that_nothing_names_are_an_error(config, whole, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(whole[0], copy)
    (copy / "result.json").unlink()
    (copy / "checkpoints" / "checkpoint").write_text("garbage")
    with pytest.raises(RunError, match="does not name it"):
        train(config, str(copy))
    assert ModelDir(str(copy)).result() is None


def test_a_directory_in_use_is_refused(config, whole):
    with (
        ModelDir(whole[0]).held(),
        pytest.raises(InputError, match="is in use by another process"),
    ):
        train(config, whole[0])


def test_what_is_not_ours_is_not_written_over(config, tmp_path):
    (tmp_path / "labels.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds labels\.txt but no run"):
        train(config, str(tmp_path))
    assert (tmp_path / "labels.txt").read_text() == "mine"


def test_a_pattern_is_no_directory(config, tmp_path):
    with pytest.raises(InputError, match="must not contain any of"):
        train(config, str(tmp_path / "run[1]"))


def test_the_pace_of_a_run_is_that_of_all_its_lines(whole):
    lines = ModelDir(whole[0]).metrics()
    batch = 8
    seconds = sum(5 * batch / line.images_per_second for line in lines)
    assert mean_pace(lines) == pytest.approx(15 * batch / seconds)
    assert mean_pace([]) == 0.0
