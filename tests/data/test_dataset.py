import math
import os

import numpy as np
import pytest
import tensorflow as tf

from efficientnet_tf.data.dataset import (
    UNFINISHED,
    RecordDataset,
    Shards,
    open_dataset,
)
from efficientnet_tf.data.images import EncodedImage, encode_jpeg
from efficientnet_tf.data.manifest import Manifest, write_manifest
from efficientnet_tf.data.records import encode_record, shard_name, write_shard
from efficientnet_tf.errors import InputError

JPEG = EncodedImage(encode_jpeg(np.zeros([4, 4, 3], np.uint8), 95), 4, 4)
# By shard, the labels of its records.
TRAIN = ([1, 3, 2], [2, 1])
VALIDATION = ([2, 3],)


def record(label: int) -> bytes:
    return encode_record(JPEG, label=label, class_name="c", filename="f.jpg")


def write(folder, *, train=TRAIN, validation=VALIDATION, manifest=False):
    folder.mkdir(exist_ok=True)
    written = {}
    for split, shards in (("train", train), ("validation", validation)):
        written[split] = tuple(
            write_shard(
                str(folder / shard_name(split, i, len(shards))),
                map(record, labels),
            )
            for i, labels in enumerate(shards)
        )
    if manifest:
        names = ("ant", "bee", "fly")
        write_manifest(
            str(folder),
            Manifest("insects", first_label=1, labels=names, **written),
        )
    return folder


def size(*files: str) -> int:
    return sum(os.path.getsize(file) for file in files)


def expected(folder, name: str, labels: tuple[str, ...]) -> RecordDataset:
    train = tuple(f"{folder}/train-0000{k}-of-00002" for k in (0, 1))
    validation = f"{folder}/validation-00000-of-00001"
    return RecordDataset(
        name=name,
        path=str(folder),
        train=Shards(train, (3, 2), size(*train)),
        validation=Shards((validation,), (2,), size(validation)),
        labels=labels,
        first_label=1,
    )


def test_what_the_manifest_says(tmp_path, capsys):
    folder = write(tmp_path / "data", manifest=True)
    found = open_dataset(str(folder))
    assert found == expected(folder, "insects", ("ant", "bee", "fly"))
    assert found.classes == 3
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["plain", "two words [1] ü*"])
def test_without_a_manifest_records_are_counted(tmp_path, name, capsys):
    folder = write(tmp_path / name)
    found = open_dataset(str(folder))
    assert found == expected(folder, name, ("1", "2", "3"))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert str(folder) in err and "`prepare`" in err


def test_a_label_0_is_a_class(tmp_path):
    found = open_dataset(str(write(tmp_path / "data", train=([0, 3], [2]))))
    assert found.first_label == 0
    assert found.labels == ("0", "1", "2", "3")


def test_names_come_from_labels_txt(tmp_path):
    folder = write(tmp_path / "data")
    (folder / "labels.txt").write_text("ant\nbee\ngroße Fliege\n", "utf-8")
    assert open_dataset(str(folder)).labels == ("ant", "bee", "große Fliege")
    (folder / "labels.txt").write_text("background\nant\nbee\nfly\n")
    with pytest.raises(InputError, match="labels.txt has 4 lines; write 3"):
        open_dataset(str(folder))


def test_given_numbers_spare_the_reading(tmp_path, capsys):
    """Only lengths are read: the records may hold anything."""
    folder = write(tmp_path / "data", train=([7, 8], [9]))
    found = open_dataset(
        str(folder), train_images=3, validation_images=2, classes=4
    )
    assert (found.train.counts, found.validation.counts) == ((2, 1), (2,))
    assert (found.labels, found.first_label) == (("1", "2", "3", "4"), 1)
    assert "`prepare`" not in capsys.readouterr().err


def imagenet(folder, *, even):
    """Files of as many empty records as two known programs write."""
    folder.mkdir()
    with tf.io.TFRecordWriter(str(folder / "one")) as writer:
        writer.write(b"")
    empty = (folder / "one").read_bytes()
    (folder / "one").unlink()
    for split, images, count in (
        ("train", 1_281_167, 1024),
        ("validation", 50_000, 128),
    ):
        most = math.ceil(images / count)
        for i in range(count):
            records = max(0, min(most, images - i * most))
            if even:
                records = images * (i + 1) // count - images * i // count
            name = f"{split}-{i:05d}-of-{count:05d}"
            (folder / name).write_bytes(empty * records)
    return folder


@pytest.mark.parametrize("even", [False, True])
def test_imagenet_is_known_by_its_shards(tmp_path, even, capsys):
    folder = imagenet(tmp_path / "imagenet", even=even)
    found = open_dataset(str(folder))
    assert found.name == "imagenet"
    assert found.train.images == 1_281_167
    assert found.validation.images == 50_000
    assert found.train.counts[-1] == (1252 if even else 371)
    assert (found.classes, found.first_label) == (1000, 1)
    assert (found.labels[0], found.labels[-1]) == ("1", "1000")
    assert found.train.files[1023] == f"{folder}/train-01023-of-01024"
    assert len(found.validation.files) == 128
    names = [f"n{i:08d}" for i in range(1000)]
    (folder / "labels.txt").write_text("\n".join(names))
    assert open_dataset(str(folder)).labels == tuple(names)
    assert "unusual" not in capsys.readouterr().err


@pytest.mark.parametrize("manifest", [False, True])
@pytest.mark.parametrize(
    "given", [{"train_images": 6}, {"validation_images": 0}, {"classes": 1000}]
)
def test_a_given_number_must_be_the_one_found(tmp_path, manifest, given):
    folder = str(write(tmp_path / "data", manifest=manifest))
    ((name, number),) = given.items()
    with pytest.raises(InputError, match=f"{name} {number} was given.*has"):
        open_dataset(folder, **given)
    right = {"train_images": 5, "validation_images": 2, "classes": 3}
    assert open_dataset(folder, **right).classes == 3
    assert open_dataset(folder, **{name: right[name]}).classes == 3


def remove(name):
    return lambda folder: (folder / name).unlink()


def append(name):
    def damage(folder):
        with open(folder / name, "ab") as file:
            file.write(b"!")

    return damage


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (remove("train-00001-of-00002"), "train-00001-of-00002 is missing"),
        (
            remove("validation-00000-of-00001"),
            "validation-00000-of-00001 is missing",
        ),
        (
            append("train-00000-of-00002"),
            r"train-00000-of-00002 has [\d,]+ bytes, the manifest says [\d,]+",
        ),
    ],
)
def test_a_shard_that_is_not_the_manifests(tmp_path, damage, says):
    folder = write(tmp_path / "data", manifest=True)
    damage(folder)
    with pytest.raises(InputError, match=says):
        open_dataset(str(folder))


def test_a_little_less_than_the_manifest_says_may_do(tmp_path, capsys):
    folder = write(tmp_path / "data", manifest=True)
    file = folder / "train-00000-of-00002"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(InputError, match="the manifest says"):
        open_dataset(str(folder), max_bad_share=1e-4)
    found = open_dataset(str(folder), max_bad_share=0.01)
    assert found.train.counts == (3, 2)
    assert "within data.max_bad_share" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["train-00001-of-00002", "validation-00000-of-00001"]
)
def test_a_missing_file_is_refused_whatever_the_share(tmp_path, name):
    folder = write(tmp_path / "data", manifest=True)
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"{name} is missing; copy the whole"):
        open_dataset(str(folder), max_bad_share=0.99)


def flip_a_bit(folder):
    file = folder / "train-00001-of-00002"
    content = bytearray(file.read_bytes())
    content[60] ^= 1
    file.write_bytes(content)


def truncate(folder):
    file = folder / "train-00001-of-00002"
    file.write_bytes(file.read_bytes()[:-3])


def other_records(folder):
    write_shard(str(folder / "train-00001-of-00002"), [b"no example"])


def another_total(folder):
    (folder / "train-00000-of-00003").touch()


def begun(folder):
    (folder / UNFINISHED).touch()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (remove("train-00001-of-00002"), "lacks train-00001-of-00002"),
        (remove("validation-00000-of-00001"), "no validation-. files"),
        (another_total, "lacks train-00001-of-00003"),
        (begun, "not prepared to the end.*`prepare`"),
    ],
)
def test_damage_without_a_manifest(tmp_path, damage, says):
    folder = write(tmp_path / "data")
    damage(folder)
    with pytest.raises(InputError, match=says):
        open_dataset(str(folder))


@pytest.mark.parametrize(
    ("damage", "count"), [(flip_a_bit, 2), (truncate, 2), (other_records, 1)]
)
def test_damaged_records_are_counted_and_say_nothing(tmp_path, damage, count):
    folder = write(tmp_path / "data")
    damage(folder)
    found = open_dataset(str(folder))
    assert found.train.counts == (3, count)
    assert found.classes == 3


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_split_without_records(tmp_path, split):
    folder = write(tmp_path / "data")
    for file in folder.glob(f"{split}-*"):
        file.write_bytes(b"")
    with pytest.raises(InputError, match=f"{split}_images is 0"):
        open_dataset(str(folder))


def test_no_records_at_all(tmp_path):
    folder = write(tmp_path / "data")
    for file in folder.iterdir():
        file.write_bytes(b"")
    with pytest.raises(InputError, match="no records"):
        open_dataset(str(folder))


def test_a_folder_that_is_none(tmp_path):
    (tmp_path / "file").touch()
    for name in ("absent", "file"):
        with pytest.raises(InputError, match=f'{name} is no folder.*"digits"'):
            open_dataset(str(tmp_path / name))


def test_records_whose_files_have_an_ending(tmp_path):
    folder = write(tmp_path / "data")
    for file in folder.iterdir():
        file.rename(f"{file}.tfrecord")
    found = open_dataset(str(folder))
    assert found.train.counts == (3, 2)
    (folder / "train-00000-of-00002.tfrecord").unlink()
    with pytest.raises(InputError, match="lacks train-00000-of-00002.tfrec"):
        open_dataset(str(folder))


def test_somebody_elses_records(tmp_path):
    """Their features have other names, or their files are compressed."""
    feature = {
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[1]))
    }
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    for compression in ("", "GZIP"):
        for split in ("train", "validation"):
            path = str(tmp_path / f"{split}-0")
            with tf.io.TFRecordWriter(path, compression) as writer:
                writer.write(example.SerializeToString())
        with pytest.raises(
            InputError, match="image/class/label.*image/encoded.*not compr"
        ):
            open_dataset(str(tmp_path))


def test_labels_of_another_encoding(tmp_path):
    folder = write(tmp_path / "data")
    (folder / "labels.txt").write_bytes(b"\xef\xbb\xbfant\r\nbee\r\nfly\r\n")
    assert open_dataset(str(folder)).labels == ("ant", "bee", "fly")
    (folder / "labels.txt").write_bytes("große\nbee\nfly".encode("latin-1"))
    with pytest.raises(InputError, match="labels.txt is no UTF-8"):
        open_dataset(str(folder))


def test_a_name_that_is_not_utf8(tmp_path):
    os.mkdir(os.fsencode(tmp_path) + b"/\xff")
    with pytest.raises(InputError, match="not UTF-8.*xff.*rename"):
        open_dataset(str(tmp_path))


def test_a_class_may_be_called_like_a_file_of_records(tmp_path):
    for name in ("bus", "train-wagon"):
        (tmp_path / name).mkdir()
        for number in range(2):
            (tmp_path / name / f"{number}.jpg").write_bytes(JPEG.encoded)
    assert open_dataset(str(tmp_path)).labels == ("bus", "train-wagon")


def test_an_empty_folder_is_told_of_prepare(tmp_path):
    with pytest.raises(InputError, match="no train-. files.*`prepare`"):
        open_dataset(str(tmp_path))


def test_the_name_of_the_folder_one_is_in(tmp_path, monkeypatch):
    monkeypatch.chdir(write(tmp_path / "here"))
    assert open_dataset(".").name == "here"
    os.chdir("..")
    assert open_dataset("here/").name == "here"


@pytest.mark.parametrize("manifest", [True, False])
def test_training_files_can_be_held_out(tmp_path, manifest):
    folder = write(tmp_path / "insects", manifest=manifest)
    whole = open_dataset(str(folder))
    found = open_dataset(str(folder), holdout_shards=1)
    assert found.validation.files == whole.train.files[:1]
    assert found.train.files == whole.train.files[1:]
    assert (found.train.images, found.validation.images) == (2, 3)
    assert found.labels == whole.labels
    numbers = {"train_images": 2, "validation_images": 3, "classes": 3}
    again = open_dataset(str(folder), **numbers, holdout_shards=1)
    assert (again.train, again.validation) == (found.train, found.validation)
    with pytest.raises(InputError, match="holdout_shards 2 .* less than the 2"):
        open_dataset(str(folder), holdout_shards=2)


def test_training_files_alone_will_do_where_some_are_held_out(tmp_path):
    folder = write(tmp_path / "insects")
    whole = open_dataset(str(folder), holdout_shards=1)
    (folder / "validation-00000-of-00001").unlink()
    assert open_dataset(str(folder), holdout_shards=1) == whole
    with pytest.raises(InputError, match=r"no validation-\* .*holdout_shards"):
        open_dataset(str(folder))


def test_numbers_are_those_after_holding_out(tmp_path):
    folder = write(tmp_path / "insects", manifest=True)
    with pytest.raises(InputError, match="data.train_images 5 .* has 2"):
        open_dataset(str(folder), train_images=5, holdout_shards=1)
