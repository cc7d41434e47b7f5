"""A command line of `main.py`, and what its verbs ask of it."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from typing import Any

from absl import flags
from rich.table import Table

from efficientnet_tf import report
from efficientnet_tf.errors import InputError
from efficientnet_tf.networks import alias
from efficientnet_tf.training.config import Config
from efficientnet_tf.training.config_files import load_config, override


@dataclass(frozen=True)
class Command:
    """What was given on the command line.

    Attributes:
        given: Its flags.
        digits: Path of the config of the default run.
    """

    given: flags.FlagValues
    digits: str

    def config(self) -> Config:
        """The config of a training.

        It starts from --config, else from the run in --model_dir, else from
        the digits or, where --data_dir names other data, from the original's
        recipe.
        """
        return override(self._base_config(), self.settings())

    def settings(self, *sections: str) -> list[str]:
        """--set, and the flags that are short for one.

        Args:
            sections: The only ones that may be set, if some are named.
        """
        name = self.given.model or self.given.base
        known = alias(name)
        if known:
            print(f"{name} is {known.variant}: {known.why}", file=sys.stderr)
        short = {
            "model.name": name,
            "data.dir": self.given.data_dir,
            "train.init_from": self.given.init_from,
            "train.batch": self.given.batch,
            "export.formats": self.given.formats,
        }
        said = [f"{field}={value}" for field, value in short.items() if value]
        for setting in [*said, *self.given.set]:
            if sections and setting.partition(".")[0] not in sections:
                raise InputError(
                    f"--set {setting}: only {' and '.join(sections)} can be "
                    "set; the rest is settled by the weights"
                )
        return [*said, *self.given.set]

    def present_run(self, *sections: str) -> tuple[str, Config]:
        """A run's directory and its config.

        Args:
            sections: Those of its config that may change.
        """
        if not self.given.model_dir:
            raise InputError(
                "--model_dir is missing: name the directory of a run"
            )
        settings = self.settings(*sections)

        from efficientnet_tf.training.trained import run_config

        path = str(self.given.model_dir)
        return path, override(run_config(path), settings)

    def check_tpu(self) -> None:
        """Says what a TPU lacks before TensorFlow is imported.

        Where there is no TPU, the import of the TPU wheel alone can take
        minutes.
        """
        from efficientnet_tf.training import tpu_checks

        if self.given.tpu == "local":
            tpu_checks.check_local()
        elif self.given.tpu.startswith("grpc://"):
            tpu_checks.check_address(self.given.tpu)
        elif self.given.tpu:
            tpu_checks.ask_project_and_zone(self.given.tpu)
            tpu_checks.check_client(self.given.tpu)

    def show(self, facts: Any, *tables: Table) -> None:
        """Prints what came out: tables, or as JSON the facts."""
        if self.given.json:
            print(json.dumps(facts, indent=2, ensure_ascii=False))
        else:
            report.console().print(*tables, sep="\n")

    def _base_config(self) -> Config:
        if self.given.config:
            return load_config(self.given.config)
        if self.given.model_dir:
            present = _config_in(self.given.model_dir)
            if present:
                return present
        if self.given.data_dir in ("", "digits"):
            return load_config(self.digits)
        return Config()


def check_data(config: Config) -> None:
    """Raises InputError where an imported run has not been given data."""
    if not config.data.dir:
        raise InputError(
            "imported weights come without data: name some by --data_dir"
        )


def _config_in(model_dir: str) -> Config | None:
    """That of the run in a directory; needs TensorFlow for one on gs:// only.

    Whoever trains has things to settle before TensorFlow is imported.
    """
    if "://" not in model_dir:
        path = os.path.join(model_dir, "config.json")
        return load_config(path) if os.path.exists(path) else None

    from efficientnet_tf.training.model_dir import ModelDir

    return ModelDir(model_dir).config()
