"""The verb that prints networks, and their other names."""

import json
import subprocess
import sys
from pathlib import Path

import main
from efficientnet_tf.networks import network, variants

ROOT = Path(__file__).parents[1]


def test_describe_needs_no_tensorflow():
    code = (
        "import sys, main; "
        "code = main.main(['describe', '--model=efficientnet-b0', '--json']); "
        "sys.exit(code or int('tensorflow' in sys.modules))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    found = json.loads(shown.stdout)
    assert found["name"] == "efficientnet-b0"
    assert found["pixels"] == 224
    assert found["trainable_parameters"] == 5_288_548
    assert found["total_parameters"] == 5_288_548 + 42_016
    assert found["macs"] == 385_814_752
    assert found["blocks"] == 16
    rows = found["table"]
    assert sum(row["macs"] for row in rows) == found["macs"]


def test_describe_takes_overrides(capsys):
    command = ["describe", "--model=efficientnet-lite0"]
    assert main.main([*command, "--set=model.classes=10", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["trainable_parameters"] == 4_652_008 - 990 * 1281


def test_every_network_has_a_row(capsys):
    assert main.main(["describe"]) == 0
    shown = capsys.readouterr().out
    for name in variants():
        assert name in shown


def test_an_alias_explains_itself(capsys):
    command = ["describe", "--model=efficientnet-lite0-qat", "--json"]
    assert main.main(command) == 0
    said = capsys.readouterr()
    assert "efficientnet-lite0-qat is efficientnet-lite0: " in said.err
    assert json.loads(said.out)["name"] == "efficientnet-lite0"
    lite0 = network("efficientnet-lite0")
    assert network("efficientnet-lite0-qat") == lite0
