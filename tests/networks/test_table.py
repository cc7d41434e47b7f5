from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from efficientnet_tf.errors import InputError
from efficientnet_tf.networks import variants
from efficientnet_tf.networks.table import (
    BEGIN,
    BUILD_SECONDS,
    END,
    markdown_table,
    read_build_seconds,
    with_table,
)

ROOT = Path(__file__).parents[2]
SECONDS = dict.fromkeys(variants(), 1.25)


def test_a_row_for_every_variant() -> None:
    rows = markdown_table(SECONDS).splitlines()[2:]
    assert [row.split(" | ")[0].strip("| ") for row in rows] == variants()
    assert (
        "| efficientnet-b0 | 224 | 5,288,548 | 0.386 | 6.75 | 25.7 | 16 | 1000 "
        "| 1.2 s |"
    ) in rows


def test_a_variant_that_was_not_timed() -> None:
    with pytest.raises(InputError, match="no row for efficientnet-b0"):
        markdown_table({})


def test_the_page_holds_the_table() -> None:
    text = (ROOT / "docs/networks.md").read_text()
    seconds = read_build_seconds(ROOT / "docs" / BUILD_SECONDS)
    assert seconds.keys() == set(variants())
    assert text == with_table(text, seconds), (
        "run: python -m efficientnet_tf.networks.table docs/networks.md"
    )


def test_only_the_marked_region_changes() -> None:
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    table = markdown_table(SECONDS)
    expected = f"before\n{BEGIN}\n{table}{END}\nafter\n"
    assert with_table(text, SECONDS) == expected
    assert with_table(expected, SECONDS) == expected


@pytest.mark.parametrize(
    "text", ["", BEGIN, END, f"{END}\n{BEGIN}", f"{BEGIN}{BEGIN}{END}"]
)
def test_a_text_without_its_markers(text: str) -> None:
    with pytest.raises(InputError):
        with_table(text, SECONDS)


def test_command_line(tmp_path: Path) -> None:
    path = tmp_path / "networks.md"
    path.write_text(f"{BEGIN}\n{END}\n")
    rows = "".join(f"{name},1.25\n" for name in variants())
    (tmp_path / BUILD_SECONDS).write_text(f"name,seconds\n{rows}")
    command = [sys.executable, "-m", "efficientnet_tf.networks.table"]
    subprocess.run([*command, path], cwd=ROOT, check=True)
    assert markdown_table(SECONDS) in path.read_text()

    path.write_text("no markers")
    result = subprocess.run(
        [*command, path], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert path.read_text() == "no markers"
