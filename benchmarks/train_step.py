"""A train step on the CPU: ours against those of three other stacks.

    python -m benchmarks.train_step
    python -m benchmarks.train_step --models=efficientnet-b0 --peers=keras,timm

Each of the contenders trains in float32 in a process of its own; they take
turns of some steps on the same pixels, in the same batch, with the same loss
(softmax cross entropy, label smoothing 0.1) and optimizer (SGD with momentum
0.9), without averaging or weight decay:

- ours: the train call that `python main.py` makes, of `training/step.py`, with
  the kernels that it chooses (`command_line.choose_kernels`);
- keras: keras.applications' network on Keras 3 in that very call;
- tf_keras: tf_keras.applications' network in the least `tf.function` that does
  the same;
- timm: timm's network on PyTorch, eager, channels last.

The last two come with `pip install -e '.[bench]'`, in an environment without a
TPU's TensorFlow; who is not installed is named as missing. keras.applications
has no EfficientNet-EdgeTPU, timm has one.

On this TensorFlow oneDNN's kernels are off unless somebody asks for them, which
ours does from 96 pixels on. So the peers on TensorFlow take part twice: as they
are installed, and with TF_ENABLE_ONEDNN_OPTS=1.

A quarter of an hour on two slow cores. Images per CPU second divide by what
all threads of the process have used, and suffer less from others on the
machine. For an allocator that keeps what it was given, which PyTorch likes,
set MALLOC_TRIM_THRESHOLD_ and MALLOC_MMAP_THRESHOLD_: the workers inherit them
and the machine line shows them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib.util import find_spec

from benchmarks.flags import add_flags, command_line, finish, positive, tell
from benchmarks.harness import Samples, alternate, rows
from benchmarks.machine import this_machine, usable_cores
from benchmarks.results import Result
from benchmarks.train_call import STARTS
from benchmarks.train_step_worker import (
    FIRST_STEP,
    IMAGES,
    IMAGES_PER_CPU,
    ON_TENSORFLOW,
    PEERS,
    Job,
)
from benchmarks.worker import Worker
from efficientnet_tf.command_line import run
from efficientnet_tf.errors import InputError, near
from efficientnet_tf.networks import network

MODELS = ("efficientnet-b0", "efficientnet-edgetpu-S")
PACKAGES = ("tensorflow", "keras", "tf_keras", "torch", "timm", "numpy")
UNITS = {IMAGES: "images/s", IMAGES_PER_CPU: "images/CPU s"}
SHOWN = {"keras": "keras.applications", "tf_keras": "tf_keras", "timm": "timm"}
# What must be installed for each.
NEEDS = {
    "keras": ("keras",),
    "tf_keras": ("tf_keras",),
    "timm": ("timm", "torch"),
}


@dataclass(frozen=True)
class Contenders:
    """Who takes part.

    Attributes:
        jobs: By name.
        peers: Against whom each of ours is held.
        missing: Who could not take part, and why.
    """

    jobs: Mapping[str, Job]
    peers: Mapping[str, list[str]]
    missing: Mapping[str, str]


def contenders(given: argparse.Namespace) -> Contenders:
    """All that the flags name and that can take part.

    Raises:
        InputError: There is no such network, or no such peer.
    """
    jobs: dict[str, Job] = {}
    peers: dict[str, list[str]] = {}
    missing: dict[str, str] = {}
    for model in given.models:
        network(model, pixels=given.pixels)
        jobs[model] = _job("ours", model, given)
        peers[model] = []
        for peer in given.peers:
            if peer not in PEERS:
                raise InputError(f"unknown --peers {peer}: {near(peer, PEERS)}")
            if model not in PEERS[peer]:
                missing[f"{SHOWN[peer]}, {model}"] = "it has no such network"
                continue
            name = f"{SHOWN[peer]} {PEERS[peer][model]}"
            lacks = [need for need in NEEDS[peer] if find_spec(need) is None]
            if lacks:
                missing[name] = (
                    f"{', '.join(lacks)} not installed; "
                    "pip install -e '.[bench]'"
                )
                continue
            jobs[name] = _job(peer, model, given)
            peers[model].append(name)
            if peer in ON_TENSORFLOW:
                asked = f"{name}, oneDNN"
                jobs[asked] = replace(jobs[name], onednn=True)
                peers[model].append(asked)
    return Contenders(jobs, peers, missing)


def measure(taking: Contenders, rounds: int) -> tuple[Samples, Samples]:
    """Starts a process for each, and lets them take turns.

    Returns:
        What the turns found, and what each start was like.
    """
    with ExitStack() as stack:
        workers = {}
        for name, job in taking.jobs.items():
            tell(f"starts: {name}")
            worker = Worker(name, "benchmarks.train_step_worker", job.to_json())
            workers[name] = stack.enter_context(worker)
        turns = {name: worker.turn for name, worker in workers.items()}
        found = alternate(turns, rounds=rounds, tell=tell)
    return found, {name: [worker.facts] for name, worker in workers.items()}


def _job(framework: str, model: str, given: argparse.Namespace) -> Job:
    return Job(
        framework,
        model,
        given.pixels,
        given.batch,
        given.steps,
        given.threads,
    )


def _flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name, value, meaning in (
        ("batch", 32, "images of a step"),
        ("pixels", 224, "side of an image"),
        ("steps", 4, "steps of a turn"),
        ("threads", usable_cores(), "threads of an operation"),
    ):
        parser.add_argument(
            f"--{name}", type=positive, default=value, help=meaning
        )
    parser.add_argument(
        "--models", type=_words, default=MODELS, help="names of ours"
    )
    parser.add_argument(
        "--peers", type=_words, default=tuple(PEERS), help=", ".join(PEERS)
    )
    add_flags(parser, rounds=7)
    return parser.parse_args()


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.split(",") if word)


def main() -> None:
    """Measures and shows."""
    given = _flags()
    machine = this_machine(PACKAGES)
    taking = contenders(given)
    found, starts = measure(taking, given.rounds)
    result = Result(
        benchmark="train_step",
        command=command_line("train_step"),
        machine=machine,
        settings={
            "pixels": given.pixels,
            "batch": given.batch,
            "steps": given.steps,
            "threads": given.threads,
        },
        rows=rows(found, UNITS, taking.peers)
        + rows(starts, STARTS | {FIRST_STEP: "s"}, taking.peers),
        missing=taking.missing,
    )
    finish(result, given)


if __name__ == "__main__":
    sys.exit(run("train_step.py", main))
