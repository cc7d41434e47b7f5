r"""The input pipeline on one core: ours, its peers, and the decoder alone.

    taskset -c 0 python -m benchmarks.input_pipeline --threads=1 \
        --tasks=bilinear,legacy_bicubic,bicubic,randaugment,autoaugment
    python -m benchmarks.input_pipeline --tasks=whole
    python -m benchmarks.input_pipeline --tasks=bilinear --peers=opencv,grain

Each contender prepares batches of the same crops of the same pictures in a
process of its own; they take turns. The figure is images per second of CPU
time, of all threads and children, prepared ahead or not. The pictures are the
hundred photographs of ../shared/data where that is there, else made ones of
500x375.

Tasks: decode a crop, resize it by a kernel and mirror half of them; the same
(bilinear) with RandAugment of 2 ops at magnitude 10, and with AutoAugment; and
whole (bilinear): the stream of a training, from TFRecords on, by how many
threads, from how many shards, of how many classes; it is saved apart from the
others, as input_stream.json.

- limit: libjpeg-turbo of the system decodes the crops in C, by TensorFlow's
  own settings (fast integer cosines, smooth chroma), and does nothing else;
- decoding: `tf.image.decode_and_crop_jpeg` in tf.data does nothing else;
- ours: `training_image`, with the arithmetic `fused` of ops; "clean" and
  "original" by name, which are TensorFlow's own kernels throughout;
- ours, uncompiled: the same where no C compiler compiled `data/kernels`;
- ours, whole: what training calls (`input_pipeline_whole`);
- plain: the obvious tf.data chain, decode_and_crop_jpeg, tf.image.resize (no
  antialias, float32), flip;
- original: the graph of tensorflow/tpu in TensorFlow 2's words, legacy
  kernels, ops in uint8 under tf.cond;
- keras, keras_cv: their RandAugment behind the plain chain, float32;
- torchvision: its transforms on PIL images: whole decode, antialias, uint8;
- opencv: whole decode, resize without antialias, uint8;
- grain, DataLoader: torchvision's images, by threads or processes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from benchmarks.flags import add_flags, command_line, finish, positive, tell
from benchmarks.harness import Row, alternate, rows
from benchmarks.input_pipeline_job import Job
from benchmarks.input_pipeline_whole import (
    LONGER,
    STREAMS,
    WHOLE,
    write_records,
)
from benchmarks.input_pipeline_worker import (
    IMAGES_PER_CORE,
    IMAGES_PER_SECOND,
)
from benchmarks.libjpeg import compiled
from benchmarks.machine import this_machine, usable_cores
from benchmarks.pictures import write_pictures
from benchmarks.results import Result
from benchmarks.worker import Worker
from efficientnet_tf.command_line import run
from efficientnet_tf.errors import InputError, near

PACKAGES = (
    "tensorflow", "keras", "keras_cv", "torch", "torchvision", "pillow",
    "opencv-python-headless", "grain", "numpy",
)  # fmt: skip


@dataclass(frozen=True)
class Task:
    """What is prepared.

    Attributes:
        resize: The kernel.
        policy: The ops.
        contenders: Who can; the first is ours, the others its peers.
    """

    resize: str
    policy: str
    contenders: tuple[str, ...]


_PLAIN = ("torchvision", "opencv", "grain", "DataLoader")
TASKS = {
    "bilinear": Task(
        "bilinear",
        "none",
        ("ours", "ours, uncompiled", "decoding", "plain", "original", *_PLAIN),
    ),
    "legacy_bicubic": Task(
        "legacy_bicubic",
        "none",
        ("ours", "ours, uncompiled", "original", *_PLAIN),
    ),
    "bicubic": Task("bicubic", "none", ("ours", "plain", *_PLAIN)),
    "randaugment": Task(
        "bilinear",
        "randaugment",
        (
            *("ours", "ours, uncompiled", "ours, clean", "ours, original"),
            *(
                "original",
                "keras",
                "keras_cv",
                "torchvision",
                "grain",
                "DataLoader",
            ),
        ),
    ),
    "autoaugment": Task(
        "bilinear",
        "autoaugment",
        (
            *("ours", "ours, uncompiled", "ours, clean", "ours, original"),
            *("original", "torchvision", "grain", "DataLoader"),
        ),
    ),
    "whole": Task("bilinear", "none", ()),
}
NEEDS = {
    "keras": ("keras",),
    "keras_cv": ("keras_cv",),
    "torchvision": ("torch", "torchvision"),
    "opencv": ("cv2",),
    "grain": ("grain", "torchvision"),
    "DataLoader": ("torch", "torchvision"),
}
# They take ten times as long as the others.
_SLOW = ("keras",)
LIMIT = "limit"
# What is saved: contenders on one core, and whole streams on several.
PIPELINE, STREAM = "input_pipeline", "input_stream"
# Threads of the stream that is to grow with them, and of its limit.
BOTH = 2
_BOTH_LIMIT = f"{LIMIT}, {BOTH} threads"
WITHOUT_OPS = "without ops"


def measured(
    name: str, given: argparse.Namespace, folder: str, missing: dict[str, str]
) -> tuple[Row, ...]:
    """Lets all who can take turns at a task."""
    jobs = _jobs(name, given, folder, missing)
    with ExitStack() as stack:
        turns = {}
        for shown, job in jobs.items():
            tell(f"starts: {shown}")
            worker = Worker(
                shown, "benchmarks.input_pipeline_worker", job.to_json()
            )
            turns[shown] = stack.enter_context(worker).turn
        found = alternate(turns, rounds=given.rounds, tell=tell)
    units = {IMAGES_PER_CORE: "images/CPU s"}
    if name == "whole":
        units[IMAGES_PER_SECOND] = "images/s"
    return rows(found, units, _against(name, jobs))


def _jobs(
    name: str, given: argparse.Namespace, folder: str, missing: dict[str, str]
) -> dict[str, Job]:
    """Who takes part, by what the table calls them; notes who cannot."""
    task = TASKS[name]
    jobs: dict[str, Job] = {}

    def add(
        shown: str, contender: str, policy: str, threads: int = given.threads
    ) -> None:
        slow = contender in _SLOW
        jobs[f"{name}: {shown}"] = Job(
            contender,
            task.resize,
            policy,
            folder,
            given.pixels,
            given.batch if not slow else max(1, given.batch // 10),
            given.images if not slow else max(1, given.images // 10),
            threads,
        )

    has_limit = (Path(folder) / "libjpeg_window.so").is_file()
    if name == "whole":
        for shown, threads in ((LIMIT, 1), (_BOTH_LIMIT, BOTH)):
            if has_limit and threads <= usable_cores():
                add(shown, LIMIT, "none", threads)
        add("ours", "ours", "none", 1)
        return jobs | _streams(given, folder)
    if has_limit:
        add(LIMIT, LIMIT, "none")
    if task.policy != "none":
        add(WITHOUT_OPS, "ours", "none")
    for contender in task.contenders:
        asked = contender.split(",")[0]
        if asked not in ("ours", *given.peers):
            continue
        lacks = [n for n in NEEDS.get(contender, ()) if find_spec(n) is None]
        if lacks:
            missing[contender] = (
                f"{', '.join(lacks)} not installed; pip install -e '.[bench]'"
            )
            continue
        add(contender, contender, task.policy)
    return jobs


def _against(name: str, jobs: Mapping[str, Job]) -> dict[str, list[str]]:
    """The peers that each is held against."""
    limit = f"{name}: {LIMIT}"
    if name == "whole":
        base = f"{name}: {WHOLE}"
        return dict.fromkeys(jobs, [base]) | {
            base: [limit, f"{name}: ours"],
            f"{name}: {_BOTH_LIMIT}": [limit],
        }
    ours = [shown for shown in jobs if ": ours" in shown]
    others = [shown for shown in jobs if shown not in ours]
    return {shown: others for shown in ours} | {
        shown: [limit] for shown in others[1:]
    }


def _streams(given: argparse.Namespace, folder: str) -> dict[str, Job]:
    """Whole streams, by what they are called in the table."""
    return {
        f"whole: {shown}": Job(
            WHOLE,
            TASKS["whole"].resize,
            TASKS["whole"].policy,
            folder,
            given.pixels,
            given.batch,
            given.images * LONGER,
            stream.threads,
            write_records(Path(folder), stream.shards, stream.classes),
            stream.dtype,
        )
        for shown, stream in STREAMS.items()
        if stream.threads <= usable_cores()
    }


def _flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name, value, meaning in (
        ("pixels", 224, "side of an image"),
        ("batch", 50, "images of a batch"),
        ("images", 200, "images of a turn"),
        ("threads", usable_cores(), "threads or processes of a contender"),
    ):
        parser.add_argument(
            f"--{name}", type=positive, default=value, help=meaning
        )
    peers = ("decoding", "plain", "original", *NEEDS)
    for name, known in (("tasks", tuple(TASKS)), ("peers", peers)):
        parser.add_argument(
            f"--{name}", type=_words, default=known, help=", ".join(known)
        )
    add_flags(parser, rounds=7)
    given = parser.parse_args()
    for name, words in (("tasks", tuple(TASKS)), ("peers", peers)):
        for word in getattr(given, name):
            if word not in words:
                raise InputError(
                    f"unknown --{name} {word}: {near(word, words)}"
                )
    return given


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.split(",") if word)


def main() -> None:
    """Measures and shows."""
    given = _flags()
    machine = this_machine(PACKAGES)
    missing: dict[str, str] = {}
    found: dict[str, tuple[Row, ...]] = {}
    with tempfile.TemporaryDirectory() as folder:
        pictures = write_pictures(Path(folder), given.pixels)
        if compiled(Path(folder)) is None:
            missing[LIMIT] = "needs gcc and libjpeg62-turbo-dev"
        for name in given.tasks:
            benchmark = STREAM if name == "whole" else PIPELINE
            more = measured(name, given, folder, missing)
            found[benchmark] = found.get(benchmark, ()) + more
    settings: dict[str, str | int | float] = {
        "pictures": pictures,
        "pixels": given.pixels,
        "batch": given.batch,
        "images": given.images,
    }
    threads = {PIPELINE: {"threads": given.threads}}
    for benchmark, some in found.items():
        result = Result(
            benchmark=benchmark,
            command=command_line("input_pipeline"),
            machine=machine,
            settings=settings | threads.get(benchmark, {}),
            rows=some,
            missing=missing,
        )
        finish(result, given)


if __name__ == "__main__":
    sys.exit(run("input_pipeline.py", main))
