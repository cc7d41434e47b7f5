"""Classifies single images."""

from __future__ import annotations

import numpy as np

from .interpreters import open_interpreter

# What the project's files, and Google's EfficientNets, expect of pixels.
MEAN, STD = 127.0, 128.0

_WHOLE = (np.uint8, np.int8)


class Runner:
    """A classifier of single images.

    Attributes:
        interpreter: LiteRT's, with the model loaded.
        pixels: Side of an image.
        classes: Number of scores.
    """

    def __init__(
        self,
        model: str | bytes,
        *,
        delegate: str | None = None,
        threads: int | None = None,
        mean: float = MEAN,
        std: float = STD,
    ):
        """Loads a model.

        Args:
            model: Path of a `.tflite` file, or its content.
            delegate: Shared library that runs what was compiled for the Edge
                TPU: "libedgetpu.so.1" on Linux, "libedgetpu.1.dylib" on
                macOS, "edgetpu.dll" on Windows. None takes that where the
                file is compiled, and the CPU where it is not.
            threads: CPU threads; None leaves it to LiteRT.
            mean: The model was trained on (pixel - mean) / std: what its
                input stands for, be it of float or of whole numbers.
            std: See `mean`.

        Raises:
            LoadError: The file, or the delegate, cannot be loaded.
            ValueError: The model is no classifier of one square image.
        """
        interpreter = open_interpreter(
            model, delegate=delegate, threads=threads
        )
        inputs = interpreter.get_input_details()
        outputs = interpreter.get_output_details()
        if len(inputs) != 1 or len(outputs) != 1:
            raise ValueError(
                f"the model has {len(inputs)} inputs and {len(outputs)} "
                "outputs, not one of each as a classifier"
            )
        (self._input,), (self._output,) = inputs, outputs
        shape = [int(size) for size in self._input["shape"]]
        if len(shape) != 4 or shape != [1, shape[1], shape[1], 3]:
            raise ValueError(
                f"the model's input is {shape}, not [1, pixels, pixels, 3]"
            )
        for port in (self._input, self._output):
            if port["dtype"] not in (*_WHOLE, np.float32):
                raise ValueError(
                    f"{port['name']} is {port['dtype'].__name__}, not uint8, "
                    "int8 or float32"
                )
        self.interpreter = interpreter
        self.pixels = shape[1]
        self.classes = int(np.prod(self._output["shape"]))
        self._values = input_values(self._input, mean, std)

    def scores(self, image: np.ndarray) -> np.ndarray:
        """Runs one image.

        Args:
            image: Raw pixels, uint8 `[pixels, pixels, 3]`, prepared as for
                the training's evaluation.

        Returns:
            float32 `[classes]`: of a quantised model with a softmax,
            probabilities in steps of 1/256.

        Raises:
            ValueError: The image has another shape or type.
        """
        if image.dtype != np.uint8 or image.shape != (*[self.pixels] * 2, 3):
            raise ValueError(
                f"image is {image.dtype} {list(image.shape)}, "
                f"not uint8 [{self.pixels}, {self.pixels}, 3]"
            )
        self.interpreter.set_tensor(
            self._input["index"], self._values[image][np.newaxis]
        )
        self.interpreter.invoke()
        given = self.interpreter.get_tensor(self._output["index"]).reshape(-1)
        if self._output["dtype"] not in _WHOLE:
            return np.asarray(given, np.float32)
        scale, zero_point = self._output["quantization"]
        real: np.ndarray = (given.astype(np.float32) - zero_point) * scale
        return real.astype(np.float32)

    def top(self, image: np.ndarray, count: int = 5) -> list[tuple[int, float]]:
        """The classes with the highest scores.

        Scores of a quantised model have 256 steps, so that two classes may
        well have the same one; the class with the lower number then comes
        first.

        Returns:
            Pairs of the class's number from 0 and its score.
        """
        scores = self.scores(image)
        order = np.argsort(-scores, kind="stable")[:count]
        return [(int(number), float(scores[number])) for number in order]


def input_values(
    taken: dict, mean: float = MEAN, std: float = STD
) -> np.ndarray:
    """What stands for pixels 0 to 255 at an input, `[256]` of its type.

    For uint8 files of this project (1/128, 127) it is the identity. Google's
    published ones have other scales, for the same (pixel - 127) / 128.
    """
    x = (np.arange(256) - mean) / std
    dtype = taken["dtype"]
    if dtype not in _WHOLE:
        return x.astype(dtype)
    scale, zero_point = taken["quantization"]
    if not scale:
        # Whole numbers that stand for themselves: the model has its own way.
        return np.arange(256).clip(0, np.iinfo(dtype).max).astype(dtype)
    limits = np.iinfo(dtype)
    values: np.ndarray = np.rint(x / scale + zero_point)
    return values.clip(limits.min, limits.max).astype(dtype)
