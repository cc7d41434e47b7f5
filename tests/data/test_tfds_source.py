"""Builders of tensorflow-datasets that run offline, on pictures made here."""

import collections
import io
import itertools
import sys
import tarfile
import warnings

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from efficientnet_tf.data import tfds_source as module
from efficientnet_tf.data.cut import Cut
from efficientnet_tf.data.dataset import open_dataset
from efficientnet_tf.data.pipeline import (
    evaluation_examples,
    training_examples,
)
from efficientnet_tf.data.prepare import prepare
from efficientnet_tf.data.preprocess import TrainingCrop
from efficientnet_tf.data.tfds_source import open_tfds
from efficientnet_tf.errors import InputError, RunError

with warnings.catch_warnings():
    # Of its protobuf files and its lazy imports.
    warnings.simplefilter("ignore")
    tfds = pytest.importorskip("tensorflow_datasets")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def picture(value: int) -> np.ndarray:
    y, x = np.mgrid[:20, :24]
    return np.stack([x * 3, y * 4, np.full_like(x, value)], -1).astype(np.uint8)


def jpeg(value: int, quality: int = 85) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture(value)).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


@pytest.fixture
def adhoc(tmp_path, monkeypatch):
    """Makes a data set that `open_tfds` finds as tfds:made."""

    def make(splits, encoding="jpeg", file_format="tfrecord", **more):
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(encoding_format=encoding),
                "label": tfds.features.ClassLabel(names=["cat", "dog", "emu"]),
                **more,
            }
        )
        builder = tfds.dataset_builders.AdhocBuilder(
            name="made",
            version="1.0.0",
            features=features,
            split_datasets=splits,
            data_dir=str(tmp_path / "tfds"),
            file_format=file_format,
        )
        builder.download_and_prepare()
        return str(tmp_path / "tfds")

    return make


def examples(count: int, start: int = 0, content=picture):
    return [
        (i, {"image": content(start + i), "label": (start + i) % 3})
        for i in range(count)
    ]


def records(shards):
    for raw in tf.data.TFRecordDataset(list(shards.files)).as_numpy_iterator():
        feature = tf.train.Example.FromString(raw).features.feature
        yield (
            feature["image/class/label"].int64_list.value[0],
            feature["image/class/synset"].bytes_list.value[0].decode(),
            feature["image/filename"].bytes_list.value[0].decode(),
            feature["image/encoded"].bytes_list.value[0],
        )


def as_bytes(value: int) -> io.BytesIO:
    return io.BytesIO(jpeg(value))


@pytest.mark.parametrize("held_out", ["validation", "test"])
def test_jpegs_are_passed_through(adhoc, tmp_path, held_out):
    folder = adhoc(
        {"train": examples(9, 0, as_bytes), held_out: examples(3, 9, as_bytes)}
    )
    dataset = prepare(
        "tfds:made", str(tmp_path / "out"), shards=2, tfds_dir=folder
    )
    assert dataset.labels == ("cat", "dog", "emu")
    assert (dataset.first_label, dataset.train.images) == (1, 9)
    # What TFDS says: the bytes that SkipDecoding gives, and labels from 0.
    for split, shards in (
        ("train", dataset.train),
        (held_out, dataset.validation),
    ):
        theirs = tfds.load(
            "made",
            split=split,
            data_dir=folder,
            decoders={"image": tfds.decode.SkipDecoding()},
        )
        truth = sorted(
            (int(each["label"]) + 1, bytes(each["image"]))
            for each in theirs.as_numpy_iterator()
        )
        got = [(r[0], r[3]) for r in records(shards)]
        assert sorted(got) == truth
    assert [r[0] for r in records(dataset.train)] != sorted(
        r[0] for r in records(dataset.train)
    )
    for label, name, *_ in records(dataset.train):
        assert dataset.labels[label - 1] == name


def test_validation_comes_before_test(adhoc):
    folder = adhoc(
        {
            "train": examples(6),
            "test": examples(3, 10),
            "validation": examples(3, 20),
        }
    )
    assert open_tfds("tfds:made", folder).validation == "validation"


def test_a_png_becomes_a_jpeg_of_quality_100(adhoc, tmp_path):
    folder = adhoc({"train": examples(6), "test": examples(3, 6)}, "png")
    dataset = prepare("tfds:made", str(tmp_path / "out"), tfds_dir=folder)
    truth = {i: picture(i).astype(int) for i in range(6)}
    for *_, encoded in records(dataset.train):
        with Image.open(io.BytesIO(encoded)) as got:
            assert got.format == "JPEG"
            # Quality 100 is a table of ones.
            assert set(np.ravel(list(got.quantization.values()))) == {1}
            pixels = np.asarray(got).astype(int)
        far = min(np.abs(pixels - each).max() for each in truth.values())
        assert far <= 3


def test_one_split_is_parted_class_by_class(adhoc, tmp_path):
    folder = adhoc({"train": examples(30)})
    dataset = prepare(
        "tfds:made", str(tmp_path / "out"), holdout=0.2, tfds_dir=folder
    )
    held_out = collections.Counter(r[0] for r in records(dataset.validation))
    assert held_out == {1: 2, 2: 2, 3: 2}


def test_names_of_files_go_into_the_records(adhoc, tmp_path):
    made = [
        (i, {**example, "file_name": f"a/b/{i}.JPEG"})
        for i, example in examples(6)
    ]
    folder = adhoc(
        {"train": made, "test": made[:3]}, file_name=tfds.features.Text()
    )
    dataset = prepare("tfds:made", str(tmp_path / "out"), tfds_dir=folder)
    assert {r[2] for r in records(dataset.train)} == {
        f"{i}.JPEG" for i in range(6)
    }


def test_imagenet2012_of_small_archives(tmp_path):
    """TFDS's own builder, from archives in its folder for them."""
    manual = tmp_path / "tfds" / "downloads" / "manual"
    manual.mkdir(parents=True)

    def add(tar, name, content):
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))

    with tarfile.open(manual / "ILSVRC2012_img_train.tar", "w") as tar:
        for number, synset in enumerate(("n15075141", "n01440764")):
            inner = io.BytesIO()
            with tarfile.open(fileobj=inner, mode="w") as small:
                for i in range(3):
                    content = jpeg(10 * number + i)
                    add(small, f"{synset}_{i}.JPEG", content)
            add(tar, f"{synset}.tar", inner.getvalue())
    with tarfile.open(manual / "ILSVRC2012_img_val.tar", "w") as tar:
        add(tar, "ILSVRC2012_val_00000001.JPEG", jpeg(100))
    # The first validation picture's class is none of the two.
    with pytest.raises(InputError, match="has classes that train has not"):
        prepare(
            "tfds:imagenet2012",
            str(tmp_path / "out"),
            tfds_dir=str(tmp_path / "tfds"),
        )
    data = open_tfds("imagenet2012", str(tmp_path / "tfds"))
    assert (data.image, data.label, data.file_name) == (
        "image",
        "label",
        "file_name",
    )
    assert (data.train, data.validation) == ("train", "validation")
    assert len(data.labels) == 1000
    assert (data.labels[0], data.labels[-1]) == ("n01440764", "n15075141")
    found = module._pictures(data, "train")
    assert sorted((p.class_name, p.place.partition("/")[2]) for p in found) == [
        (synset, f"{synset}_{i}.JPEG")
        for synset in ("n01440764", "n15075141")
        for i in range(3)
    ]


def test_without_its_archives_it_says_where_to_put_them(tmp_path):
    with pytest.raises(InputError, match="tfds:imagenet2012: .*manual"):
        open_tfds("imagenet2012", str(tmp_path))


def test_a_name_that_nobody_knows(tmp_path):
    with pytest.raises(InputError, match="did you mean .*cifar10"):
        open_tfds("tfds:cifarr10", str(tmp_path))


def test_another_format_is_refused(adhoc, tmp_path):
    folder = adhoc({"train": examples(6)}, file_format="array_record")
    with pytest.raises(InputError, match="is of the format array_record"):
        prepare("tfds:made", str(tmp_path / "out"), tfds_dir=folder)


def test_damage_is_found(adhoc, tmp_path):
    folder = adhoc({"train": examples(6), "test": examples(3)})
    (file,) = (tmp_path / "tfds").rglob("made-train.tfrecord*")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match="is damaged at byte"):
        prepare("tfds:made", str(tmp_path / "out"), tfds_dir=folder)


def test_pictures_without_a_class_are_refused(adhoc, tmp_path):
    made = [(i, {**each, "label": -1}) for i, each in examples(3)]
    folder = adhoc({"train": examples(6), "test": made})
    with pytest.raises(InputError, match="a picture of class -1"):
        prepare("tfds:made", str(tmp_path / "out"), tfds_dir=folder)


def test_data_of_something_else_is_refused(tmp_path, adhoc):
    folder = adhoc(
        {"train": [(i, {**e, "second": 1}) for i, e in examples(3)]},
        second=tfds.features.ClassLabel(num_classes=2),
    )
    with pytest.raises(InputError, match="has 2 features that are a class"):
        open_tfds("made", folder)


def test_a_builder_that_cannot_be_made(monkeypatch, tmp_path):
    def refuse(*unused, **named):
        raise ConnectionError("no route to host")

    builder = tfds.testing.DummyDataset
    monkeypatch.setattr(builder, "download_and_prepare", refuse)
    with pytest.raises(RunError, match="could not be made: no route to host"):
        module._make("dummy", builder(data_dir=str(tmp_path)))


def test_without_tfds_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(InputError, match="tensorflow_datasets: pip install"):
        open_tfds("cifar10")


@pytest.mark.parametrize("encoding", ["jpeg", "png"])
def test_a_data_set_is_trained_on_as_it_lies_there(adhoc, encoding):
    """Its PNGs as well as its JPEGs; the third channel says which it is."""

    def far(number: int) -> np.ndarray:
        return picture(30 * number)

    folder = adhoc(
        {"train": examples(7, content=far), "test": examples(3, 7, far)},
        encoding,
    )
    dataset = open_dataset("tfds:made", tfds_dir=folder)
    assert (dataset.name, dataset.kind) == ("made", "tfds")
    assert (dataset.train.images, dataset.validation.images) == (7, 3)
    assert dataset.labels == ("cat", "dog", "emu")
    cut = Cut(20, "whole", "bilinear")
    found = {
        round(float(image[10, 10, 2]) / 30): int(label)
        for image, label in evaluation_examples(dataset, "train", cut=cut)
    }
    assert found == {number: number % 3 for number in range(7)}
    stream = training_examples(dataset, cut=cut, crop=TrainingCrop(), seed=0)
    labels = [int(label) for _, label in itertools.islice(stream, 14)]
    assert sorted(labels) == [0] * 6 + [1] * 4 + [2] * 4


def test_without_a_split_to_validate_on_it_is_to_be_prepared(adhoc):
    folder = adhoc({"train": examples(4)})
    with pytest.raises(InputError, match="no split to validate.*--from=tfds"):
        open_dataset("tfds:made", tfds_dir=folder)
