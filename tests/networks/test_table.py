from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from efficientnet_tf.errors import InputError
from efficientnet_tf.networks import variants
from efficientnet_tf.networks.table import (
    BEGIN,
    END,
    markdown_table,
    with_table,
)

ROOT = Path(__file__).parents[2]


def test_a_row_for_every_variant() -> None:
    rows = markdown_table().splitlines()[2:]
    assert [row.split(" | ")[0].strip("| ") for row in rows] == variants()
    assert "| efficientnet-b0 | 224 | 5,288,548 | 0.386 | 16 | 1000 |" in rows


def test_readme_holds_the_table() -> None:
    text = (ROOT / "README.md").read_text()
    assert text == with_table(text), (
        "run: python -m efficientnet_tf.networks.table README.md"
    )


def test_only_the_marked_region_changes() -> None:
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    expected = f"before\n{BEGIN}\n{markdown_table()}{END}\nafter\n"
    assert with_table(text) == expected
    assert with_table(expected) == expected


@pytest.mark.parametrize(
    "text", ["", BEGIN, END, f"{END}\n{BEGIN}", f"{BEGIN}{BEGIN}{END}"]
)
def test_a_text_without_its_markers(text: str) -> None:
    with pytest.raises(InputError):
        with_table(text)


def test_command_line(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(f"{BEGIN}\n{END}\n")
    command = [sys.executable, "-m", "efficientnet_tf.networks.table"]
    subprocess.run([*command, path], cwd=ROOT, check=True)
    assert markdown_table() in path.read_text()

    path.write_text("no markers")
    result = subprocess.run(
        [*command, path], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert path.read_text() == "no markers"
