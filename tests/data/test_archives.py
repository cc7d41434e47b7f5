"""Archives as ImageNet's are: pictures in tars, and those in a tar."""

import io
import tarfile

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from efficientnet_tf.data import archives
from efficientnet_tf.data.archives import archive_source
from efficientnet_tf.data.prepare import prepare
from efficientnet_tf.errors import InputError

SYNSETS = ("n01440764", "n02119789", "n15075141")
# Of the validation pictures, in the order of their names.
VALIDATION = [SYNSETS[1], SYNSETS[0], SYNSETS[2], SYNSETS[1]]
ORIENTATION = 0x0112


def encoded(value: int, mode: str = "RGB", kind: str = "JPEG", **options):
    buffer = io.BytesIO()
    image = Image.new("RGB", (16, 12), (value, 255 - value, 40))
    image.convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def turned(value: int) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    return encoded(value, exif=exif)


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def class_tar(synset: str, pictures: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in pictures.items():
            add(tar, name, content)
    return buffer.getvalue()


@pytest.fixture
def pictures():
    """Of each class; odd ones as ImageNet has them, under a JPEG's name."""
    made = {
        synset: {
            f"{synset}_{i}.JPEG": encoded(60 * c + 10 * i) for i in range(4)
        }
        for c, synset in enumerate(SYNSETS)
    }
    made[SYNSETS[0]][f"{SYNSETS[0]}_900.JPEG"] = encoded(30, "CMYK")
    made[SYNSETS[1]][f"{SYNSETS[1]}_2933.JPEG"] = encoded(90, "RGB", "PNG")
    made[SYNSETS[1]][f"{SYNSETS[1]}_7.JPEG"] = turned(95)
    made[SYNSETS[2]][f"{SYNSETS[2]}_8.JPEG"] = encoded(150, "L")
    return made


@pytest.fixture
def folder(tmp_path, pictures):
    root = tmp_path / "imagenet"
    root.mkdir()
    # The real one has them in no order.
    with tarfile.open(root / archives.TRAIN_TAR, "w") as tar:
        for synset in reversed(SYNSETS):
            add(tar, f"{synset}.tar", class_tar(synset, pictures[synset]))
    with tarfile.open(root / archives.VALIDATION_TAR, "w") as tar:
        for i in (2, 0, 3, 1):
            name = f"ILSVRC2012_val_{i + 1:08d}.JPEG"
            add(tar, name, encoded(200 + 10 * i))
    (root / "synset_labels.txt").write_text("\n".join(VALIDATION) + "\n")
    return root


def records(shards):
    """File name -> (label, class name, JPEG, height, width)."""
    found = {}
    for raw in tf.data.TFRecordDataset(list(shards.files)).as_numpy_iterator():
        feature = tf.train.Example.FromString(raw).features.feature
        name = feature["image/filename"].bytes_list.value[0].decode()
        assert name not in found
        found[name] = (
            feature["image/class/label"].int64_list.value[0],
            feature["image/class/synset"].bytes_list.value[0].decode(),
            feature["image/encoded"].bytes_list.value[0],
            feature["image/height"].int64_list.value[0],
            feature["image/width"].int64_list.value[0],
        )
    return found


def test_the_records_of_both_archives(folder, pictures, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    dataset = prepare(str(folder), str(tmp_path / "out"), shards=4)
    assert dataset.labels == SYNSETS
    assert dataset.first_label == 1
    train = records(dataset.train)
    assert set(train) == {name for each in pictures.values() for name in each}
    for number, synset in enumerate(SYNSETS, 1):
        for name, content in pictures[synset].items():
            label, class_name, jpeg, height, width = train[name]
            assert (label, class_name) == (number, synset)
            # Not turned: the original knows nothing of EXIF.
            assert (height, width) == (12, 16)
            if name[-8:] in ("900.JPEG", "933.JPEG"):
                assert jpeg != content
                with Image.open(io.BytesIO(jpeg)) as got:
                    assert (got.format, got.mode) == ("JPEG", "RGB")
                    # CMYK or PNG by TensorFlow's decoder, as the original's.
                    truth = tf.io.decode_image(content, channels=3).numpy()
                    far = np.asarray(got).astype(int) - truth
                assert np.abs(far).max() <= 3
            else:
                assert jpeg == content
    validation = records(dataset.validation)
    assert {name: each[:3] for name, each in validation.items()} == {
        f"ILSVRC2012_val_{i + 1:08d}.JPEG": (
            1 + SYNSETS.index(synset),
            synset,
            encoded(200 + 10 * i),
        )
        for i, synset in enumerate(VALIDATION)
    }
    # Nothing was unpacked beside the archives.
    left = [path for path in tmp_path.rglob("*") if "out" not in path.parts]
    assert sorted(left) == before


def test_labels_from_a_file_elsewhere(folder, tmp_path):
    (folder / "synset_labels.txt").rename(tmp_path / "mine.txt")
    source = archive_source(str(folder), str(tmp_path / "mine.txt"))
    assert source.validation is not None
    assert [p.class_name for p in source.validation] == VALIDATION


def test_labels_of_tensorflow_datasets(folder):
    """The list that TFDS gives its own builder of ImageNet."""
    common = pytest.importorskip(
        "tensorflow_datasets.datasets.imagenet2012.imagenet_common"
    )
    (folder / "synset_labels.txt").unlink()
    with pytest.raises(InputError, match="has 50,000 lines for the 4 pic"):
        archive_source(str(folder))
    name, synsets = archives._synsets(str(folder), "")
    assert name.endswith("validation_labels.txt")
    assert len(synsets) == 50_000
    theirs = common.get_validation_labels(folder / archives.VALIDATION_TAR)
    assert [theirs[image] for image in sorted(theirs)] == synsets[:4]


@pytest.mark.parametrize(
    ("lines", "match"),
    [
        (VALIDATION[:3], "has 3 lines for the 4 pictures"),
        ([*VALIDATION[:3], "n99999999"], "has not: n99999999"),
    ],
)
def test_a_list_that_does_not_fit(folder, lines, match):
    (folder / "synset_labels.txt").write_text("\n".join(lines))
    with pytest.raises(InputError, match=match):
        archive_source(str(folder))


def test_a_list_that_is_not_there(folder):
    with pytest.raises(InputError, match="none.txt is no file"):
        archive_source(str(folder), "none.txt")


def test_archives_that_are_not_whole(folder):
    path = folder / archives.TRAIN_TAR
    whole = path.read_bytes()
    # Within the second class's archive.
    path.write_bytes(whole[: len(whole) // 2 + 100])
    with pytest.raises(InputError, match="is no whole archive|ends before"):
        archive_source(str(folder))
    path.write_bytes(b"no archive" * 1000)
    with pytest.raises(InputError, match="is no whole archive"):
        archive_source(str(folder))


def test_a_missing_archive_of_validation(folder):
    (folder / archives.VALIDATION_TAR).unlink()
    with pytest.raises(InputError, match="img_val.tar cannot be read"):
        archive_source(str(folder))


def test_an_archive_of_something_else(folder):
    with tarfile.open(folder / archives.TRAIN_TAR, "w") as tar:
        add(tar, "notes.txt", b"x")
    with pytest.raises(InputError, match="holds notes.txt"):
        archive_source(str(folder))


def test_a_broken_picture_is_named_by_its_archive(folder, pictures, tmp_path):
    broken = pictures[SYNSETS[0]]
    name = f"{SYNSETS[0]}_0.JPEG"
    broken[name] = broken[name][:-30]
    with tarfile.open(folder / archives.TRAIN_TAR, "w") as tar:
        for synset in SYNSETS:
            add(tar, f"{synset}.tar", class_tar(synset, pictures[synset]))
    with pytest.raises(
        InputError,
        match=rf"{SYNSETS[0]}/{name} in .*img_train.tar does not decode",
    ):
        prepare(str(folder), str(tmp_path / "out"))
