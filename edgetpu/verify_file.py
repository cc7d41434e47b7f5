"""The verb `verify`: what an int8 file costs against its float network."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from edgetpu.reader import open_model, read_content
from edgetpu.samples import picked_examples
from edgetpu.source import Source
from edgetpu.verify import Comparison, JudgedImage, Verification, verify
from efficientnet_tf.contact_sheet import Tile, save_sheet
from efficientnet_tf.data.dataset import RecordDataset
from efficientnet_tf.data.labels import same_classes
from efficientnet_tf.errors import InputError
from efficientnet_tf.files import make_folder, write_text

REPORT, SHEET = "verify.json", "worst.png"
# Images in a row of the sheet.
_COLUMNS = 4


@dataclass(frozen=True)
class VerifyReport:
    """What was found out about a file.

    Attributes:
        file: The int8 file.
        network: Name of the variant.
        data: Where the images came from.
        labels: Names of the classes; empty where they are not known.
        verification: What was found.
        not_labelled: Why there is no top-1; None where there is.
    """

    file: str
    network: str
    data: str
    labels: tuple[str, ...]
    verification: Verification
    not_labelled: str | None

    @property
    def comparison(self) -> Comparison:
        """In all."""
        return self.verification.comparison

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        facts = {
            name: getattr(self, name)
            for name in ("file", "network", "data", "not_labelled")
        }
        return {**facts, **self.verification.to_dict()}

    def name(self, number: int | None) -> str:
        """What a class is called."""
        if number is None:
            return "not known"
        return self.labels[number] if self.labels else str(number)


def verify_file(
    source: Source,
    dataset: RecordDataset,
    path: str,
    *,
    images: int,
    delegate: str | None = None,
) -> VerifyReport:
    """Compares a file with its network on validation images.

    Args:
        source: The network.
        dataset: Whose validation split to compare on; of other classes than
            the network's it has no top-1.
        path: An int8 `.tflite` of the network, compiled or not.
        images: How many at most, spread evenly over the records.
        delegate: Library of the Edge TPU, see `Runner`.

    Raises:
        InputError: An argument does not fit.
        RunError: The file cannot be run.
    """
    if images < 1:
        raise InputError(f"verify_images {images} must be at least 1")
    open_model(path)  # It says so where it is no such file.
    content = read_content(path)
    first, reason = _first_logit(source, dataset)
    count = min(images, dataset.validation.images)
    print(
        f"comparing {path} with {source.network.name} on {count} validation "
        "images",
        file=sys.stderr,
        flush=True,
    )
    examples = picked_examples(
        dataset, "validation", images=images, cut=source.cut
    ).map(
        lambda image, label: (
            image,
            label + first if first is not None else tf.fill([], -1),
        )
    )
    found = verify(
        source.network,
        source.model,
        content,
        examples,
        images=count,
        delegate=delegate,
    )
    return VerifyReport(
        file=path,
        network=source.network.name,
        data=dataset.path,
        labels=source.labels,
        verification=found,
        not_labelled=reason,
    )


def write_report(report: VerifyReport, out: str) -> None:
    """Writes `verify.json`, and `worst.png` with the worst images.

    Args:
        report: What was found.
        out: A folder, local or gs://; made where it is missing.
    """
    make_folder(out, "--out")
    text = json.dumps(report.to_dict(), indent=2, ensure_ascii=False)
    write_text(os.path.join(out, REPORT), text + "\n")
    tiles = [_tile(report, each) for each in report.verification.worst]
    save_sheet(
        os.path.join(out, SHEET),
        tiles,
        columns=min(_COLUMNS, len(tiles)),
        title="images on which int8 and float differ most",
    )


def _tile(report: VerifyReport, judged: JudgedImage) -> Tile:
    return Tile(
        report.verification.pictures[judged.place],
        f"{judged.kl:.3f} nats",
        f"is {report.name(judged.label)}; "
        f"float {report.name(judged.float_class)} {judged.float_score:.2f}; "
        f"int8 {report.name(judged.int8_class)} {judged.int8_score:.2f}",
    )


def _first_logit(
    source: Source, dataset: RecordDataset
) -> tuple[int | None, str | None]:
    """The logit of the data's first class, or why its labels say nothing."""
    for first in (0, 1):
        if source.network.classes - first == dataset.classes:
            ours = source.labels[first:]
            if not ours or same_classes(ours, dataset.labels):
                return first, None
            return None, f"{dataset.path} has other classes than the network"
    return None, (
        f"{dataset.path} has {dataset.classes} classes, the network "
        f"{source.network.classes}"
    )
