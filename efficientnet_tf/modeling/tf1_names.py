"""What the original's checkpoints call the variables of a network.

TF1 numbers the layers of a scope in the order of their calls, so a name
follows from which layers a block has. EfficientNetV2 (google/automl) names its
variables in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import keras
import numpy as np

from efficientnet_tf.errors import InputError
from efficientnet_tf.networks import HEAD

_BLOCK_LAYER = re.compile(r"block(\d+[a-z]+)_(.+)")
_ENDS = {
    "stem_conv": "stem/conv2d",
    "stem_bn": "stem/tpu_batch_normalization",
    "top_conv": "head/conv2d",
    "top_bn": "head/tpu_batch_normalization",
    HEAD: "head/dense",
}
_SCOPES = {
    "space2depth_conv": "space2depth/conv2d",
    "space2depth_bn": "space2depth/tpu_batch_normalization",
    "routing": "dense",
    "se_reduce": "se/conv2d",
    "se_expand": "se/conv2d_1",
}
# Layers of one scope and kind, in the order of their calls.
_CONVS = ("expand_conv", "project_conv")
_NORMS = ("expand_bn", "bn", "project_bn")


@dataclass(frozen=True)
class OriginalName:
    """A variable as the original's checkpoints have it.

    Attributes:
        name: Below the model's own scope, CondConv's layers counted in their
            block: see `canonical`.
        shape: Its shape there.
        experts_first: It is `[experts, ...]` flat, where ours has the experts
            in the last axis.
    """

    name: str
    shape: tuple[int, ...]
    experts_first: bool = False

    def ours(self, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Brings the values of a checkpoint into our shape."""
        if not self.experts_first:
            return values
        experts = shape[-1]
        kernels = values.reshape(experts, *shape[:-1])
        return np.moveaxis(kernels, 0, -1)


def original_names(model: keras.Model) -> dict[str, OriginalName]:
    """The original's name of every variable, by our path of it.

    Args:
        model: What `build` made.

    Raises:
        InputError: A layer with weights is none of `build`'s.
    """
    layers = {layer.name: layer for layer in model.layers if layer.weights}
    names: dict[str, OriginalName] = {}
    for layer, scope in _layer_scopes(layers):
        for variable in layers[layer].variables:
            names[variable.path] = _original(layers[layer], scope, variable)
    strange = [w.path for w in model.weights if w.path not in names]
    if strange:
        raise InputError(
            f"{strange[0]} is no variable of a network that build() makes"
        )
    return names


def canonical(names: Iterable[str]) -> dict[str, str]:
    """Names below the model's scope, by the names in a checkpoint.

    CondConv's layers sit in a scope of their own and are counted through the
    whole network, unused ones included: here they are counted in their block.
    Names outside of the model's scope are left out.
    """
    names = list(names)
    root = _root(names)
    below = {
        name: name.removeprefix(root).removeprefix("model/")
        for name in names
        if name.startswith(root)
    }
    scopes = re.compile(r"(blocks_\d+/(?:depthwise_)?cond_conv2d)(?:_(\d+))?/")
    found = {
        (match[1], int(match[2] or 0))
        for match in map(scopes.match, below.values())
        if match
    }
    places: dict[tuple[str, int], int] = {}
    for scope, number in sorted(found):
        places[scope, number] = sum(known == scope for known, _ in places)

    def renumbered(match: re.Match[str]) -> str:
        return f"{_counted(match[1], places[match[1], int(match[2] or 0)])}/"

    return {name: scopes.sub(renumbered, rest) for name, rest in below.items()}


def _root(names: list[str]) -> str:
    """The scope of the model, with its slash."""
    first = re.compile(r"(.*/|)stem/conv2d/kernel(/ExponentialMovingAverage)?")
    for match in map(first.fullmatch, names):
        if match:
            return match[1]
    some = ", ".join(sorted(names)[:3])
    raise InputError(
        "no EfficientNet of the original: it has no tensor that ends in "
        f"stem/conv2d/kernel, but {some or 'nothing at all'}"
    )


def _layer_scopes(
    layers: dict[str, keras.Layer],
) -> Iterator[tuple[str, str]]:
    """Our layers with weights, and the original's scope of each."""
    for name, scope in _ENDS.items():
        if name in layers:
            yield name, scope
    blocks: dict[str, list[str]] = {}
    for match in map(_BLOCK_LAYER.fullmatch, layers):
        if match:
            blocks.setdefault(match[1], []).append(match[2])
    for number, (block, parts) in enumerate(blocks.items()):
        experts = "routing" in parts
        for part, scope in _block_scopes(parts, experts):
            yield f"block{block}_{part}", f"blocks_{number}/{scope}"


def _block_scopes(parts: list[str], experts: bool) -> Iterator[tuple[str, str]]:
    kind = "cond_conv2d" if experts else "conv2d"
    convs = [part for part in _CONVS if part in parts]
    norms = [part for part in _NORMS if part in parts]
    for place, part in enumerate(convs):
        yield part, _counted(kind, place)
    for place, part in enumerate(norms):
        yield part, _counted("tpu_batch_normalization", place)
    if "dwconv" in parts:
        yield "dwconv", f"depthwise_{kind}"
    for part, scope in _SCOPES.items():
        if part in parts:
            yield part, scope


def _original(
    layer: keras.Layer, scope: str, variable: keras.Variable
) -> OriginalName:
    kind, shape = variable.name, tuple(variable.shape)
    experts_first = False
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        kind = "depthwise_kernel"
        if layer.depth_multiplier > 1:
            kind, experts_first = "depthwise_condconv_kernel", True
            shape = (shape[-1], int(np.prod(shape[:-1])))
    elif "cond_conv2d" in scope:
        kind = "condconv_kernel"
    return OriginalName(f"{scope}/{kind}", shape, experts_first)


def _counted(name: str, place: int) -> str:
    return f"{name}_{place}" if place else name
