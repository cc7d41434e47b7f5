"""Image files of all kinds, broken ones among them, and their pictures."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import main
from efficientnet_tf.data.cut import Cut
from efficientnet_tf.data.images import read_jpeg
from efficientnet_tf.data.preprocess import evaluation_image, normalize
from efficientnet_tf.training.trained import load_trained, run_config

ROOT = Path(__file__).parents[1]
SIDE = (90, 60)
EXIF_ORIENTATION = 0x0112


CUT = Cut(pixels=32, crop="pad32", resize="legacy_bicubic")


@pytest.fixture(scope="module")
def trained(small_run):
    return load_trained(str(small_run), run_config(str(small_run)))


def scene() -> np.ndarray:
    """Smooth, so that JPEG changes little, and of no symmetry."""
    y, x = np.mgrid[0 : SIDE[1], 0 : SIDE[0]]
    return np.stack([2 * x, 3 * y, x + y], axis=-1).astype(np.uint8)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """The same scene in many formats."""
    folder = tmp_path_factory.mktemp("pictures")
    image = Image.fromarray(scene())
    image.save(folder / "plain.png")
    image.save(folder / "plain.jpg", quality=98, subsampling=0)
    image.save(folder / "plain.webp", lossless=True)
    image.convert("CMYK").save(folder / "cmyk.jpg", quality=98)
    image.convert("L").save(folder / "grey.jpg", quality=98)
    image.convert("RGBA").save(folder / "alpha.png")
    turned = image.rotate(90, expand=True)  # anticlockwise
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6  # to be shown turned clockwise
    turned.save(folder / "turned.jpg", quality=98, subsampling=0, exif=exif)
    return folder


@pytest.fixture
def broken(pictures, tmp_path):
    """What is no image, by name."""
    files = {name: tmp_path / f"{name}.jpg" for name in ("empty", "text")}
    files["empty"].write_bytes(b"")
    files["text"].write_text("no picture")
    whole = (pictures / "plain.jpg").read_bytes()
    files["truncated"] = tmp_path / "truncated.jpg"
    files["truncated"].write_bytes(whole[: len(whole) // 2])
    files["missing"] = tmp_path / "missing.jpg"
    files["folder"] = tmp_path
    return files


def ask(capsys, run, *words, code=0):
    """The answers of `predict --json`, and what was said besides."""
    command = ["predict", *map(str, words), f"--model_dir={run}", "--json"]
    assert main.main(command) == code
    shown = capsys.readouterr()
    return [json.loads(line) for line in shown.out.splitlines()], shown.err


def shares(answer):
    """Probabilities by class."""
    return {guess["label"]: guess["probability"] for guess in answer["top"]}


def test_an_object_a_line_as_the_model_says(
    small_run, trained, pictures, capsys
):
    path = pictures / "plain.png"
    (answer,), said = ask(capsys, small_run, path)
    assert said == ""
    assert set(answer) == {"image", "top"}
    assert answer["image"] == str(path)
    image = evaluation_image(read_jpeg(str(path)).encoded, CUT)
    inputs = normalize(image, trained.network.normalization)[None]
    logits = trained.model(inputs, training=False).numpy()[0].astype(float)
    expected = np.exp(logits) / np.exp(logits).sum()
    order = np.argsort(-expected)[:5]
    assert [guess["index"] for guess in answer["top"]] == order.tolist()
    for guess in answer["top"]:
        assert guess["label"] == trained.labels[guess["index"]]
        assert guess["probability"] == pytest.approx(
            expected[guess["index"]], rel=1e-4
        )


@pytest.mark.parametrize(
    "name", ["plain.jpg", "plain.webp", "alpha.png", "turned.jpg", "cmyk.jpg"]
)
def test_formats_of_the_same_scene_agree(name, small_run, pictures, capsys):
    answers, _ = ask(capsys, small_run, pictures / "plain.png", pictures / name)
    first, second = map(shares, answers)
    assert second == pytest.approx(first, abs=0.02)


def test_grey_is_that_grey_in_three_channels(
    small_run, pictures, tmp_path, capsys
):
    with Image.open(pictures / "grey.jpg") as grey:
        grey.convert("RGB").save(tmp_path / "grey.png")
    answers, _ = ask(
        capsys, small_run, pictures / "grey.jpg", tmp_path / "grey.png"
    )
    # The PNG becomes a JPEG first, of the best quality.
    assert shares(answers[0]) == pytest.approx(shares(answers[1]), abs=5e-3)


def test_a_single_pixel_is_a_plain_picture(small_run, tmp_path, capsys):
    for name, side in (("tiny.png", 1), ("plain.png", 50)):
        Image.new("RGB", (side, side), (90, 90, 90)).save(tmp_path / name)
    paths = [tmp_path / "tiny.png", tmp_path / "plain.png"]
    (tiny, plain), _ = ask(capsys, small_run, *paths)
    assert shares(tiny) == pytest.approx(shares(plain), abs=1e-3)


def test_broken_images_do_not_keep_the_others_from_an_answer(
    small_run, pictures, broken, capsys
):
    good = pictures / "plain.jpg"
    paths = [good]
    for path in broken.values():
        paths += [path, good]
    answers, said = ask(capsys, small_run, *paths, code=1)
    assert [answer["image"] for answer in answers] == [str(p) for p in paths]
    for answer in answers[::2]:
        assert shares(answer) == pytest.approx(shares(answers[0]), rel=1e-5)
    errors = {
        name: answer["error"]
        for name, answer in zip(broken, answers[1::2], strict=True)
    }
    assert errors["empty"] == "is empty; give a JPEG, PNG, WebP, GIF or BMP"
    assert errors["text"].startswith("is not a picture")
    assert "does not decode" in errors["truncated"]
    assert errors["missing"].startswith("cannot be read")
    assert errors["folder"].startswith("cannot be read")
    assert len(said.splitlines()) == 1
    assert "5 of 11 images could not be read" in said
    for path in broken.values():
        assert str(path) in said


def test_the_table_has_every_image(
    small_run, pictures, broken, capsys, monkeypatch
):
    # A long path would be folded.
    monkeypatch.chdir(pictures)
    paths = [str(broken["empty"]), "plain.jpg"]
    command = ["predict", *paths, f"--model_dir={small_run}"]
    assert main.main(command) == 1
    shown = capsys.readouterr().out
    assert "is empty" in shown
    assert "probability" in shown
    assert "plain.jpg" in shown


def test_labels_of_a_file(small_run, pictures, tmp_path, capsys):
    file = tmp_path / "labels.json"
    names = {str(number): f"name {number}" for number in range(7)}
    file.write_text(json.dumps(names))
    path = pictures / "plain.jpg"
    (answer,), _ = ask(capsys, small_run, path, f"--labels={file}")
    for guess in answer["top"]:
        assert guess["label"] == f"name {guess['index']}"


def test_a_background_keeps_the_networks_numbers(
    small_run, trained, pictures, tmp_path, capsys
):
    """A file of the other classes' names, and the index of the logit."""
    file = tmp_path / "labels.txt"
    file.write_text("\n".join(trained.labels[1:]))
    path = pictures / "plain.jpg"
    background = "--set=evaluate.background=true"
    plain = ask(capsys, small_run, path)
    named = ask(capsys, small_run, path, f"--labels={file}", background)
    assert named == plain
    command = ["predict", str(path), f"--model_dir={small_run}"]
    assert main.main([*command, f"--labels={file}"]) == 2
    said = capsys.readouterr().err
    assert "has 6 labels; the network needs 7 labels" in said
    assert len(said.splitlines()) == 1


def test_a_picture_of_one_image(small_run, pictures, tmp_path, capsys):
    plot = tmp_path / "deep" / "plot.png"
    ask(capsys, small_run, pictures / "plain.jpg", f"--save_plot={plot}")
    with Image.open(plot) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert pixels.shape[0] > 400 and pixels.shape[1] > 2 * pixels.shape[0]
    # The scene on the left, bars and text on white on the right.
    assert len(np.unique(pixels[:, :500].reshape(-1, 3), axis=0)) > 1000
    assert [file.name for file in plot.parent.iterdir()] == ["plot.png"]


def test_pictures_of_several_images(
    small_run, pictures, broken, tmp_path, capsys
):
    out = tmp_path / "plots"
    paths = [pictures / "plain.jpg", broken["text"], pictures / "plain.webp"]
    ask(capsys, small_run, *paths, f"--save_plot={out}", code=1)
    names = sorted(file.name for file in out.iterdir())
    assert names == ["plain-2.png", "plain.png"]


def test_no_image_is_replaced_by_its_plot(
    small_run, pictures, tmp_path, capsys
):
    image = tmp_path / "plain.png"
    image.write_bytes((pictures / "plain.png").read_bytes())
    before = image.read_bytes()
    for plot in (image, tmp_path):
        command = ["predict", str(image), f"--model_dir={small_run}"]
        assert main.main([*command, f"--save_plot={plot}"]) == 2
        assert "would be replaced" in capsys.readouterr().err
        assert image.read_bytes() == before


def test_a_name_of_other_bytes_is_an_error_of_its_own(
    small_run, pictures, tmp_path, capsys
):
    odd = tmp_path / "odd\udcff.png"
    odd.write_bytes((pictures / "plain.png").read_bytes())
    answers, _ = ask(capsys, small_run, odd, pictures / "plain.png", code=1)
    assert answers[0]["error"] == "has a name that is no UTF-8"
    assert len(answers[1]["top"]) == 5


def test_pictures_that_have_no_place_are_refused(
    small_run, pictures, tmp_path, capsys
):
    paths = [str(pictures / name) for name in ("plain.jpg", "cmyk.jpg")]
    (tmp_path / "file").write_text("")
    before = sorted(tmp_path.iterdir())
    for plot, reason in (
        (tmp_path / "one.png", "holds one image, and 2 were given"),
        (tmp_path / "file", "cannot be written"),
        (tmp_path / "file" / "in", "cannot be written"),
        (tmp_path / "plots.jpg", "must end in .png, or be a folder"),
    ):
        command = ["predict", *paths, f"--model_dir={small_run}"]
        assert main.main([*command, f"--save_plot={plot}"]) == 2
        shown = capsys.readouterr()
        assert reason in shown.err
        assert len(shown.err.splitlines()) == 1
        assert shown.out == ""
    assert sorted(tmp_path.iterdir()) == before


def test_help_waits_for_no_library():
    code = (
        "import sys, main; main.main(['--help']); "
        "sys.exit(bool({'matplotlib', 'tensorflow'} & set(sys.modules)))"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        cwd=ROOT,
    )
