"""One stream, whatever the pictures lie in."""

from __future__ import annotations

import io
from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from efficientnet_tf.data.cache import free_bytes, in_memory
from efficientnet_tf.data.cut import Cut
from efficientnet_tf.data.dataset import open_dataset
from efficientnet_tf.data.kinds import RecordDataset
from efficientnet_tf.data.pipeline import (
    COPIES_HELD,
    evaluation_examples,
    training_examples,
    training_order,
)
from efficientnet_tf.data.preprocess import TrainingCrop
from efficientnet_tf.errors import InputError

CUT = Cut(16, "whole", "bilinear")
CLASSES = ("ant", "bee", "fly")
# Of a picture by its class, in training and validation.
EACH = {"train": 5, "validation": 2}


def encoded(grey: int, kind: str = "JPEG", **options: object) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (40, 30), (grey,) * 3).save(file, kind, **options)
    return file.getvalue()


def shade(label: int) -> int:
    return 40 + 80 * label


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "insects"
    for split, each in EACH.items():
        for label, name in enumerate(CLASSES):
            place = path / split / name
            place.mkdir(parents=True)
            for number in range(each):
                content = encoded(shade(label))
                if number == 1:
                    content = encoded(shade(label), "PNG")
                (place / f"{number}.jpg").write_bytes(content)
    return path


def check(dataset: RecordDataset, split: str, expected: Counter[int]) -> None:
    """All labels as often as they should come, each with its shade."""
    labels: Counter[int] = Counter()
    for image, label in evaluation_examples(dataset, split, cut=CUT):
        np.testing.assert_allclose(image, shade(int(label)), atol=2)
        labels[int(label)] += 1
    assert labels == expected
    if split != "train":
        return
    stream = training_examples(
        dataset, cut=CUT, crop=TrainingCrop(), seed=0, places=2
    )
    for _ in range(2):
        labels = Counter()
        for image, label in islice(stream, expected.total()):
            np.testing.assert_allclose(image, shade(int(label)), atol=2)
            labels[int(label)] += 1
        assert labels == expected


def test_a_folder_of_class_folders(folder: Path) -> None:
    dataset = open_dataset(str(folder))
    assert (dataset.labels, dataset.name) == (CLASSES, "insects")
    for split, each in EACH.items():
        check(dataset, split, Counter(dict.fromkeys(range(3), each)))


def test_a_folder_without_splits_is_split_as_prepare_does(
    folder: Path, tmp_path: Path
) -> None:
    from efficientnet_tf.data.prepare import prepare

    source = folder / "train"
    dataset = open_dataset(str(source))
    assert (dataset.train.images, dataset.validation.images) == (12, 3)
    prepared = prepare(str(source), str(tmp_path / "out"))
    records = tf.data.TFRecordDataset(list(prepared.validation.files))
    held_out = {
        tf.train.Example.FromString(record)
        .features.feature["image/filename"]
        .bytes_list.value[0]
        .decode()
        for record in records.as_numpy_iterator()
    }
    ours = {Path(file).name for file in dataset.validation.files}
    assert ours == held_out


def test_a_window_of_a_folder_goes_by_the_size_of_its_pictures(
    tmp_path: Path,
) -> None:
    for name, size in zip(CLASSES, (10_000, 20_000, 60_000), strict=True):
        (tmp_path / name).mkdir()
        for number in range(100):
            (tmp_path / name / f"{number}.jpg").write_bytes(bytes(size))
    dataset = open_dataset(str(tmp_path))
    mean = dataset.train.bytes / dataset.train.images
    assert 25_000 < mean < 35_000
    # Room for 64 pictures, and not for a third batch.
    order = training_order(
        dataset, 0, places=32, shuffle_bytes=COPIES_HELD * 65 * int(mean)
    )
    assert order.window == 64


def test_a_picture_that_its_exif_turns(tmp_path: Path) -> None:
    """White above black, and the camera lay on its side."""
    picture = np.zeros((40, 40, 3), np.uint8)
    picture[:20] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(2):
            Image.fromarray(picture).save(
                tmp_path / name / f"{number}.jpg", exif=exif
            )
    dataset = open_dataset(str(tmp_path))
    for image, _ in evaluation_examples(dataset, "train", cut=CUT):
        assert image[:6].numpy().max() < 10
        assert image[10:].numpy().min() > 245


def test_a_broken_picture_of_a_folder_is_passed_over(
    folder: Path, tmp_path: Path
) -> None:
    for label, name in enumerate(CLASSES):
        (tmp_path / name).mkdir()
        for number in range(4):
            content = encoded(shade(label))
            (tmp_path / name / f"{number}.jpg").write_bytes(content)
    dataset = open_dataset(str(tmp_path))
    Path(dataset.train.files[2]).write_bytes(b"no picture")
    expected = Counter(dataset.train.labels)
    broken = dataset.train.labels[2]
    expected[broken] -= 1
    labels = [
        int(label)
        for _, label in evaluation_examples(dataset, "train", cut=CUT)
    ]
    assert labels[2] == -1
    assert Counter(labels) == expected + Counter([-1])


def test_a_picture_that_is_not_there_is_no_bad_record(tmp_path: Path) -> None:
    for name in CLASSES:
        (tmp_path / name).mkdir()
        for number in range(4):
            (tmp_path / name / f"{number}.jpg").write_bytes(encoded(9))
    dataset = open_dataset(str(tmp_path))
    Path(dataset.train.files[2]).unlink()
    notes = tmp_path / "notes"
    stream = training_examples(
        dataset, cut=CUT, crop=TrainingCrop(), seed=0, notes=str(notes)
    )
    with pytest.raises(tf.errors.NotFoundError):
        list(islice(stream, dataset.train.images))
    assert not notes.exists()
    with pytest.raises(tf.errors.NotFoundError):
        list(evaluation_examples(dataset, "train", cut=CUT))


def test_fake_images_are_of_the_right_size_and_cost_nothing() -> None:
    dataset = open_dataset("fake", classes=7)
    assert (dataset.train.images, dataset.classes) == (1_281_167, 7)
    stream = training_examples(dataset, cut=CUT, crop=TrainingCrop(), seed=0)
    for image, label in islice(stream, 20):
        assert image.shape == (16, 16, 3)
        assert 0 <= int(label) < 7
        assert 60 < image.numpy().std() < 90
    few = open_dataset("fake", train_images=10, validation_images=5, classes=7)
    assert len(list(evaluation_examples(few, "validation", cut=CUT))) == 5


def test_files_in_memory_give_the_same(folder: Path) -> None:
    dataset = in_memory(open_dataset(str(folder)))
    assert all(file.startswith("ram://") for file in dataset.train.files)
    check(dataset, "train", Counter(dict.fromkeys(range(3), EACH["train"])))


def test_what_does_not_fit_into_memory(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("efficientnet_tf.data.cache.free_bytes", lambda: 1000)
    with pytest.raises(InputError, match="data.cache 'memory'.* 0.0 fit"):
        in_memory(open_dataset(str(folder)))


def test_a_missing_file_cannot_be_kept_in_memory(tmp_path: Path) -> None:
    for name in CLASSES:
        (tmp_path / name).mkdir()
        for number in range(2):
            (tmp_path / name / f"{number}.jpg").write_bytes(encoded(9))
    dataset = open_dataset(str(tmp_path))
    Path(dataset.train.files[1]).unlink()
    with pytest.raises(InputError, match="data.cache 'memory': .*No such file"):
        in_memory(dataset)


# Files of a control group: version 2, 1, and without a limit.
GROUPS = {
    "version 2": (
        {
            "memory.max": "5000",
            "memory.current": "3000",
            "memory.stat": "anon 1\nactive_file 300\ninactive_file 200\n",
        },
        2500,
    ),
    "version 1": (
        {
            "memory/memory.limit_in_bytes": "5000",
            "memory/memory.usage_in_bytes": "3000",
            "memory/memory.stat": "cache 1\ntotal_inactive_file 9\n",
        },
        2000,
    ),
    "beyond its limit": (
        {"memory.max": "5", "memory.current": "8", "memory.stat": ""},
        0,
    ),
    "no limit": (
        {"memory.max": "max", "memory.current": "8", "memory.stat": ""},
        7 * 1024,
    ),
    "more than the machine has": (
        {"memory.max": "9999999", "memory.current": "8", "memory.stat": ""},
        7 * 1024,
    ),
    "no group": ({}, 7 * 1024),
}


@pytest.mark.parametrize("case", GROUPS)
def test_a_container_has_what_its_limit_leaves(
    tmp_path: Path, case: str
) -> None:
    files, expected = GROUPS[case]
    meminfo = "MemTotal: 9 kB\nMemAvailable:    7 kB\nHugePages_Free: 0\n"
    for name, content in {
        "proc/meminfo": meminfo,
        **{f"sys/fs/cgroup/{name}": text for name, text in files.items()},
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert free_bytes(str(tmp_path)) == expected
