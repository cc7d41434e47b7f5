"""What the EfficientNet paper claims of size and speed, measured here.

    python -m benchmarks.efficiency

Half an hour or so, most of it for conversions. EfficientNet-B1 against
ResNet-152 (7.6 times smaller, 5.7 times faster on one CPU core, by the paper),
and B0 against ResNet-50 and MobileNetV2; each as we build it and as
keras.applications does. Batch 1, one thread of LiteRT, float32 and int8. The
weights are fresh: they change no speed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.efficiency_files import FORMS, convert, file_of
from benchmarks.flags import add_flags, command_line, finish, positive, tell
from benchmarks.harness import Figures, Samples, Turn, alternate, rows
from benchmarks.machine import this_machine
from benchmarks.results import Result
from efficientnet_tf.command_line import run
from efficientnet_tf.errors import InputError, near

# Each network, and whom its figures are held against.
RIVALS: dict[str, tuple[str, ...]] = {
    "efficientnet-b1": ("resnet-152",),
    "resnet-152": (),
    "efficientnet-b0": ("resnet-50", "mobilenet-v2"),
    "resnet-50": (),
    "mobilenet-v2": (),
}
PARAMETERS = "parameters"
UNITS = {PARAMETERS: "M", **{f"{form}_seconds": "s" for form in FORMS}}


def invoking(files: dict[str, Path], millions: float, runs: int) -> Turn:
    """A turn that runs a network in each of its forms.

    Args:
        files: By form.
        millions: Of parameters.
        runs: Of each form.
    """
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    interpreters = {
        form: Interpreter(model_path=str(path), num_threads=1)
        for form, path in files.items()
    }
    for each in interpreters.values():
        each.allocate_tensors()
        (taken,) = each.get_input_details()
        noise = np.random.default_rng(0).integers(0, 256, taken["shape"])
        each.set_tensor(taken["index"], noise.astype(taken["dtype"]))

    def turn(_: int) -> Figures:
        found = {PARAMETERS: millions}
        for form, each in interpreters.items():
            # The thread's own clock: what others take of the core is no part
            # of it.
            began = time.thread_time()
            for _ in range(runs):
                each.invoke()
            found[f"{form}_seconds"] = (time.thread_time() - began) / runs
        return found

    return turn


def measure(
    names: list[str], pixels: int | None, rounds: int, runs: int
) -> tuple[Samples, dict[str, list[str]]]:
    """Converts all, then lets them take turns; samples, and peers of each."""
    from efficientnet_tf.modeling.keras_weights import APPLICATIONS

    turns: dict[str, Turn] = {}
    peers: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            theirs = f"keras.applications {APPLICATIONS[name]}"
            peers[name] = [*RIVALS[name], theirs]
            for who, application in ((name, ""), (theirs, APPLICATIONS[name])):
                tell(f"converting {who}")
                millions = _apart(name, application, pixels, folder)
                files = {
                    form: file_of(folder, name, application, form)
                    for form in FORMS
                }
                turns[who] = invoking(files, millions, runs)
        return alternate(turns, rounds=rounds, tell=tell), peers


def _apart(
    name: str, application: str, pixels: int | None, folder: str
) -> float:
    """Converts in a process of its own, which gives its memory back."""
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawning) as pool:
        return pool.submit(convert, name, application, pixels, folder).result()


def main() -> None:
    """Measures all of them in turn."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_flags(parser, rounds=7)
    parser.add_argument(
        "--networks", default=",".join(RIVALS), help="NAME,NAME: these only"
    )
    parser.add_argument(
        "--pixels", type=positive, help="of all; their own if not given"
    )
    parser.add_argument(
        "--runs", type=positive, default=3, help="of each form in a turn"
    )
    given = parser.parse_args()
    names = given.networks.split(",")
    for name in names:
        if name not in RIVALS:
            raise InputError(f"--networks {name}: {near(name, RIVALS)}")
    machine = this_machine(("tensorflow", "keras", "ai-edge-litert"))
    found, peers = measure(names, given.pixels, given.rounds, given.runs)
    settings = {"batch": 1, "threads": 1, "runs": given.runs}
    if given.pixels:
        settings["pixels"] = given.pixels
    result = Result(
        benchmark="efficiency",
        command=command_line("efficiency"),
        machine=machine,
        settings=settings,
        rows=rows(found, UNITS, peers),
    )
    finish(result, given)


if __name__ == "__main__":
    sys.exit(run("efficiency.py", main))
