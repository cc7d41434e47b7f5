"""Every command that the documentation shows can be given as it stands."""

import re
import shlex
from pathlib import Path
from typing import get_args

import pytest

import main
from edgetpu import __main__ as edgetpu
from edgetpu.run import __main__ as device
from efficientnet_tf.data.cut import CropRule, ResizeKernel
from efficientnet_tf.networks.stages import NormalizationName
from efficientnet_tf.training.config_files import load_config, override
from efficientnet_tf.verbs.command import Command

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "docs/networks.md",
    ROOT / "docs/prepare.md",
    ROOT / "docs/input.md",
    ROOT / "docs/coral.md",
    ROOT / "docs/export.md",
    ROOT / "docs/search.md",
    ROOT / "docs/scaling.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "main.py",
    ROOT / "edgetpu" / "__main__.py",
    ROOT / "edgetpu" / "main_help.py",
    *sorted((ROOT / "configs").glob("*.py")),
]


def commands(document: Path) -> list[str]:
    """Shell commands in a document, lines that end in a backslash joined."""
    text = re.sub(r"\\\n\s*", "", document.read_text())
    found = re.findall(
        r"^ *(?:.*&& )?(python (?:main\.py|-m edgetpu)\b[^`\n]*)$", text, re.M
    )
    return [command for command in found if "[" not in command]


ALL = [
    pytest.param(command, id=f"{document.name}: {command[:60]}")
    for document in DOCUMENTS
    for command in commands(document)
]


def test_commands_are_found():
    assert len(ALL) >= 15


@pytest.mark.parametrize("command", ALL)
def test_a_command_parses(command, monkeypatch):
    monkeypatch.chdir(ROOT)
    _, program, *arguments = shlex.split(command)
    if program == "-m" and arguments[1] in edgetpu.ON_THE_DEVICE:
        benchmark = arguments[1] == "benchmark"
        assert device.parse(arguments[2:], "run", benchmark=benchmark).model
        return
    if program == "-m":
        values = edgetpu.define_flags()
        edgetpu._parse(values, arguments[1:])
        return
    given = main.define_flags()
    verb, words = main.parse(given, arguments)
    assert verb in main.VERBS
    assert bool(words) == (verb == "predict")
    written = given.config and not given.config.endswith(".json")
    config = load_config(given.config if written else str(main.DIGITS))
    override(config, Command(given, str(main.DIGITS)).settings())


def test_the_readmes_python_runs(capsys):
    (block,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S
    )
    exec(block, {})
    assert "efficientnet-lite0" in capsys.readouterr().out


WORDS = {
    "crop": CropRule,
    "resize": ResizeKernel,
    "normalization": NormalizationName,
}


@pytest.mark.parametrize("field", WORDS)
def test_the_readme_has_every_word_of_preprocessing(field):
    (row,) = re.findall(
        rf"^\| `data\.{field}` \|(.*)\|$",
        (ROOT / "README.md").read_text(),
        re.M,
    )
    assert set(get_args(WORDS[field])) <= set(re.findall(r"`(\w+)`", row))
