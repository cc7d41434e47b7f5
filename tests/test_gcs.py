"""The front door on gs://, in processes that see a local stand-in for it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tiny_main import TINY

import main
from efficientnet_tf import build
from efficientnet_tf.modeling.tf1_names import original_names
from efficientnet_tf.networks import families

if TYPE_CHECKING:
    from gcs import LocalGcs

ROOT = Path(__file__).parents[1]
PROGRAM = Path(__file__).with_name("tiny_main.py")
WEIGHTS = "checkpoints/step-0.data-00000-of-00001"
# Ways to name the checkpoint below.
SOURCES = ("ckpt", "ckpt/model.ckpt", "x.tar.gz")


def run(
    gcs: LocalGcs, *lines: str, code: int = 0
) -> subprocess.CompletedProcess[str]:
    """Gives command lines to a process that sees the bucket."""
    done = subprocess.run(
        [sys.executable, str(PROGRAM), *lines],
        env=os.environ | gcs.environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stderr
    return done


def leftovers(gcs: LocalGcs, folder: str) -> list[str]:
    """What a process leaves that is stopped while it writes."""
    names = gcs.list(folder)
    assert names
    return [name for name in names if "_temp" in name or ".tmp" in name]


@pytest.fixture(scope="module")
def checkpoint(
    gcs: LocalGcs, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A checkpoint of the original's code, here and by `SOURCES` there."""
    folder = tmp_path_factory.mktemp("source") / "ckpt"
    folder.mkdir()
    random = np.random.default_rng(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(families.VARIANTS, "tiny", TINY)
        tensors = {
            f"tiny/{known.name}": random.uniform(0.1, 1, known.shape)
            for known in original_names(build("tiny")).values()
        }
        tf.raw_ops.SaveV2(
            prefix=str(folder / "model.ckpt"),
            tensor_names=list(tensors),
            shape_and_slices=[""] * len(tensors),
            tensors=[np.float32(value) for value in tensors.values()],
        )
        archive = folder.with_name("x.tar.gz")
        with tarfile.open(archive, "w:gz") as packed:
            packed.add(folder, folder.name)
        gcs.upload(folder, "gs://bucket/ckpt")
        gcs.put("gs://bucket/x.tar.gz", archive.read_bytes())
        yield folder


@pytest.fixture(scope="module")
def imported(
    checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The same checkpoint imported from a folder into a folder."""
    folder = tmp_path_factory.mktemp("runs") / "imported"
    flags = ["--model=tiny", f"--checkpoint={checkpoint}"]
    assert main.main(["import", *flags, f"--model_dir={folder}"]) == 0
    return folder


@pytest.mark.slow
def test_an_import_is_that_of_local_files(
    gcs: LocalGcs,
    imported: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    addresses = [f"gs://bucket/run-{number}" for number in range(len(SOURCES))]
    run(
        gcs,
        *(
            "import --model=tiny "
            f"--checkpoint=gs://bucket/{source} --model_dir={address}"
            for source, address in zip(SOURCES, addresses, strict=True)
        ),
    )
    weights = (imported / WEIGHTS).read_bytes()
    for address in addresses:
        assert gcs.read(f"{address}/{WEIGHTS}") == weights
        assert not leftovers(gcs, address)

    image = tmp_path / "image.png"
    pixels = np.random.default_rng(1).integers(0, 256, (40, 50, 3))
    Image.fromarray(pixels.astype(np.uint8)).save(image)
    command = f"predict {image} --json --model_dir="
    there = json.loads(run(gcs, f"{command}{addresses[0]}").stdout)
    capsys.readouterr()
    assert main.main(f"{command}{imported}".split()) == 0
    here = json.loads(capsys.readouterr().out)
    assert len(there["top"]) == len(here["top"]) > 1
    for ours, theirs in zip(there["top"], here["top"], strict=True):
        assert ours == pytest.approx(theirs)


@pytest.mark.slow
def test_a_training_and_its_evaluation(
    gcs: LocalGcs, small_data: dict[str, Path]
) -> None:
    gcs.upload(small_data["whole"], "gs://bucket/data")
    address = "gs://bucket/trained"
    run(
        gcs,
        "train --model=tiny --data_dir=gs://bucket/data "
        f"--model_dir={address} --set=model.batch_norm_momentum=0.9 "
        "--set=train.epochs=1 --set=train.batch=32 "
        "--set=train.average_decay=0.9 --set=export.calibration_images=8 "
        "--set=export.verify_images=8",
    )
    assert not leftovers(gcs, address)
    assert "export/tiny_int8.tflite" in gcs.list(address)
    result = json.loads(gcs.read(f"{address}/result.json"))
    lines = gcs.read(f"{address}/metrics.jsonl").splitlines()
    assert json.loads(lines[-1])["top1"] == result["top1"]

    found = run(gcs, f"evaluate --model_dir={address} --json")
    assert json.loads(found.stdout)["top1"] == result["top1"]
    assert "evaluation/validation/confusion.png" in gcs.list(address)
    assert b"Confusion matrix" in gcs.read(f"{address}/report.html")

    # The second one finds nothing left to do.
    command = f"evaluate --follow --model_dir={address} --json"
    (line,) = run(gcs, command, command).stdout.splitlines()
    assert json.loads(line)["top1"] == result["top1"]
    written = gcs.read(f"{address}/evaluation/validation/follow.jsonl")
    assert json.loads(written) == json.loads(line)


@pytest.mark.slow
def test_an_export_in_all_formats(gcs: LocalGcs, checkpoint: Path) -> None:
    address = "gs://bucket/exported"
    formats = "keras,float,float16,dynamic_range,saved_model"
    export = f"export --model_dir={address} --formats={formats} --json"
    done = run(
        gcs,
        f"import --model=tiny --model_dir={address} "
        f"--checkpoint=gs://bucket/{SOURCES[0]}",
        # The second one takes the place of the first.
        export,
        export,
    )
    names = gcs.list(f"{address}/export")
    assert not leftovers(gcs, address)
    assert "tiny_saved_model/saved_model.pb" in names
    assert "tiny_saved_model/assets/labels.txt" in names
    for word in ("float", "float16", "dynamic_range"):
        assert f"tiny_{word}.tflite" in names
    files = json.loads(done.stdout[done.stdout.rindex('{\n  "files"') :])
    prefix = f"{address}/export/"
    found = {path.removeprefix(prefix): n for path, n in files["files"].items()}
    for name, size in found.items():
        assert len(gcs.read(prefix + name)) == size
    # Folders are objects of no bytes there.
    there = {name for name in names if name and not name.endswith("/")}
    assert {*found} == there - {"labels.txt"}


@pytest.mark.slow
def test_prepared_data_is_that_of_local_files(
    gcs: LocalGcs, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    for name in ("ant", "bee"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(6):
            pixels = random.integers(0, 256, (20, 30, 3)).astype(np.uint8)
            path = tmp_path / "photos" / name / f"{i}.png"
            Image.fromarray(pixels).save(path)
    gcs.upload(tmp_path / "photos", "gs://bucket/photos")
    command = f"prepare --from={tmp_path}/photos --out={tmp_path}/records"
    assert main.main([*command.split(), "--shards=3"]) == 0
    # It was begun there, by a version that said no more of it.
    gcs.put("gs://bucket/records/prepare.unfinished", b"")
    run(
        gcs,
        "prepare --from=gs://bucket/photos --shards=3 "
        "--out=gs://bucket/records",
        "check --data_dir=gs://bucket/records",
    )
    local = {
        path.name: path.read_bytes()
        for path in (tmp_path / "records").iterdir()
    }
    assert len(local) == 6
    assert set(gcs.list("gs://bucket/records")) - {""} == set(local)
    for name, content in local.items():
        assert gcs.read(f"gs://bucket/records/{name}") == content
    # A flipped byte is found there, and the records behind it.
    shard = bytearray(local["train-00000-of-00003"])
    shard[100] ^= 1
    gcs.put("gs://bucket/records/train-00000-of-00003", bytes(shard))
    done = run(gcs, "check --data_dir=gs://bucket/records --json", code=1)
    found = json.loads(done.stdout)
    kinds = [problem["kind"] for problem in found["problems"]]
    assert kinds == ["unreadable", "other count", "other checksum"]


@pytest.mark.slow
def test_archives_are_read_in_their_bucket(
    gcs: LocalGcs, tmp_path: Path
) -> None:
    synsets = ("n01440764", "n02119789")
    random = np.random.default_rng(0)

    def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))

    def jpeg() -> bytes:
        pixels = random.integers(0, 256, (20, 30, 3)).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG")
        return buffer.getvalue()

    folder = tmp_path / "imagenet"
    folder.mkdir()
    with tarfile.open(folder / "ILSVRC2012_img_train.tar", "w") as tar:
        for synset in synsets:
            inner = io.BytesIO()
            with tarfile.open(fileobj=inner, mode="w") as small:
                for i in range(3):
                    add(small, f"{synset}_{i}.JPEG", jpeg())
            add(tar, f"{synset}.tar", inner.getvalue())
    with tarfile.open(folder / "ILSVRC2012_img_val.tar", "w") as tar:
        for i in range(2):
            add(tar, f"ILSVRC2012_val_{i:08d}.JPEG", jpeg())
    (folder / "synset_labels.txt").write_text("\n".join(synsets))
    gcs.upload(folder, "gs://bucket/imagenet")
    out = tmp_path / "records"
    assert main.main(["prepare", f"--from={folder}", f"--out={out}"]) == 0
    run(
        gcs,
        "prepare --from=gs://bucket/imagenet --out=gs://bucket/tars/records",
    )
    for path in out.iterdir():
        name = f"gs://bucket/tars/records/{path.name}"
        assert gcs.read(name) == path.read_bytes()


def test_what_is_not_there_is_one_line(gcs: LocalGcs) -> None:
    where = "--model_dir=gs://bucket/nothing"
    lines = (
        f"import --model=tiny --checkpoint=gs://bucket/no.tar.gz {where}",
        f"train --model=tiny --data_dir=gs://bucket/no-data {where}",
        "evaluate --model_dir=gs://bucket/no-run",
        f"train --model=tiny --data_dir=gs://nowhere/no-data {where}",
    )
    said = run(gcs, *lines, code=2).stderr.splitlines()
    assert len(said) == len(lines)
    for line, name in zip(
        said, ("no.tar.gz", "no-data", "no-run", "no-data"), strict=True
    ):
        assert name in line
    assert not gcs.list("gs://bucket/nothing")
