"""Checkpoints of the original at the front door, and what can be done next."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

import main
from efficientnet_tf import build
from efficientnet_tf.modeling.tf1_names import original_names
from efficientnet_tf.networks import families
from efficientnet_tf.networks.stages import Family, Stage, Variant

EMA = "/ExponentialMovingAverage"
CLASSES = 7  # of `small_data`


@pytest.fixture(scope="module")
def published():
    """Registers a network whose published weights stride in projections."""
    stages = (Stage("fused", 1, 3, 2, 2, 8), Stage("mbconv", 1, 3, 2, 2, 8))
    family = Family(
        stages,
        "relu6",
        families.CENTERED,
        stem=8,
        head=16,
        classes=CLASSES,
        published_stride="project",
    )
    with pytest.MonkeyPatch.context() as patch:
        variant = Variant(family, 1.0, 1.0, 32, 0.0)
        patch.setitem(families.VARIANTS, "published", variant)
        yield "published"


def tensors_of(model, scope):
    """Random weights by the original's names."""
    random = np.random.default_rng(0)
    return {
        f"{scope}/{known.name}": random.uniform(0.1, 1, known.shape).astype(
            "float32"
        )
        for known in original_names(model).values()
    }


def write(prefix, tensors):
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=list(tensors.values()),
    )


@pytest.fixture(scope="module")
def averaged(published):
    return tensors_of(build(published), published)


@pytest.fixture(scope="module")
def checkpoint(averaged, tmp_path_factory):
    """A folder with averaged and raw weights, slots and a step."""
    folder = tmp_path_factory.mktemp("checkpoint")
    tensors = {f"{name}{EMA}": value for name, value in averaged.items()}
    tensors |= {name: value + 1 for name, value in averaged.items()}
    tensors |= {f"{name}/RMSProp": value for name, value in averaged.items()}
    write(folder / "model.ckpt-5", tensors | {"global_step": np.int64(5)})
    return folder


def run(capsys, *words, code=0):
    """What a command line prints, out and err."""
    assert main.main(list(map(str, words))) == code
    return capsys.readouterr()


@pytest.fixture(scope="module")
def imported(published, checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "imported"
    command = ["import", f"--model={published}", f"--checkpoint={checkpoint}"]
    assert main.main([*command, f"--model_dir={folder}"]) == 0
    return folder


def test_what_an_import_says_and_leaves(
    published, checkpoint, averaged, tmp_path, capsys
):
    folder = tmp_path / "imported"
    said = run(
        capsys,
        "import",
        f"--model={published}",
        f"--checkpoint={checkpoint}",
        f"--model_dir={folder}",
        "--json",
    )
    assert "model.fused_stride=project" in said.err
    facts = json.loads(said.out)
    assert facts["variables"] == facts["averaged"] == len(averaged)
    assert facts["fused_stride"] == "project"
    assert facts["unused"]["slot of the optimizer"] == len(averaged)
    assert facts["fresh"] == {}
    kept = json.loads((folder / "config.json").read_text())["config"]
    assert kept["model"]["fused_stride"] == "project"
    assert kept["data"]["normalization"] == "centered127"
    account = json.loads((folder / "import.json").read_text())
    assert account["source"] == str(checkpoint)
    assert len(account["assigned"]) == len(averaged)
    assert (folder / "labels.txt").read_text() == "0\n1\n2\n3\n4\n5\n6\n"

    reader = tf.train.load_checkpoint(str(folder / "checkpoints"))
    value = "/.ATTRIBUTES/VARIABLE_VALUE"
    stem = averaged[f"{published}/stem/conv2d/kernel"]
    for kind, expected in (("averaged", stem), ("model", stem + 1)):
        kernel = reader.get_tensor(f"{kind}/stem_conv.Skernel{value}")
        np.testing.assert_array_equal(kernel, expected)


def test_told_otherwise_the_stride_stays(
    published, checkpoint, tmp_path, capsys
):
    said = run(
        capsys,
        "import",
        f"--model={published}",
        f"--checkpoint={checkpoint}",
        f"--model_dir={tmp_path / 'imported'}",
        "--set=model.fused_stride=expand",
        "--noema",
    )
    assert said.err == ""
    kept = json.loads((tmp_path / "imported/config.json").read_text())
    assert kept["config"]["model"]["fused_stride"] == "expand"


def test_weights_of_one_kind_are_evaluated(
    published, checkpoint, small_data, tmp_path, capsys
):
    folder = f"--model_dir={tmp_path / 'imported'}"
    source = f"--checkpoint={checkpoint}"
    run(capsys, "import", f"--model={published}", source, folder, "--noema")
    data = f"--data_dir={small_data['part']}"
    result = json.loads(run(capsys, "evaluate", folder, data, "--json").out)
    assert result["raw_top1"] == result["top1"]


def contents(folder):
    """Every file below a folder."""
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_same_import_again_changes_nothing(
    published, checkpoint, imported, capsys, monkeypatch
):
    before = contents(imported)
    command = ["import", f"--model={published}", f"--model_dir={imported}"]
    monkeypatch.chdir(checkpoint.parent)
    run(capsys, *command, f"--checkpoint={checkpoint.name}")
    assert contents(imported) == before


@pytest.mark.parametrize(
    "other", ["--noema", "--set=model.classes=5", "--set=model.pixels=64"]
)
def test_another_import_is_refused(
    other, published, checkpoint, imported, capsys
):
    before = contents(imported)
    command = ["import", f"--model={published}", f"--model_dir={imported}"]
    said = run(capsys, *command, f"--checkpoint={checkpoint}", other, code=2)
    assert f"holds another import, of {checkpoint}" in said.err
    assert contents(imported) == before


def test_a_stopped_import_gives_way(published, checkpoint, tmp_path, capsys):
    folder = tmp_path / "imported"
    command = ["import", f"--model={published}", f"--model_dir={folder}"]
    run(capsys, *command, f"--checkpoint={checkpoint}", "--noema")
    shutil.rmtree(folder / "checkpoints")
    run(capsys, *command, f"--checkpoint={checkpoint}")
    kept = json.loads((folder / "import.json").read_text())
    assert kept["ema"] and kept["raw"]
    assert (folder / "checkpoints/step-0.index").is_file()


def test_files_without_a_run_are_left_alone(
    published, checkpoint, tmp_path, capsys
):
    (tmp_path / "labels.txt").write_text("mine\n")
    before = contents(tmp_path)
    command = ["import", f"--model={published}", f"--model_dir={tmp_path}"]
    said = run(capsys, *command, f"--checkpoint={checkpoint}", code=2)
    assert "holds labels.txt but no run" in said.err
    assert contents(tmp_path) == before


def test_a_run_is_not_imported_over(published, checkpoint, small_run, capsys):
    said = run(
        capsys,
        "import",
        f"--model={published}",
        f"--checkpoint={checkpoint}",
        f"--model_dir={small_run}",
        code=2,
    )
    assert "holds a run" in said.err
    assert not (small_run / "import.json").exists()


def test_it_is_evaluated_and_predicted_with(
    imported, small_data, tmp_path, capsys
):
    said = run(capsys, "evaluate", f"--model_dir={imported}", code=2)
    assert "name some by --data_dir" in said.err
    names = tmp_path / "names.txt"
    names.write_text("".join(f"name-{n}\n" for n in range(CLASSES)))
    command = [f"--model_dir={imported}", f"--labels={names}", "--json"]
    said = run(
        capsys, "evaluate", *command, f"--data_dir={small_data['whole']}"
    )
    result = json.loads(said.out)
    assert result["images"] == 41
    assert not result["background"]
    said = run(capsys, "evaluate", *command, f"--data_dir={small_data['part']}")
    assert json.loads(said.out)["background"]

    from PIL import Image

    Image.new("RGB", (50, 40), (200, 10, 10)).save(tmp_path / "red.png")
    said = run(capsys, "predict", tmp_path / "red.png", *command)
    assert json.loads(said.out)["top"][0]["label"].startswith("name-")


def test_it_is_started_from(published, imported, small_data, tmp_path, capsys):
    short = [f"--model={published}", f"--data_dir={small_data['whole']}"]
    short += ["--set=train.batch=8", "--set=train.epochs=0.1"]
    short += ["--set=export.formats=keras", "--set=data.prefetch_bytes=4000000"]
    said = run(capsys, *short, f"--model_dir={imported}", code=2)
    assert f"--init_from={imported}" in said.err

    tuned = [f"--init_from={imported}", f"--model_dir={tmp_path / 'tuned'}"]
    said = run(capsys, *short, *tuned, code=2)
    assert "another model.fused_stride" in said.err
    tuned.append("--set=model.fused_stride=project")
    said = run(capsys, *short, *tuned)
    # Numbers are no names: the classifier fits as far as anybody can tell.
    assert "fresh" not in said.err
    assert (tmp_path / "tuned/result.json").is_file()


def test_it_goes_to_coral(imported, small_data, tmp_path, capsys):
    said = run(
        capsys,
        "export",
        f"--model_dir={imported}",
        f"--data_dir={small_data['whole']}",
        f"--out={tmp_path}",
        "--json",
    )
    exported = json.loads(said.out)
    assert exported["int8_agreement"] > 0.5
    assert (tmp_path / "published_int8.tflite").is_file()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--model=published"], "--checkpoint is missing"),
        (["--checkpoint=x"], "--model is missing"),
        (["--model=published", "--checkpoint=x"], "x is not there"),
        (["--model=publishd", "--checkpoint=x"], "did you mean published"),
        (
            ["--model=published", "--checkpoint=x", "--set=train.epochs=1"],
            "only model and data can be set",
        ),
        (["--checkpoint=x", "--data_dir=y"], "import has no flag --data_dir"),
    ],
)
def test_bad_input(published, flags, words, tmp_path, capsys):
    folder = tmp_path / "imported"
    said = run(capsys, "import", *flags, f"--model_dir={folder}", code=2)
    assert words in said.err
    assert len(said.err.splitlines()) == 1
    assert not folder.exists()


def test_labels_of_another_length(published, checkpoint, tmp_path, capsys):
    (tmp_path / "names.txt").write_text("one\ntwo\n")
    said = run(
        capsys,
        "import",
        f"--model={published}",
        f"--checkpoint={checkpoint}",
        f"--model_dir={tmp_path / 'imported'}",
        f"--labels={tmp_path / 'names.txt'}",
        code=2,
    )
    assert "has 2 labels; the network needs 7 labels" in said.err
    assert not (tmp_path / "imported").exists()


def test_the_checkpoint_says_how_many_classes(
    published, averaged, tmp_path, capsys
):
    tensors = averaged | {
        f"{published}/head/dense/kernel": np.ones((16, 1001), "float32"),
        f"{published}/head/dense/bias": np.ones(1001, "float32"),
    }
    write(tmp_path / "model.ckpt", tensors)
    command = ["import", f"--model={published}", "--json"]
    command.append(f"--checkpoint={tmp_path / 'model.ckpt'}")
    said = run(capsys, *command, f"--model_dir={tmp_path / 'all'}")
    assert json.loads(said.out)["classes"] == 1001
    labels = (tmp_path / "all/labels.txt").read_text().splitlines()
    assert labels[0] == "background"
    assert labels[1].startswith("tench")

    said = run(
        capsys,
        *command,
        f"--model_dir={tmp_path / 'five'}",
        "--set=model.classes=5",
    )
    assert json.loads(said.out)["fresh"] == {
        "the model has 5 classes, the checkpoint 1001": 2
    }
    said = run(
        capsys,
        *command,
        f"--model_dir={tmp_path / 'none'}",
        "--set=model.classes=0",
        code=2,
    )
    assert "classes 0: a run has a classifier" in said.err
    assert not (tmp_path / "none").exists()
    said = run(
        capsys,
        *command,
        f"--model_dir={tmp_path / 'fresh'}",
        "--set=model.classes=1000",
    )
    assert "the classifier is untrained" in said.err
    # Weights that know nothing of ImageNet are not given its names.
    assert (tmp_path / "fresh/labels.txt").read_text().startswith("0\n1\n")
