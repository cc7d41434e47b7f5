"""What the stream of the default job of ImageNet holds in a host's memory.

    python -m benchmarks.input_memory

Each way reads the same TFRecords in a fresh process that has also built the
network, and takes its batches: first as fast as they come, which goes through
several windows of shuffling, then a few with all prepared ahead that may be.
The figure is the largest resident memory of the whole process, TensorFlow
included. The records hold the photographs of ../shared/data where that is
there, else made ones of 500x375.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.flags import add_flags, command_line, finish, positive, tell
from benchmarks.harness import Figures, alternate, rows
from benchmarks.input_pipeline_whole import training_batches, write_records
from benchmarks.input_pipeline_worker import settled
from benchmarks.machine import this_machine
from benchmarks.memory import kibibytes
from benchmarks.pictures import write_pictures
from benchmarks.results import Result
from benchmarks.worker import fresh, serve
from efficientnet_tf.command_line import run

WAYS = {
    "default": [],
    "shuffle_bytes 1 GiB": [f"data.shuffle_bytes={2**30}"],
    "prefetch_bytes 256 MiB": [f"data.prefetch_bytes={2**28}"],
}
MODEL, SHARDS, CLASSES = "efficientnet-b0", 64, 1000
_FULL = 3
MEMORY, RATE = "resident_gibibytes", "images_per_second"
UNITS = {MEMORY: "GiB", RATE: "images/s"}


def measure(given: argparse.Namespace) -> Figures:
    """Takes the batches of one host with one replica."""
    import tensorflow as tf

    from efficientnet_tf.modeling.build import build_network
    from efficientnet_tf.training.config import Config
    from efficientnet_tf.training.config_files import override

    settings = [f"model.name={MODEL}", f"data.dir={given.records}"]
    config = override(Config(), [*settings, *WAYS[given.way]])
    model = build_network(config.network())
    batches = iter(training_batches(config, tf.float32))
    next(batches)
    begin = time.perf_counter()
    for _ in range(given.batches):
        next(batches)
    seconds = time.perf_counter() - begin
    # Steps take longer than their images: all that may be prepared ahead is,
    # while a batch is at hand.
    for _ in range(_FULL):
        settled()
        at_hand = next(batches)
    settled()
    del model, at_hand
    return {
        MEMORY: kibibytes("VmHWM") / 2**20,
        RATE: given.batches * config.train.batch / seconds,
    }


def main() -> None:
    """Measures every way in turn."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name, value, meaning in (
        ("images", 16_384, "records, about 110 KB each"),
        ("batches", 15, "batches of 2048 that are taken"),
    ):
        parser.add_argument(
            f"--{name}", type=positive, default=value, help=meaning
        )
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--records", help=argparse.SUPPRESS)
    add_flags(parser, rounds=1)
    given = parser.parse_args()
    if given.way:
        serve(lambda: (measure(given), None))
        return
    machine = this_machine(("tensorflow", "keras"))
    with tempfile.TemporaryDirectory() as folder:
        pictures = write_pictures(Path(folder), 224)
        records = write_records(
            Path(folder), SHARDS, CLASSES, records=given.images
        )
        words = (f"--batches={given.batches}", f"--records={records}")
        turns = {
            way: fresh(way, "benchmarks.input_memory", *words, f"--way={way}")
            for way in WAYS
        }
        found = alternate(turns, rounds=given.rounds, warmup=0, tell=tell)
    default, *others = WAYS
    result = Result(
        benchmark="input_memory",
        command=command_line("input_memory"),
        machine=machine,
        settings={
            "model": MODEL,
            "pictures": pictures,
            "records": given.images,
            "batches": given.batches,
        },
        rows=rows(found, UNITS, {way: [default] for way in others}),
    )
    finish(result, given)


if __name__ == "__main__":
    sys.exit(run("input_memory.py", main))
