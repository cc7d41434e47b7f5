"""Our readings against what the TPU compiler itself says, where it is."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from efficientnet_tf.tpu.hlo_text import Module
from efficientnet_tf.tpu.memory import memory_at_peak
from efficientnet_tf.tpu.out_of_memory import out_of_memory
from efficientnet_tf.tpu.program import (
    Collective,
    collectives,
    estimated_cycles,
)

Samples = dict[str, dict[str, Any]]

SAMPLES = Path(__file__).parent / "compiled_samples.py"


@pytest.fixture(scope="module")
def compiled() -> Samples:
    """What the TPU compiler made of some small programs, and says of them."""
    for module in ("jax", "libtpu"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is missing: pip install -e .[rehearse]")
    environment = {
        **os.environ,
        "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
        "JAX_PLATFORMS": "cpu",
        "TPU_ACCELERATOR_TYPE": "v5litepod-4",
        "TPU_SKIP_MDS_QUERY": "1",
        "TPU_WORKER_HOSTNAMES": "localhost",
    }
    run = subprocess.run(
        [sys.executable, SAMPLES],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    answer: Samples = json.loads(run.stdout)
    return answer


@pytest.mark.parametrize("name", ["train", "loop", "branches", "sums"])
def test_the_compilers_own_peak(name: str, compiled: Samples) -> None:
    said = compiled[name]
    peak = memory_at_peak(Module.parse(said["text"]), (), said["peak"])
    assert peak.unexplained_bytes is not None
    # Tables of pointers and the like: 512 bytes each.
    assert 0 <= peak.unexplained_bytes <= 8 * 512
    parameters = sum(each.bytes for each in peak.parameters)
    assert parameters == said["arguments"]
    outputs = sum(each.bytes for each in peak.temporaries if each.output)
    assert 0 <= said["outputs"] - outputs <= 4 * 512
    # The compiler keeps single numbers elsewhere than it says.
    room = parameters + said["outputs"] + said["temporaries"]
    assert peak.hbm_bytes <= room + 8 * 512


def test_a_train_step_is_fullest_with_what_its_gradient_needs(
    compiled: Samples,
) -> None:
    peak = memory_at_peak(Module.parse(compiled["train"]["text"]))
    batch = peak.parameters[0]
    assert (batch.number, batch.bytes) == (2, 131072 * 512 * 4)
    largest = peak.temporaries[0]
    assert largest.shape == "f32[131072,512]"
    assert "net_1/dense0_1" in largest.op_name


def test_what_the_compiler_makes_of_a_loop(
    compiled: Samples,
) -> None:
    module = Module.parse(compiled["loop"]["text"])
    text = compiled["loop"]["text"]
    (called,) = (
        line.attribute("body")
        for line in module.computations[module.entry].instructions
        if line.opcode == "while"
    )
    body = module.computations[called].text
    inside = _all_cycles(body)
    assert inside > 0
    outside = _all_cycles(text[text.index("\nENTRY") :])
    assert estimated_cycles(module) == outside + 7 * inside


def test_what_the_compiler_makes_of_branches(
    compiled: Samples,
) -> None:
    text = compiled["branches"]["text"]
    module = Module.parse(text)
    outside = _all_cycles(text[text.index("\nENTRY") :])
    every = [
        _all_cycles(computation.text)
        for computation in module.computations.values()
        if computation.name.startswith("region")
    ]
    assert len(every) == 2
    assert estimated_cycles(module) == outside + max(every)


def test_what_the_compiler_makes_of_sums(
    compiled: Samples,
) -> None:
    # Three rounds of a sum of f32[256,256], then one of that and a row of it.
    whole, row = 256 * 256 * 4, 256 * 4
    assert collectives(Module.parse(compiled["sums"]["text"])) == (
        Collective("all-reduce", 4, 4 * whole + row),
    )


def _all_cycles(text: str) -> int:
    """Every figure in a text, without reading it as HLO."""
    _, *rest = text.split('"estimated_cycles":"')
    return sum(int(each.partition('"')[0]) for each in rest)


def test_todays_compiler_says_it_so(
    compiled: Samples,
) -> None:
    answer = out_of_memory(compiled["too_large"]["error"])
    assert answer is not None
    assert answer.space == "hbm"
    # tanh(x @ kernel) in bfloat16, all of it: 65536 by 131072.
    assert answer.used_bytes is not None
    assert answer.used_bytes >= 65536 * 2**17 * 2
    assert answer.capacity_bytes == 15.75 * 2**30
    largest = answer.allocations[0]
    assert largest.bytes == 65536 * 2**17 * 2
    assert "net_1/dense_1" in largest.op_name
