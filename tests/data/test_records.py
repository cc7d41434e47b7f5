import hashlib
import io
import json
import os
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from efficientnet_tf.data.images import EncodedImage
from efficientnet_tf.data.manifest import (
    Manifest,
    ShardFile,
    read_manifest,
    write_manifest,
)
from efficientnet_tf.data.records import (
    encode_record,
    parse_record,
    shard_name,
    write_shard,
)
from efficientnet_tf.errors import InputError
from efficientnet_tf.files import replacing

# tensorflow/tpu tools/datasets/imagenet_to_gcs.py, _convert_to_example.
ORIGINAL_KEYS = {
    "image/height",
    "image/width",
    "image/colorspace",
    "image/channels",
    "image/class/label",
    "image/class/synset",
    "image/format",
    "image/filename",
    "image/encoded",
}


def jpeg(height: int, width: int) -> EncodedImage:
    pixels = np.arange(height * width * 3).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels.reshape(height, width, 3)).save(buffer, "JPEG")
    return EncodedImage(buffer.getvalue(), height, width)


def crc32c(content: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 * (crc & 1))
    return crc ^ 0xFFFFFFFF


def masked_crc(content: bytes) -> int:
    crc = crc32c(content)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def framed_records(content: bytes) -> list[bytes]:
    """The records of a TFRecord file, by its published framing alone."""
    records, at = [], 0
    while at < len(content):
        length, length_crc = struct.unpack_from("<QI", content, at)
        assert masked_crc(content[at : at + 8]) == length_crc
        record = content[at + 12 : at + 12 + length]
        (record_crc,) = struct.unpack_from("<I", content, at + 12 + length)
        assert masked_crc(record) == record_crc
        records.append(record)
        at += 16 + length
    return records


@pytest.mark.parametrize(
    ("split", "index", "count", "name"),
    [
        ("train", 0, 1024, "train-00000-of-01024"),
        ("validation", 127, 128, "validation-00127-of-00128"),
    ],
)
def test_shards_are_named_as_imagenets(split, index, count, name):
    assert shard_name(split, index, count) == name


def test_crc_of_the_independent_reader():
    # RFC 3720, B.4: 32 bytes of zeros.
    assert crc32c(bytes(32)) == 0x8A9136AA


def test_a_record_has_all_fields_of_the_originals():
    image = jpeg(6, 9)
    record = encode_record(
        image, label=17, class_name="naïve cat", filename="/a b/ü 1.jpg"
    )
    features = tf.train.Example.FromString(record).features.feature
    assert set(features) == ORIGINAL_KEYS
    numbers = {
        key: list(value.int64_list.value) for key, value in features.items()
    }
    assert numbers["image/height"] == [6]
    assert numbers["image/width"] == [9]
    assert numbers["image/channels"] == [3]
    assert numbers["image/class/label"] == [17]
    words = {
        key: list(value.bytes_list.value) for key, value in features.items()
    }
    assert words["image/colorspace"] == [b"RGB"]
    assert words["image/format"] == [b"JPEG"]
    assert words["image/class/synset"] == ["naïve cat".encode()]
    assert words["image/filename"] == ["ü 1.jpg".encode()]
    assert words["image/encoded"] == [image.encoded]


def test_parsing_gives_the_bytes_and_the_label():
    image = jpeg(4, 5)
    record = encode_record(image, label=3, class_name="c", filename="f")
    encoded, label = parse_record(tf.constant(record))
    assert (encoded.dtype, label.dtype) == (tf.string, tf.int64)
    assert (encoded.shape, label.shape) == ((), ())
    assert encoded.numpy() == image.encoded
    assert label.numpy() == 3


def test_parsing_needs_no_other_field_and_both_of_these():
    def example(**features):
        return tf.train.Example(
            features=tf.train.Features(feature=features)
        ).SerializeToString()

    encoded = tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"x"]))
    label = tf.train.Feature(int64_list=tf.train.Int64List(value=[1000]))
    both = {"image/encoded": encoded, "image/class/label": label}
    parsed = parse_record(example(**both))
    assert (parsed[0].numpy(), parsed[1].numpy()) == (b"x", 1000)
    for lacking in both:
        rest = {key: both[key] for key in both if key != lacking}
        with pytest.raises(tf.errors.InvalidArgumentError, match=lacking):
            parse_record(example(**rest))


def test_a_shard_read_by_its_framing(tmp_path):
    records = [b"one", b"", b"three" * 1000]
    path = tmp_path / "train-00000-of-00001"
    shard = write_shard(str(path), iter(records))
    content = path.read_bytes()
    assert framed_records(content) == records
    checksum = hashlib.sha256(content).hexdigest()
    assert shard == ShardFile(path.name, 3, len(content), checksum)
    assert os.listdir(tmp_path) == [path.name]


def test_a_shard_that_fails_leaves_the_earlier_one(tmp_path):
    path = tmp_path / "train-00000-of-00001"
    write_shard(str(path), [b"earlier"])

    def records():
        yield b"new"
        raise KeyError("broken")

    with pytest.raises(KeyError, match="broken"):
        write_shard(str(path), records())
    assert framed_records(path.read_bytes()) == [b"earlier"]
    assert os.listdir(tmp_path) == [path.name]


def test_a_shard_of_no_records_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="images"):
        write_shard(str(tmp_path / "train-00000-of-00001"), [])
    assert os.listdir(tmp_path) == []


def test_until_it_is_whole_a_file_has_a_hidden_name(tmp_path):
    path = tmp_path / "labels.txt"
    with replacing(str(path)) as temporary:
        assert os.path.dirname(temporary) == str(tmp_path)
        assert os.path.basename(temporary).startswith(".labels.txt.")
        with open(temporary, "w") as file:
            file.write("a\n")
        assert not path.exists()
    assert os.listdir(tmp_path) == ["labels.txt"]


def test_a_record_has_its_fields_in_one_order():
    # By default a protocol buffer's map comes in the order of its hashes.
    record = encode_record(jpeg(2, 2), label=1, class_name="c", filename="f")
    places = [record.index(key.encode()) for key in sorted(ORIGINAL_KEYS)]
    assert places == sorted(places)


MANIFEST = Manifest(
    name="bïrds",
    first_label=1,
    labels=("crow", "große Möwe"),
    train=(
        ShardFile("train-00000-of-00002", 5, 100, "a" * 64),
        ShardFile("train-00001-of-00002", 4, 90, "b" * 64),
    ),
    validation=(ShardFile("validation-00000-of-00001", 2, 40, "c" * 64),),
)


def test_a_manifest_comes_back(tmp_path):
    write_manifest(str(tmp_path), MANIFEST)
    assert read_manifest(str(tmp_path)) == MANIFEST
    assert os.listdir(tmp_path) == ["manifest.json"]
    content = json.loads((tmp_path / "manifest.json").read_text("utf-8"))
    assert content["format"] == 1
    assert content["labels"] == ["crow", "große Möwe"]
    assert content["train"]["images"] == 9
    assert content["train"]["shards"][1] == {
        "file": "train-00001-of-00002",
        "images": 4,
        "bytes": 90,
        "sha256": "b" * 64,
    }


def damaged(damage) -> str:
    content = {
        "format": 1,
        "name": "n",
        "first_label": 1,
        "labels": ["a", "b"],
    }
    for split in ("train", "validation"):
        shard = {
            "file": f"{split}-00000-of-00001",
            "images": 3,
            "bytes": 9,
            "sha256": "d" * 64,
        }
        content[split] = {"images": 3, "shards": [shard]}
    damage(content)
    return json.dumps(content)


def shard_of(content: dict) -> dict:
    return content["train"]["shards"][0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "JSONDecodeError"),
        ("[]", "TypeError|AttributeError"),
        (b'"\xff"', "UnicodeDecodeError"),
        (damaged(lambda c: c.pop("labels")), "labels"),
        (damaged(lambda c: c.update(format=2)), "format is 2, not 1"),
        (damaged(lambda c: c.update(lables=[])), "lables"),
        (damaged(lambda c: c.update(labels=[])), "labels"),
        (damaged(lambda c: c.update(first_label="1")), "first_label"),
        (damaged(lambda c: c.update(first_label=2)), "first_label is 2"),
        (damaged(lambda c: c.update(name="../x")), "no name of a folder"),
        (damaged(lambda c: c.update(labels="ab")), "labels must be a list"),
        (damaged(lambda c: c.update(labels=["a\nb"])), "line break"),
        (damaged(lambda c: c.update(train=c["validation"])), "there twice"),
        (damaged(lambda c: c["train"].update(images=4)), "images of train"),
        (damaged(lambda c: c["train"].update(shards=[], images=0)), "shards"),
        (damaged(lambda c: shard_of(c).update(images=-3)), "-3"),
        (damaged(lambda c: shard_of(c).update(bytes="9")), "'9'"),
        (damaged(lambda c: shard_of(c).update(file="../x")), "../x"),
        (damaged(lambda c: shard_of(c).pop("sha256")), "sha256"),
        (damaged(lambda c: shard_of(c).update(size=1)), "size"),
    ],
)
def test_a_damaged_manifest_is_refused(tmp_path, text, says):
    path = tmp_path / "manifest.json"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(InputError, match=says) as error:
        read_manifest(str(tmp_path))
    assert str(path) in str(error.value)


def test_an_absent_manifest_is_named(tmp_path):
    with pytest.raises(InputError, match="manifest.json cannot be read"):
        read_manifest(str(tmp_path / "none"))


def test_the_undamaged_one_is_read(tmp_path):
    (tmp_path / "manifest.json").write_text(damaged(lambda content: None))
    assert read_manifest(str(tmp_path)).labels == ("a", "b")
