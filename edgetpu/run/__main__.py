"""The command: classifies pictures by a .tflite file, or times it."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import sys
import time

from .interpreters import COMPILED, open_interpreter
from .pixels import CROPS, KERNELS, network_pixels, read_picture
from .runner import MEAN, STD, Runner
from .timing import time_interpreter

# What stands beside an exported file, and says how pictures are cut for it.
REPORT, LABELS = "export.json", "labels.txt"
_CROP, _RESIZE = "pad32", "legacy_bicubic"

RUN = """\
Classifies pictures by a .tflite classifier: one of this project's, or another
with one square input, uint8, int8 or float32.

Runs on the CPU; a file compiled for the Edge TPU runs there, by libedgetpu.
Pictures are cut and resized as NAME.json or export.json beside the model says,
if --crop and --resize do not; names of classes come from labels.txt beside it,
if not from --labels.
"""
BENCHMARK = """\
Times a .tflite file of any kind on what is no picture: milliseconds of one
inference, after a warm-up. Runs on the CPU; a file compiled for the Edge TPU
runs there, by libedgetpu.
"""


def main(
    arguments: list[str], program: str = "run", *, benchmark: bool = False
) -> int:
    """Runs a command line.

    Args:
        arguments: What follows the program's name.
        program: Its name.
        benchmark: Whether to measure; --benchmark says so too.

    Returns:
        0 when it went well, 1 where a picture could not be read, 2 where the
        command line, the model or the delegate is wrong.
    """
    given = parse(arguments, program, benchmark=benchmark)
    try:
        return _benchmark(given) if given.benchmark else _run(given, program)
    except ValueError as error:
        print(f"{program}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2


def parse(
    arguments: list[str], program: str, *, benchmark: bool = False
) -> argparse.Namespace:
    """Reads a command line; see `main`."""
    benchmark = benchmark or "--benchmark" in arguments
    parser = (_benchmark_flags if benchmark else _run_flags)(program)
    words = [word for word in arguments if word != "--benchmark"]
    given = parser.parse_args(words)
    given.benchmark = benchmark
    return given


def _flags(program: str, about: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        program,
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", help="a .tflite file")
    parser.add_argument(
        "--delegate",
        help="shared library of the Edge TPU; for compiled files "
        "libedgetpu.so.1 (macOS: libedgetpu.1.dylib, Windows: edgetpu.dll) if "
        "not given",
    )
    parser.add_argument(
        "--threads", type=_positive, help="CPU threads; LiteRT's own choice "
        "if not given",
    )  # fmt: skip
    parser.add_argument(
        "--json", action="store_true", help="print JSON instead of lines"
    )
    return parser


def _run_flags(program: str) -> argparse.ArgumentParser:
    parser = _flags(program, RUN)
    parser.add_argument("images", nargs="+", help="pictures")
    parser.add_argument(
        "--benchmark", action="store_true", help="time the model instead; "
        "then no pictures: `--benchmark --help` tells more",
    )  # fmt: skip
    parser.add_argument("--labels", help="names of the classes, a line each")
    parser.add_argument(
        "--top", type=_positive, default=5, help="classes to name (5)"
    )
    parser.add_argument(
        "--crop", choices=CROPS, help="the centre square to take: see the "
        "training's data.crop",
    )  # fmt: skip
    parser.add_argument(
        "--resize", choices=tuple(KERNELS), help="the kernel: data.resize"
    )
    parser.add_argument(
        "--mean", type=_finite, default=MEAN, help="the model was trained on "
        "(pixel - mean) / std (127)",
    )  # fmt: skip
    parser.add_argument(
        "--std", type=_finite, default=STD, help="see --mean (128)"
    )
    return parser


def _benchmark_flags(program: str) -> argparse.ArgumentParser:
    parser = _flags(program, BENCHMARK)
    parser.add_argument(
        "--runs", type=_positive, default=100, help="inferences measured (100)"
    )
    parser.add_argument(
        "--warm_up", type=_positive, default=10, help="and made before (10)"
    )
    return parser


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def _finite(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is no finite number")
    return value


def _run(given: argparse.Namespace, program: str) -> int:
    if given.std == 0:
        raise ValueError("--std 0 divides by nothing; 128 is usual")
    runner = Runner(
        given.model,
        delegate=given.delegate,
        threads=given.threads,
        mean=given.mean,
        std=given.std,
    )
    crop, resize = _cut(given)
    labels = _labels(given)
    answers = []
    for path in given.images:
        try:
            picture = read_picture(path)
        except ValueError as error:
            answers.append({"image": path, "error": str(error)})
            print(f"{program}: {error}", file=sys.stderr)
            continue
        image = network_pixels(picture, runner.pixels, crop, resize)
        begin = time.perf_counter()
        top = runner.top(image, given.top)
        spent = 1000 * (time.perf_counter() - begin)
        guesses = [
            {"index": number, "label": _name(labels, number), "score": score}
            for number, score in top
        ]
        answers.append({"image": path, "top": guesses, "milliseconds": spent})
        if not given.json:
            _tell(answers[-1])
    if given.json:
        facts = {"model": given.model, "crop": crop, "resize": resize}
        facts["images"] = answers
        print(json.dumps(facts, indent=2, ensure_ascii=False))
    return 1 if any("error" in answer for answer in answers) else 0


def _benchmark(given: argparse.Namespace) -> int:
    begin = time.perf_counter()
    interpreter = open_interpreter(
        given.model, delegate=given.delegate, threads=given.threads
    )
    load = 1000 * (time.perf_counter() - begin)
    timing = time_interpreter(
        interpreter, runs=given.runs, warm_up=given.warm_up
    )
    with open(given.model, "rb") as file:
        compiled = COMPILED in file.read()
    facts = {
        "model": given.model,
        "edge_tpu": compiled,
        "delegate": given.delegate,
        "threads": given.threads,
        "load_ms": load,
    }
    facts.update(dataclasses.asdict(timing))
    if given.json:
        print(json.dumps(facts, indent=2))
        return 0
    device = "the Edge TPU" if facts["edge_tpu"] else "the CPU"
    threads = f", {given.threads} threads" if given.threads else ""
    print(f"{given.model} on {device}{threads}, milliseconds an inference")
    for name in ("median", "mean", "p90", "p99", "fastest", "slowest", "first"):
        print(f"  {name:8} {getattr(timing, name):10.3f}")
    print(f"  {'load':8} {load:10.3f}")
    print(f"  {timing.runs} runs after {timing.warm_up} to warm up")
    return 0


def _cut(given: argparse.Namespace) -> tuple[str, str]:
    """How pictures are cut: as the flags, the export or the project says."""
    folder, name = os.path.split(given.model)
    stem = name.split(".")[0]
    if stem.endswith("_edgetpu"):
        stem = stem[: -len("_edgetpu")]
    said: dict = {}
    # `quantize` leaves the one, `export` the other.
    for path in (os.path.join(folder, f"{stem}.json"),
                 os.path.join(folder, REPORT)):  # fmt: skip
        found = _said(path) if os.path.isfile(path) else {}
        if os.path.basename(str(found.get("file"))) == f"{stem}.tflite":
            said = found
            break
    crop = given.crop or said.get("crop", _CROP)
    resize = given.resize or said.get("resize", _RESIZE)
    if crop not in CROPS or resize not in KERNELS:
        raise ValueError(
            f"{path} says crop {crop!r} and resize {resize!r}, which are not "
            "known here; say others by --crop and --resize"
        )
    return crop, resize


def _said(path: str) -> dict:
    try:
        with open(path, encoding="utf-8") as file:
            said = json.load(file)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    return said if isinstance(said, dict) else {}


def _labels(given: argparse.Namespace) -> list[str]:
    beside = os.path.join(os.path.dirname(given.model), LABELS)
    path = given.labels or beside
    if not given.labels and not os.path.isfile(beside):
        return []
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().splitlines()
    except (OSError, ValueError) as error:
        raise ValueError(f"--labels {path} cannot be read: {error}") from error


def _name(labels: list[str], number: int) -> str:
    return labels[number] if number < len(labels) else str(number)


def _tell(answer: dict) -> None:
    print(f"{answer['image']}  {answer['milliseconds']:.1f} ms")
    for guess in answer["top"]:
        print(f"  {guess['score']:8.4f}  {guess['label']}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
