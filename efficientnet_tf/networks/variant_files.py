"""Networks of one's own as files: JSON, for people to read and to edit.

    {
      "schema": 1,
      "name": "efficientnet-b0-wide",
      "width": 1.3,
      ...
      "stages": [
        {"kind": "mbconv", "repeats": 1, "kernel": 3, ...},
        ...
      ]
    }

The fields are those of `Variant` and of its `Family`, and each row is a
`Stage`. A file that this module writes has all of them; in one that is read,
those may be missing that have a default. Nothing else may be there.
"""

from __future__ import annotations

import dataclasses
import json
import os
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from efficientnet_tf.errors import InputError, near
from efficientnet_tf.networks import variant_rules
from efficientnet_tf.networks.families import (
    ALIASES,
    NORMALIZATIONS,
    VARIANTS,
)
from efficientnet_tf.networks.stages import Family, Stage, Variant
from efficientnet_tf.networks.variant_rules import Rule

SCHEMA = 1
SUFFIX = ".json"


class NamedVariant(NamedTuple):
    """A variant and what it is called."""

    name: str
    variant: Variant


def write_variant(variant: Variant, name: str, path: str | Path) -> None:
    """Writes a variant file, which is there whole or not at all.

    Args:
        variant: The network, as a table and its coefficients.
        name: What to call it, in files and in reports; not the name of one of
            the project's own networks.
        path: A local file, by the name of FILE.json.

    Raises:
        InputError: A value is not one that a file may hold, or the file
            cannot be written.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise InputError(f"{path}: the name of a variant file ends in {SUFFIX}")
    text = variant_text(NamedVariant(name, variant))
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InputError(
            f"{path} cannot be written: {error.strerror}"
        ) from None


def read_variant(path: str | Path) -> NamedVariant:
    """Reads a local variant file.

    Raises:
        InputError: There is none, or it holds what no network has; the
            message names the file and the field.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{path} is no UTF-8 text") from None
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}; give a variant file"
        ) from None
    return parse_variant(text, str(path))


def variant_text(named: NamedVariant) -> str:
    """The text of a variant file, a line for each stage.

    Raises:
        InputError: A value is not one that a file may hold.
    """
    values = variant_dict(named)
    # What cannot be read must not be written.
    variant_from_dict(values, f"variant {named.name}")
    stages = values.pop("stages")
    fields = [f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in values.items()]
    rows = ",\n".join(f"    {row}" for row in _table(stages))
    fields.append(f'  "stages": [\n{rows}\n  ]')
    return "{\n" + ",\n".join(fields) + "\n}\n"


def parse_variant(text: str, where: str) -> NamedVariant:
    """Reads the text of a variant file.

    Args:
        text: Its content.
        where: What to call it in an error: its path.

    Raises:
        InputError: It is not JSON, or see `variant_from_dict`.
    """
    try:
        values = json.loads(text, object_pairs_hook=_once_each)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} is no variant file: {error}") from None
    return variant_from_dict(values, where)


def variant_dict(named: NamedVariant) -> dict[str, Any]:
    """A variant as plain values, in the order of a file."""
    variant, family = named.variant, named.variant.family
    return {
        "schema": SCHEMA,
        "name": named.name,
        **{field: getattr(variant, field) for field in variant_rules.VARIANT},
        **{field: getattr(family, field) for field in variant_rules.FAMILY},
        "normalization": family.normalization.name,
        "stages": [
            {field: getattr(stage, field) for field in variant_rules.STAGE}
            for stage in family.stages
        ],
    }


def variant_from_dict(values: Any, where: str) -> NamedVariant:
    """The inverse of `variant_dict`.

    Args:
        values: Plain values, out of JSON.
        where: What to call them in an error.

    Raises:
        InputError: A field is unknown, missing, or not one that a network may
            have.
    """
    if not isinstance(values, dict):
        raise InputError(f"{where} is no variant file: it holds no object")
    # Before all else: another schema may have other fields.
    schema = values.get("schema")
    if schema is True or schema != SCHEMA:
        raise InputError(
            f"{where}: schema {schema!r} must be {SCHEMA}, "
            "which says how the file is to be read"
        )
    rules = {
        "schema": Rule(lambda value: value == SCHEMA, f"{SCHEMA}"),
        "name": variant_rules.NAME,
        **variant_rules.VARIANT,
        **variant_rules.FAMILY,
        "stages": Rule(
            lambda value: isinstance(value, list) and bool(value),
            "a list of at least one stage",
        ),
    }
    optional = _with_default(Variant) | _with_default(Family)
    _check(values, rules, optional, where, "")
    stages = []
    for number, row in enumerate(values["stages"]):
        place = f"stages[{number}]"
        if not isinstance(row, dict):
            raise InputError(f"{where}: {place} must be an object")
        _check(row, variant_rules.STAGE, _with_default(Stage), where, place)
        stages.append(Stage(**row))
    family = Family(
        stages=tuple(stages),
        normalization=NORMALIZATIONS[values["normalization"]],
        **_part(values, variant_rules.FAMILY, "normalization"),
    )
    variant = Variant(family=family, **_part(values, variant_rules.VARIANT))
    named = NamedVariant(values["name"], variant)
    _check_together(named, where)
    return named


def _check(
    values: Mapping[str, Any],
    rules: Mapping[str, Rule],
    optional: set[str],
    where: str,
    place: str,
) -> None:
    """Raises InputError for a field that is strange, missing or wrong."""
    inside = f"{place}." if place else ""
    for field in values:
        if field not in rules:
            raise InputError(
                f"{where}: unknown field {inside}{field}: {near(field, rules)}"
            )
    for field, rule in rules.items():
        if field not in values:
            if field in optional:
                continue
            raise InputError(
                f"{where}: {inside}{field} is missing; it must be {rule.means}"
            )
        if not rule.fits(values[field]):
            raise InputError(
                f"{where}: {inside}{field} {_shown(values[field])} must be "
                f"{rule.means}"
            )


def _check_together(named: NamedVariant, where: str) -> None:
    """Raises InputError for fields that do not go together."""
    name, variant = named
    if name in VARIANTS or name in ALIASES:
        raise InputError(
            f"{where}: name {name!r} is that of one of the project's own "
            f"networks; try {name}-mine"
        )
    for number, stage in enumerate(variant.family.stages):
        place = f"{where}: stages[{number}]"
        for field, kinds in variant_rules.OF_KINDS.items():
            value = getattr(stage, field)
            if value and stage.kind not in kinds:
                raise InputError(
                    f"{place}.{field} {_shown(value)}: only a stage of the "
                    f"kind {' or '.join(kinds)} may have it"
                )
        if stage.experts and not variant.experts:
            raise InputError(
                f"{place}.experts true: experts 0 must be above 0 then"
            )
        if stage.kind == "separable" and stage.expand != 1:
            raise InputError(
                f"{place}.expand {stage.expand} must be 1 where the kind is "
                "separable"
            )
        if stage.kind == "bottleneck" and stage.width % stage.expand:
            raise InputError(
                f"{place}.width {stage.width} must be a multiple of expand, "
                f"{stage.expand}"
            )
        if variant.family.bias and stage.kind != "bottleneck":
            raise InputError(
                f"{where}: bias true: stages[{number}] is no bottleneck"
            )


def _table(stages: list[dict[str, Any]]) -> list[str]:
    """Objects of the same fields as JSON, one below the other."""
    cells = [
        [f"{json.dumps(field)}: {json.dumps(stage[field])}" for stage in stages]
        for field in stages[0]
    ]
    widths = [max(map(len, column)) for column in cells]
    return [
        "{"
        + "".join(
            f"{cell}, ".ljust(width + 2)
            for cell, width in zip(row[:-1], widths, strict=False)
        )
        + row[-1]
        + "}"
        for row in zip(*cells, strict=True)
    ]


def _part(
    values: Mapping[str, Any], rules: Iterable[str], *without: str
) -> dict[str, Any]:
    """Those of the values that are fields of one of the dataclasses."""
    return {
        field: values[field]
        for field in rules
        if field in values and field not in without
    }


def _with_default(kind: type[Any]) -> set[str]:
    """Fields of a dataclass that may be left out."""
    return {
        field.name
        for field in dataclasses.fields(kind)
        if field.default is not dataclasses.MISSING
    }


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; a field that is there twice is a mistake."""
    found: dict[str, Any] = {}
    for field, value in pairs:
        if field in found:
            raise ValueError(f"it has {field!r} twice")
        found[field] = value
    return found


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
