import collections
import hashlib
import io
import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from efficientnet_tf.data import prepare as module
from efficientnet_tf.data import workers
from efficientnet_tf.data.dataset import open_dataset
from efficientnet_tf.data.prepare import prepare
from efficientnet_tf.data.shards import make_shard
from efficientnet_tf.errors import InputError

MARKER = "prepare.unfinished"


def picture(path: Path, value: int, kind: str = "JPEG") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 10), (value, 255 - value, 40)).save(path, kind)


@pytest.fixture
def source(tmp_path):
    """Two classes of 10 and 5 pictures, under odd names and at any depth."""
    root = tmp_path / "pictures"
    for i in range(9):
        picture(root / "große Katze" / f"bild {i}.jpg", 10 * i)
    picture(root / "große Katze" / "in doors" / "x" / "ü.JPG", 90)
    for i in range(4):
        picture(root / "ant" / f"{i}.jpeg", 100 + 10 * i)
    picture(root / "ant" / "p.png", 140, "PNG")
    (root / "ant" / ".hidden").write_text("left out")
    (root / ".DS_Store").touch()
    return root


def read(shards):
    """(label, class name, file name, JPEG) of every record, in order."""
    records = []
    for raw in tf.data.TFRecordDataset(list(shards.files)).as_numpy_iterator():
        feature = tf.train.Example.FromString(raw).features.feature
        words = (
            feature[f"image/{key}"].bytes_list.value[0]
            for key in ("class/synset", "filename", "encoded")
        )
        (label,) = feature["image/class/label"].int64_list.value
        name, file, encoded = words
        records.append((label, name.decode(), file.decode(), encoded))
    return records


def contents(folder) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in Path(folder).iterdir()}


def test_every_picture_comes_once_with_its_class(source, tmp_path, capfd):
    out = tmp_path / "made" / "records"
    dataset = prepare(str(source), str(out))
    assert capfd.readouterr() == ("", "")
    assert dataset == open_dataset(str(out))
    assert (dataset.name, dataset.first_label) == ("records", 1)
    assert dataset.labels == ("ant", "große Katze")
    assert (dataset.train.images, dataset.validation.images) == (12, 3)
    train, validation = read(dataset.train), read(dataset.validation)
    assert collections.Counter(label for label, *_ in train) == {1: 4, 2: 8}
    assert collections.Counter(r[0] for r in validation) == {1: 1, 2: 2}
    files = {
        (file.relative_to(source).parts[0], file.name): file
        for file in source.rglob("*.*")
        if file.is_file() and not file.name.startswith(".")
    }
    records = {(r[1], r[2]): r for r in train + validation}
    assert len(records) == 15
    assert records.keys() == files.keys()
    for key, (label, name, _, encoded) in records.items():
        assert dataset.labels[label - 1] == name
        if files[key].suffix != ".png":
            assert encoded == files[key].read_bytes()
        with (
            Image.open(io.BytesIO(encoded)) as got,
            Image.open(files[key]) as truth,
        ):
            assert got.format == "JPEG"
            error = np.asarray(got).astype(int) - np.asarray(truth)
            assert np.abs(error).max() <= 3


def test_the_files_and_the_manifest(source, tmp_path):
    out = tmp_path / "out"
    prepare(str(source), str(out), shards=4)
    content = contents(out)
    assert sorted(content) == [
        "labels.txt",
        "manifest.json",
        *(f"train-0000{i}-of-00004" for i in range(4)),
        "validation-00000-of-00001",
    ]
    assert content["labels.txt"].decode() == "ant\ngroße Katze\n"
    manifest = json.loads(content["manifest.json"])
    shards = manifest["train"]["shards"] + manifest["validation"]["shards"]
    assert [shard["images"] for shard in shards] == [3, 3, 3, 3, 3]
    for shard in shards:
        raw = content[shard["file"]]
        assert shard["bytes"] == len(raw)
        assert shard["sha256"] == hashlib.sha256(raw).hexdigest()


def test_training_pictures_are_mixed(source, tmp_path):
    order = [
        r[0] for r in read(prepare(str(source), str(tmp_path / "o")).train)
    ]
    assert order != sorted(order)


@pytest.mark.parametrize(
    "processes", [pytest.param(1, marks=pytest.mark.slow), 2]
)
def test_a_seed_gives_the_same_bytes(source, tmp_path, monkeypatch, processes):
    prepare(str(source), str(tmp_path / "1" / "o"), shards=3, seed=5)
    # The same pictures elsewhere, later, on another machine.
    moved = tmp_path / "elsewhere"
    shutil.copytree(source, moved)
    for file in moved.rglob("*"):
        os.utime(file, (1, 1))
    with monkeypatch.context() as patch:
        patch.setattr(workers, "cores", lambda: processes)
        patch.setattr(module, "IMAGES_PER_PROCESS", 1)
        prepare(str(moved), str(tmp_path / "2" / "o"), shards=3, seed=5)
    first = contents(tmp_path / "1" / "o")
    assert contents(tmp_path / "2" / "o") == first
    prepare(str(moved), str(tmp_path / "3"), shards=3, seed=6)
    other = contents(tmp_path / "3")
    assert other["train-00000-of-00003"] != first["train-00000-of-00003"]


def test_a_further_picture_moves_none_between_the_splits(source, tmp_path):
    def held_out(name):
        dataset = prepare(str(source), str(tmp_path / name), holdout=0.3)
        return {record[2] for record in read(dataset.validation)}

    before = held_out("before")
    picture(source / "große Katze" / "new.jpg", 200)
    after = held_out("after")
    assert len(before) == len(after) == 5  # 0.3 of 10, or of 11, and of 5.
    assert len(before - after) <= 1


@pytest.mark.parametrize(
    ("shards", "train", "validation"),
    [
        (1, [12], [3]),
        (5, [3, 3, 3, 3], [3]),
        (12, [1] * 12, [3]),
        (16, [1] * 12, [2, 1]),
        (1000, [1] * 12, [1] * 3),
    ],
)
def test_chunks(source, tmp_path, shards, train, validation):
    prepare(str(source), str(tmp_path / "out"), shards=shards)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
    for split, images in (("train", train), ("validation", validation)):
        got = [shard["images"] for shard in manifest[split]["shards"]]
        assert got == images


@pytest.mark.parametrize(
    ("constant", "value", "shards"),
    [("SHARD_IMAGES", 5, 3), ("SHARD_BYTES", 2000, None)],
)
def test_shards_by_themselves(
    source, tmp_path, monkeypatch, constant, value, shards
):
    monkeypatch.setattr(module, constant, value)
    files = prepare(str(source), str(tmp_path / "out")).train.files
    if shards is None:
        sizes = [os.path.getsize(file) for file in files]
        # A record is a little more than its picture.
        assert max(sizes) < 1.5 * value < 2 * sum(sizes)
    else:
        assert len(files) == shards


@pytest.mark.parametrize("wrapped", ["", "flowers"])
@pytest.mark.parametrize("name", ["validation", "val", "valid", "test"])
def test_a_source_that_is_split_stays_so(tmp_path, name, wrapped):
    root = tmp_path / "source" / wrapped
    for i in range(3):
        picture(root / "train" / "a" / f"{i}.jpg", i)
        picture(root / "train" / "b" / f"{i}.jpg", 50 + i)
    picture(root / name / "a" / "0.jpg", 100)
    picture(root / name / "b" / "1.jpg", 150)
    (tmp_path / "source" / "__MACOSX").mkdir()
    out = str(tmp_path / "out")
    dataset = prepare(str(tmp_path / "source"), out, holdout=0.9)
    assert (dataset.train.images, dataset.validation.images) == (6, 2)
    held_out = {record[:3] for record in read(dataset.validation)}
    assert held_out == {(1, "a", "0.jpg"), (2, "b", "1.jpg")}


def test_a_third_split_is_said_to_be_left_out(tmp_path, capsys):
    for split in ("train", "val", "test", "more"):
        for name in ("a", "b"):
            picture(tmp_path / "s" / split / name / "0.jpg", 100)
    dataset = prepare(str(tmp_path / "s"), str(tmp_path / "out"))
    assert (dataset.train.images, dataset.validation.images) == (2, 2)
    said = capsys.readouterr().err
    assert "s/test is left out: val is" in said
    assert "s/more is left out: val is" in said


def test_a_line_break_in_a_class_name_is_refused(tmp_path):
    for name in ("a\nb", "c"):
        picture(tmp_path / "s" / name / "0.jpg", 100)
        picture(tmp_path / "s" / name / "1.jpg", 120)
    refused(tmp_path / "s", tmp_path, "line break in their names")


@pytest.mark.parametrize(
    "names", [("Train", "Test"), ("train", "dev"), ("Training",)]
)
def test_splits_of_other_names_are_no_classes(tmp_path, names):
    for split in names:
        for name in ("a", "b"):
            for i in range(2):
                picture(tmp_path / "s" / split / name / f"{i}.jpg", i)
    refused(tmp_path / "s", tmp_path, f"{names[0]} holds folders as a split")


@pytest.mark.parametrize("kind", ["WEBP", "GIF", "BMP"])
def test_pictures_under_their_own_names(tmp_path, kind):
    """What is read under a JPEG's name is read under its own."""
    for name in ("a", "b"):
        for i in range(2):
            picture(tmp_path / "s" / name / f"{i}.{kind.lower()}", i, kind)
    dataset = prepare(str(tmp_path / "s"), str(tmp_path / "out"))
    assert (dataset.train.images, dataset.validation.images) == (2, 2)


def test_a_class_called_train_is_a_class(tmp_path):
    for name in ("bus", "train"):
        for i in range(2):
            picture(tmp_path / "s" / name / f"{i}.jpg", i)
    dataset = prepare(str(tmp_path / "s"), str(tmp_path / "out"))
    assert dataset.labels == ("bus", "train")


def refused(source, tmp_path, match, **options) -> str:
    """The message; nothing may have been written."""
    out = tmp_path / "out"
    with pytest.raises(InputError, match=match) as error:
        prepare(str(source), str(out), **options)
    assert not out.exists()
    return str(error.value)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"shards": 0}, "shards 0 must be 1 or more"),
        ({"holdout": 0.0}, "holdout 0.0 must be between 0 and 1"),
        ({"holdout": 1}, "holdout 1 must be"),
    ],
)
def test_options_out_of_range(source, tmp_path, options, match):
    refused(source, tmp_path, match, **options)


def test_strangers_are_counted_and_some_named(source, tmp_path):
    for i in range(6):
        (source / "ant" / f"note {i}.txt").touch()
    picture(source / "loose.jpg", 1)
    message = refused(source, tmp_path, "7 in all")
    assert "ant/note 0.txt" in message and "note 5" not in message


def test_a_loose_picture_has_no_class(source, tmp_path):
    picture(source / "loose.jpg", 1)
    refused(source, tmp_path, "loose.jpg")


def test_an_empty_class(source, tmp_path):
    (source / "bee" / "deeper").mkdir(parents=True)
    refused(source, tmp_path, "without pictures: bee")


def test_a_single_class(source, tmp_path):
    shutil.rmtree(source / "ant")
    refused(source, tmp_path, "holds 1 class folders .große Katze.")


def test_no_class(tmp_path):
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", tmp_path, "holds 0 class folders")


def test_a_class_of_one_picture(source, tmp_path):
    picture(source / "bee" / "only.jpg", 1)
    refused(source, tmp_path, "class bee holds one picture, .*only.jpg")


def test_a_class_that_only_validation_has(tmp_path):
    root = tmp_path / "source"
    for place in ("train/a", "train/b", "val/a", "val/c"):
        picture(root / place / "1.jpg", 1)
    refused(root, tmp_path, "validation has classes that train has not: c;")


def test_a_folder_of_records_is_no_source(tmp_path):
    for name in ("train-00000-of-00001", "validation-00000-of-00001"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match="already holds records .*--data_dir"):
        prepare(str(tmp_path), str(tmp_path.parent / "out"))


def test_no_source(tmp_path):
    refused(tmp_path / "none", tmp_path, "none is no folder")


def test_a_name_that_is_not_utf8(source, tmp_path):
    os.mkdir(os.fsencode(source) + b"/\xff\xfe")
    refused(source, tmp_path, "not UTF-8")


def test_out_inside_of_the_source(source):
    with pytest.raises(InputError, match="lies inside"):
        prepare(str(source), str(source / "records"))
    assert not (source / "records").exists()


def test_all_unreadable_pictures_are_named(source, tmp_path):
    cut = source / "ant" / "0.jpeg"
    cut.write_bytes(cut.read_bytes()[:-4])
    (source / "ant" / "zero.png").touch()
    (source / "große Katze" / "text.jpg").write_text("no picture")
    out = tmp_path / "out"
    with pytest.raises(InputError) as error:
        prepare(str(source), str(out), shards=20)
    first, *lines = str(error.value).splitlines()
    assert first.startswith("3 pictures cannot be used")
    assert [line.split(" ")[2] for line in lines[:2]] == [
        str(cut),
        str(source / "ant" / "zero.png"),
    ]
    assert "does not decode" in lines[0]
    assert "is empty" in lines[1]
    assert "text.jpg is not a picture" in lines[2]
    assert os.listdir(out) == []
    for name in ("ant/0.jpeg", "ant/zero.png", "große Katze/text.jpg"):
        (source / name).unlink()
    assert prepare(str(source), str(out)).train.images == 11


def test_a_link_to_nothing_is_named(source, tmp_path):
    (source / "ant" / "lost.jpg").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="1 pictures .*\n.*lost.jpg cannot be"):
        prepare(str(source), str(tmp_path / "out"))
    open_dataset(str(source))


def test_a_prepared_folder_is_not_touched(source, tmp_path):
    out = tmp_path / "out"
    prepare(str(source), str(out))
    before = contents(out)
    with pytest.raises(InputError, match="already holds a prepared data set"):
        prepare(str(source), str(out), seed=1)
    assert contents(out) == before


@pytest.mark.parametrize(
    "names",
    [
        ["thesis.tex"],
        # Somebody's data set without a manifest.
        ["train-00000-of-00001", "validation-00000-of-00001"],
        [MARKER, "thesis.tex"],
    ],
)
def test_a_folder_of_other_files_is_not_touched(source, tmp_path, names):
    out = tmp_path / "out"
    out.mkdir()
    for name in names:
        (out / name).write_text(name)
    with pytest.raises(InputError, match="holds other files"):
        prepare(str(source), str(out))
    assert contents(out) == {name: name.encode() for name in names}


def test_an_empty_folder_is_taken(source, tmp_path):
    (tmp_path / "out").mkdir()
    assert prepare(str(source), str(tmp_path / "out")).classes == 2


def test_out_that_cannot_be_made(source, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        prepare(str(source), str(tmp_path / "file" / "out"))


class Killed(BaseException):
    pass


def kill(*unused, **named):
    raise Killed


def dying_after(shards: int):
    """Makes some shards, each as it should be."""
    left = iter(range(shards))

    def make_some(*arguments):
        if next(left, None) is None:
            kill()
        make_shard(*arguments)

    return make_some


@pytest.mark.parametrize("written", [0, 2, 4, 5])
def test_after_a_kill_the_same_call_goes_on(
    source, tmp_path, monkeypatch, written
):
    out = tmp_path / "1" / "out"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(module, "make_shard", dying_after(written))
        patch.setattr(module, "write_manifest", kill)
        prepare(str(source), str(out), shards=4)
    assert (out / MARKER).exists() and not (out / "manifest.json").exists()
    made = {
        file: file.stat().st_ino
        for file in out.iterdir()
        if "-of-" in file.name and not file.name.startswith(".")
    }
    assert len(made) == written
    # What a killed writer had begun.
    for name in (
        ".train-00003-of-00004.0a1b2c3d.tmp",
        "..train-00003-of-00004.done.0a1b2c3d.tmp",
        ".manifest.json.0a1b2c3d.tmp",
    ):
        (out / name).write_bytes(b"half")
    with pytest.raises(InputError, match="not prepared to the end"):
        open_dataset(str(out))
    prepare(str(source), str(out), shards=4)
    prepare(str(source), str(tmp_path / "2" / "out"), shards=4)
    assert contents(out) == contents(tmp_path / "2" / "out")
    # They were not written again.
    assert {file: file.stat().st_ino for file in made} == made


@pytest.mark.parametrize(
    "damage",
    [
        lambda shard: shard.write_bytes(shard.read_bytes()[:-1]),
        lambda shard: shard.write_bytes(bytes(shard.stat().st_size)),
        lambda shard: shard.unlink(),
        # Of another try, and no result says that it was finished.
        lambda shard: shard.with_name(f".{shard.name}.done").unlink(),
    ],
)
def test_a_shard_is_kept_by_its_checksum_alone(
    source, tmp_path, monkeypatch, damage
):
    out = tmp_path / "1" / "out"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(module, "write_manifest", kill)
        prepare(str(source), str(out), shards=4)
    damage(out / "train-00001-of-00004")
    prepare(str(source), str(out), shards=4)
    prepare(str(source), str(tmp_path / "2" / "out"), shards=4)
    assert contents(out) == contents(tmp_path / "2" / "out")


@pytest.mark.parametrize("other", [{"shards": 2}, {"seed": 1}])
def test_an_unfinished_call_of_other_arguments_is_not_touched(
    source, tmp_path, monkeypatch, other
):
    out = tmp_path / "out"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(module, "write_manifest", kill)
        prepare(str(source), str(out), shards=4)
    before = contents(out)
    with pytest.raises(InputError, match="was begun with other pictures"):
        prepare(str(source), str(out), **{"shards": 4, **other})
    assert contents(out) == before


def test_killed_between_manifest_and_marker(source, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        # The first removes what earlier calls left.
        calls = iter([module._clear])
        patch.setattr(
            module, "_clear", lambda *a, **k: next(calls, kill)(*a, **k)
        )
        prepare(str(source), str(out))
    assert open_dataset(str(out)).classes == 2
    # It had begun to clear away.
    (out / ".train-00000-of-00001.done").unlink()
    before = (out / "train-00000-of-00001").stat().st_ino
    prepare(str(source), str(out))
    assert (out / "train-00000-of-00001").stat().st_ino == before
    assert sorted(contents(out)) == [
        "labels.txt",
        "manifest.json",
        "train-00000-of-00001",
        "validation-00000-of-00001",
    ]


def test_killed_before_anything_was_there(source, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / f".{MARKER}.0a1b2c3d.tmp").touch()
    assert prepare(str(source), str(tmp_path / "out")).classes == 2
    assert len(contents(tmp_path / "out")) == 4


def test_options_of_another_source_or_runner(source, tmp_path):
    for options, match in (
        ({"validation_labels": "x.txt"}, "is for ImageNet's archives"),
        ({"tfds_dir": "x"}, "is where TFDS keeps data sets"),
        ({"beam_options": ["--x=1"]}, "--x=1 is of Apache Beam"),
    ):
        refused(source, tmp_path, match, **options)


@pytest.mark.slow
def test_cifar10(shared, tmp_path):
    """12,000 real pictures of CIFAR-10, already split, in one folder."""
    archive = shared / "data" / "cifar10-12k.zip"
    if not archive.is_file():
        pytest.skip(f"needs {archive.name} beside the repository")
    with zipfile.ZipFile(archive) as file:
        file.extractall(tmp_path / "source")
    dataset = prepare(str(tmp_path / "source"), str(tmp_path / "cifar10"))
    assert (dataset.train.images, dataset.validation.images) == (10000, 2000)
    assert len(dataset.train.files) == 10
    assert " ".join(dataset.labels) == (
        "airplane automobile bird cat deer dog frog horse ship truck"
    )
    root = tmp_path / "source" / "cifar10"
    for folder, shards in (
        ("train", dataset.train),
        ("test", dataset.validation),
    ):
        records = read(shards)
        labels = collections.Counter(label for label, *_ in records)
        assert labels == dict.fromkeys(range(1, 11), len(records) // 10)
        assert len({record[1:3] for record in records}) == len(records)
        for _, name, file, encoded in records:
            assert encoded == (root / folder / name / file).read_bytes()
