"""Checkpoints of a run: the newest few, and the best one."""

from __future__ import annotations

import re

import keras
import tensorflow as tf

from efficientnet_tf.errors import RunError
from efficientnet_tf.training.config import Which
from efficientnet_tf.training.model_dir import ModelDir
from efficientnet_tf.training.state import TrainState, by_path

REASON_CHARACTERS = 200

_SAVED = re.compile(r"step-\d+\.")
_LEFTOVER = re.compile(r"step-\d+(\..*)?_temp")


class Checkpoints:
    """Saves a training and brings it back.

    A checkpoint counts from the moment when TensorFlow's state file names it;
    that file is replaced in one go, so a process that dies while saving leaves
    the checkpoint before.
    """

    def __init__(self, model_dir: ModelDir, state: TrainState, keep: int):
        """Binds a training to its folders.

        Args:
            model_dir: Where the checkpoints are.
            state: What is saved and restored.
            keep: How many of the newest ones are kept.
        """
        self._state = state
        self._best_top1 = tf.Variable(-1.0, trainable=False)
        contents = tf.train.Checkpoint(
            **state.variables(), best_top1=self._best_top1
        )
        self._managers: dict[Which, tf.train.CheckpointManager] = {
            "last": _manager(contents, model_dir.checkpoints, keep),
            "best": _manager(contents, model_dir.best, 1),
        }
        self._contents = contents

    def restore(self) -> bool:
        """Brings the last checkpoint back; returns whether there is one.

        Raises:
            RunError: It does not hold this network.
        """
        path = latest(self._managers["last"].directory)
        if path is None:
            return False
        restore(self._contents, path)
        return True

    def save(self) -> None:
        """Saves the training at its present step."""
        self._managers["last"].save(checkpoint_number=self._step())

    def save_if_best(self, top1: float) -> None:
        """Saves the training beside the newest ones if none was better."""
        if top1 >= float(self._best_top1.numpy()):
            self._best_top1.assign(top1)
            self._managers["best"].save(checkpoint_number=self._step())

    def _step(self) -> int:
        return int(self._state.step.numpy())


def save_weights(
    model_dir: ModelDir, *, averaged: keras.Model, raw: keras.Model
) -> None:
    """Saves two models of one network as a checkpoint of step 0.

    It can be evaluated and started from, but not trained on: it has no
    optimizer.
    """
    contents = tf.train.Checkpoint(
        averaged=by_path(averaged),
        model=by_path(raw),
        progress={"step": tf.Variable(0, dtype=tf.int64)},
    )
    manager = _manager(contents, model_dir.checkpoints, keep=1)
    manager.save(checkpoint_number=0)


def latest(folder: str) -> str | None:
    """The newest checkpoint in a folder, None where there is none.

    Raises:
        RunError: There are checkpoints, and the file that names the newest
            one cannot be read.
    """
    path: str | None = tf.train.latest_checkpoint(folder)
    if path is None and tf.io.gfile.isdir(folder):
        saved = [n for n in tf.io.gfile.listdir(folder) if _SAVED.match(n)]
        if saved:
            raise RunError(
                f"{folder} holds {sorted(saved)[-1]}, but its file "
                '"checkpoint" does not name it, or a part of it is missing'
            )
    return path


def restore(contents: tf.train.Checkpoint, path: str) -> None:
    """Brings variables back, all that `contents` names.

    Raises:
        RunError: The checkpoint has not all of them, in the same shapes, or
            cannot be read.
    """
    try:
        status = contents.restore(path)
        status.assert_existing_objects_matched().expect_partial()
    # IndexError is what a file that was cut short gives.
    except (
        AssertionError,
        IndexError,
        ValueError,
        tf.errors.OpError,
    ) as error:
        # TensorFlow's message goes on with the values of the variables.
        reason = " ".join(str(error).split())[:REASON_CHARACTERS]
        raise RunError(f"{path} cannot be restored: {reason}") from error


def _manager(
    contents: tf.train.Checkpoint, folder: str, keep: int
) -> tf.train.CheckpointManager:
    names = tf.io.gfile.listdir(folder) if tf.io.gfile.isdir(folder) else []
    for name in (name.rstrip("/") for name in names):
        # What a process that was killed while saving has left.
        if _LEFTOVER.fullmatch(name):
            tf.io.gfile.rmtree(f"{folder}/{name}")
    return tf.train.CheckpointManager(
        contents, folder, max_to_keep=keep, checkpoint_name="step"
    )
