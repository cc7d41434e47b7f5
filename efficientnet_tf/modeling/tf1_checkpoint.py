"""Weights out of the original's TF1 checkpoints."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from efficientnet_tf.errors import InputError
from efficientnet_tf.modeling.load_report import AVERAGED, LoadReport
from efficientnet_tf.modeling.tf1_files import checkpoint_prefix
from efficientnet_tf.modeling.tf1_names import (
    OriginalName,
    canonical,
    original_names,
)
from efficientnet_tf.networks import variants

_HEAD = re.compile(r"head/dense/(kernel|bias)")
_KERNEL = "head/dense/kernel"
_OF_TRAINING = {
    "slot of the optimizer": re.compile(
        r".*/(RMSProp(_1)?|Momentum|Adam(_1)?|LARSOptimizer\w*)"
    ),
    "counter of training": re.compile(
        r"global_step|beta\d_power|.*/(biased|local_step)"
    ),
}
_TF2 = "_CHECKPOINTABLE_OBJECT_GRAPH"


def load_tf1_checkpoint(
    model: keras.Model, path: str, *, ema: bool = True
) -> LoadReport:
    """Gives a model the weights of a checkpoint of the original.

    Either every variable is assigned once or, where an error is raised, none
    is. A classifier for another number of classes is left as it was. The names
    are those of tensorflow/tpu `models/official/efficientnet` and, for
    EfficientNetV2, of google/automl.

    Args:
        model: What `build` made, of the network in the checkpoint.
        path: The prefix of a checkpoint, a directory, or a `.tar.gz` as
            published; local or gs://.
        ema: Whether averaged weights are taken where there are some; without,
            only the raw ones are.

    Returns:
        What each variable was given, and why tensors were not used.

    Raises:
        InputError: There is no such checkpoint, or it is of another network:
            a tensor is missing, too many, or has another shape.
    """
    with open_tf1_checkpoint(path) as checkpoint:
        return checkpoint.load(model, ema=ema)


@contextmanager
def open_tf1_checkpoint(path: str) -> Iterator[TF1Checkpoint]:
    """Opens a checkpoint of the original while the context lasts.

    Raises:
        InputError: There is no such checkpoint.
    """
    with checkpoint_prefix(path) as prefix:
        yield TF1Checkpoint(prefix, path)


class TF1Checkpoint:
    """An open checkpoint of the original.

    Attributes:
        path: Where it came from.
        shapes: The shape of every tensor, by its full name.
        below: Names below the model's scope by full ones: see `canonical`.
        tensors: The same the other way round.
    """

    def __init__(self, prefix: str, path: str):
        """Reads the names of the tensors; see `open_tf1_checkpoint`."""
        self.path = path
        try:
            self._reader: Any = tf.train.load_checkpoint(prefix)
            shapes = self._reader.get_variable_to_shape_map()
        except (tf.errors.OpError, ValueError, RuntimeError) as error:
            raise InputError(
                f"{path} is no checkpoint that can be read: {_short(error)}"
            ) from error
        self.shapes: dict[str, tuple[int, ...]] = {
            name: tuple(shape) for name, shape in sorted(shapes.items())
        }
        if _TF2 in self.shapes:
            raise InputError(
                f"{path} is a checkpoint of TensorFlow 2, not of the original; "
                "what this project has trained is taken up by --init_from"
            )
        try:
            below = canonical(
                name for name in self.shapes if not _of_training(name)
            )
        except InputError as error:
            raise InputError(f"{path} is {error}") from None
        self.below = below
        self.tensors = {short: name for name, short in below.items()}

    @property
    def classes(self) -> int:
        """How many classes its classifier has, 0 without one."""
        kernel = self.tensors.get(_KERNEL) or self.tensors.get(
            _KERNEL + AVERAGED
        )
        return self.shapes[kernel][-1] if kernel else 0

    def has_raw(self, report: LoadReport) -> bool:
        """Whether all averaged values that were used are there raw as well."""
        return all(
            name.removesuffix(AVERAGED) in self.shapes
            for name in report.assigned.values()
        )

    def load(self, model: keras.Model, *, ema: bool = True) -> LoadReport:
        """Gives a model its weights; see `load_tf1_checkpoint`."""
        plan = _Plan(self, original_names(model), ema)
        values = {
            variable.path: plan.wanted[variable.path].ours(
                self._value(plan.assigned[variable.path]),
                tuple(variable.shape),
            )
            for variable in model.weights
            if variable.path in plan.assigned
        }
        for variable in model.weights:
            if variable.path in values:
                variable.assign(values[variable.path])
        return LoadReport(self.path, plan.assigned, plan.fresh, plan.unused())

    def _value(self, name: str) -> np.ndarray:
        try:
            value: np.ndarray = self._reader.get_tensor(name)
        # IndexError is what a file that was cut short gives.
        except (
            IndexError,
            RuntimeError,
            ValueError,
            tf.errors.OpError,
        ) as error:
            raise InputError(
                f"{self.path} lacks the values of {name}: {_short(error)}"
            ) from error
        return value


class _Plan:
    """Which tensor every variable is given."""

    def __init__(
        self,
        reader: TF1Checkpoint,
        wanted: dict[str, OriginalName],
        ema: bool,
    ):
        self.wanted = wanted
        self.assigned: dict[str, str] = {}
        self.fresh: dict[str, str] = {}
        self._reader = reader
        self._wrong_head = self._other_classes()
        for path, original in wanted.items():
            if self._wrong_head and _HEAD.fullmatch(original.name):
                self.fresh[path] = self._wrong_head
            else:
                self.assigned[path] = self._tensor(path, original, ema)
        self._refuse_strangers()

    def unused(self) -> dict[str, str]:
        """Why tensors were not used."""
        taken = set(self.assigned.values())
        return {
            name: self._why_not(name)
            for name in self._reader.shapes
            if name not in taken
        }

    def _tensor(self, path: str, original: OriginalName, ema: bool) -> str:
        """The tensor of a variable, averaged if it may and can be."""
        tensors = self._reader.tensors
        averaged = tensors.get(original.name + AVERAGED)
        raw = tensors.get(original.name)
        name = (averaged or raw) if ema else raw
        if name is None:
            only = " that is not averaged; take it with ema" if averaged else ""
            raise InputError(
                f"{self._reader.path} has no {original.name} for {path}{only}"
                f"{self._of()}"
            )
        found = self._reader.shapes[name]
        if found != original.shape:
            raise InputError(
                f"{self._reader.path}: {name} is {list(found)}, but {path} "
                f"needs {list(original.shape)}{self._of()}"
            )
        return name

    def _other_classes(self) -> str:
        """Why the classifier in the checkpoint is of no use, or nothing."""
        ours = {o.name: o.shape for o in self.wanted.values()}.get(_KERNEL)
        theirs = self._reader.classes
        if ours is None:
            return "the model has no classifier"
        # One that should be there is missed by `_tensor`.
        if theirs in (0, ours[-1]):
            return ""
        reason = f"the model has {ours[-1]} classes, the checkpoint {theirs}"
        if theirs == ours[-1] + 1:
            reason += ", of which the first may be the background"
        return reason

    def _refuse_strangers(self) -> None:
        """Raises InputError for a tensor of a network that is not the model."""
        known = {original.name for original in self.wanted.values()}
        for short, name in self._reader.tensors.items():
            base = short.removesuffix(AVERAGED)
            if base not in known and not _HEAD.fullmatch(base):
                raise InputError(
                    f"{self._reader.path} is of another network: the model "
                    f"has nothing for {name}{self._of()}"
                )

    def _of(self) -> str:
        """The network that the checkpoint says it is of."""
        scope = next(iter(self._reader.tensors.values())).partition("/")[0]
        cure = f"; try --model={scope}" if scope in variants() else ""
        return f" (its tensors are named {scope}/...{cure})"

    def _why_not(self, name: str) -> str:
        reason = _of_training(name)
        if reason:
            return reason
        short = self._reader.below.get(name)
        if short is None:
            return "outside of the network's scope"
        if self._wrong_head and _HEAD.fullmatch(short.removesuffix(AVERAGED)):
            return self._wrong_head
        if short.endswith(AVERAGED):
            return "averaged, and the raw value was asked for"
        return "raw, and the averaged value was taken"


def _of_training(name: str) -> str:
    """Why a tensor is no weight, or nothing."""
    for reason, names in _OF_TRAINING.items():
        if names.fullmatch(name):
            return reason
    return ""


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
