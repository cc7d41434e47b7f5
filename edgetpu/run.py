"""Runs an exported file, on a CPU or on an Edge TPU.

Needs NumPy and LiteRT only, so that a Coral host can do without TensorFlow:

    runner = Runner("efficientnet-lite0_int8_edgetpu.tflite",
                    delegate="libedgetpu.so.1")
    for number, score in runner.top(image): ...
"""

from __future__ import annotations

import ctypes

import numpy as np
from ai_edge_litert.interpreter import Delegate, Interpreter, load_delegate


class Runner:
    """An int8 classifier of single images."""

    def __init__(
        self,
        model: str | bytes,
        *,
        delegate: str | None = None,
        threads: int | None = None,
    ):
        """Loads a model.

        Args:
            model: Path of a `.tflite` file, or its content.
            delegate: Shared library that runs what was compiled for the Edge
                TPU: "libedgetpu.so.1" on Linux, "libedgetpu.1.dylib" on
                macOS, "edgetpu.dll" on Windows. None runs on the CPU.
            threads: CPU threads; None leaves it to LiteRT.

        Raises:
            ValueError: The file, or the delegate, cannot be loaded, or the
                model is no uint8 classifier of one square image.
        """
        source = "model_content" if isinstance(model, bytes) else "model_path"
        try:
            delegates = [_edge_tpu(delegate)] if delegate else None
            self._interpreter = Interpreter(
                **{source: model},
                num_threads=threads,
                experimental_delegates=delegates,
            )
            self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise ValueError(_explained(str(error), delegate)) from error
        (self._input,) = self._interpreter.get_input_details()
        (self._output,) = self._interpreter.get_output_details()
        shape = [int(size) for size in self._input["shape"]]
        if (
            self._input["dtype"] != np.uint8
            or len(shape) != 4
            or shape != [1, shape[1], shape[1], 3]
        ):
            raise ValueError(
                f"the model's input is {self._input['dtype'].__name__} "
                f"{shape}, not uint8 [1, pixels, pixels, 3]"
            )
        if self._output["dtype"] != np.uint8:
            raise ValueError(
                f"the model's output is {self._output['dtype'].__name__}, "
                "not uint8"
            )
        self.pixels = shape[1]
        self._values = _input_values(*self._input["quantization"])

    def scores(self, image: np.ndarray) -> np.ndarray:
        """Runs one image.

        Args:
            image: Raw pixels, uint8 `[pixels, pixels, 3]`, prepared as for
                the training's evaluation.

        Returns:
            float32 `[classes]`, probabilities in steps of 1/256.

        Raises:
            ValueError: The image has another shape or type.
        """
        if image.dtype != np.uint8 or image.shape != (*[self.pixels] * 2, 3):
            raise ValueError(
                f"image is {image.dtype} {list(image.shape)}, "
                f"not uint8 [{self.pixels}, {self.pixels}, 3]"
            )
        self._interpreter.set_tensor(
            self._input["index"], self._values[image][np.newaxis]
        )
        self._interpreter.invoke()
        scores = self._interpreter.get_tensor(self._output["index"])[0]
        scale, zero_point = self._output["quantization"]
        real: np.ndarray = (scores.astype(np.float32) - zero_point) * scale
        return real

    def top(self, image: np.ndarray, count: int = 5) -> list[tuple[int, float]]:
        """The classes with the highest scores.

        Scores have 256 steps, so that two classes may well have the same one;
        the class with the lower number then comes first.

        Returns:
            Pairs of the class's number from 0 and its score.
        """
        scores = self.scores(image)
        order = np.argsort(-scores, kind="stable")[:count]
        return [(int(number), float(scores[number])) for number in order]


def _edge_tpu(library: str) -> Delegate:
    try:
        # LiteRT's own object breaks where the library is not there.
        ctypes.CDLL(library)
    except OSError as error:
        raise ValueError(
            f"delegate {library!r} cannot be loaded ({error}); "
            "install the Edge TPU runtime, libedgetpu"
        ) from error
    return load_delegate(library)


def _input_values(scale: float, zero_point: int) -> np.ndarray:
    """What stands for pixels 0 to 255 at the input, uint8 `[256]`.

    The identity for files of this project (1/128, 127). Google's published
    ones have other scales, for the same (pixel - 127) / 128.
    """
    x = (np.arange(256) - 127.0) / 128.0
    values: np.ndarray = np.clip(np.rint(x / scale + zero_point), 0, 255)
    return values.astype(np.uint8)


def _explained(message: str, delegate: str | None) -> str:
    if "edgetpu-custom-op" in message and delegate is None:
        return (
            "the model is compiled for the Edge TPU and does not run without "
            'one: give a delegate, on Linux "libedgetpu.so.1", or the file '
            "that was compiled"
        )
    return message
