"""Networks of one's own as files."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from efficientnet_tf.errors import InputError
from efficientnet_tf.networks import (
    find_variant,
    network,
    read_variant,
    totals,
    variants,
    write_variant,
)
from efficientnet_tf.networks.families import VARIANTS

# Table 1 of the EfficientNet paper, as a person would type it: what is not
# said is what `Stage`, `Family` and `Variant` have by default.
BASELINE = """\
{
  "schema": 1, "name": "by-hand",
  "width": 1, "depth": 1, "pixels": 224, "dropout": 0.2,
  "activation": "swish", "normalization": "imagenet",
  "stages": [
    {"kind": "mbconv", "repeats": 1, "kernel": 3, "stride": 1, "expand": 1,
     "width": 16, "se": 0.25},
    {"kind": "mbconv", "repeats": 2, "kernel": 3, "stride": 2, "expand": 6,
     "width": 24, "se": 0.25},
    {"kind": "mbconv", "repeats": 2, "kernel": 5, "stride": 2, "expand": 6,
     "width": 40, "se": 0.25},
    {"kind": "mbconv", "repeats": 3, "kernel": 3, "stride": 2, "expand": 6,
     "width": 80, "se": 0.25},
    {"kind": "mbconv", "repeats": 3, "kernel": 5, "stride": 1, "expand": 6,
     "width": 112, "se": 0.25},
    {"kind": "mbconv", "repeats": 4, "kernel": 5, "stride": 2, "expand": 6,
     "width": 192, "se": 0.25},
    {"kind": "mbconv", "repeats": 1, "kernel": 3, "stride": 1, "expand": 6,
     "width": 320, "se": 0.25}
  ]
}
"""


@pytest.mark.parametrize("name", variants())
def test_what_is_written_is_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    write_variant(VARIANTS[name], "mine", path)
    assert read_variant(path) == ("mine", VARIANTS[name])
    assert network(str(path)) == replace(network(name), name="mine")
    # Nothing else is left behind.
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_complete_and_readable(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    write_variant(VARIANTS["efficientnet-b0"], "mine", path)
    text = path.read_text()
    stages = json.loads(text)["stages"]
    # A line a stage, and their fields below each other.
    lines = [line for line in text.splitlines() if '"kind"' in line]
    assert len(lines) == len(stages) == 7
    for field in ('"width"', '"se"', '"skip"'):
        assert len({line.index(field) for line in lines}) == 1
    assert max(map(len, text.splitlines())) < 240


def test_a_file_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "by-hand.json"
    path.write_text(BASELINE)
    # Source: keras.applications.EfficientNetB0, trainable weights.
    assert totals(network(str(path))).trainable_parameters == 5_288_548
    assert find_variant(str(path)).name == "by-hand"


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("widht", 1, "unknown field widht: did you mean width"),
        ("schema", 2, "schema 2 must be 1"),
        ("schema", None, "schema None must be 1"),
        ("schema", True, "schema True must be 1"),
        ("name", "a/b", 'name "a/b" must be up to 100 letters'),
        ("name", "", "name"),
        ("name", "mine.json", "not end like a file's"),
        ("name", "efficientnet-b0", "try efficientnet-b0-mine"),
        ("name", "efficientnet-lite0-qat", "the project's own"),
        ("width", 0, "width 0 must be a number above 0"),
        ("width", True, "width true must be a number"),
        ("width", 10**400, "must be a number above 0 and at most 100"),
        ("width", float("inf"), "width Infinity must be a number"),
        ("depth", -1.0, "depth -1.0 must be"),
        ("depth", "1", 'depth "1" must be a number'),
        ("depth", float("nan"), "depth NaN must be a number"),
        ("pixels", 31, "pixels 31 must be a whole number from 32"),
        ("pixels", 224.0, "pixels 224.0 must be a whole number"),
        ("dropout", 1, "dropout 1 must be a number from 0 to below 1"),
        ("drop_path", 1.0, "drop_path 1.0 must be"),
        ("activation", "swisch", 'must be "swish" or "relu"'),
        ("normalization", [], "normalization [] must be"),
        ("classes", 1, "classes 1 must be"),
        ("stem", 0, "stem 0 must be"),
        ("fixed_ends", 1, "fixed_ends 1 must be true or false"),
        ("rounding", "up", 'rounding "up" must be'),
        ("stages", [], "stages [] must be a list of at least one"),
        ("stages", [3], r"stages[0] must be an object"),
    ],
)
def test_a_bad_field_is_named(
    field: str, value: Any, says: str, tmp_path: Path
) -> None:
    _refused(json.loads(BASELINE) | {field: value}, says, tmp_path)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("kernal", 3, "unknown field stages[2].kernal: did you mean kernel"),
        ("kind", "mbcon", 'stages[2].kind "mbcon" must be "mbconv"'),
        ("repeats", 0, "stages[2].repeats 0 must be a whole number from 1"),
        ("kernel", 3.5, "stages[2].kernel 3.5 must be"),
        ("stride", 3, "stages[2].stride 3 must be a whole number from 1 to 2"),
        ("expand", 0, "stages[2].expand 0 must be"),
        ("width", 0, "stages[2].width 0 must be"),
        ("se", 1.5, "stages[2].se 1.5 must be a number from 0 to 1"),
        ("expand_from", 0, "or null"),
        ("skip", None, "stages[2].skip null must be true or false"),
        ("experts", True, "stages[2].experts true: experts 0 must be above"),
    ],
)
def test_a_bad_row_is_named(
    field: str, value: Any, says: str, tmp_path: Path
) -> None:
    values = json.loads(BASELINE)
    values["stages"][2][field] = value
    _refused(values, says, tmp_path)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"stride_first": True}, "stages[1].stride_first true: only a stage"),
        ({"kind": "separable"}, "stages[1].expand 6 must be 1"),
        ({"kind": "bottleneck"}, "stages[1].se 0.25: only a stage of the kind"),
        (
            {"kind": "bottleneck", "se": 0, "expand": 7},
            "stages[1].width 24 must be a multiple of expand, 7",
        ),
        ({"kind": "fused", "space_to_depth": True}, "space_to_depth true"),
        ({"kind": "fused", "experts": True}, "experts true: only a stage"),
    ],
)
def test_rows_that_no_block_can_be(
    row: dict[str, Any], says: str, tmp_path: Path
) -> None:
    values = json.loads(BASELINE)
    values["stages"][1] |= row
    _refused(values, says, tmp_path)


def test_biases_are_of_bottlenecks(tmp_path: Path) -> None:
    says = "bias true: stages[0] is no bottleneck"
    _refused(json.loads(BASELINE) | {"bias": True}, says, tmp_path)


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    values = json.loads(BASELINE)
    del values["stages"][0]["width"]
    _refused(values, "stages[0].width is missing", tmp_path)
    values = json.loads(BASELINE)
    del values["dropout"]
    _refused(values, "dropout is missing; it must be a number", tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no variant file"),
        ("[]", "it holds no object"),
        ('{"schema": 1, "schema": 1}', "it has 'schema' twice"),
        ("[" * 100_000, "is no variant file"),
    ],
)
def test_what_is_no_variant_file(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(InputError, match=says) as caught:
        network(str(path))
    assert str(path) in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            read_variant(path)
    path = tmp_path / "latin.json"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="no UTF-8"):
        read_variant(path)


def test_what_cannot_be_written(tmp_path: Path) -> None:
    variant = VARIANTS["efficientnet-b0"]
    with pytest.raises(InputError, match=r"ends in \.json"):
        write_variant(variant, "mine", tmp_path / "mine.txt")
    with pytest.raises(InputError, match="the project's own"):
        write_variant(variant, "efficientnet-b1", tmp_path / "b1.json")
    with pytest.raises(InputError, match="width -1"):
        write_variant(
            replace(variant, width=-1.0), "mine", tmp_path / "mine.json"
        )
    with pytest.raises(InputError, match="cannot be written"):
        write_variant(variant, "mine", tmp_path / "no" / "mine.json")
    assert not list(tmp_path.iterdir())


def _refused(values: dict[str, Any], says: str, folder: Path) -> None:
    path = folder / "by-hand.json"
    path.write_text(json.dumps(values))
    with pytest.raises(InputError) as caught:
        read_variant(path)
    message = str(caught.value)
    assert says in message
    assert message.startswith(str(path))
    assert "\n" not in message


def test_the_documented_file_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[2] / "docs/networks.md").read_text()
    monkeypatch.chdir(tmp_path)
    code, text = (
        re.search(rf"```{kind}\n(.*?)```", page, re.S)[1]  # type: ignore[index]
        for kind in ("python", "json")
    )
    exec(code, {})
    written = json.loads(Path("wide.json").read_text())
    shown = json.loads(text)
    for field, value in shown.items():
        if field == "stages":
            for row, whole in zip(value, written[field], strict=False):
                assert row.items() <= whole.items()
        else:
            assert written[field] == value
