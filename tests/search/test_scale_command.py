"""`python main.py scale`, as its user gives it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import main
from efficientnet_tf.networks import find_variant, network, totals

ROOT = Path(__file__).parents[2]


def scale(capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    assert main.main(["scale", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_phi(capsys) -> None:
    found = scale(capsys, "--base=efficientnet-b0", "--phi=1")
    assert (found["depth"], found["width"], found["pixels"]) == (1.2, 1.1, 258)
    assert found["trainable_parameters"] == 9_109_994
    assert found["macs"] == sum(row["macs"] for row in found["table"])
    assert found["macs"] == pytest.approx(1.0e9, rel=0.02)
    assert found["real_ratio"] > 2.5 > 2 > found["nominal_ratio"]


def test_coefficients_of_ones_own(capsys) -> None:
    words = ["--alpha=1", "--beta=1", "--gamma=1.4142"]
    found = scale(capsys, "--base=efficientnet-b0", "--phi=2", *words)
    assert found["pixels"] == 448
    assert found["real_ratio"] == pytest.approx(4, rel=0.01)


def test_a_budget_and_a_file(capsys, tmp_path) -> None:
    """The file is a network for every other verb."""
    path = tmp_path / "mine.json"
    words = ["--base=efficientnet-lite0", "--budget=1GMACs", f"--out={path}"]
    found = scale(capsys, *words)
    assert 0.97e9 < found["macs"] <= 1e9
    assert found["budget"]["used"] == found["macs"]
    assert found["budget"]["basis"] == "counted"
    built = network(find_variant(str(path)))
    assert totals(built).macs == found["macs"]
    assert main.main(["describe", f"--model={path}", "--json"]) == 0
    described = json.loads(capsys.readouterr().out)
    for name in ("macs", "trainable_parameters", "pixels"):
        assert described[name] == found[name]
    # And a base to go on from.
    again = scale(capsys, f"--base={path}", "--phi=0")
    assert again["macs"] == found["macs"]


def test_the_base_is_changed_first(capsys) -> None:
    words = ["--set", "model.pixels=64", "--set", "model.classes=10"]
    found = scale(capsys, "--base=efficientnet-b0", "--phi=0", *words)
    assert found["pixels"] == 64
    assert found["trainable_parameters"] == 5_288_548 - 990 * 1281


def test_an_estimate_says_so(capsys) -> None:
    assert (
        main.main(["scale", "--base=efficientnet-b0", "--budget=HBM:2GiB"]) == 0
    )
    said = " ".join(capsys.readouterr().out.split())
    assert "an estimate" in said
    assert "docs/scaling.md" in said


def test_explain(capsys) -> None:
    rows = scale(capsys, "--explain")
    assert [row["name"][-2:] for row in rows] == [f"b{n}" for n in range(8)]
    # As in the original's table of parameters.
    assert [row["pixels"] for row in rows] == [
        *(224, 240, 260, 300, 380, 456, 528, 600)
    ]
    assert main.main(["scale", "--explain"]) == 0
    assert "rounded by hand" in capsys.readouterr().out


B0 = "--base=efficientnet-b0"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "give one of --phi=K"),
        ([B0], "give one of --phi=K"),
        ([B0, "--phi=1", "--budget=1GMACs"], "--phi and --budget are there"),
        (["--phi=1"], "--base=NAME is missing"),
        (["--base=", "--phi=1"], "--base= is empty"),
        (["--base=", "--grid", "--data_dir=none"], "--base= is empty"),
        (["--base=efficientnet-b9", "--phi=1"], "did you mean"),
        (["--base=no.json", "--phi=1"], "no variant file of that name"),
        ([B0, "--phi=1", "--alpha=0.5"], "--alpha 0.5 must be"),
        ([B0, "--phi=x"], "--phi"),
        ([B0, "--phi=99"], "--phi 99 must be"),
        ([B0, "--budget=4.2"], "lacks its unit"),
        ([B0, "--budget=1MMACs"], "give at least --budget=385.9MMACs"),
        ([B0, "--phi=1", "--out=x.txt"], "ends in .json"),
        ([B0, "--phi=1", "--workers=2"], "says nothing with --phi"),
        ([B0, "--phi=1", "--images_per_core=2"], "says nothing with --phi"),
        ([B0, "--explain"], "--base says nothing with --explain"),
        ([B0, "--phi=1", "--set", "train.epochs=1"], "nothing is trained"),
        ([B0, "--grid", "--beta=1.1"], "leave --beta out"),
        ([B0, "--grid", "--grid_step=7"], "--grid_step 7 must be"),
        ([B0, "--grid", "--workers=0"], "workers"),
        ([B0, "--phi=1", "--images=3"], "scale has no flag --images"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(words, says, capsys) -> None:
    assert main.main(["scale", *words]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert len(said.strip().splitlines()) == 1


def test_costs_no_tensorflow() -> None:
    code = (
        "import sys, main\n"
        "assert main.main(['scale', '--base=efficientnet-b0', "
        "'--budget=1GMACs']) == 0\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)\n"
    )
    subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True
    )


def test_a_flag_said_not_to_be_is_not_there(capsys) -> None:
    found = scale(capsys, B0, "--phi=1", "--noexplain", "--nogrid")
    assert found["pixels"] == 258
    assert main.main(["scale", B0, "--noexplain"]) == 2
    assert "none of them is there" in capsys.readouterr().err


def test_a_grid_without_data_leaves_nothing(capsys, tmp_path) -> None:
    out = tmp_path / "grid"
    words = [f"--data_dir={tmp_path / 'none'}", f"--out={out}"]
    assert main.main(["scale", B0, "--grid", *words]) == 2
    assert "none" in capsys.readouterr().err
    assert not out.exists()
