"""Damage made by hand, and what a check says of it."""

import hashlib
import io
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import main
from efficientnet_tf.data import check as module
from efficientnet_tf.data import workers
from efficientnet_tf.data.check import check
from efficientnet_tf.errors import InputError

LABELS = ("ant", "bee", "cow")


def jpeg(seed: int, **options) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    buffer = io.BytesIO()
    image = Image.fromarray(noise).resize((64, 48))
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def example(encoded: bytes | None, label: int | None, name: str = "") -> bytes:
    """A record, made by TensorFlow's classes alone."""
    feature = {}
    if encoded is not None:
        feature["image/encoded"] = tf.train.Feature(
            bytes_list=tf.train.BytesList(value=[encoded])
        )
    if label is not None:
        feature["image/class/label"] = tf.train.Feature(
            int64_list=tf.train.Int64List(value=[label])
        )
    if name:
        feature["image/class/synset"] = tf.train.Feature(
            bytes_list=tf.train.BytesList(value=[name.encode()])
        )
    features = tf.train.Features(feature=feature)
    return tf.train.Example(features=features).SerializeToString()


def good(seed: int) -> bytes:
    label = 1 + seed % 3
    return example(jpeg(seed), label, LABELS[label - 1])


def write(folder: Path, name: str, records: list[bytes]) -> None:
    with tf.io.TFRecordWriter(str(folder / name)) as writer:
        for record in records:
            writer.write(record)


def write_manifest(folder: Path, images: dict[str, int]) -> None:
    """As the format says; of files as they are now."""

    def split(name):
        shards = [
            {
                "file": file,
                "images": count,
                "bytes": (folder / file).stat().st_size,
                "sha256": hashlib.sha256(
                    (folder / file).read_bytes()
                ).hexdigest(),
            }
            for file, count in images.items()
            if file.startswith(name)
        ]
        return {"images": sum(s["images"] for s in shards), "shards": shards}

    content = {
        "format": 1,
        "name": "made",
        "first_label": 1,
        "labels": LABELS,
        "train": split("train"),
        "validation": split("validation"),
    }
    (folder / "manifest.json").write_text(json.dumps(content))


TRAIN = ("train-00000-of-00002", "train-00001-of-00002")
VALIDATION = "validation-00000-of-00001"


@pytest.fixture
def data(tmp_path):
    """Makes a data set of 5, 5 and 4 records, of which some may be others."""

    def make(replaced=None, manifest=True):
        folder = tmp_path / "data"
        folder.mkdir()
        records = {
            TRAIN[0]: [good(i) for i in range(5)],
            TRAIN[1]: [good(i) for i in range(5, 10)],
            VALIDATION: [good(i) for i in range(10, 14)],
        }
        for (file, number), record in (replaced or {}).items():
            records[file][number] = record
        for file, each in records.items():
            write(folder, file, each)
        if manifest:
            write_manifest(
                folder, {file: len(each) for file, each in records.items()}
            )
        return folder

    return make


def offsets(path: Path) -> list[int]:
    """Where records begin, by their lengths."""
    content, at, found = path.read_bytes(), 0, []
    while at < len(content):
        found.append(at)
        at += 16 + struct.unpack_from("<Q", content, at)[0]
    return found


def problems(folder) -> list[tuple[str, str, int | None]]:
    return [(p.kind, p.file, p.offset) for p in check(str(folder)).problems]


@pytest.mark.parametrize("manifest", [True, False])
def test_a_whole_data_set(data, manifest):
    found = check(str(data(manifest=manifest)))
    assert found.records == {"train": 10, "validation": 4}
    assert found.problems == ()
    assert found.has_manifest is manifest


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (9, 9)).save(buffer, "PNG")
    return buffer.getvalue()


def garbage() -> bytes:
    """A JPEG whose scan is overwritten from its middle on."""
    whole = jpeg(1)
    half = len(whole) // 2
    return whole[:half] + b"\xff\xc4garbage" * 20


@pytest.mark.parametrize(
    ("record", "kind", "says"),
    [
        (example(jpeg(1), 0), "wrong label", "0 is none of 1 to 3"),
        (example(jpeg(1), 4), "wrong label", "4 is none of 1 to 3"),
        (example(jpeg(1), -1), "wrong label", "-1 is none"),
        (example(jpeg(1), None), "wrong label", "has 0 values"),
        (
            example(jpeg(1), 2, "cow"),
            "wrong label",
            "2 is 'bee', its class name 'cow'",
        ),
        (example(None, 1), "no image", "has 0 values of image/encoded"),
        (example(b"", 1), "no image", "it is empty"),
        (example(png(), 1), "no image", "begins with b'\\x89PNG'"),
        (example(b"text", 1), "no image", "begins with b'text'"),
        (example(jpeg(1)[:-300], 1), "no image", "does not decode"),
        (example(garbage(), 1), "no image", "does not decode"),
        (example(b"\xff\xd8\xff\xe0", 1), "no image", "does not decode"),
        (b"no example", "unreadable", "is no tf.train.Example"),
    ],
    # Not of the records: the order of an example's features is no one's.
    ids=lambda value: value if isinstance(value, str) else "record",
)
def test_a_record_that_is_wrong(data, record, kind, says):
    folder = data({(TRAIN[1], 2): record})
    (found,) = check(str(folder)).problems
    assert (found.kind, found.split, found.file) == (kind, "train", TRAIN[1])
    assert found.offset == offsets(folder / TRAIN[1])[2]
    assert says in found.what


def test_grey_is_an_image_and_an_unknown_class_name_is_none(data):
    buffer = io.BytesIO()
    Image.new("L", (9, 9)).save(buffer, "JPEG")
    record = example(buffer.getvalue(), 1, "n01440764")
    assert problems(data({(TRAIN[0], 0): record})) == []


def test_flipped_bytes_hide_no_other_record(data):
    folder = data()
    path = folder / TRAIN[0]
    starts = offsets(path)
    content = bytearray(path.read_bytes())
    # A length, and a record in the same file.
    content[starts[1] + 2] ^= 64
    content[starts[3] + 300] ^= 1
    path.write_bytes(content)
    found = check(str(folder))
    assert found.records == {"train": 8, "validation": 4}
    assert [(p.kind, p.offset) for p in found.problems] == [
        ("unreadable", starts[1]),
        ("unreadable", starts[3]),
        ("other count", None),
        ("other checksum", None),
    ]
    assert "SHA-256" in found.problems[-1].what
    assert "3 records are whole, the manifest says 5" in (
        found.problems[-2].what
    )


@pytest.mark.slow
def test_processes_find_the_same(data, monkeypatch):
    folder = data({(TRAIN[1], 2): example(jpeg(1), 9)})
    content = bytearray((folder / TRAIN[0]).read_bytes())
    content[300] ^= 1
    (folder / TRAIN[0]).write_bytes(content)
    alone = check(str(folder))
    monkeypatch.setattr(module, "_megabytes", lambda *unused: 2)
    monkeypatch.setattr(module, "_MEGABYTES_PER_PROCESS", 1)
    monkeypatch.setattr(workers, "cores", lambda: 2)
    assert check(str(folder)) == alone
    assert len(alone.problems) == 4


def test_a_truncated_file(data):
    folder = data()
    path = folder / VALIDATION
    starts = offsets(path)
    path.write_bytes(path.read_bytes()[:-10])
    assert problems(folder) == [
        ("unreadable", VALIDATION, starts[3]),
        ("other count", VALIDATION, None),
        ("other checksum", VALIDATION, None),
    ]


@pytest.mark.parametrize("manifest", [True, False])
def test_an_empty_file(data, manifest):
    folder = data(manifest=manifest)
    (folder / TRAIN[0]).write_bytes(b"")
    kinds = [("other count", TRAIN[0], None)]
    if manifest:
        kinds.append(("other checksum", TRAIN[0], None))
    assert problems(folder) == kinds


@pytest.mark.parametrize("manifest", [True, False])
def test_a_missing_file(data, manifest):
    folder = data(manifest=manifest)
    (folder / TRAIN[0]).unlink()
    assert problems(folder) == [("missing file", TRAIN[0], None)]


def test_a_file_of_other_records(data):
    """As many, and each whole; only the checksum knows."""
    folder = data()
    size = (folder / TRAIN[0]).stat().st_size
    write(folder, TRAIN[0], [good(i) for i in (4, 3, 2, 1, 0)])
    assert (folder / TRAIN[0]).stat().st_size == size
    assert problems(folder) == [("other checksum", TRAIN[0], None)]


def test_the_same_picture_in_both_splits(data):
    """Pixel by pixel: with a comment in it, its bytes are others."""
    copy = jpeg(7, comment=b"scanned on a rainy day")
    assert copy != jpeg(7)
    folder = data({(VALIDATION, 1): example(copy, 2)})
    (found,) = check(str(folder)).problems
    assert (found.kind, found.split) == ("in both splits", "validation")
    assert found.offset == offsets(folder / VALIDATION)[1]
    at = offsets(folder / TRAIN[1])[2]
    assert found.what.endswith(f"those of {TRAIN[1]} at byte {at:,}")


def test_the_same_picture_twice_in_one_split_is_none(data):
    assert problems(data({(TRAIN[0], 1): good(5)})) == []


def test_labels_without_a_manifest(data):
    """Nothing says how many classes there are."""
    folder = data(
        {
            (TRAIN[0], 0): example(jpeg(30), 999),
            (TRAIN[0], 1): example(jpeg(31), -1),
            (TRAIN[0], 2): example(jpeg(32), 2_000_000),
        },
        manifest=False,
    )
    starts = offsets(folder / TRAIN[0])
    assert problems(folder) == [
        ("wrong label", TRAIN[0], starts[1]),
        ("wrong label", TRAIN[0], starts[2]),
    ]


def test_imagenet_is_known_by_its_files(tmp_path):
    for split, count in (("train", 1024), ("validation", 128)):
        for i in range(count):
            (tmp_path / f"{split}-{i:05d}-of-{count:05d}").touch()
    write(
        tmp_path,
        "train-00007-of-01024",
        [example(jpeg(i), label) for i, label in enumerate((0, 1, 1000, 1001))],
    )
    found = [
        p for p in check(str(tmp_path)).problems if p.kind == "wrong label"
    ]
    assert [p.what for p in found] == [
        "0 is none of 1 to 1000",
        "1001 is none of 1 to 1000",
    ]


def test_what_is_no_data_set(tmp_path):
    with pytest.raises(InputError, match="check reads folders of TFRecords"):
        check("tfds:cifar10")
    with pytest.raises(InputError, match="is no folder that can be read"):
        check(str(tmp_path / "none"))
    with pytest.raises(InputError, match=r"has no train-\* files"):
        check(str(tmp_path))
    (tmp_path / "prepare.unfinished").touch()
    with pytest.raises(InputError, match="not prepared to the end"):
        check(str(tmp_path))


def test_the_front_door(data, capsys):
    folder = data({(TRAIN[0], 0): example(jpeg(1), 9)})
    command = ["check", f"--data_dir={folder}"]
    assert main.main(command) == 1
    shown = capsys.readouterr()
    assert "9 is none of 1 to 3" in shown.out
    assert f"{folder} has 1 problems" in shown.err
    assert main.main([*command, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["records"] == {"train": 10, "validation": 4}
    assert told["counts"]["wrong label"] == {"train": 1, "validation": 0}
    (problem,) = told["problems"]
    assert problem["file"] == TRAIN[0] and problem["offset"] == 0
    write(folder, TRAIN[0], [good(i) for i in range(5)])
    write_manifest(folder, {TRAIN[0]: 5, TRAIN[1]: 5, VALIDATION: 4})
    assert main.main(command) == 0
    assert main.main(["check"]) == 2
    assert main.main(["check", "--data_dir=/nowhere/at/all"]) == 2
