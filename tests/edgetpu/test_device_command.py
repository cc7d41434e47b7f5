"""The command that boards have, run as there: a folder that was copied."""

from __future__ import annotations

import ctypes.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from edgetpu.__main__ import main
from edgetpu.run import Runner
from edgetpu.run.pixels import network_pixels

ROOT = Path(__file__).parents[2]
LABELS = ("red", "green", "blue", "yellow")


@pytest.fixture
def folder(tmp_path, lite, pictures):
    """A model and pictures of its classes, as an export leaves them."""
    (tmp_path / "lite_int8.tflite").write_bytes(lite.content)
    (tmp_path / "labels.txt").write_text("".join(f"{x}\n" for x in LABELS))
    for image, label in zip(*pictures(4, side=60, seed=5), strict=True):
        Image.fromarray(image).save(tmp_path / f"{LABELS[label]}.png")
    return tmp_path


def _ran(capsys, *words):
    code = main([str(word) for word in words])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_pictures_get_the_names_of_their_classes(folder, capsys):
    paths = [folder / f"{name}.png" for name in LABELS]
    code, out, _ = _ran(capsys, "run", folder / "lite_int8.tflite", *paths)
    assert code == 0
    lines = out.splitlines()
    for path, name in zip(paths, LABELS, strict=True):
        place = next(i for i, line in enumerate(lines) if str(path) in line)
        assert lines[place + 1].split()[1] == name


def test_json_holds_scores_and_milliseconds(folder, capsys, lite):
    path = folder / "red.png"
    code, out, _ = _ran(
        capsys, "run", folder / "lite_int8.tflite", path, "--json", "--top=2"
    )
    found = json.loads(out)
    assert code == 0
    (answer,) = found["images"]
    assert answer["milliseconds"] > 0
    import numpy as np

    picture = np.asarray(Image.open(path))
    image = network_pixels(picture, 32, found["crop"], found["resize"])
    expected = Runner(lite.content).top(image, 2)
    assert [(x["index"], x["score"]) for x in answer["top"]] == expected


def test_pictures_are_cut_as_the_export_says(folder, capsys):
    said = {"file": "lite_int8.tflite", "crop": "whole", "resize": "area"}
    (folder / "export.json").write_text(json.dumps(said))
    words = (folder / "lite_int8.tflite", folder / "red.png", "--json")
    found = json.loads(_ran(capsys, "run", *words)[1])
    assert (found["crop"], found["resize"]) == ("whole", "area")
    found = json.loads(_ran(capsys, "run", *words, "--crop=fraction")[1])
    assert (found["crop"], found["resize"]) == ("fraction", "area")
    # Of another model it says nothing.
    shutil.copy(folder / "lite_int8.tflite", folder / "other.tflite")
    found = json.loads(
        _ran(capsys, "run", folder / "other.tflite", *words[1:])[1]
    )
    assert (found["crop"], found["resize"]) == ("pad32", "legacy_bicubic")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("[1]", None),
        ("{", "export.json cannot be read"),
        ('{"file": "lite_int8.tflite", "crop": "bogus"}', "'bogus'"),
    ],
)
def test_an_export_that_says_nonsense(folder, capsys, said, message):
    (folder / "export.json").write_text(said)
    code, _, err = _ran(
        capsys, "run", folder / "lite_int8.tflite", folder / "red.png"
    )
    assert code == (2 if message else 0)
    assert (message or "") in err


@pytest.mark.parametrize(
    "words",
    [
        ("run", "{model}", "{image}", "--std=nan"),
        ("run", "{model}", "{image}", "--mean=inf"),
        ("run", "{model}", "{image}", "--top=0"),
        ("run", "{model}"),
        ("benchmark", "{model}", "--runs=none"),
    ],
)
def test_wrong_flags_end_with_2(folder, capsys, words):
    places = {
        "model": folder / "lite_int8.tflite",
        "image": folder / "red.png",
    }
    with pytest.raises(SystemExit) as ended:
        _ran(capsys, *(word.format(**places) for word in words))
    assert ended.value.code == 2


def test_old_pythons_hold_chatter_back():
    """Boards have Python 3.7; what needs no package runs on one here."""
    old = next(
        (
            path
            for path in Path.home().glob(".pyenv/versions/3.7*/bin/python")
            if path.is_file()
        ),
        None,
    )
    if old is None:
        pytest.skip("needs Python 3.7 in ~/.pyenv")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import quiet, os\n"
        "with quiet.quiet(): print('no'); os.write(2, b'no \\xff')\n"
        "print('yes')"
    )
    done = subprocess.run(
        [old, "-c", code, ROOT / "edgetpu" / "run"],
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("yes\n", "")


def test_a_picture_that_is_none_keeps_no_other_from_its_answer(folder, capsys):
    (folder / "bad.jpg").write_bytes(b"no picture")
    code, out, err = _ran(
        capsys,
        "run",
        folder / "lite_int8.tflite",
        folder / "bad.jpg",
        folder / "red.png",
    )
    assert code == 1
    assert "bad.jpg is no picture" in err
    assert "red" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run", "nothing.tflite", "a.jpg"), "nothing.tflite is no file"),
        (("run", "{model}", "a", "--std=0"), "--std 0"),
        (("run", "{model}", "a", "--labels=none.txt"), "none.txt"),
        (("benchmark", "{text}"), "labels.txt is no TensorFlow Lite model"),
        (("run", "{empty}", "a"), "empty.tflite is no TensorFlow Lite model"),
        (("run", "{cut}", "a"), "cut.tflite: "),
        (("benchmark", "{cut}"), "damaged: copy or convert it anew"),
        (("run", "{model}", "a", "--delegate=libno.so"), "run: delegate 'lib"),
        (("benchmark", "{model}", "--delegate={libc}"), "is a library without"),
    ],
)
def test_wrong_input_is_a_line(folder, capsys, words, message):
    model = folder / "lite_int8.tflite"
    (folder / "empty.tflite").touch()
    (folder / "cut.tflite").write_bytes(model.read_bytes()[:1000])
    places = {
        "model": model,
        "empty": folder / "empty.tflite",
        "cut": folder / "cut.tflite",
        "text": folder / "labels.txt",
        # A library, and no delegate.
        "libc": ctypes.util.find_library("c"),
    }
    code, _, err = _ran(capsys, *(word.format(**places) for word in words))
    assert code == 2
    assert message in err
    assert len(err.splitlines()) == 1


def test_a_benchmark_of_any_model(coral, capsys):
    path = coral / "face_detection_front_128_full_integer_quant-eb3169.tflite"
    words = ("benchmark", path, "--runs=20", "--warm_up=2", "--threads=1")
    code, out, _ = _ran(capsys, *words, "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["runs"], found["warm_up"], found["threads"]) == (20, 2, 1)
    assert 0 < found["fastest"] <= found["median"] <= found["p90"]
    assert found["p90"] <= found["p99"] <= found["slowest"]
    code, out, _ = _ran(capsys, *words)
    assert "median" in out and "on the CPU, 1 threads" in out


def test_a_compiled_file_asks_for_the_edge_tpu(folder, compiled_file, capsys):
    code, _, err = _ran(capsys, "benchmark", compiled_file)
    assert code == 2
    assert "libedgetpu" in err


def test_the_folder_runs_alone(folder):
    shutil.copytree(ROOT / "edgetpu" / "run", folder / "run")
    environment = {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONPATH"
    }
    code = (
        "import sys; from run.__main__ import main; "
        "code = main(sys.argv[1:]); "
        "assert not {'tensorflow', 'edgetpu', 'efficientnet_tf'} "
        "& set(sys.modules); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "lite_int8.tflite", "red.png"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].split()[1] == "red"
    assert not done.stderr
    done = subprocess.run(
        [sys.executable, "-m", "run", "--benchmark", "lite_int8.tflite"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "median" in done.stdout
