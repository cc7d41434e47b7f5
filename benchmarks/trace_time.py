"""How long the graph of a training takes: ours against keras.applications'.

    python -m benchmarks.trace_time
    python -m benchmarks.trace_time --models=efficientnet-b7 --rounds=3

Each network is built and its train call traced in a fresh process, by the
default recipe (RMSProp, averaged weights) at the published size, with ours
and then with keras.applications' network in it. Some six minutes, and 4 GB of
memory for the largest. Nothing is trained.
"""

from __future__ import annotations

import argparse
import json
import sys

from benchmarks.flags import add_flags, command_line, finish, tell
from benchmarks.harness import Figures, alternate, rows
from benchmarks.machine import this_machine
from benchmarks.results import Result
from benchmarks.train_call import STARTS, TrainCall, recipe
from benchmarks.train_step_worker import PEERS
from benchmarks.worker import fresh, serve
from efficientnet_tf.command_line import run
from efficientnet_tf.errors import InputError, near

NETWORKS = PEERS["keras"]


def measure(model: str, application: str) -> Figures:
    """Builds and traces once; an empty application is ours."""
    # A graph does not depend on the batch.
    return TrainCall(recipe(model, 0, 8), application=application).facts


def main() -> None:
    """Takes a fresh process for each."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--models", default=",".join(NETWORKS))
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    add_flags(parser, rounds=1)
    given = parser.parse_args()
    if given.worker:
        serve(lambda: (measure(*json.loads(given.worker)), None))
        return
    turns, peers = {}, {}
    for model in given.models.split(","):
        if model not in NETWORKS:
            raise InputError(
                f"--models {model}: keras.applications has no such network; "
                f"{near(model, NETWORKS)}"
            )
        peer = f"keras.applications {NETWORKS[model]}"
        peers[model] = [peer]
        for name, job in ((model, ""), (peer, NETWORKS[model])):
            words = f"--worker={json.dumps([model, job])}"
            turns[name] = fresh(name, "benchmarks.trace_time", words)
    machine = this_machine(("tensorflow", "keras"))
    found = alternate(turns, rounds=given.rounds, warmup=0, tell=tell)
    result = Result(
        benchmark="trace_time",
        command=command_line("trace_time"),
        machine=machine,
        settings={"rounds": given.rounds},
        rows=rows(found, STARTS, peers),
    )
    finish(result, given)


if __name__ == "__main__":
    sys.exit(run("trace_time.py", main))
