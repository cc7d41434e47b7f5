r"""What rematerialisation and microbatches save of memory, and cost in time.

    PYTHONPATH=. python benchmarks/memory.py
    PYTHONPATH=. python benchmarks/memory.py efficientnet-b4 --batch=16

Each way of training does the same steps in a process of its own, one after
the other, in turn and several times over; printed are the medians of the
largest resident memory beyond what the process had before the first step, and
of the seconds of a step, with their ratios to the plain step. On a CPU; a TPU's
compiler places tensors by itself, so its figures are others.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

WAYS = {
    "plain": [],
    "remat": ["train.remat=true"],
    "4 microbatches": ["train.microbatches=4"],
    "both": ["train.remat=true", "train.microbatches=4"],
}
STEPS = 2


def kibibytes(field: str) -> int:
    """VmHWM, the largest resident memory so far, or VmRSS, the present."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    raise RuntimeError(f"/proc/self/status has no {field}")


def measure(model: str, pixels: int, batch: int, settings: list[str]) -> None:
    """Trains some steps on noise; prints MiB and seconds as JSON."""
    import tensorflow as tf

    from efficientnet_tf.training.config import Config
    from efficientnet_tf.training.config_files import override
    from efficientnet_tf.training.plan import plan
    from efficientnet_tf.training.state import create_state
    from efficientnet_tf.training.step import make_train_call

    config = override(
        Config(),
        [
            f"model.name={model}",
            f"model.pixels={pixels}",
            f"train.batch={batch}",
            *settings,
        ],
    )
    network = config.network(1000)
    state = create_state(network, config, "float32")
    call = make_train_call(
        state,
        network,
        config.train,
        plan(config, 100 * batch),
        tf.distribute.get_strategy(),
    )
    share = batch // config.train.microbatches
    noise = tf.data.Dataset.from_tensors(
        (
            tf.random.uniform([share, pixels, pixels, 3], 0, 255),
            tf.one_hot(tf.zeros([share], tf.int32), 1000),
        )
    )
    batches = iter(noise.repeat())
    call.get_concrete_function(batches, tf.constant(1))
    before = kibibytes("VmRSS")
    call(batches, tf.constant(1)).numpy()
    began = time.monotonic()
    call(batches, tf.constant(STEPS)).numpy()
    seconds = (time.monotonic() - began) / STEPS
    mebibytes = (kibibytes("VmHWM") - before) / 1024
    print(json.dumps({"mebibytes": mebibytes, "seconds": seconds}))


def main() -> None:
    """Measures every way in turn and prints a table."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", nargs="?", default="efficientnet-b0")
    parser.add_argument("--pixels", type=int, default=224)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        measure(given.model, given.pixels, given.batch, WAYS[given.way])
        return
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(given.rounds):
        for way in WAYS:
            done = subprocess.run(
                [sys.executable, *sys.argv, f"--way={way}"],
                check=True,
                capture_output=True,
                text=True,
            )
            found[way].append(json.loads(done.stdout.splitlines()[-1]))
    print(f"{given.model}, {given.pixels} px, batch {given.batch}, float32")
    print(f"{'':15}{'MiB':>8}{'ratio':>8}{'s/step':>9}{'ratio':>8}")
    plain: dict[str, float] = {}
    for way, runs in found.items():
        now = {
            name: statistics.median(run[name] for run in runs)
            for name in ("mebibytes", "seconds")
        }
        plain = plain or now
        print(
            f"{way:15}{now['mebibytes']:8.0f}"
            f"{now['mebibytes'] / plain['mebibytes']:8.2f}"
            f"{now['seconds']:9.2f}{now['seconds'] / plain['seconds']:8.2f}"
        )


if __name__ == "__main__":
    main()
