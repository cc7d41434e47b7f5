"""`main.py rehearse` as its user calls it, with the compiler of real TPUs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_main import TINY as TINY_VARIANT

from efficientnet_tf.networks import NamedVariant, network, totals

pytest.importorskip("libtpu", reason="needs the extra rehearse")

ROOT = Path(__file__).parents[2]
TINY = ("--model=tiny", "--topology=v5e:2x2", "--batch=32")


def run(
    cache: Path, *flags: str, script: Path = ROOT / "tests" / "tiny_main.py"
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, script, f"rehearse {' '.join(flags)}"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "XDG_CACHE_HOME": str(cache),
        },
    )


def rehearsed(cache: Path, *flags: str) -> dict[str, Any]:
    done = run(cache, *flags, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def first(cache: Path) -> dict[str, Any]:
    return rehearsed(cache, *TINY)


def test_a_tiny_network_fits_and_its_costs_are_told(
    first: dict[str, Any],
) -> None:
    assert first["fits"]
    assert first["refused"] == []
    assert first["cores"] == 4
    assert first["images_per_core"] == 8
    assert first["precision"] == "mixed_bfloat16"
    assert 0 < first["peak_hbm_bytes"] < first["hbm_bytes"]
    assert sum(first["memory"].values()) == first["peak_hbm_bytes"]
    assert first["estimated_cycles"] == sum(
        row["estimated_cycles"] for row in first["layers"]
    )
    assert first["bytes_per_image"] > 2 * 32 * 32 * 3
    assert not first["cached"]


def test_the_network_does_the_arithmetic_of_its_table(
    first: dict[str, Any],
) -> None:
    macs = totals(network(NamedVariant("tiny", TINY_VARIANT))).macs
    # Forward, and backward for weights and for inputs, two FLOPs each; beside
    # them what is done number by number.
    assert 6 * macs < first["flops_per_image"] < 8 * macs


def test_weights_are_averaged_and_remembered_by_the_optimizer(
    first: dict[str, Any],
) -> None:
    memory = first["memory"]
    assert memory["averaged weights"] == memory["weights"]
    assert memory["weights"] < memory["optimizer"] < 2.5 * memory["weights"]


def test_cores_exchange_gradients_and_statistics(
    first: dict[str, Any],
) -> None:
    (exchange,) = first["collectives"]
    assert exchange["kind"] == "all-reduce"
    # A batch norm's statistics and their gradients cannot travel together.
    assert exchange["count"] >= 2 * 5
    # At least every trained weight's gradient, four bytes each.
    assert exchange["operand_bytes"] > 4 * 1000


def test_people_get_tables_of_what_is_compiled_once(
    cache: Path, first: dict[str, Any]
) -> None:
    done = run(cache, *TINY)
    assert done.returncode == 0, done.stderr
    for words in (
        "tiny at 32 x 32 on v5e:2x2",
        "yes:",
        "8 on each of 4 cores",
        "the compiler's own estimate, no measurement",
        "nothing ran on a TPU",
        "all-reduce",
        f"{first['compile_seconds']:.0f} s, known before",
    ):
        assert words in " ".join(done.stdout.split()), words


@pytest.mark.slow
def test_too_large_a_batch_is_an_answer(cache: Path) -> None:
    flags = ("--model=tiny", "--topology=v2:2x2", "--batch=65536")
    found = rehearsed(cache, *flags, "--set model.pixels=256")
    assert not found["fits"]
    assert found["peak_hbm_bytes"] > found["hbm_bytes"]
    assert found["refused"] == []
    assert found["estimated_cycles"] is None


REFUSED = """
import shlex, sys; sys.path.append("tests")
import keras, tensorflow as tf
import main
from efficientnet_tf.modeling import maker
from tiny_main import TINY
from efficientnet_tf.networks import families

class Prints(keras.layers.Activation):
    def call(self, inputs):
        tf.print("mean", tf.reduce_mean(inputs))
        return super().call(inputs)

# The rehearsal's own processes read this file as well.
families.VARIANTS["tiny"] = TINY
maker.LAYERS["tpu"] = maker.LAYERS["tpu"]._replace(activation=Prints)
if __name__ == "__main__":
    sys.exit(main.main(shlex.split(sys.argv[1])))
"""


def test_what_a_tpu_refuses_is_named_with_its_layer(
    cache: Path, tmp_path: Path
) -> None:
    script = tmp_path / "prints.py"
    script.write_text(REFUSED)
    done = run(cache, *TINY, "--json", script=script)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert not found["fits"]
    assert found["peak_hbm_bytes"] is None
    layers = {
        row["layer"] for row in found["refused"] if row["operator"] == "PrintV2"
    }
    assert "stem_activation" in layers
    assert "block1a_expand_activation" in layers


@pytest.mark.slow
def test_microbatches_and_remat_take_less_memory(cache: Path) -> None:
    # Large enough that what a block makes is most of the memory.
    large = ("--model=tiny", "--topology=v5e:1x1", "--batch=256")
    plain, both = (
        rehearsed(cache, *large, "--set model.pixels=64", said)
        for said in ("", "--set train.microbatches=2 --set train.remat=true")
    )
    assert both["memory"]["temporaries"] < 0.7 * plain["memory"]["temporaries"]
    found = both
    assert found["memory"]["gradient sums"] > 0
    directions = {row["direction"] for row in found["layers"]}
    assert "recomputed" in directions
    assert "recomputed" not in {r["direction"] for r in plain["layers"]}


@pytest.mark.slow
def test_the_largest_batch_is_found(cache: Path) -> None:
    flags = ("--model=tiny", "--topology=v2:2x2", "--batch=8192")
    found = rehearsed(cache, *flags, "--set model.pixels=512", "--find_batch")
    assert found["fits"]
    assert found["batch"] == found["largest_batch"]
    tried = {row["batch"]: row["fits"] for row in found["tried"]}
    too_large = min(batch for batch, fits in tried.items() if not fits)
    # The next one: eight images more on each of eight cores.
    assert too_large == found["largest_batch"] + 64
