"""A train step on a TPU that is not there: ours against keras.applications'.

    python -m benchmarks.train_step_tpu

Each is traced in the very same step (softmax cross entropy, SGD with momentum,
no averaging), lowered for one core and compiled by the compiler of real TPUs
with the same options: see `python main.py rehearse`. Nothing runs. What the
compiler says is written down as estimated, with the ratio to the peer.

About ten minutes a network; needs the extra `rehearse`. What was compiled
before is not compiled again.
"""

from __future__ import annotations

import argparse
import sys
import tempfile

from benchmarks.flags import add_flags, command_line, finish, positive, tell
from benchmarks.harness import Figures, rows
from benchmarks.machine import this_machine
from benchmarks.results import Result
from benchmarks.train_call import BARE, CLASSES, peer_state, recipe
from efficientnet_tf.command_line import run
from efficientnet_tf.errors import InputError, RunError
from efficientnet_tf.networks import network
from efficientnet_tf.tpu import cache
from efficientnet_tf.tpu.analysis import analyse
from efficientnet_tf.tpu.compiling import Effort
from efficientnet_tf.tpu.processes import apart
from efficientnet_tf.tpu.topology import Topology, parse_topology
from efficientnet_tf.tpu.traced import Program

MODELS = ("efficientnet-b0", "efficientnet-edgetpu-S")
APPLICATION = "EfficientNetB0"
PEER = f"keras.applications {APPLICATION}"
PRECISION = "mixed_bfloat16"
BYTES, PEAK = "bytes_per_image", "peak_hbm"
CYCLES, FLOPS = "cycles_per_image", "flops_per_image"
UNITS = {
    BYTES: "MB",
    PEAK: "MiB",
    CYCLES: "M cycles",
    FLOPS: "GFLOP",
}


def lowered(model: str, application: str, batch: int, folder: str) -> Program:
    """The step of one core; runs in a process of its own.

    Args:
        model: The project's network, which gives size and normalization.
        application: The network of keras.applications in its place, if any.
        batch: Images of the core.
        folder: Where the program is written.
    """
    from efficientnet_tf.tpu.pretended import (
        one_copy_of_variables,
        pretended_tpu,
    )
    from efficientnet_tf.tpu.tracing import lower
    from efficientnet_tf.training.state import create_state

    config = recipe(model, 0, batch, *BARE, "train.precision=bfloat16")
    resolved = config.network(CLASSES)
    strategy = pretended_tpu(1)
    with one_copy_of_variables(strategy):
        if application:
            state = peer_state(application, resolved, config, PRECISION)
        else:
            state = create_state(resolved, config, PRECISION)
    (program,) = lower(
        strategy, state, config, resolved, CLASSES * batch, PRECISION, folder
    )
    return program


def figures(
    model: str, application: str, batch: int, topology: Topology, effort: Effort
) -> Figures:
    """What the compiler says of a step."""
    name = f"keras.applications {application}" if application else model
    with tempfile.TemporaryDirectory() as folder:
        program = apart(
            f"lowering {name}", lowered, model, application, batch, folder
        )
        key = cache.key_of(program.path, topology, effort, ())
        outcome = cache.load(key)
        if outcome is None:
            outcome = apart(
                f"compiling {name}", analyse, program.path, topology, effort, ()
            )
            cache.save(key, outcome)
    if outcome.refusal or outcome.hbm_needed is not None:
        raise RunError(f"{name} did not compile: {outcome.refusal or 'memory'}")
    tell(f"compiled: {name}, {outcome.compile_seconds:.0f} s")
    return {
        BYTES: outcome.bytes_accessed / batch / 1e6,
        PEAK: outcome.hbm_bytes / 2**20,
        CYCLES: outcome.estimated_cycles / batch / 1e6,
        FLOPS: outcome.flops / batch / 1e9,
    }


def main() -> None:
    """Compiles and shows."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--batch", type=positive, default=128)
    parser.add_argument("--topology", default="v5e:1x1", help="of one core")
    parser.add_argument("--effort", default="full", choices=("quick", "full"))
    parser.add_argument(
        "--models",
        type=lambda text: tuple(text.split(",")),
        default=MODELS,
        help="names of ours",
    )
    add_flags(parser)
    given = parser.parse_args()
    for name in given.models:
        network(name)
    machine = this_machine(("tensorflow", "keras", "jax", "libtpu"))
    topology = parse_topology(given.topology)
    if topology.cores != 1:
        raise InputError(f"--topology {given.topology} must have one core")
    compiled = (given.batch, topology, given.effort)
    found = {
        PEER: [figures("efficientnet-b0", APPLICATION, *compiled)],
        **{name: [figures(name, "", *compiled)] for name in given.models},
    }
    result = Result(
        benchmark="train_step_tpu",
        command=command_line("train_step_tpu"),
        machine=machine,
        settings={
            "topology": topology.name,
            "batch": given.batch,
            "effort": given.effort,
        },
        rows=rows(found, UNITS, {name: [PEER] for name in given.models}),
        kind="estimated",
    )
    finish(result, given)


if __name__ == "__main__":
    sys.exit(run("train_step_tpu.py", main))
