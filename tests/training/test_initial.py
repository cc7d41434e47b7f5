"""Where a run starts, held against the tensors of the run it starts from."""

import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from efficientnet_tf.data.manifest import read_manifest, write_manifest
from efficientnet_tf.errors import InputError
from efficientnet_tf.networks import families
from efficientnet_tf.training import loop
from efficientnet_tf.training.checkpoints import Checkpoints
from efficientnet_tf.training.config_files import override
from efficientnet_tf.training.initial import _check_network
from efficientnet_tf.training.lease import Lease
from efficientnet_tf.training.loop import train
from efficientnet_tf.training.model_dir import ModelDir
from efficientnet_tf.training.run import open_run
from efficientnet_tf.training.state import create_state
from efficientnet_tf.training.stops import Stops

HEAD = {"predictions/kernel", "predictions/bias"}


@pytest.fixture(scope="module")
def source(config, tmp_path_factory):
    """A finished run of red, green and blue."""
    path = str(tmp_path_factory.mktemp("runs") / "source")
    train(override(config, ["train.epochs=1"]), path)
    return path


@pytest.fixture
def renamed(squares_dir, tmp_path):
    """Makes the same squares with other classes; their folder."""

    def make(*labels):
        folder = tmp_path / f"squares-{'-'.join(labels)}"
        shutil.copytree(squares_dir, folder)
        manifest = read_manifest(str(folder))
        write_manifest(str(folder), replace(manifest, labels=labels))
        return folder

    return make


def at_start(config, path, strategy=None):
    """The state of a training before its first step."""
    Path(path).mkdir(exist_ok=True)
    run = open_run(config, str(path))
    strategy = strategy or tf.distribute.get_strategy()
    training = loop._Training(run, strategy, Lease(), Stops())
    training.resume()
    return training._state


def tensors(model_dir, kind="averaged"):
    reader = tf.train.load_checkpoint(str(Path(model_dir) / "checkpoints"))
    return {
        name.split("/")[1].replace(".S", "/"): reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if name.startswith(f"{kind}/")
    }


def values(model):
    return {weight.path: weight.numpy() for weight in model.weights}


def check_equal(found, expected):
    assert found.keys() == expected.keys()
    for path, value in expected.items():
        np.testing.assert_array_equal(found[path], value, err_msg=path)


def without_head(weights):
    return {path: w for path, w in weights.items() if path not in HEAD}


@pytest.mark.parametrize(
    "setting", ["model.pixels=64", "train.average_decay=0.0", "train.seed=3"]
)
def test_a_run_starts_from_the_averages_of_another(
    config, source, tmp_path, capsys, setting
):
    tuning = override(config, [f"train.init_from={source}", setting])
    state = at_start(tuning, tmp_path)
    averages = tensors(source)
    raw = tensors(source, "model")
    assert np.abs(averages["stem_conv/kernel"] - raw["stem_conv/kernel"]).any()
    check_equal(values(state.model), averages)
    check_equal(values(state.averaged), averages)
    assert (state.averaged is state.model) == ("average" in setting)
    assert int(state.step) == 0
    for name, slot in state.optimizer.slots.items():
        start = 1.0 if name.endswith("mean_square") else 0.0
        assert np.all(slot.numpy() == start)
    said = capsys.readouterr().err
    count = len(averages)
    assert said == f"{count} variables from {source}, step 5\n"


def test_a_source_by_its_url(config, source, tmp_path):
    """As gs:// is, it is recorded as it was given."""
    tuning = override(config, [f"train.init_from=file://{source}"])
    assert open_run(tuning).config.train.init_from == f"file://{source}"
    check_equal(values(at_start(tuning, tmp_path).model), tensors(source))


def test_a_source_without_averages(config, source, tmp_path):
    raw = str(tmp_path / "raw")
    Path(raw).mkdir()
    run = open_run(override(config, ["train.average_decay=0.0"]), raw)
    run.model_dir.claim(run.config, run.dataset.labels)
    saved = create_state(run.network, run.config, "float32")
    # As if they had learnt.
    for weight in saved.model.weights:
        weight.assign(weight + 1)
    with closing(Checkpoints(run.model_dir, saved, 1)) as checkpoints:
        checkpoints.save()
        checkpoints.wait()
    state = at_start(
        override(config, [f"train.init_from={raw}"]), tmp_path / "x"
    )
    check_equal(values(state.averaged), values(saved.model))


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (("a", "b", "c", "d"), "it has 3 classes, the data 4"),
        (("blue", "green", "red"), "its classes have other names"),
    ],
)
def test_other_classes_leave_the_head_fresh(
    config, source, renamed, tmp_path, capsys, labels, reason
):
    other = override(config, [f"data.dir={renamed(*labels)}"])
    fresh = at_start(other, tmp_path / "fresh")
    assert capsys.readouterr().err == ""
    tuned = at_start(
        override(other, [f"train.init_from={source}"]), tmp_path / "tuned"
    )
    for model in (tuned.model, tuned.averaged):
        found = values(model)
        check_equal(without_head(found), without_head(tensors(source)))
        for path in HEAD:
            np.testing.assert_array_equal(
                found[path], values(fresh.model)[path]
            )
    (said,) = capsys.readouterr().err.splitlines()
    assert f"2 variables left fresh: {reason}" in said


def test_on_two_replicas(config, source, tmp_path, mirrored):
    tuning = override(config, [f"train.init_from={source}"])
    state = at_start(tuning, tmp_path, mirrored)
    for weight in state.model.weights:
        for copy in mirrored.experimental_local_results(weight.value):
            np.testing.assert_array_equal(
                copy.numpy(), tensors(source)[weight.path]
            )


def test_published_weights_come_from_keras(
    config, tmp_path, capsys, keras_mirror
):
    published = keras_mirror(top=False)
    tuning = override(
        config,
        ["train.init_from=imagenet", "model.name=efficientnet-b0"]
        + ["model.pixels=32"],
    )
    assert open_run(tuning).config.train.init_from == "imagenet"
    state = at_start(tuning, tmp_path / "run")
    kernel = np.asarray(published.get_layer("block3a_dwconv").kernel)
    for model in (state.model, state.averaged):
        np.testing.assert_array_equal(
            values(model)["block3a_dwconv/kernel"], kernel
        )
    said = capsys.readouterr().err
    assert "2 variables left fresh: the model has 3 classes" in said


def test_a_source_that_will_not_do_is_refused(
    config, source, tiny, tmp_path, monkeypatch
):
    empty = tmp_path / "empty"
    empty.mkdir()
    unsaved = tmp_path / "unsaved"
    shutil.copytree(source, unsaved)
    shutil.rmtree(unsaved / "checkpoints")
    monkeypatch.setitem(families.VARIANTS, "small", families.VARIANTS[tiny])
    for settings, says in (
        ([f"train.init_from={empty}"], "empty has no config.json"),
        (["train.init_from=imagnet"], "/imagnet has no config.json"),
        (["train.init_from=imagenet"], "no ImageNet weights of tiny"),
        (["train.init_from=a[1]"], "train.init_from: .*must not contain"),
        ([f"train.init_from={unsaved}"], "unsaved has no checkpoint yet"),
        (
            [f"train.init_from={source}", "model.name=small"],
            "source holds tiny, not small; try --model=tiny",
        ),
    ):
        with pytest.raises(InputError, match=says):
            train(override(config, settings), str(tmp_path / "run"))
        assert not (tmp_path / "run").exists()


def test_pixels_normalized_otherwise_are_refused(config):
    ours = config.network(3)
    theirs = replace(ours, normalization=families.NORMALIZATIONS["unit"])
    with pytest.raises(InputError, match="normalized as 'unit', not 'imagene"):
        _check_network("there", theirs, ours)


def test_where_a_run_started_is_a_part_of_it(
    config, source, tmp_path, monkeypatch
):
    monkeypatch.chdir(Path(source).parent)
    path = str(tmp_path / "run")
    tuning = override(config, ["train.init_from=source", "train.epochs=1"])
    run = open_run(tuning, path)
    run.model_dir.claim(run.config, run.dataset.labels)
    run.model_dir.write_result({"top1": 0.5})
    assert ModelDir(path).config().train.init_from == source
    assert train(tuning, path) == {"top1": 0.5, "model_dir": path}
    with pytest.raises(InputError, match=r"holds a run with train\.init_from"):
        train(override(tuning, ["train.init_from="]), path)


class Stop(Exception):
    """Stands for a kill."""


@pytest.mark.slow
@pytest.mark.parametrize("stop", [3, 7])
def test_a_resumed_run_equals_an_uninterrupted_one(
    config, source, renamed, tmp_path, monkeypatch, stop
):
    """Stopped before the first checkpoint, and after it without the source."""
    moved = str(tmp_path / "moved")
    shutil.copytree(source, moved)
    tuning = override(
        config,
        [
            f"data.dir={renamed('a', 'b', 'c')}",
            f"train.init_from={moved}",
            "train.freeze=stage1",
            "train.epochs=2",
        ],
    )
    whole, killed = str(tmp_path / "whole"), str(tmp_path / "killed")
    train(tuning, whole)
    after_call = loop._Training._evaluate_and_save

    def stopping(self):
        if self._step >= stop:
            raise Stop
        after_call(self)

    with monkeypatch.context() as patch:
        patch.setattr(loop._Training, "_evaluate_and_save", stopping)
        with pytest.raises(Stop):
            train(tuning, killed)
    if stop > 5:
        shutil.rmtree(moved)
    train(tuning, killed)
    for kind in ("model", "averaged", "optimizer"):
        check_equal(tensors(killed, kind), tensors(whole, kind))
