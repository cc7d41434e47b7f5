"""A network as its int8 file would be, without TensorFlow.

A walk over the resolved network that gives the graph which `quantize` makes
of it, but for values: so forecasts of whole families take no time.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgetpu.graph import Graph, Model, Operator, Options, Tensor
from efficientnet_tf.errors import InputError, near
from efficientnet_tf.networks import (
    Activation,
    Block,
    Network,
    network,
    variants,
)
from efficientnet_tf.networks.families import CENTERED
from efficientnet_tf.networks.stages import Padding
from efficientnet_tf.networks.variant_files import SUFFIX
from efficientnet_tf.training.text_files import load_variant

# As TensorFlow's converter writes int8 operators since 2.3.
_VERSIONS = {
    "ADD": 2,
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "FULLY_CONNECTED": 4,
    "LOGISTIC": 2,
    "MAX_POOL_2D": 2,
    "MEAN": 2,
    "MUL": 2,
    "PAD": 2,
    "QUANTIZE": 1,
    "RESHAPE": 1,
    "SOFTMAX": 2,
}
_FUSED: dict[Activation, str] = {"relu": "RELU", "relu6": "RELU6"}


def blueprint(resolved: Network, *, late_stride: bool = False) -> Model:
    """Draws a network.

    Args:
        resolved: With classes.
        late_stride: Whether fused blocks that would pad symmetrically have
            their stride on the projection instead, as the files have that
            Google published in 2019. It computes the same with more work.

    Returns:
        A model whose weights have shapes and no values; uint8 pixels in,
        uint8 scores out.

    Raises:
        InputError: The network has no classes, or mixes its kernels anew for
            each image, which the Edge TPU cannot.
    """
    if not resolved.classes:
        raise InputError(f"{resolved.name} has no classes; give it some")
    if any(block.experts for block in resolved.blocks):
        raise InputError(
            f"{resolved.name} mixes its kernels for each image; the Edge TPU "
            "takes constant ones only: use efficientnet-lite0 to lite4 or "
            "efficientnet-edgetpu-S, M, L"
        )
    draw = Drawing(late_stride)
    side = resolved.pixels
    pixels = draw.tensor((1, side, side, 3), "uint8")
    x = draw.same("QUANTIZE", pixels)
    if resolved.normalization != CENTERED:
        x = draw.depthwise(x, 1, 1)
    x = draw.padded(
        x,
        resolved.stem,
        resolved.stem_kernel,
        2,
        resolved.activation,
        resolved.stem_padding,
    )
    if resolved.stem_pool:
        x = draw.max_pool(x, 3, resolved.stem_padding)
    for block in resolved.blocks:
        x = draw.block(x, block)
    if resolved.head:
        x = draw.conv(x, resolved.head, 1, 1, resolved.activation)
    x = draw.mean(x, keep_dims=False)
    x = draw.dense(x, resolved.classes)
    x = draw.same("SOFTMAX", x)
    scores = draw.same("QUANTIZE", x, dtype="uint8")
    graph = Graph(
        tuple(draw.operators), tuple(draw.tensors), (pixels,), (scores,)
    )
    return Model((graph,), f"{resolved.name}, drawn", 3, {}, 0)


def open_or_draw(word: str) -> Model:
    """Reads a file, or draws the network of that name.

    Args:
        word: Path of a `.tflite` file, one of `variants()`, or the path of a
            variant file, which ends in .json.

    Raises:
        InputError: It is neither.
        GraphError: The file holds something else.
    """
    if word.endswith(SUFFIX):
        return blueprint(network(load_variant(word)))
    if Path(word).exists():
        # It needs LiteRT, and a drawing does not.
        from edgetpu.reader import open_model

        return open_model(word)
    if word.endswith(".tflite"):
        raise InputError(
            f"{word} cannot be read: there is no such file; give a .tflite "
            "file, or the name of a network"
        )
    if word not in variants():
        raise InputError(
            f"{word} cannot be read: there is no such file, and no such "
            f"network: {near(word, variants())}"
        )
    return blueprint(network(word))


class Drawing:
    """A graph in the making; values are places of tensors.

    Attributes:
        late_stride: See `blueprint`.
        tensors: Those so far.
        operators: Those so far.
    """

    def __init__(self, late_stride: bool = False):
        self.late_stride = late_stride
        self.tensors: list[Tensor] = []
        self.operators: list[Operator] = []

    def tensor(self, shape: tuple[int, ...], dtype: str = "int8") -> int:
        """Adds an input, or what an operator is to give."""
        return self._add(Tensor(f"{len(self.tensors)}", dtype, shape))

    def block(self, x: int, block: Block) -> int:
        """Adds a block."""
        if block.kind == "bottleneck":
            return self._bottleneck(x, block)
        inputs = x
        stride, activation = 1, block.activation
        if block.space_to_depth:
            x = self.conv(x, 4 * block.inputs, 2, 2, activation)
        if block.kind == "fused":
            x, stride = self._fused(x, block)
        else:
            if block.expands:
                x = self.conv(x, block.expanded, 1, 1, activation)
            x, padding = self._padding(x, block.kernel, block.padding)
            x = self.depthwise(
                x, block.kernel, block.stride, activation, padding
            )
        if block.squeeze:
            x = self._excite(x, block)
        if block.projects:
            last = activation if block.kind == "separable" else None
            x = self.conv(x, block.outputs, 1, stride, last)
        return self.pair("ADD", x, inputs) if block.residual else x

    def padded(
        self,
        x: int,
        channels: int,
        kernel: int,
        stride: int,
        activation: Activation,
        padding: Padding,
    ) -> int:
        """Adds a convolution behind the zeros that it may need."""
        x, way = self._padding(x, kernel, padding)
        return self.conv(x, channels, kernel, stride, activation, way)

    def conv(
        self,
        x: int,
        channels: int,
        kernel: int,
        stride: int,
        activation: Activation | None = None,
        padding: str = "SAME",
    ) -> int:
        """Adds a convolution and its activation."""
        shape = (channels, kernel, kernel, self._channels(x))
        return self._filter(
            "CONV_2D", x, shape, channels, stride, activation, padding
        )

    def depthwise(
        self,
        x: int,
        kernel: int,
        stride: int,
        activation: Activation | None = None,
        padding: str = "SAME",
    ) -> int:
        """Adds a depthwise convolution and its activation."""
        channels = self._channels(x)
        shape = (1, kernel, kernel, channels)
        return self._filter(
            "DEPTHWISE_CONV_2D",
            x,
            shape,
            channels,
            stride,
            activation,
            padding,
        )

    def dense(self, x: int, classes: int) -> int:
        """Adds a dense layer."""
        weights = self._constant((classes, self._channels(x)))
        bias = self._constant((classes,), "int32")
        y = self.tensor((1, classes))
        return self._operate("FULLY_CONNECTED", (x, weights, bias), y)

    def mean(self, x: int, *, keep_dims: bool) -> int:
        """Adds a mean over height and width."""
        channels = self._channels(x)
        axes = self._values([1, 2])
        y = self.tensor((1, 1, 1, channels) if keep_dims else (1, channels))
        return self._operate("MEAN", (x, axes), y, Options(keep_dims=keep_dims))

    def max_pool(self, x: int, window: int, padding: Padding) -> int:
        """Adds a max pooling of stride 2."""
        x, way = self._padding(x, window, padding)
        *_, channels = self.tensors[x].shape
        y = self.tensor((1, *self._sides(x, window, 2, way), channels))
        options = Options(padding=way, stride=(2, 2), window=(window, window))
        return self._operate("MAX_POOL_2D", (x,), y, options)

    def flatten(self, x: int) -> int:
        """Adds a reshape to one dimension."""
        y = self.tensor((1, self.tensors[x].elements))
        return self._operate("RESHAPE", (x,), y)

    def same(self, name: str, x: int, dtype: str = "int8") -> int:
        """An operator that keeps the shape."""
        y = self.tensor(self.tensors[x].shape, dtype)
        return self._operate(name, (x,), y)

    def pair(
        self,
        name: str,
        left: int,
        right: int,
        activation: Activation | None = None,
    ) -> int:
        """An operator on two tensors, the left of which is not smaller."""
        y = self.tensor(self.tensors[left].shape)
        # A product has none.
        fused = activation and _FUSED.get(activation)
        options = Options(activation=fused) if fused else Options()
        y = self._operate(name, (left, right), y, options)
        return self._swish(y) if activation == "swish" else y

    def _bottleneck(self, x: int, block: Block) -> int:
        inputs, activation = x, block.activation
        first, then = block.stride, 1
        if not block.stride_first:
            first, then = then, first
        if block.shortcut:
            inputs = self.conv(x, block.outputs, 1, block.stride)
        x = self.conv(x, block.expanded, 1, first, activation)
        x = self.padded(
            x, block.expanded, block.kernel, then, activation, block.padding
        )
        if not block.residual:
            return self.conv(x, block.outputs, 1, 1, activation)
        x = self.conv(x, block.outputs, 1, 1)
        return self.pair("ADD", x, inputs, activation)

    def _fused(self, x: int, block: Block) -> tuple[int, int]:
        """The full convolution, and the stride that is left to do."""
        channels = block.expanded if block.expands else block.outputs
        stride, later, padding = block.stride, 1, "SAME"
        if block.padding == "symmetric" and self.late_stride:
            stride, later = 1, block.stride
        else:
            x, padding = self._padding(x, block.kernel, block.padding)
        x = self.conv(
            x, channels, block.kernel, stride, block.activation, padding
        )
        return x, later

    def _excite(self, x: int, block: Block) -> int:
        gate = self.mean(x, keep_dims=True)
        gate = self.conv(gate, block.squeeze, 1, 1, block.activation)
        gate = self.conv(gate, self._channels(x), 1, 1)
        return self.pair("MUL", x, self.same("LOGISTIC", gate))

    def _padding(
        self, x: int, kernel: int, padding: Padding
    ) -> tuple[int, str]:
        """Zeros of one's own, and what is left to an operator."""
        if padding == "same":
            return x, "SAME"
        return self._pad(x, kernel // 2), "VALID"

    def _pad(self, x: int, amount: int) -> int:
        _, height, width, channels = self.tensors[x].shape
        paddings = self._values(
            [[0, 0], [amount, amount], [amount, amount], [0, 0]]
        )
        grown = (1, height + 2 * amount, width + 2 * amount, channels)
        return self._operate("PAD", (x, paddings), self.tensor(grown))

    def _filter(
        self,
        name: str,
        x: int,
        shape: tuple[int, ...],
        channels: int,
        stride: int,
        activation: Activation | None,
        padding: str,
    ) -> int:
        sides = self._sides(x, shape[1], stride, padding)
        weights = self._constant(shape)
        bias = self._constant((channels,), "int32")
        options = Options(
            activation=_FUSED.get(activation, "NONE") if activation else "NONE",
            padding=padding,
            stride=(stride, stride),
            dilation=(1, 1),
        )
        y = self.tensor((1, *sides, channels))
        y = self._operate(name, (x, weights, bias), y, options)
        return self._swish(y) if activation == "swish" else y

    def _swish(self, x: int) -> int:
        return self.pair("MUL", x, self.same("LOGISTIC", x))

    def _sides(
        self, x: int, kernel: int, stride: int, padding: str
    ) -> tuple[int, ...]:
        """Height and width of what a window gives."""
        _, height, width, _ = self.tensors[x].shape
        lost = kernel - 1 if padding == "VALID" else 0
        return tuple(-(-(side - lost) // stride) for side in (height, width))

    def _channels(self, x: int) -> int:
        return self.tensors[x].shape[-1]

    def _constant(self, shape: tuple[int, ...], dtype: str = "int8") -> int:
        name = f"{len(self.tensors)}"
        return self._add(Tensor(name, dtype, shape, constant=True))

    def _values(self, values: list[int] | list[list[int]]) -> int:
        array = np.asarray(values, "<i4")
        return self._add(
            Tensor(
                f"{len(self.tensors)}",
                "int32",
                array.shape,
                constant=True,
                data=array.tobytes(),
            )
        )

    def _add(self, tensor: Tensor) -> int:
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def _operate(
        self,
        name: str,
        inputs: tuple[int, ...],
        output: int,
        options: Options = Options(),  # noqa: B008
    ) -> int:
        self.operators.append(
            Operator(name, _VERSIONS[name], inputs, (output,), options)
        )
        return output
