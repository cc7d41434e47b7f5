"""Kills a run at random moments, and compares it with one left alone.

    python tests/kill.py --kills=20

trains a small network on the handwritten digits twice, once under SIGKILL, and
prints a table of the kills. Ends with 1 unless both have the same weights, bit
for bit, and the same metrics.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Of a metrics line, what is measured by a clock.
TIMES = {"images_per_second", "input_wait_seconds"}
# A run that has not got there in this many seconds is stuck.
PATIENCE_SECONDS = 120
# main.py with a network of one block among its variants.
PROGRAM = """
import sys, main
from efficientnet_tf.networks import families
from efficientnet_tf.networks.stages import Family, Stage, Variant
family = Family((Stage("mbconv", 1, 3, 2, 2, 8),), "swish", families.IMAGENET,
                stem=8, head=16)
families.VARIANTS["tiny"] = Variant(family, 1.0, 1.0, 32, 0.2)
sys.exit(main.main(sys.argv[1:]))
"""


@dataclass(frozen=True)
class Kill:
    """What a kill met.

    Attributes:
        seconds: That the process lived.
        before: Newest step saved when it began.
        after: The same when it was dead.
        saving: Whether it was writing a checkpoint.
    """

    seconds: float
    before: int
    after: int
    saving: bool


def command(data: str | Path, model_dir: Path, *more: str) -> list[str]:
    """A training that saves after every step or two."""
    return [
        sys.executable,
        "-c",
        PROGRAM,
        "--model=tiny",
        f"--data_dir={data}",
        f"--model_dir={model_dir}",
        "--set=data.crop=whole",
        "--set=train.epochs=60",
        "--set=train.batch=8",
        "--set=train.average_decay=0.9",
        "--set=train.steps_per_call=2",
        "--set=train.checkpoint_epochs=0.2",
        *more,
    ]


def kill_and_finish(
    line: list[str], model_dir: Path, kills: int, seed: int = 0
) -> list[Kill]:
    """Kills a command again and again, then lets it finish.

    Every other kill waits for the first sign of a checkpoint being written.
    """
    chance = random.Random(seed)
    met = [
        _kill(line, model_dir, chance, while_saving=bool(number % 2))
        for number in range(kills)
    ]
    subprocess.run(line, check=True, cwd=ROOT)
    return met


def differences(whole: Path, killed: Path) -> list[str]:
    """What two finished runs do not have in common; nothing, if all is well."""
    import numpy as np
    import tensorflow as tf

    found = []
    ours, theirs = (
        tf.train.load_checkpoint(str(folder / "checkpoints"))
        for folder in (whole, killed)
    )
    names = [
        name
        for name in ours.get_variable_to_shape_map()
        if "VARIABLE_VALUE" in name and not name.startswith("save_counter")
    ]
    if len(names) < 20:
        found.append(f"only {len(names)} variables")
    found += [
        name
        for name in names
        if not np.array_equal(ours.get_tensor(name), theirs.get_tensor(name))
    ]
    if _metrics(whole) != _metrics(killed):
        found.append("metrics.jsonl")
    for folder in ("checkpoints", "best", "."):
        listings = [
            sorted(file.name for file in (run / folder).iterdir())
            for run in (whole, killed)
        ]
        if listings[0] != listings[1]:
            found.append(f"{folder}: {listings[0]} != {listings[1]}")
    return found


def _metrics(run: Path) -> list[dict[str, float]]:
    return [
        {k: v for k, v in json.loads(line).items() if k not in TIMES}
        for line in (run / "metrics.jsonl").read_text().splitlines()
    ]


def _kill(
    line: list[str],
    model_dir: Path,
    chance: random.Random,
    *,
    while_saving: bool,
) -> Kill:
    folder = model_dir / "checkpoints"
    before = _saved(folder)
    began = time.monotonic()
    process = subprocess.Popen(line, cwd=ROOT)
    aim = before + chance.randrange(1, 15)
    _until(lambda: _saved(folder) >= aim, process)
    if while_saving:
        _until(lambda: _is_saving(folder), process)
        time.sleep(chance.uniform(0, 0.002))
    else:
        time.sleep(chance.uniform(0, 0.2))
    os.kill(process.pid, signal.SIGKILL)
    if process.wait() != -signal.SIGKILL:
        raise RuntimeError(f"it ended by itself, with {process.returncode}")
    after = _saved(folder)
    if after < before:
        raise RuntimeError(f"step {before} was saved, and then only {after}")
    return Kill(time.monotonic() - began, before, after, _is_saving(folder))


def _until(condition, process: subprocess.Popen) -> None:
    began = time.monotonic()
    while not condition():
        if process.poll() is not None:
            raise RuntimeError(f"it ended with {process.returncode}")
        if time.monotonic() - began > PATIENCE_SECONDS:
            process.kill()
            raise RuntimeError(f"nothing for {PATIENCE_SECONDS} seconds")
        time.sleep(0.0005)


def _saved(folder: Path) -> int:
    """The step that TensorFlow's state file names first."""
    try:
        named = (folder / "checkpoint").read_text().splitlines()[0]
    except (FileNotFoundError, IndexError):
        return 0
    return int(named.rpartition("-")[2].strip('"'))


def _is_saving(folder: Path) -> bool:
    """Whether there are files of a checkpoint that nothing names yet."""
    if not folder.is_dir():
        return False
    names = os.listdir(folder)
    newest = _saved(folder)
    return any(
        "_temp" in name
        or ".tmp" in name
        or (name.startswith("step-") and int(name[5:].split(".")[0]) > newest)
        for name in names
    )


def main() -> int:
    """Does it on the digits; the exit code."""
    import argparse

    from rich.console import Console
    from rich.table import Table

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    settings = (
        "--set=train.batch=16",
        "--set=train.epochs=5",
        "--set=train.checkpoint_epochs=0.011",
        "--set=evaluate.every_epochs=0.5",
    )
    os.environ["PYTHONPATH"] = str(ROOT)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder, "whole"), Path(folder, "killed")
        subprocess.run(
            command("digits", whole, *settings), check=True, cwd=ROOT
        )
        line = command("digits", killed, *settings)
        met = kill_and_finish(line, killed, given.kills, given.seed)
        found = differences(whole, killed)
    table = Table("kill", "after s", "from step", "saved", "while saving")
    for number, kill in enumerate(met, 1):
        table.add_row(
            str(number),
            f"{kill.seconds:.2f}",
            str(kill.before),
            str(kill.after),
            "yes" if kill.saving else "",
        )
    console = Console()
    console.print(table)
    console.print("; ".join(found) or "weights and metrics are the same")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
