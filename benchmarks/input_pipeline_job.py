"""What a contender of benchmarks/input_pipeline.py is asked for."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Job:
    """What a worker does.

    Attributes:
        contender: One of `input_pipeline_peers.CONTENDERS`.
        resize: "bilinear", "bicubic" or "legacy_bicubic".
        policy: "none", "randaugment" of 2 ops at magnitude 10, "autoaugment".
        folder: Where the pictures are.
        pixels: Side of an image.
        batch: Images of a batch.
        images: Images of a turn.
        threads: Threads or processes that prepare images.
        records: Where TFRecords are, for who reads them.
        dtype: Of the images, for who lets one choose.
    """

    contender: str
    resize: str
    policy: str
    folder: str
    pixels: int
    batch: int
    images: int
    threads: int
    records: str = ""
    dtype: str = "float32"

    def to_json(self) -> str:
        """The worker's argument."""
        return json.dumps(dataclasses.asdict(self))
