"""docs/rehearsals.md, made of saved rehearsals.

    python main.py rehearse --model=... --topology=... --json \
        > docs/rehearsals/NAME.json
    python -m efficientnet_tf.tpu.page docs/rehearsals.md

Reads the JSON files of the folder that is named like the page.
"""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from efficientnet_tf.command_line import run
from efficientnet_tf.errors import InputError
from efficientnet_tf.networks import network, totals
from efficientnet_tf.tpu.rehearsal import Rehearsal
from efficientnet_tf.tpu.tables import mebibytes

_WIDTH = 80
_DEAREST = 6
# What memory goes to that is free again after a step.
_OF_A_STEP = ("temporaries", "not explained", "images", "targets")

_INTRO = """\
# Rehearsals

Generated (`python -m efficientnet_tf.tpu.page docs/rehearsals.md`) from
`docs/rehearsals/`, where each file is what `python main.py rehearse ... --json`
printed; a test holds the page against its generator.

**Nothing here ran on a TPU.** The training step of the default recipe, but for
what a command says, was traced for the TPU that is named and compiled by the
compiler that drives real ones. Memory, arithmetic and traffic are those of the
compiled program, as the compiler counts them: with `--effort=full`, which uses
more on-chip memory, traffic there is among it.
**Cycles are the compiler's own estimate**, by which it schedules, and no
measurement: they compare programs for the same TPU. Limits are what a core's
published arithmetic and bandwidth allow for that arithmetic and traffic, were
either the only one.
"""

_QUICK = (
    "Compiled with `--effort=quick`; a TPU's runtime takes more time and may "
    "find a program that is a little faster or smaller."
)


def page(rehearsals: Sequence[Rehearsal]) -> str:
    """The page in Markdown."""
    compilers = sorted({each.compiler for each in rehearsals})
    notes = [f"Compiled by {' and by '.join(compilers)}."]
    if any(each.effort == "quick" for each in rehearsals):
        notes.append(_QUICK)
    parts = [_INTRO, textwrap.fill(" ".join(notes), _WIDTH) + "\n"]
    parts += ["## Does it fit?\n", _fits_table(rehearsals)]
    parts += _ways(rehearsals)
    compiled = [each for each in rehearsals if each.flops_per_image]
    parts += ["## What does it cost?\n", _cost_table(compiled)]
    for each in rehearsals:
        parts.append(_details(each))
    return "\n".join(parts)


def command(rehearsal: Rehearsal) -> str:
    """What rehearses it again."""
    flags = [] if rehearsal.effort == "quick" else ["--effort=full"]
    flags += [
        f"--set {setting}"
        for setting in rehearsal.settings
        if not setting.startswith(("model.name=", "train.batch="))
    ]
    return " ".join(
        [
            "python main.py rehearse",
            f"--model={rehearsal.model}",
            f"--topology={rehearsal.topology}",
            f"--batch={rehearsal.batch}",
            *flags,
        ]
    )


def _title(rehearsal: Rehearsal) -> str:
    ways = []
    if rehearsal.microbatches > 1:
        ways.append(f"{rehearsal.microbatches} microbatches")
    if rehearsal.remat:
        ways.append("remat")
    if rehearsal.effort != "quick":
        ways.append("full effort")
    said = f", {', '.join(ways)}" if ways else ""
    return (
        f"{rehearsal.model} at {rehearsal.pixels} px, {rehearsal.topology}, "
        f"batch {rehearsal.batch:,}{said}"
    )


def _fits_table(rehearsals: Sequence[Rehearsal]) -> str:
    rows = []
    for each in rehearsals:
        peak = each.peak_hbm_bytes
        rows.append(
            [
                _title(each),
                f"{each.images_per_core:,}",
                "yes" if each.fits else "**no**",
                "-" if peak is None else mebibytes(peak),
                "-" if peak is None else f"{100 * peak / each.hbm_bytes:.0f} %",
            ]
        )
    header = ["step", "images a core", "fits", "HBM at its fullest", "of all"]
    return _table(header, rows)


def _ways(rehearsals: Sequence[Rehearsal]) -> list[str]:
    """What makes a network fit that was rehearsed in more ways than one."""
    by_network: dict[str, list[Rehearsal]] = {}
    for each in rehearsals:
        by_network.setdefault(each.model, []).append(each)
    parts = []
    for model, ways in by_network.items():
        if len(ways) < 2:
            continue
        rows = [
            [
                each.topology,
                f"{each.pixels:,}",
                f"{each.images_per_core // each.microbatches:,}",
                f"{each.microbatches:,}",
                "yes" if each.remat else "no",
                *_shares_of_memory(each),
                mebibytes(each.hbm_bytes),
                "yes" if each.fits else "**no**",
            ]
            for each in ways
        ]
        header = [
            "TPU",
            "pixels",
            "images of a core at once",
            "microbatches",
            "remat",
            "kept from step to step",
            "needed by a step",
            "together",
            "there is",
            "fits",
        ]
        parts += [f"## What makes {model} fit?\n", _table(header, rows)]
        if all(each.microbatches == 1 for each in ways):
            parts.append(_of_microbatches(ways[0]))
    return parts


def _of_microbatches(rehearsal: Rehearsal) -> str:
    """What is to be expected of microbatches that nobody has rehearsed."""
    resolved = network(
        rehearsal.model, classes=rehearsal.classes, pixels=rehearsal.pixels
    )
    # In float32.
    sums = 4 * totals(resolved).trainable_parameters
    words = (
        "None of these has microbatches. They keep the sum of the gradients, "
        f"{mebibytes(sums)}, from step to step, and need what images of a core "
        "at once need: added up, not compiled. So they allow a larger batch, "
        "not larger images."
    )
    return textwrap.fill(words, _WIDTH) + "\n"


def _shares_of_memory(rehearsal: Rehearsal) -> list[str]:
    """What lasts from step to step, what a step needs beside, and the sum."""
    peak = rehearsal.peak_hbm_bytes
    total = "-" if peak is None else mebibytes(peak)
    if peak is None or not rehearsal.flops_per_image:
        # Of a program too large to compile only the sum is known.
        return ["-", "-", total]
    passing = sum(rehearsal.memory.get(kind, 0) for kind in _OF_A_STEP)
    return [mebibytes(peak - passing), mebibytes(passing), total]


def _cost_table(rehearsals: Sequence[Rehearsal]) -> str:
    header = [
        "step",
        "GFLOP an image",
        "MB an image",
        "FLOPs a byte",
        "limit by bytes, images/s a core",
        "limit by FLOPs",
        "estimated M cycles an image",
    ]
    rows = []
    for each in rehearsals:
        limits = each.limit_images_per_second
        rows.append(
            [
                _title(each),
                f"{(each.flops_per_image or 0) / 1e9:,.2f}",
                f"{(each.bytes_per_image or 0) / 1e6:,.1f}",
                f"{each.arithmetic_intensity or 0:.1f}",
                f"{limits['bytes']:,.0f}",
                f"{limits['flops']:,.0f}",
                f"{(each.estimated_cycles_per_image or 0) / 1e6:.3f}",
            ]
        )
    return _table(header, rows)


def _details(rehearsal: Rehearsal) -> str:
    parts = [f"## {_title(rehearsal)}\n", f"    {command(rehearsal)}\n"]
    said = [
        f"Traced in {rehearsal.trace_seconds:.0f} s, compiled in "
        f"{rehearsal.compile_seconds:.0f} s; {rehearsal.precision}, "
        f"{rehearsal.optimizer}."
    ]
    said += [
        f"{row['count']:,} {row['kind']} a step, "
        f"{row['operand_bytes'] / 1e6:,.1f} MB from each of "
        f"{rehearsal.cores:,} cores."
        for row in rehearsal.collectives
    ]
    parts.append(textwrap.fill(" ".join(said), _WIDTH) + "\n")
    memory = sorted(rehearsal.memory.items(), key=lambda item: -item[1])
    if memory:
        rows = [[kind, mebibytes(size)] for kind, size in memory]
        parts.append(_table(["memory of a core goes to", ""], rows))
    if rehearsal.layers:
        parts.append(_dearest(rehearsal))
    return "\n".join(parts)


def _dearest(rehearsal: Rehearsal) -> str:
    total = sum(row["estimated_cycles"] for row in rehearsal.layers)
    rows = sorted(rehearsal.layers, key=lambda row: -row["estimated_cycles"])
    return _table(
        ["dearest layers", "pass", "of the estimated cycles"],
        [
            [
                row["layer"],
                row["direction"],
                f"{100 * row['estimated_cycles'] / total:.1f} %",
            ]
            for row in rows[:_DEAREST]
        ],
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [
        f"| {' | '.join(header)} |",
        f"| --- |{' ---: |' * (len(header) - 1)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


def load(folder: Path) -> list[Rehearsal]:
    """The rehearsals of a folder, by the names of their files.

    Raises:
        InputError: There are none, or a file is something else.
    """
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            saved = json.loads(path.read_text(encoding="utf-8"))
            names = Rehearsal.__dataclass_fields__
            found.append(Rehearsal(**{name: saved[name] for name in names}))
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} is no rehearsal: {error}") from None
    if not found:
        raise InputError(f"{folder} holds no rehearsals, *.json")
    return found


def main(arguments: Sequence[str]) -> int:
    """Writes the page; returns the exit code."""

    def work() -> None:
        if len(arguments) != 1:
            raise InputError("name the page to write, such as docs/page.md")
        path = Path(arguments[0])
        text = page(load(path.with_suffix("")))
        temporary = path.with_suffix(".tmp")
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)

    return run("python -m efficientnet_tf.tpu.page", work)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
