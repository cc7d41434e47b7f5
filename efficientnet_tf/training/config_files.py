"""Configs from files and from the command line, and back to JSON."""

from __future__ import annotations

import dataclasses
import json
import runpy
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_type_hints

from efficientnet_tf.errors import InputError, near
from efficientnet_tf.networks import (
    NamedVariant,
    variant_dict,
    variant_from_dict,
)
from efficientnet_tf.training.config import Config
from efficientnet_tf.training.fields import declared, parse
from efficientnet_tf.training.fields import from_json as field_from_json
from efficientnet_tf.training.text_files import text_of

# What comes with a name, and is an object in JSON.
_TABLE = "model.variant"

_UNKNOWN_IMAGES = {"train_images": None, "validation_images": None}
_UNKNOWN_DATA = {**_UNKNOWN_IMAGES, "first_label": None}


def load_config(spec: str) -> Config:
    """Reads a config.

    Args:
        spec: `FILE.py`, `FILE.py:VARIANT` or the `config.json` of a run. A
            Python file holds `CONFIGS`, a dict from variant to Config, whose
            first entry is the one taken where no variant is named.

    Raises:
        InputError: There is no such file or variant, or it is not a config.
    """
    path, _, variant = spec.partition(".py:")
    if variant:
        path += ".py"
    if path.endswith(".json"):
        return _from_json(path)
    if not Path(path).is_file():
        raise InputError(
            f"--config {spec}: no file {path}; "
            "give FILE.py, FILE.py:VARIANT or a run's config.json"
        )
    if not path.endswith(".py"):
        raise InputError(f"--config {spec} must end in .py or .json")
    return _from_python(path, variant)


def override(config: Config, settings: Iterable[str]) -> Config:
    """Replaces fields by what was said on the command line.

    Another `data.dir` leaves open how many images and classes there are, and
    another `data.holdout_shards` how many images.

    Args:
        config: What to start from.
        settings: Texts like `train.epochs=5`; the last one of a field wins.

    Raises:
        InputError: A section or field is unknown, or a value does not fit it.
    """
    changes: dict[str, dict[str, Any]] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        section, _, field = name.partition(".")
        if not equals or not field:
            raise InputError(
                f"--set {setting!r} must look like --set train.epochs=5"
            )
        kind = _field_type(section, field)
        if name == _TABLE:
            raise InputError(
                f"{_TABLE} cannot be set; name a variant file, "
                "--set model.name=FILE.json"
            )
        changes.setdefault(section, {})[field] = parse(name, kind, text)
    if changes.get("model", {}).get("name", config.model.name) != (
        config.model.name
    ):
        # The table is that of the old name.
        changes["model"]["variant"] = None
    if "dir" in changes.get("data", {}):
        # What was known of the old data says nothing of the new.
        changes["data"] = _UNKNOWN_DATA | changes["data"]
        changes["model"] = {"classes": None} | changes.get("model", {})
    elif "holdout_shards" in changes.get("data", {}):
        changes["data"] = _UNKNOWN_IMAGES | changes["data"]
    return dataclasses.replace(
        config,
        **{
            section: dataclasses.replace(getattr(config, section), **fields)
            for section, fields in changes.items()
        },
    )


def to_dict(config: Config) -> dict[str, dict[str, Any]]:
    """A config as plain values, for JSON.

    A network of one's own is in it as its variant file has it.
    """
    values = dataclasses.asdict(config)
    name, variant = config.model.name, config.model.variant
    if variant:
        values["model"]["variant"] = variant_dict(NamedVariant(name, variant))
    return values


def from_dict(values: dict[str, dict[str, Any]]) -> Config:
    """The inverse of `to_dict`.

    Raises:
        InputError: A section or field is unknown, or a value does not fit.
    """
    sections = get_type_hints(Config)
    built = {}
    for section, fields in values.items():
        if not isinstance(fields, dict):
            raise InputError(f"section {section!r} must hold fields")
        typed = {
            field: field_from_json(_field_type(section, field), value)
            for field, value in fields.items()
        }
        built[section] = sections[section](**_with_table(section, typed))
    return Config(**built)


def _with_table(section: str, fields: dict[str, Any]) -> dict[str, Any]:
    """The fields, with the network's table for what JSON has of it."""
    if section != "model" or fields.get("variant") is None:
        return fields
    name, variant = variant_from_dict(fields["variant"], _TABLE)
    if name != fields.get("name"):
        raise InputError(
            f"{_TABLE}.name {name!r} must be model.name, {fields.get('name')!r}"
        )
    return fields | {"variant": variant}


def _from_json(path: str) -> Config:
    text = text_of(path)
    if text is None:
        raise InputError(f"--config {path}: no file of that name")
    return from_json(text, f"--config {path}")


def from_json(text: str, name: str) -> Config:
    """Reads the text of a `config.json`.

    Args:
        text: Its content.
        name: What to call it in an error.

    Raises:
        InputError: It is not the config of a run.
    """
    try:
        return from_dict(json.loads(text)["config"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{name} is not the config.json of a run: {error}"
        ) from None


def _from_python(path: str, variant: str) -> Config:
    try:
        configs = runpy.run_path(path).get("CONFIGS")
    except InputError:
        raise
    # Whatever a user's own file may raise.
    except Exception as error:
        raise InputError(
            f"--config {path}: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(configs, dict) or not configs:
        raise InputError(
            f"--config {path} must define CONFIGS, a dict from name to Config"
        )
    name = variant or next(iter(configs))
    if name not in configs:
        raise InputError(
            f"--config {path} has no variant {name!r}: {near(name, configs)}"
        )
    config = configs[name]
    if not isinstance(config, Config):
        raise InputError(f"--config {path}: CONFIGS[{name!r}] is not a Config")
    return config


def _field_type(section: str, field: str) -> Any:
    sections = get_type_hints(Config)
    if section not in sections:
        raise InputError(
            f"unknown section {section!r} in {section}.{field}: "
            f"{near(section, sections)}"
        )
    fields = declared(sections[section])
    if field not in fields:
        names = [f"{section}.{name}" for name in fields]
        raise InputError(
            f"unknown field {section}.{field}: "
            f"{near(f'{section}.{field}', names)}"
        )
    return fields[field]
