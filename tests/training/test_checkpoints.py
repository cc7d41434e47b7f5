"""Saving while training goes on, and what is done about damaged files."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from efficientnet_tf.errors import RunError
from efficientnet_tf.training.checkpoints import Checkpoints, restore
from efficientnet_tf.training.config import Config
from efficientnet_tf.training.loop import train
from efficientnet_tf.training.model_dir import ModelDir
from efficientnet_tf.training.state import TrainState, create_state
from efficientnet_tf.training.trained import load_trained

SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"


@pytest.fixture(scope="module")
def whole(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose checkpoints are those of steps 5, 10 and 15."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    train(config, str(folder))
    return folder


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    """The run, which does not say any more that it is finished."""
    folder = tmp_path / "copy"
    shutil.copytree(whole, folder)
    (folder / "result.json").unlink()
    return folder


@pytest.fixture
def state(config: Config) -> TrainState:
    return create_state(config.network(3), config, "float32")


def tensors(path: Path) -> dict[str, Any]:
    """All variables of a checkpoint but TensorFlow's own counter."""
    reader = tf.train.load_checkpoint(str(path))
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if name.endswith(SUFFIX) and not name.startswith("save_counter")
    }


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def files(*steps: str) -> list[str]:
    ends = ("data-00000-of-00001", "index")
    return sorted(f"{step}.{end}" for step in steps for end in ends)


def flip(file: Path, offset: int) -> None:
    content = bytearray(file.read_bytes())
    content[offset] ^= 0x10
    file.write_bytes(content)


def flip_data(folder: Path, step: str) -> None:
    (file,) = folder.glob(f"{step}.data*")
    flip(file, file.stat().st_size // 2)


def test_what_is_saved_is_the_moment_of_saving(
    state: TrainState, tmp_path: Path
) -> None:
    saved = {
        weight.path: np.random.default_rng(n).normal(size=weight.shape)
        for n, weight in enumerate(state.model.weights)
    }
    for weight in state.model.weights:
        weight.assign(saved[weight.path])
    state.step.assign(7)
    checkpoints = Checkpoints(ModelDir(str(tmp_path)), state, 1)
    with closing(checkpoints):
        checkpoints.save_if_best(0.5)
        checkpoints.save()
        for weight in state.model.weights:
            weight.assign(tf.zeros_like(weight))
        state.step.assign(8)
        checkpoints.wait()
    for folder in ("checkpoints", "best"):
        found = tensors(tmp_path / folder / "step-7")
        assert found[f"progress/step{SUFFIX}"] == 7
        assert found[f"best_top1{SUFFIX}"] == 0.5
        for path, value in saved.items():
            name = f"model/{path.replace('/', '.S')}{SUFFIX}"
            np.testing.assert_array_equal(found[name], np.float32(value))


def test_saving_does_not_wait_for_the_disk(
    state: TrainState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = threading.Event()
    save = tf.train.CheckpointManager.save

    def slow(manager: tf.train.CheckpointManager, **options: int) -> str:
        if not ready.wait(20):
            raise TimeoutError("nobody went on meanwhile")
        return save(manager, **options)

    monkeypatch.setattr(tf.train.CheckpointManager, "save", slow)
    state.step.assign(7)
    with closing(Checkpoints(ModelDir(str(tmp_path)), state, 1)) as checkpoints:
        checkpoints.save()
        assert checkpoints.saved is None
        ready.set()
        checkpoints.wait()
        assert checkpoints.saved == 7


def test_replicas_are_saved_as_one(
    config: Config, mirrored: tf.distribute.Strategy, tmp_path: Path
) -> None:
    """Under the names, and with the shapes, of a run without replicas."""
    with mirrored.scope():
        state = create_state(config.network(3), config, "float32")
    checkpoints = Checkpoints(ModelDir(str(tmp_path)), state, 1)
    with closing(checkpoints):
        checkpoints.save()
        checkpoints.wait()
        saved = [weight.numpy() for weight in state.averaged.weights]
        for weight in state.averaged.weights:
            weight.assign(tf.zeros_like(weight))
        assert checkpoints.restore()
    for weight, value in zip(state.averaged.weights, saved, strict=True):
        for replica in mirrored.experimental_local_results(weight.value):
            np.testing.assert_array_equal(replica.numpy(), value)
    with closing(
        Checkpoints(
            ModelDir(str(tmp_path)),
            create_state(config.network(3), config, "float32"),
            1,
        )
    ) as alone:
        assert alone.restore()


@pytest.mark.parametrize("way", ["wait", "save"])
def test_an_error_of_the_writing_comes_out(
    state: TrainState, tmp_path: Path, way: str
) -> None:
    (tmp_path / "checkpoints").write_text("in the way")
    checkpoints = Checkpoints(ModelDir(str(tmp_path)), state, 1)
    with closing(checkpoints):
        state.step.assign(3)
        checkpoints.save()
        with pytest.raises(RunError, match="checkpoints/step-3 cannot be sav"):
            getattr(checkpoints, way)()


def test_nothing_is_written_after_a_failure(
    state: TrainState, tmp_path: Path
) -> None:
    """Else the newest one would speak of a best one that is not there."""
    (tmp_path / "best").write_text("in the way")
    checkpoints = Checkpoints(ModelDir(str(tmp_path)), state, 1)
    with closing(checkpoints), pytest.raises(RunError, match="best/step-0"):
        checkpoints.save_if_best(0.5)
        checkpoints.save()
        checkpoints.wait()
    assert not (tmp_path / "checkpoints").exists()


def remove_index(folder: Path, step: str) -> None:
    (folder / f"{step}.index").unlink()


def cut_short(folder: Path, step: str) -> None:
    (file,) = folder.glob(f"{step}.data*")
    file.write_bytes(file.read_bytes()[:1000])


def empty_index(folder: Path, step: str) -> None:
    (folder / f"{step}.index").write_bytes(b"")


@pytest.mark.parametrize(
    "damage",
    [
        flip_data,
        pytest.param(remove_index, marks=pytest.mark.slow),
        pytest.param(cut_short, marks=pytest.mark.slow),
        pytest.param(empty_index, marks=pytest.mark.slow),
    ],
)
def test_a_damaged_one_is_told_and_the_one_before_taken(
    config: Config,
    whole: Path,
    copy: Path,
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[Path, str], None],
) -> None:
    folder = copy / "checkpoints"
    damage(folder, "step-15")
    left = [name for name in names(folder) if name.startswith("step-15")]
    capsys.readouterr()
    train(config, str(copy))
    (line,) = [
        line
        for line in capsys.readouterr().err.splitlines()
        if "step-15" in line
    ]
    assert "step-15 cannot be restored: " in line
    assert line.endswith(
        f"; going on from {folder}/step-10 (what is damaged is kept as "
        "damaged-step-*)"
    )
    assert names(folder) == sorted(
        [
            "checkpoint",
            *(f"damaged-{name}" for name in left),
            *files("step-5", "step-10", "step-15"),
        ]
    )
    manager = tf.train.get_checkpoint_state(str(folder))
    assert [Path(path).name for path in manager.all_model_checkpoint_paths] == [
        "step-5",
        "step-10",
        "step-15",
    ]
    expected = tensors(whole / "checkpoints" / "step-15")
    for name, value in tensors(folder / "step-15").items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)
    steps = [line.step for line in ModelDir(str(copy)).metrics()]
    assert steps == [5, 10, 15]


def test_two_damaged_ones_are_passed_over(
    config: Config, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy / "checkpoints"
    remove_index(folder, "step-15")
    flip_data(folder, "step-10")
    train(config, str(copy))
    said = capsys.readouterr().err
    assert said.count("cannot be restored") == 2
    assert f"; going on from {folder}/step-5 (what is " in said
    damaged = [name for name in names(folder) if name.startswith("damaged-")]
    assert damaged == [
        "damaged-step-10.data-00000-of-00001",
        "damaged-step-10.index",
        "damaged-step-15.data-00000-of-00001",
    ]


def test_where_none_is_good_all_are_named_and_left(
    config: Config, copy: Path
) -> None:
    folder = copy / "checkpoints"
    for step in ("step-5", "step-10", "step-15"):
        flip_data(folder, step)
    before = names(folder)
    with pytest.raises(RunError) as caught:
        train(config, str(copy))
    for step in ("step-5", "step-10", "step-15"):
        assert f"{step} cannot be restored" in str(caught.value)
    assert names(folder) == before


def test_a_state_file_that_is_empty_is_an_error(
    config: Config, copy: Path
) -> None:
    (copy / "checkpoints" / "checkpoint").write_bytes(b"")
    with pytest.raises(RunError, match='a file "checkpoint" that names none'):
        train(config, str(copy))


def test_a_reader_of_a_damaged_one_is_told(config: Config, copy: Path) -> None:
    cut_short(copy / "checkpoints", "step-15")
    with pytest.raises(RunError, match="step-15 cannot be restored: Read les"):
        load_trained(str(copy), config)
    assert load_trained(str(copy), config, checkpoint="best").step


def test_any_flipped_byte_is_noticed_or_harmless(tmp_path: Path) -> None:
    """In data always; in the index where it says something."""
    values = {
        f"v{n}": np.random.default_rng(n).normal(size=(9, 7)).astype("float32")
        for n in range(5)
    }
    variables = {name: tf.Variable(value) for name, value in values.items()}
    contents = tf.train.Checkpoint(**variables)
    path = contents.save(str(tmp_path / "step"))
    for file in (Path(f"{path}.data-00000-of-00001"), Path(f"{path}.index")):
        noticed = 0
        offsets = range(0, file.stat().st_size, 5)
        for offset in offsets:
            flip(file, offset)
            try:
                restore(contents, path)
            except RunError:
                noticed += 1
            else:
                for name, value in values.items():
                    np.testing.assert_array_equal(variables[name], value)
            flip(file, offset)
        assert noticed >= len(offsets) * (0.8 if "index" in file.name else 1)


def test_leftovers_of_a_killed_process_are_removed(
    config: Config, copy: Path
) -> None:
    leftovers = [
        copy / "checkpoints" / f"checkpoint.tmp{'0a' * 16}",
        copy / "best" / "step-15_temp" / "part-00000-of-00001",
        copy / ".metrics.jsonl.0123abcd.tmp",
    ]
    mine = [
        copy / "checkpoints" / "checkpoint.tmp-of-mine",
        copy / "checkpoints" / "mine_temp" / "file",
    ]
    for file in (*leftovers, *mine):
        file.parent.mkdir(exist_ok=True)
        file.write_text("half")
    train(config, str(copy))
    assert not any(file.exists() for file in leftovers)
    assert not (copy / "best" / "step-15_temp").exists()
    assert all(file.exists() for file in mine)
