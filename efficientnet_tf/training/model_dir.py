"""What a model directory holds, and how it is written.

    config.json     the resolved config, versions and commit
    labels.txt      names of the classes in the order of logits
    import.json     what became of the tensors of an imported checkpoint
    metrics.jsonl   one object for every evaluation during training
    result.json     the final figures
    report.html     all of it for people, in one file
    bad_records.jsonl  training records that could not be used, and why
    bad_records/    their numbers, as the input pipeline leaves them
    lease.json      who is at work in here, on gs:// and while they are
    checkpoints/    the newest checkpoints
    best/           the checkpoint with the best top-1
    export/         files for devices
    evaluation/     what `evaluate` found, by split
    tensorboard/    events

Works on local paths and on gs://. Files appear whole or not at all.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
import platform
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tensorflow as tf

import efficientnet_tf
from efficientnet_tf.data.manifest import LABELS
from efficientnet_tf.errors import InputError
from efficientnet_tf.files import read_text, write_text
from efficientnet_tf.networks import Variant
from efficientnet_tf.training.config import Config, conflicts
from efficientnet_tf.training.config_files import from_json, to_dict
from efficientnet_tf.training.lease import Lease, hold

_VERSIONS_OF = (
    "tensorflow",
    "tensorflow-tpu",
    "keras",
    "numpy",
    "ai-edge-litert",
)


IMPORTED = "import.json"

# Characters that make a pattern of a path.
_PATTERN = frozenset("*?[]")
# What `write_text` leaves of a file if the process is killed.
_LEFTOVER = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")
# What a run would write over.
_NAMES = (LABELS, "metrics.jsonl", "result.json", "checkpoints", "best")


@dataclass(frozen=True)
class Metrics:
    """A line of `metrics.jsonl`.

    Attributes:
        step: Steps done.
        epoch: Epochs done, a fraction.
        loss: Mean training loss since the line before, weight decay included.
        learning_rate: Of the last step, before the classifier's factor.
        gradient_norm: Length of the last step's gradient, before clipping.
        top1: Of the averaged weights on the validation split.
        top5: The same.
        images_per_second: Trained on, evaluation not counted.
        input_wait_seconds: That the devices waited for images.
        raw_top1: Of the weights as they are trained; None where nobody looked.
        raw_top5: The same.
        bad_records: Training records that could not be used so far, by reason.
    """

    step: int
    epoch: float
    loss: float
    learning_rate: float
    gradient_norm: float
    top1: float
    top5: float
    images_per_second: float
    input_wait_seconds: float
    raw_top1: float | None = None
    raw_top5: float | None = None
    bad_records: dict[str, int] = field(default_factory=dict)


class ModelDir:
    """A model directory."""

    def __init__(self, path: str):
        """Names the directory; nothing is read or made yet.

        Raises:
            InputError: TensorFlow would take the name for a pattern.
        """
        if set(path) & _PATTERN:
            raise InputError(
                f"--model_dir {path} must not contain any of "
                f"{' '.join(sorted(_PATTERN))}"
            )
        self.path = path

    def join(self, *parts: str) -> str:
        """The path of something inside."""
        return os.path.join(self.path, *parts)

    @property
    def checkpoints(self) -> str:
        """Folder of the newest checkpoints."""
        return self.join("checkpoints")

    @property
    def best(self) -> str:
        """Folder of the best checkpoint."""
        return self.join("best")

    @property
    def export(self) -> str:
        """Folder of files for devices."""
        return self.join("export")

    @property
    def tensorboard(self) -> str:
        """Folder of events."""
        return self.join("tensorboard")

    def config(self) -> Config | None:
        """The config of the run in here, or None where there is no run."""
        path = self.join("config.json")
        text = read_text(path)
        return None if text is None else from_json(text, path)

    def labels(self) -> tuple[str, ...]:
        """Names of the classes."""
        text = read_text(self.join(LABELS))
        if text is None:
            raise InputError(f"{self.path} has lost its {LABELS}")
        return tuple(text.splitlines())

    def result(self) -> dict[str, Any] | None:
        """The final figures, or None where the run has not ended."""
        return self._read_json("result.json", "result of a run")

    def has_report(self) -> bool:
        """Whether `report.html` is there."""
        return bool(tf.io.gfile.exists(self.join("report.html")))

    def imported(self) -> dict[str, Any] | None:
        """The account of an import, or None where nothing was imported."""
        return self._read_json(IMPORTED, "account of an import")

    def begin_import(
        self, config: Config, labels: tuple[str, ...], account: dict[str, Any]
    ) -> None:
        """Writes all of an import but its checkpoint.

        An import that was stopped before its checkpoint is written over.

        Raises:
            InputError: The directory holds something else.
        """
        if self.imported() is None:
            if self.config() is not None:
                raise InputError(
                    f"{self.path} holds a run; choose another --model_dir"
                )
            self._refuse_strangers()
        with self._writing():
            tf.io.gfile.makedirs(self.path)
            # First, so that an interrupted import is known for one.
            self._write_json(IMPORTED, account)
            self._write_config(config)
            self._write_labels(labels)

    def metrics(self) -> list[Metrics]:
        """All whole lines of `metrics.jsonl`."""
        path = self.join("metrics.jsonl")
        # What follows the last line break was cut off while being written.
        lines = (read_text(path) or "").split("\n")[:-1]
        try:
            return [Metrics(**json.loads(line)) for line in lines]
        except (ValueError, TypeError) as error:
            raise InputError(
                f"{path} holds a line that is none of a run's: {error}"
            ) from None

    def claim(self, config: Config, labels: tuple[str, ...]) -> None:
        """Begins a run in here, or goes on with the same one.

        Raises:
            InputError: The directory holds a run of another config.
        """
        present = self.config()
        if present is None:
            self._begin(config)
            present = config
        if changed := conflicts(present, config):
            what = _difference(changed[0], present, config)
            raise InputError(
                f"{self.path} holds a run with {what}; choose another "
                "--model_dir"
            )
        if not tf.io.gfile.exists(self.join(LABELS)):
            self._write_labels(labels)
        if self.labels() != labels:
            raise InputError(
                f"{self.path} holds a run with other classes than "
                f"{config.data.dir} has now; choose another --model_dir"
            )

    @contextmanager
    def held(self) -> Iterator[Lease]:
        """Keeps other processes out while the block runs; see `hold`.

        What a process that was killed had begun to write is removed.

        Raises:
            InputError: Another process holds it.
        """
        with hold(self.path) as lease:
            for name in tf.io.gfile.listdir(self.path):
                if _LEFTOVER.fullmatch(name):
                    tf.io.gfile.remove(self.join(name))
            yield lease

    def _begin(self, config: Config) -> None:
        with self._writing():
            self._refuse_strangers()
            tf.io.gfile.makedirs(self.path)
            self._write_config(config)

    def _refuse_strangers(self) -> None:
        """Raises InputError for files of a run where there is no run."""
        for name in _NAMES:
            if tf.io.gfile.exists(self.join(name)):
                raise InputError(
                    f"{self.path} holds {name} but no run; choose another "
                    "--model_dir"
                )

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except tf.errors.OpError as error:
            raise InputError(
                f"--model_dir {self.path} cannot be written: {error.message}"
            ) from error

    def _write_config(self, config: Config) -> None:
        content = {
            "config": to_dict(config),
            "versions": _versions(),
            "commit": _commit(),
        }
        self._write_json("config.json", content)

    def _write_labels(self, labels: tuple[str, ...]) -> None:
        write_text(self.join(LABELS), "".join(f"{x}\n" for x in labels))

    def _read_json(self, name: str, what: str) -> dict[str, Any] | None:
        path = self.join(name)
        text = read_text(path)
        try:
            return None if text is None else dict(json.loads(text))
        except (ValueError, TypeError):
            raise InputError(f"{path} is no {what}; remove it") from None

    def keep_metrics_until(self, step: int) -> None:
        """Drops lines of steps that will be done again."""
        kept = [line for line in self.metrics() if line.step <= step]
        write_text(self.join("metrics.jsonl"), "".join(map(_line, kept)))

    def add_metrics(self, metrics: Metrics) -> None:
        """Appends a line."""
        with tf.io.gfile.GFile(self.join("metrics.jsonl"), "a") as file:
            file.write(_line(metrics))

    def write_result(self, result: dict[str, Any]) -> None:
        """Writes the final figures."""
        self._write_json("result.json", result)

    def _write_json(self, name: str, content: dict[str, Any]) -> None:
        write_text(self.join(name), json.dumps(content, indent=2) + "\n")


def mean_pace(lines: list[Metrics]) -> float:
    """Images per second of a whole training, however often it was stopped.

    The harmonic mean of the lines' paces, weighted by their steps.
    """
    if not lines:
        # Somebody took the file away.
        return 0.0
    steps = seconds = 0.0
    for line in lines:
        done = line.step - steps
        steps = line.step
        seconds += done / line.images_per_second
    return steps / seconds


def _difference(name: str, present: Config, config: Config) -> str:
    """Where two configs differ: `train.batch 8, not 16`."""
    section, field = name.split(".")
    ours, theirs = (
        getattr(getattr(each, section), field) for each in (present, config)
    )
    if isinstance(ours, Variant) or isinstance(theirs, Variant):
        return f"another table of {present.model.name} ({name})"
    return f"{name} {ours!r}, not {theirs!r}"


def _line(metrics: Metrics) -> str:
    return json.dumps(dataclasses.asdict(metrics)) + "\n"


def _versions() -> dict[str, str]:
    found = {
        "python": platform.python_version(),
        "efficientnet-tf": efficientnet_tf.__version__,
    }
    for name in _VERSIONS_OF:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _commit() -> str | None:
    """The commit of this source, "+" appended where files were changed."""
    folder = Path(__file__).parent
    try:
        asked = subprocess.run(
            [
                "git",
                "describe",
                "--always",
                "--abbrev=40",
                "--dirty=+",
                "--exclude=*",
            ],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return asked.stdout.strip() or None
