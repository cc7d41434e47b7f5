"""Graphs drawn by hand, an operator a line."""

from __future__ import annotations

import numpy as np

from edgetpu.graph import Graph, Model, Operator, Options, Tensor


class Drawing:
    """Adds tensors and operators; a tensor is known by its place."""

    def __init__(self):
        self.tensors = []
        self.operators = []

    def tensor(self, *shape, dtype="int8", **other):
        self.tensors.append(
            Tensor(f"t{len(self.tensors)}", dtype, shape, **other)
        )
        return len(self.tensors) - 1

    def weights(self, *shape, dtype="int8", **other):
        return self.tensor(*shape, dtype=dtype, constant=True, **other)

    def values(self, values, dtype="int32"):
        array = np.asarray(values, dtype)
        return self.tensor(
            *array.shape, dtype=dtype, constant=True, data=array.tobytes()
        )

    def operator(self, name, inputs, outputs, *, version=1, **options):
        self.operators.append(
            Operator(
                name,
                version,
                tuple(inputs),
                tuple(outputs),
                Options(**options),
                # TensorFlow Lite's own are written in capitals.
                custom=name != name.upper(),
            )
        )
        return outputs[0]

    def graph(self, inputs=(0,), outputs=()):
        last = self.operators[-1].outputs
        return Graph(
            tuple(self.operators),
            tuple(self.tensors),
            tuple(inputs),
            tuple(outputs) or last,
        )

    def model(self):
        return Model((self.graph(),), "drawn", 3, {}, 0)


def one(name, inputs, outputs, **options):
    """A model of one operator.

    Inputs are shapes, arrays of int32 constants, or dictionaries of a shape
    and what `Drawing.tensor` takes; outputs are shapes or such dictionaries.
    """
    draw = Drawing()

    def place(given):
        if isinstance(given, dict):
            given = dict(given)
            return draw.tensor(*given.pop("shape"), **given)
        if isinstance(given, np.ndarray):
            return draw.values(given)
        return draw.tensor(*given)

    taken = [place(given) for given in inputs]
    given = [place(each) for each in outputs]
    draw.operator(name, taken, given, **options)
    return draw.model()


def constant(*shape, dtype="int8", **other):
    return {"shape": shape, "dtype": dtype, "constant": True, **other}
