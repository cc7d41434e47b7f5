"""Records that cannot be used: passed over, alike for every crop, and named."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from efficientnet_tf.data.bad_records import LINES, NOTES, BadRecords
from efficientnet_tf.data.cut import Cut
from efficientnet_tf.data.images import EncodedImage
from efficientnet_tf.data.kinds import RecordDataset, Shards
from efficientnet_tf.data.pipeline import (
    evaluation_examples,
    training_examples,
)
from efficientnet_tf.data.preprocess import TrainingCrop
from efficientnet_tf.data.records import encode_record
from efficientnet_tf.errors import RunError

CUT = Cut(16, "whole", "legacy_bicubic")
RECORDS = 8
FILES = 2
TOTAL = RECORDS * FILES
BAD = 3
# A frame: length, its checksum, the record and the record's checksum.
HEADER, AROUND = 12, 16


def grey(number: int) -> bytes:
    """A picture whose brightness tells its number, with some texture."""
    random = np.random.default_rng(number)
    pixels = 14 * number + random.integers(0, 8, (64, 64, 1))
    return jpeg(np.broadcast_to(pixels, (64, 64, 3)).astype(np.uint8))


def jpeg(pixels: np.ndarray, kind: str = "JPEG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, quality=100)
    return file.getvalue()


def example(number: int, content: bytes, label: int | None = None) -> bytes:
    return encode_record(
        EncodedImage(content, 64, 64),
        label=number + 1 if label is None else label,
        class_name=str(number),
        filename="x.jpg",
    )


def garbage(content: bytes) -> bytes:
    """Picture data in the middle made random, markers among it."""
    random = np.random.default_rng(0)
    middle = len(content) * 2 // 3
    noise = random.integers(0, 256, 60, np.uint8).tobytes() + b"\xff\xc5"
    return content[:middle] + noise + content[middle + len(noise) :]


def cut_off(content: bytes) -> bytes:
    return content[: len(content) * 2 // 3]


def png(content: bytes) -> bytes:
    return jpeg(np.asarray(Image.open(io.BytesIO(content))), "PNG")


# Records with right checksums, of a number, and what is wrong with them.
Spoil = Callable[[int, bytes], bytes]
CONTENTS: dict[str, tuple[Spoil, str]] = {
    "garbage": (lambda n, c: example(n, garbage(c)), "damaged JPEG"),
    "cut off": (lambda n, c: example(n, cut_off(c)), "damaged JPEG"),
    "head only": (lambda n, c: example(n, c[:30]), "damaged JPEG"),
    "empty": (lambda n, c: example(n, b""), "empty image"),
    "PNG": (lambda n, c: example(n, png(c)), "no JPEG"),
    "label 0": (lambda n, c: example(n, c, label=0), "wrong label"),
    "label 17": (lambda n, c: example(n, c, label=17), "wrong label"),
    "no example": (lambda n, c: b"\xff" * 40, "no example"),
    "nothing": (lambda n, c: b"", "damaged record"),
}
# Numbers of bad records; in both files, and sound ones between them.
PLACES = (1, 3, 6, 9, 12)


def flip(place: int) -> Callable[[bytes, int, int], bytes]:
    """Changes a byte of a bad record's frame, counted from its begin."""

    def damage(content: bytes, begin: int, end: int) -> bytes:
        at = (begin if place >= 0 else end) + place
        return content[:at] + bytes([content[at] ^ 8]) + content[at + 1 :]

    return damage


# What is done to a file, from where a bad record begins to where it ends.
FRAMES: dict[str, Callable[[bytes, int, int], bytes]] = {
    "content": flip(HEADER + 300),
    "length": flip(1),
    "checksum of the length": flip(9),
    "checksum": flip(-2),
}


def write(
    folder: Path, bad: Mapping[int, Spoil] = MappingProxyType({})
) -> tuple[RecordDataset, list[int]]:
    """A data set, and where each record begins in its file."""
    folder.mkdir(exist_ok=True)
    files, begins = [], []
    for index in range(FILES):
        path = folder / f"train-{index:05d}-of-{FILES:05d}"
        begin = 0
        with tf.io.TFRecordWriter(str(path)) as writer:
            for place in range(RECORDS):
                number = index * RECORDS + place
                record = example(number, grey(number))
                if number in bad:
                    record = bad[number](number, grey(number))
                writer.write(record)
                begins.append(begin)
                begin += AROUND + len(record)
        files.append(str(path))
    shards = Shards(tuple(files), (RECORDS,) * FILES, 10_000)
    labels = tuple(str(number) for number in range(TOTAL))
    return RecordDataset(
        "greys", str(folder), shards, shards, labels, 1
    ), begins


def epochs(
    dataset: RecordDataset, count: int, notes: Path | str = ""
) -> list[Counter[int]]:
    """How often each label comes in each epoch; images must be of theirs."""
    stream = training_examples(
        dataset,
        cut=CUT,
        crop=TrainingCrop(),
        seed=1,
        notes=str(notes),
    )
    found = []
    examples = islice(stream, count * TOTAL)
    for _ in range(count):
        labels = []
        for image, label in islice(examples, TOTAL):
            np.testing.assert_allclose(image, 14 * int(label) + 4, atol=9)
            labels.append(int(label))
        found.append(Counter(labels))
    return found


def check_passed_over(dataset: RecordDataset, tmp_path: Path, bad: list[int]):
    """Every other record once an epoch, and as many images as ever."""
    notes = tmp_path / "run" / NOTES
    for labels in epochs(dataset, 6, notes):
        assert labels.total() == TOTAL
        assert set(labels) == set(range(TOTAL)) - set(bad)
    assert {int(path.name) for path in notes.iterdir()} == set(bad)
    images = list(evaluation_examples(dataset, "train", cut=CUT))
    assert [int(label) for _, label in images] == [
        -1 if number in bad else number for number in range(TOTAL)
    ]


@pytest.mark.parametrize("damage", [garbage, cut_off])
def test_whether_these_decode_depends_on_the_crop(
    damage: Callable[[bytes], bytes],
) -> None:
    """So that the tests below can fail."""
    damaged = damage(grey(BAD))
    tf.image.decode_and_crop_jpeg(damaged, [0, 0, 16, 16], channels=3)
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.image.decode_and_crop_jpeg(damaged, [40, 0, 24, 24], channels=3)


@pytest.mark.parametrize("cases", [[*CONTENTS][:5], [*CONTENTS][5:]])
def test_what_a_record_holds(tmp_path: Path, cases: list[str]) -> None:
    made = dict(zip(PLACES, (CONTENTS[case] for case in cases), strict=False))
    dataset, _ = write(
        tmp_path / "data",
        {number: spoil for number, (spoil, _) in made.items()},
    )
    check_passed_over(dataset, tmp_path, [*made])
    found = BadRecords(dataset, str(tmp_path / "run"), 0.5)
    found.look()
    reasons = [reason for _, reason in made.values()]
    assert found.counts() == Counter(reasons)
    lines = (tmp_path / "run" / LINES).read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {
            "number": number,
            "file": dataset.train.files[number // RECORDS],
            "record": number % RECORDS,
            "reason": reason,
        }
        for number, (_, reason) in made.items()
    ]
    said = ".*".join(
        f"record {number % RECORDS}: {reason}"
        for number, (_, reason) in [*made.items()][:3]
    )
    with pytest.raises(RunError, match=f"{len(made)} of 16 .* 0.05 .*{said}"):
        BadRecords(dataset, str(tmp_path / "run"), 0.05).look()


def test_a_damaged_frame_costs_no_other_record(tmp_path: Path) -> None:
    dataset, begins = write(tmp_path / "data")
    made = dict(zip((1, 5, 10, 13), FRAMES.values(), strict=True))
    for number, damage in made.items():
        file = Path(dataset.train.files[number // RECORDS])
        content = file.read_bytes()
        file.write_bytes(damage(content, *begins[number : number + 2]))
    check_passed_over(dataset, tmp_path, [*made])
    found = BadRecords(dataset, str(tmp_path / "run"), 0.5)
    found.look()
    assert found.counts() == {"damaged record": len(made)}


def test_a_truncated_file_costs_its_last_records(tmp_path: Path) -> None:
    dataset, begins = write(tmp_path / "data")
    file = Path(dataset.train.files[0])
    file.write_bytes(file.read_bytes()[: begins[5] + 100])
    check_passed_over(dataset, tmp_path, [5, 6, 7])
    found = BadRecords(dataset, str(tmp_path / "run"), 0.5)
    found.look()
    assert found.counts() == {"damaged record": 1, "missing record": 2}


def test_an_empty_file_costs_all_of_its_records(tmp_path: Path) -> None:
    dataset, _ = write(tmp_path / "data")
    Path(dataset.train.files[0]).write_bytes(b"")
    images = training_examples(
        dataset, cut=CUT, crop=TrainingCrop(), seed=1, places=TOTAL
    )
    # A lane without a sound record, next to one that has all of them.
    labels = Counter(int(label) for _, label in islice(images, TOTAL))
    assert labels == Counter(range(RECORDS, TOTAL)) + Counter({-1: RECORDS})


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    dataset, _ = write(tmp_path / "data")
    Path(dataset.train.files[0]).unlink()
    with pytest.raises(tf.errors.OpError):
        epochs(dataset, 1)


def test_sound_records_leave_no_notes(tmp_path: Path) -> None:
    dataset, _ = write(tmp_path / "data")
    check = epochs(dataset, 2, tmp_path / "run" / NOTES)
    assert check == [Counter(range(TOTAL))] * 2
    assert not (tmp_path / "run").exists()
    found = BadRecords(dataset, str(tmp_path / "run"), 0.0)
    found.look()
    assert found.counts() == {}


def test_a_note_of_a_sound_record_is_dropped(tmp_path: Path) -> None:
    dataset, _ = write(tmp_path / "data", {BAD: CONTENTS["garbage"][0]})
    notes = tmp_path / NOTES
    notes.mkdir()
    for number in (BAD, BAD + 1, TOTAL):
        (notes / str(number)).touch()
    found = BadRecords(dataset, str(tmp_path), 1 / TOTAL)
    found.look()
    assert found.counts() == {"damaged JPEG": 1}
    assert [path.name for path in notes.iterdir()] == [str(BAD)]


def test_a_record_that_was_mended_counts_no_more(tmp_path: Path) -> None:
    run, notes = tmp_path / "run", tmp_path / "run" / NOTES
    dataset, _ = write(tmp_path / "data", {BAD: CONTENTS["garbage"][0]})
    epochs(dataset, 1, notes)
    with pytest.raises(RunError, match="1 of 16"):
        BadRecords(dataset, str(run), 0.0).look()
    assert (run / LINES).read_text()
    dataset, _ = write(tmp_path / "data")
    again = BadRecords(dataset, str(run), 0.0)
    again.look()
    assert again.counts() == {}
    assert (run / LINES).read_text() == ""
    assert list(notes.iterdir()) == []


def test_a_stream_with_bad_records_can_begin_anywhere(tmp_path: Path) -> None:
    dataset, _ = write(tmp_path / "data", {BAD: CONTENTS["garbage"][0]})

    def stream(start: int, count: int) -> list[np.ndarray]:
        examples = training_examples(
            dataset, cut=CUT, crop=TrainingCrop(), seed=1, start=start
        )
        return [image.numpy() for image, _ in islice(examples, count)]

    whole = stream(0, 2 * TOTAL)
    for start in (1, 8, TOTAL + 3):
        np.testing.assert_array_equal(
            stream(start, 9), whole[start : start + 9]
        )
