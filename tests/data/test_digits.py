import collections
import io
import multiprocessing
import os
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_digits

from efficientnet_tf.data import digits
from efficientnet_tf.data.dataset import open_dataset
from efficientnet_tf.data.digits import write_digits
from efficientnet_tf.errors import InputError


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def dataset(cache, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    return open_dataset("digits")


def examples(files):
    for raw in tf.data.TFRecordDataset(list(files)).as_numpy_iterator():
        yield tf.train.Example.FromString(raw).features.feature


def number(example) -> int:
    """Which of scikit-learn's pictures an example is."""
    name = example["image/filename"].bytes_list.value[0]
    return int(name.removesuffix(b".jpg"))


def test_where_and_how_many(dataset, cache):
    assert dataset.path == f"{cache}/efficientnet_tf/digits-v1"
    assert (dataset.name, dataset.first_label) == ("digits", 1)
    assert dataset.labels == tuple("0123456789")
    assert (dataset.train.images, dataset.validation.images) == (1437, 360)
    assert [len(dataset.train.files), len(dataset.validation.files)] == [4, 1]
    assert sorted(os.listdir(dataset.path)) == [
        "labels.txt",
        "manifest.json",
        *(f"train-0000{i}-of-00004" for i in range(4)),
        "validation-00000-of-00001",
    ]
    assert os.listdir(os.path.dirname(dataset.path)) == ["digits-v1"]


def test_every_digit_once_and_as_scikit_learn_has_it(dataset):
    truth = load_digits()
    seen = collections.Counter()
    for example in examples(dataset.train.files + dataset.validation.files):
        i = number(example)
        seen[i] += 1
        (label,) = example["image/class/label"].int64_list.value
        assert label == truth.target[i] + 1
        (encoded,) = example["image/encoded"].bytes_list.value
        with Image.open(io.BytesIO(encoded)) as image:
            assert (image.format, image.mode) == ("JPEG", "RGB")
            assert image.size == (32, 32)
            pixels = np.asarray(image).astype(float)
        enlarged = Image.fromarray(np.float32(truth.images[i] * 255 / 16))
        enlarged = enlarged.resize((32, 32), Image.Resampling.BICUBIC)
        error = pixels - np.clip(enlarged, 0, 255)[..., None]
        assert np.abs(error).mean() < 4
    assert seen == collections.Counter(range(1797))


def test_a_fifth_of_every_digit_is_held_out(dataset):
    truth = load_digits().target
    held_out = [number(e) for e in examples(dataset.validation.files)]
    counts = np.bincount(truth[held_out])
    assert np.abs(counts - np.bincount(truth) * 360 / 1797).max() < 1


def test_digits_are_mixed(dataset):
    labels = [
        example["image/class/label"].int64_list.value[0]
        for example in examples(dataset.train.files[:1])
    ]
    assert len(set(labels[:50])) == 10
    assert number(next(examples(dataset.train.files))) != 0


def test_the_same_bytes_again(dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    again = write_digits()
    assert again.startswith(str(tmp_path))
    for name in os.listdir(dataset.path):
        first = Path(dataset.path, name).read_bytes()
        assert Path(again, name).read_bytes() == first


def test_once_written_they_are_only_opened(dataset, monkeypatch):
    monkeypatch.setattr(digits, "_build", lambda folder: 1 / 0)
    assert open_dataset("digits") == dataset


def test_an_empty_name_is_no_data_set():
    with pytest.raises(InputError, match=r"data\.dir is empty"):
        open_dataset("")


def test_without_the_variable_they_go_to_the_home(tmp_path, monkeypatch):
    def build(folder):
        open(f"{folder}/manifest.json", "w").close()

    monkeypatch.setattr(digits, "_build", build)
    monkeypatch.setenv("HOME", str(tmp_path))
    for value in ("", None):
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        if value is not None:
            monkeypatch.setenv("XDG_CACHE_HOME", value)
        expected = tmp_path / ".cache" / "efficientnet_tf" / "digits-v1"
        assert write_digits() == str(expected)


def test_a_failed_build_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(digits, "_build", lambda folder: 1 / 0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ZeroDivisionError):
        write_digits()
    assert os.listdir(tmp_path / "efficientnet_tf") == []


def test_what_a_killed_process_left(tmp_path, monkeypatch):
    home = tmp_path / "efficientnet_tf"
    for name in ("digits-v1.old.tmp", "digits-v1.new.tmp"):
        (home / name).mkdir(parents=True)
        (home / name / "train-00000-of-00004").write_bytes(b"half")
    two_hours_ago = time.time() - 7200
    os.utime(home / "digits-v1.old.tmp", (two_hours_ago, two_hours_ago))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert open_dataset("digits").train.images == 1437
    # The newer one may be another process at work.
    assert sorted(os.listdir(home)) == ["digits-v1", "digits-v1.new.tmp"]


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(InputError, match="set XDG_CACHE_HOME"):
        write_digits()


def test_a_folder_of_something_else(tmp_path, monkeypatch):
    folder = tmp_path / "efficientnet_tf" / "digits-v1"
    folder.mkdir(parents=True)
    (folder / "thesis.tex").touch()
    monkeypatch.setattr(digits, "_build", lambda folder: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(InputError, match="digits-v1 holds something else"):
        write_digits()
    assert os.listdir(folder) == ["thesis.tex"]


def build_when_both_can(barrier, build, folder):
    build(folder)
    barrier.wait(60)


def other_process(barrier, results):
    digits._build = partial(build_when_both_can, barrier, digits._build)
    results.put(open_dataset("digits"))


def test_two_processes_at_once(dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(2), context.Queue()
    process = context.Process(target=other_process, args=(barrier, results))
    process.start()
    build = partial(build_when_both_can, barrier, digits._build)
    monkeypatch.setattr(digits, "_build", build)
    mine = open_dataset("digits")
    assert results.get(timeout=60) == mine
    process.join(60)
    assert process.exitcode == 0
    assert os.listdir(tmp_path / "efficientnet_tf") == ["digits-v1"]
    for name in os.listdir(dataset.path):
        first = Path(dataset.path, name).read_bytes()
        assert Path(mine.path, name).read_bytes() == first
