"""A network of one's own, out of a file, at every door."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import main
from edgetpu import __main__ as coral
from edgetpu.source import load_source
from efficientnet_tf import build
from efficientnet_tf.errors import InputError
from efficientnet_tf.modeling.tf1_names import original_names
from efficientnet_tf.networks import (
    families,
    network,
    variant_text,
    variants,
    write_variant,
)
from efficientnet_tf.networks.stages import Family, Stage, Variant
from efficientnet_tf.networks.variant_files import NamedVariant
from efficientnet_tf.report_html import sections
from efficientnet_tf.training.config import Config, ModelConfig
from efficientnet_tf.training.config_files import (
    from_dict,
    load_config,
    override,
    to_dict,
)
from efficientnet_tf.training.loop import train
from efficientnet_tf.training.run import open_run

ROOT = Path(__file__).parents[1]
STAGES = (Stage("fused", 1, 3, 2, 2, 8), Stage("mbconv", 1, 3, 2, 2, 8))
FAMILY = Family(STAGES, "relu6", families.CENTERED, stem=8, head=16)
MINE = Variant(FAMILY, 1.0, 1.0, 32, 0.0)
SETTINGS = [
    "model.batch_norm_momentum=0.9",
    "data.prefetch_bytes=4000000",
    "train.epochs=1",
    "train.batch=8",
    "train.average_decay=0.9",
    "export.calibration_images=8",
    "export.verify_images=16",
]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "moved later.json"
    write_variant(MINE, "mine", path)
    return path


@pytest.fixture(scope="module")
def settings(small_data):
    return [f"data.dir={small_data['whole']}", *SETTINGS]


@pytest.fixture(scope="module")
def run(settings, tmp_path_factory):
    """A run whose variant file is gone."""
    folder = tmp_path_factory.mktemp("runs")
    path = folder / "mine.json"
    write_variant(MINE, "mine", path)
    config = override(Config(), [f"model.name={path}", *settings])
    train(config, str(folder / "run"))
    path.unlink()
    return folder / "run"


def test_a_run_holds_its_network(run):
    config = json.loads((run / "config.json").read_text())["config"]
    assert config["model"]["name"] == "mine"
    table = config["model"]["variant"]
    assert table == json.loads(variant_text(NamedVariant("mine", MINE)))
    page = sections.settings(load_config(str(run / "config.json")))
    assert "a table of its own" in page


def test_a_run_needs_no_file(run, tmp_path, capsys):
    out = f"--out={tmp_path / 'evaluation'}"
    assert main.main(["evaluate", f"--model_dir={run}", out]) == 0
    assert main.main(["export", f"--model_dir={run}"]) == 0
    assert {"mine.keras", "mine_int8.tflite"} <= set(os.listdir(run / "export"))
    capsys.readouterr()
    config = f"--config={run / 'config.json'}"
    assert main.main(["describe", config, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "mine"
    # The same experiment again.
    again = open_run(load_config(str(run / "config.json")))
    assert again.network == network(NamedVariant("mine", MINE), classes=7)


def test_the_same_file_goes_on_and_another_does_not(run, file, settings):
    config = override(Config(), [f"model.name={file}", *settings])
    assert train(config, str(run))["model"] == "mine"
    # The name alone is enough where the table is at hand.
    assert override(config, ["model.name=mine"]) == config
    write_variant(replace(MINE, width=2.0), "mine", file)
    config = override(Config(), [f"model.name={file}", *settings])
    with pytest.raises(InputError, match=r"another table of mine \(model\."):
        train(config, str(run))


def test_a_keras_file_and_its_table(file, tmp_path):
    path = str(tmp_path / "any.keras")
    build(str(file), classes=7).save(path)
    with pytest.raises(InputError, match=r"--set model\.name=FILE\.json"):
        load_source(path)
    source = load_source(path, settings=[f"model.name={file}"])
    assert source.network == network(str(file), classes=7)


def test_forecast_draws_a_file(tmp_path, capsys):
    name = "efficientnet-edgetpu-S"
    path = tmp_path / "s.json"
    write_variant(families.VARIANTS[name], "s", path)
    found = []
    for word in (name, str(path)):
        assert coral.main(["forecast", word, "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0]["operators"] == found[1]["operators"]
    assert len(found[1]["operators"]) == 66


def test_describe_needs_no_tensorflow(file):
    code = (
        "import sys, main; "
        f"code = main.main(['describe', '--model={file}', '--json']); "
        "sys.exit(code or int('tensorflow' in sys.modules))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert json.loads(shown.stdout)["name"] == "mine"


def test_import_takes_a_file(file, tmp_path, capsys):
    model = build(str(file), classes=7)
    random = np.random.default_rng(0)
    tensors = {
        f"any/{known.name}": random.uniform(0.1, 1, known.shape)
        for known in original_names(model).values()
    }
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "model.ckpt"),
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=[value.astype("float32") for value in tensors.values()],
    )
    out = tmp_path / "imported"
    command = [f"--model={file}", f"--checkpoint={tmp_path / 'model.ckpt'}"]
    assert main.main(["import", *command, f"--model_dir={out}"]) == 0
    saved = json.loads((out / "config.json").read_text())["config"]["model"]
    assert (saved["name"], saved["classes"]) == ("mine", 7)


def test_a_file_far_away():
    path = "ram://variants/mine.json"
    with tf.io.gfile.GFile(path, "w") as opened:
        opened.write(variant_text(NamedVariant("mine", MINE)))
    assert ModelConfig(name=path) == ModelConfig(name="mine", variant=MINE)
    with pytest.raises(InputError, match="no variant file of that name"):
        ModelConfig(name="ram://variants/none.json")


def test_configs_hold_tables(file):
    config = override(Config(), [f"model.name={file}", "model.pixels=64"])
    assert config.network().name == "mine"
    assert from_dict(json.loads(json.dumps(to_dict(config)))) == config
    # Another name has another table.
    back = override(config, ["model.name=efficientnet-b0"])
    assert back.model == ModelConfig(pixels=64)


def test_configs_refuse_two_tables(file):
    with pytest.raises(InputError, match="another model.name"):
        ModelConfig(name="efficientnet-b0", variant=MINE)
    with pytest.raises(InputError, match="cannot be set"):
        override(Config(), ["model.variant=x"])
    with pytest.raises(InputError, match=r"model\.variant 3 must be a Variant"):
        ModelConfig(name="mine", variant=3)
    values = to_dict(Config(model=ModelConfig(name=str(file))))
    values["model"]["name"] = "yours"
    with pytest.raises(InputError, match="must be model.name, 'yours'"):
        from_dict(values)
    assert "mine" not in variants()


def test_a_wrong_file_is_one_line(tmp_path, capsys):
    path = tmp_path / "x.json"
    path.write_text('{"schema": 1}')
    commands = [
        ["describe", f"--model={path}"],
        ["train", f"--model={path}"],
        ["rehearse", f"--model={path}", "--topology=v5e:2x4"],
    ]
    for command in commands:
        assert main.main(command) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert f"{path}: name is missing" in line
    assert coral.main(["forecast", str(path)]) == 2
    assert "name is missing" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["x.json"]
