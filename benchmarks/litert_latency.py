"""How long LiteRT takes for an image: int8 against float, by threads.

    python -m benchmarks.litert_latency

Some ten minutes, most of it for conversions. EfficientNet-EdgeTPU-S at 224
pixels in all formats of an export, and keras.applications' MobileNetV2 in two
of them, each in a process of its own that has LiteRT and nothing else. Weights
are fresh ones and calibration sees noise, on which time does not depend. Batch
1; a turn is the median of its calls.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.flags import add_flags, command_line, finish, positive, tell
from benchmarks.harness import Figures, Turn, alternate, rows
from benchmarks.machine import this_machine
from benchmarks.results import Result
from benchmarks.worker import Worker, serve
from efficientnet_tf.command_line import run

if TYPE_CHECKING:
    import keras
    import numpy as np

    from edgetpu.float_files import Weights

MODEL, PEER = "efficientnet-edgetpu-S", "keras.applications MobileNetV2"
INT8, FLOAT = "int8", "float"
FLOATS: tuple[Weights, ...] = ("float", "float16", "dynamic_range")
CLASSES = 1001
# The second is of all threads; what others take of the machine is not in it.
LATENCY = {"latency_ms": "ms", "cpu_ms": "ms"}


def main() -> None:
    """Makes the files, then lets all take turns."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--pixels", type=positive, default=224)
    parser.add_argument("--calls", type=positive, default=20, help="of a turn")
    parser.add_argument("--threads", default="1,2", help="parted by commas")
    parser.add_argument(
        "--files", help="folder to keep the files in, and to find them again"
    )
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    add_flags(parser, rounds=15)
    given = parser.parse_args()
    if given.worker:
        serve(lambda: start(**json.loads(given.worker)))
        return
    threads = [positive(word) for word in given.threads.split(",")]
    machine = this_machine(("ai-edge-litert", "tensorflow", "keras"))
    with ExitStack() as stack:
        folder = given.files or stack.enter_context(
            tempfile.TemporaryDirectory()
        )
        turns: dict[str, Turn] = {}
        for name, path in write_files(Path(folder), given.pixels).items():
            for count in threads:
                job = {"path": str(path), "threads": count}
                job["calls"] = given.calls
                title = named(name, count)
                words = f"--worker={json.dumps(job)}"
                worker = Worker(title, "benchmarks.litert_latency", words)
                turns[title] = stack.enter_context(worker).turn
        found = alternate(turns, rounds=given.rounds, tell=tell)
    result = Result(
        benchmark="litert_latency",
        command=command_line("litert_latency"),
        machine=machine,
        settings={"pixels": given.pixels, "batch": 1, "calls": given.calls},
        rows=rows(found, LATENCY, peers(threads)),
    )
    finish(result, given)


def named(name: str, threads: int) -> str:
    """What a file is called that so many threads run."""
    return f"{name}, {threads} thread{'s' if threads > 1 else ''}"


def peers(threads: list[int]) -> dict[str, list[str]]:
    """Who is held against whom."""
    against: dict[str, list[str]] = {}
    for count in threads:
        for model in (MODEL, PEER):
            others = [named(f"{model} {FLOAT}", count)]
            if model == MODEL:
                others.append(named(f"{PEER} {INT8}", count))
            if count != threads[0]:
                others.append(named(f"{model} {INT8}", threads[0]))
            against[named(f"{model} {INT8}", count)] = others
        for word in FLOATS[1:]:
            against[named(f"{MODEL} {word}", count)] = [
                named(f"{MODEL} {FLOAT}", count)
            ]
    return against


def start(path: str, threads: int, calls: int) -> tuple[Figures, Turn]:
    """Loads a file, and gives how to take a turn."""
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path, num_threads=threads)
    interpreter.allocate_tensors()
    (taken,) = interpreter.get_input_details()
    random = np.random.default_rng(0)
    image = random.integers(0, 256, taken["shape"])
    if taken["dtype"] == np.float32:
        image = (image - 127) / 128
    interpreter.set_tensor(taken["index"], image.astype(taken["dtype"]))
    interpreter.invoke()

    def turn(_: int) -> Figures:
        wall, cpu = [], []
        for _ in range(calls):
            began, used = time.perf_counter(), time.process_time()
            interpreter.invoke()
            wall.append(time.perf_counter() - began)
            cpu.append(time.process_time() - used)
        return {
            "latency_ms": 1e3 * statistics.median(wall),
            "cpu_ms": 1e3 * statistics.median(cpu),
        }

    return {}, turn


def write_files(folder: Path, pixels: int) -> dict[str, Path]:
    """Converts ours in all formats, and the peer in two of them.

    Those that are there already are taken for the same.
    """
    import numpy as np

    from edgetpu.float_files import float_tflite
    from edgetpu.quantize import quantize
    from efficientnet_tf.modeling.build import build_network
    from efficientnet_tf.networks import network

    resolved = network(MODEL, classes=CLASSES, pixels=pixels)
    model = build_network(resolved)
    noise = np.random.default_rng(0).integers(0, 256, (4, pixels, pixels, 3))
    noise[0], noise[1] = 0, 255
    images = noise.astype(np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    contents: dict[str, Callable[[], bytes]] = {
        f"{MODEL} {INT8}": lambda: quantize(resolved, model, images)
    }
    for word in FLOATS:
        contents[f"{MODEL} {word}"] = partial(
            float_tflite, resolved, model, word
        )
    peer = mobilenet(pixels)
    contents[f"{PEER} {INT8}"] = lambda: plainly_converted(peer, images)
    contents[f"{PEER} {FLOAT}"] = lambda: plainly_converted(peer, None)
    paths = {}
    for number, (name, convert) in enumerate(contents.items()):
        paths[name] = folder / f"{pixels}-{number}.tflite"
        if not paths[name].exists():
            tell(f"converting {name}")
            paths[name].write_bytes(convert())
    return paths


def mobilenet(pixels: int) -> keras.Model:
    """The peer, for one image."""
    import keras

    inputs = keras.Input((pixels, pixels, 3), batch_size=1)
    inner = keras.applications.MobileNetV2(
        weights=None, classes=CLASSES, input_tensor=inputs
    )
    return keras.Model(inputs, inner.output)


def plainly_converted(model: keras.Model, images: np.ndarray | None) -> bytes:
    """As TensorFlow's guide converts, to int8 where there are images."""
    import tensorflow as tf

    from edgetpu.run.quiet import quiet

    with quiet():
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        if images is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: (
                [((image[None] - 127.0) / 128.0).astype("float32")]
                for image in images
            )
            converter.target_spec.supported_ops = [
                tf.lite.OpsSet.TFLITE_BUILTINS_INT8
            ]
            converter.inference_input_type = tf.uint8
            converter.inference_output_type = tf.uint8
        content: bytes = converter.convert()
    return content


if __name__ == "__main__":
    sys.exit(run("litert_latency.py", main))
