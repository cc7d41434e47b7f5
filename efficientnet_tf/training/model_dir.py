"""What a model directory holds, and how it is written.

    config.json     the resolved config, versions and commit
    labels.txt      names of the classes in the order of logits
    metrics.jsonl   one object for every evaluation during training
    result.json     the final figures
    checkpoints/    the newest checkpoints
    best/           the checkpoint with the best top-1
    export/         files for devices
    tensorboard/    events

Works on local paths and on gs://. Files appear whole or not at all.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

import efficientnet_tf
from efficientnet_tf.errors import InputError
from efficientnet_tf.files import write_text
from efficientnet_tf.training.config import Config, differences
from efficientnet_tf.training.config_files import from_dict, to_dict

_VERSIONS_OF = (
    "tensorflow",
    "tensorflow-tpu",
    "keras",
    "numpy",
    "ai-edge-litert",
)


@dataclass(frozen=True)
class Metrics:
    """A line of `metrics.jsonl`.

    Attributes:
        step: Steps done.
        epoch: Epochs done, a fraction.
        loss: Mean training loss since the line before, weight decay included.
        learning_rate: Of the last step.
        top1: Of the averaged weights on the validation split.
        top5: The same.
        images_per_second: Trained on, evaluation not counted.
        input_wait_seconds: That the devices waited for images.
    """

    step: int
    epoch: float
    loss: float
    learning_rate: float
    top1: float
    top5: float
    images_per_second: float
    input_wait_seconds: float


class ModelDir:
    """A model directory."""

    def __init__(self, path: str):
        """Names the directory; nothing is read or made yet."""
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
        content = self._read_json("config.json")
        return None if content is None else from_dict(content["config"])

    def labels(self) -> tuple[str, ...]:
        """Names of the classes."""
        with tf.io.gfile.GFile(self.join("labels.txt")) as file:
            return tuple(file.read().splitlines())

    def result(self) -> dict[str, Any] | None:
        """The final figures, or None where the run has not ended."""
        return self._read_json("result.json")

    def metrics(self) -> list[Metrics]:
        """All whole lines of `metrics.jsonl`."""
        path = self.join("metrics.jsonl")
        if not tf.io.gfile.exists(path):
            return []
        with tf.io.gfile.GFile(path) as file:
            lines = file.read().split("\n")
        # What follows the last line break was cut off while being written.
        return [Metrics(**json.loads(line)) for line in lines[:-1]]

    def claim(self, config: Config, labels: tuple[str, ...]) -> None:
        """Begins a run in here, or goes on with the same one.

        Raises:
            InputError: The directory holds a run of another config.
        """
        present = self.config()
        if present is None:
            tf.io.gfile.makedirs(self.path)
            self._write("labels.txt", "".join(f"{x}\n" for x in labels))
            self.write_json(
                "config.json",
                {
                    "config": to_dict(config),
                    "versions": _versions(),
                    "commit": _commit(),
                },
            )
            return
        changed = differences(present, config)
        if changed:
            section, field = changed[0].split(".")
            raise InputError(
                f"{self.path} holds a run with {changed[0]} "
                f"{getattr(getattr(present, section), field)!r}, not "
                f"{getattr(getattr(config, section), field)!r}; "
                "choose another --model_dir"
            )

    def keep_metrics_until(self, step: int) -> None:
        """Drops lines of steps that will be done again."""
        kept = [line for line in self.metrics() if line.step <= step]
        self._write("metrics.jsonl", "".join(map(_line, kept)))

    def add_metrics(self, metrics: Metrics) -> None:
        """Appends a line."""
        with tf.io.gfile.GFile(self.join("metrics.jsonl"), "a") as file:
            file.write(_line(metrics))

    def write_result(self, result: dict[str, Any]) -> None:
        """Writes the final figures."""
        self.write_json("result.json", result)

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Writes a JSON file inside."""
        self._write(name, json.dumps(content, indent=2) + "\n")

    def _write(self, name: str, text: str) -> None:
        write_text(self.join(name), text)

    def _read_json(self, name: str) -> dict[str, Any] | None:
        path = self.join(name)
        if not tf.io.gfile.exists(path):
            return None
        with tf.io.gfile.GFile(path) as file:
            return json.loads(file.read())


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
