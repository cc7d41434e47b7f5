"""Checkpoints of a run: the newest few, and the best one."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress

import keras
import numpy as np
import tensorflow as tf

from efficientnet_tf.errors import RunError
from efficientnet_tf.files import write_text
from efficientnet_tf.training.config import Which
from efficientnet_tf.training.model_dir import ModelDir
from efficientnet_tf.training.state import TrainState, by_path

REASON_CHARACTERS = 200
# What the files of a checkpoint that cannot be read are renamed to.
DAMAGED = "damaged-"

_SAVED = re.compile(r"step-\d+\.")
# What TensorFlow has begun: a checkpoint, or the file that names the newest.
_LEFTOVER = re.compile(r"step-\d+(\..*)?_temp|checkpoint\.tmp[0-9a-f]{32}")
# What TensorFlow says of itself around a reason.
_OPERATOR = re.compile(r"\{\{.*?\}\}|\[Op:\w+\]")
_READ_BYTES = 2**24


class Checkpoints:
    """Saves a training while it goes on, and brings it back.

    A checkpoint counts from the moment when TensorFlow's state file names it;
    that file is replaced in one go, so a process that dies while saving leaves
    the checkpoint before. All are written by one thread, one after the other,
    from copies on the host. (TensorFlow's own asynchronous saving has no such
    end: after a failed write `Checkpoint.sync` returns as if all were well.)
    """

    def __init__(
        self,
        model_dir: ModelDir,
        state: TrainState,
        keep: int,
        *,
        writes: bool = True,
    ):
        """Binds a training to its folders.

        Args:
            model_dir: Where the checkpoints are.
            state: What is saved and restored.
            keep: How many of the newest ones are kept.
            writes: Whether this process saves; of several hosts that train
                the same weights, one does.

        Raises:
            RunError: The file that names the newest checkpoint is empty.
        """
        self._state = state
        self._keep = keep
        self._best_top1 = tf.Variable(-1.0, trainable=False)
        variables = {**state.variables(), "best_top1": self._best_top1}
        self._contents = tf.train.Checkpoint(**variables)
        self._variables: list[tf.Variable] = tf.nest.flatten(variables)
        with tf.device("CPU:0"):
            copies = tf.nest.map_structure(_blank, variables)
        self._copies: list[tf.Variable] = tf.nest.flatten(copies)
        self._written = tf.train.Checkpoint(**copies)
        self._folder = model_dir.checkpoints
        self._saved: int | None = None
        self._managers: dict[Which, tf.train.CheckpointManager] = {}
        if writes:
            self._managers = {
                "last": _manager(self._written, self._folder, keep),
                "best": _manager(self._written, model_dir.best, 1),
            }
        self._writer = ThreadPoolExecutor(1, "checkpoints")
        self._writing: dict[Which, Future[None]] = {}

    def restore(self) -> bool:
        """Brings the last checkpoint back; returns whether there is one.

        Whatever is read has its checksum compared. Where the last one is
        damaged, the one before is taken and a line on stderr says so; the
        files of the damaged one are kept as `damaged-step-N`.

        Raises:
            RunError: None can be read, or they do not hold this network.
        """
        manager = self._managers.get("last")
        if manager is None or not manager.checkpoints:
            # An error where there are some that nothing names.
            path = latest(self._folder)
            if path is not None:
                restore(self._contents, path)
                self._saved = _number(path)
            return path is not None
        damaged: dict[str, str] = {}
        for path in reversed(manager.checkpoints):
            try:
                restore(self._contents, path)
            except RunError as error:
                _check_reachable(path)
                damaged[path] = str(error)
                continue
            if damaged:
                print(
                    f"{'; '.join(damaged.values())}; going on from {path} "
                    f"(what is damaged is kept as {DAMAGED}step-*)",
                    file=sys.stderr,
                )
                _set_aside(manager.directory, list(damaged))
                self._managers["last"] = _manager(
                    self._written, manager.directory, self._keep
                )
            self._saved = _number(path)
            return True
        raise RunError("; ".join(damaged.values()))

    @property
    def saved(self) -> int | None:
        """Step of the newest checkpoint that is on disk; None for none.

        Where another host writes, the newest that it was to write.
        """
        return self._saved

    def save(self) -> None:
        """Saves the training as it is now; the files are written meanwhile.

        Raises:
            RunError: An earlier one could not be written.
        """
        self._save("last")

    def save_if_best(self, top1: float) -> None:
        """Saves the training beside the newest ones if none was better.

        Raises:
            RunError: An earlier one could not be written.
        """
        # In the variable's own precision, so that equal figures are equal.
        if np.float32(top1) >= self._best_top1.numpy():
            self._best_top1.assign(top1)
            self._save("best")

    def wait(self) -> None:
        """Returns when all that was saved is on disk.

        Raises:
            RunError: Some of it could not be written.
        """
        for which in tuple(self._writing):
            self._writing.pop(which).result()

    def close(self) -> None:
        """Lets what is being written come to its end, however it ends."""
        self._writer.shutdown()

    def _save(self, which: Which) -> None:
        if not self._managers:
            # The host that writes does so at the same step.
            if which == "last":
                self._saved = int(self._state.step.numpy())
            return
        for other, future in tuple(self._writing.items()):
            if other == which or future.done():
                del self._writing[other]
                future.result()
        self._writing[which] = self._writer.submit(
            self._write,
            which,
            int(self._state.step.numpy()),
            [variable.numpy() for variable in self._variables],
            list(self._writing.values()),
        )

    def _write(
        self,
        which: Which,
        step: int,
        values: list[np.ndarray],
        earlier: list[Future[None]],
    ) -> None:
        """Writes a checkpoint, unless those before it failed.

        So no checkpoint speaks of a best one that is not there.
        """
        for future in earlier:
            future.result()
        manager = self._managers[which]
        # What is named already is whole, and must be at every moment: a step
        # that was done again has given the same.
        if any(_number(path) == step for path in manager.checkpoints):
            return
        with _write_errors(f"{manager.directory}/step-{step}"):
            for copy, value in zip(self._copies, values, strict=True):
                copy.assign(value)
            manager.save(checkpoint_number=step)
        if which == "last":
            self._saved = step


def save_weights(
    model_dir: ModelDir, *, averaged: keras.Model, raw: keras.Model
) -> None:
    """Saves two models of one network as a checkpoint of step 0.

    It can be evaluated and started from, but not trained on: it has no
    optimizer.

    Raises:
        RunError: It cannot be written.
    """
    contents = tf.train.Checkpoint(
        averaged=by_path(averaged),
        model=by_path(raw),
        progress={"step": tf.Variable(0, dtype=tf.int64)},
    )
    manager = _manager(contents, model_dir.checkpoints, keep=1)
    with _write_errors(f"{manager.directory}/step-0"):
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
        status = contents.restore(path).expect_partial()
        status.assert_existing_objects_matched()
    # IndexError is what a file that was cut short gives.
    except (
        AssertionError,
        IndexError,
        ValueError,
        tf.errors.OpError,
    ) as error:
        raise RunError(
            f"{path} cannot be restored: {_reason(error)}"
        ) from error


def _number(path: str) -> int:
    """The step in a checkpoint's name."""
    return int(path.rpartition("-")[2])


def _blank(variable: tf.Variable) -> tf.Variable:
    """A variable of the same kind, for values of one that is being trained."""
    zeros = tf.zeros(variable.shape, variable.dtype)
    return tf.Variable(zeros, trainable=False)


def _manager(
    contents: tf.train.Checkpoint, folder: str, keep: int
) -> tf.train.CheckpointManager:
    _remove_leftovers(folder)
    try:
        return tf.train.CheckpointManager(
            contents, folder, max_to_keep=keep, checkpoint_name="step"
        )
    except ValueError as error:
        raise RunError(
            f'{folder} has a file "checkpoint" that names none'
        ) from error


def _remove_leftovers(folder: str) -> None:
    """Removes what a process that was killed while saving has left."""
    names = tf.io.gfile.listdir(folder) if tf.io.gfile.isdir(folder) else []
    for name in (name.rstrip("/") for name in names):
        path = f"{folder}/{name}"
        if _LEFTOVER.fullmatch(name) and tf.io.gfile.isdir(path):
            tf.io.gfile.rmtree(path)
        elif _LEFTOVER.fullmatch(name):
            tf.io.gfile.remove(path)


@contextmanager
def _write_errors(path: str) -> Iterator[None]:
    """Turns an error of writing a checkpoint into a RunError."""
    try:
        yield
    except tf.errors.OpError as error:
        # Where a disk is full, the half of a checkpoint is in the way.
        with suppress(tf.errors.OpError):
            folder = path.rpartition("/")[0]
            _remove_leftovers(folder)
            state = tf.train.get_checkpoint_state(folder)
            if not state or path not in state.all_model_checkpoint_paths:
                for file in tf.io.gfile.glob(f"{path}.*"):
                    tf.io.gfile.remove(file)
        raise RunError(
            f"{path} cannot be saved: {_reason(error)}; the checkpoints "
            "before it are whole, and the same command goes on from them"
        ) from error


def _check_reachable(path: str) -> None:
    """Raises RunError where it is not the checkpoint that is at fault.

    A disk or a bucket that does not answer is no reason to give up a
    checkpoint: its files are asked for as mere bytes.
    """
    try:
        for file in tf.io.gfile.glob(f"{path}.*"):
            with tf.io.gfile.GFile(file, "rb") as content:
                while content.read(_READ_BYTES):
                    pass
    except tf.errors.OpError as error:
        raise RunError(f"{path} cannot be read: {_reason(error)}") from error


def _set_aside(folder: str, paths: list[str]) -> None:
    """Takes checkpoints out of the state file, then renames their files."""
    state = tf.train.get_checkpoint_state(folder)
    kept = [
        (path.rpartition("/")[2], timestamp)
        for path, timestamp in zip(
            state.all_model_checkpoint_paths,
            state.all_model_checkpoint_timestamps,
            strict=True,
        )
        if path not in paths
    ]
    state.model_checkpoint_path = kept[-1][0]
    state.all_model_checkpoint_paths[:] = [name for name, _ in kept]
    state.all_model_checkpoint_timestamps[:] = [when for _, when in kept]
    write_text(f"{folder}/checkpoint", str(state))
    for path in paths:
        for file in tf.io.gfile.glob(f"{path}.*"):
            name = file.rpartition("/")[2]
            tf.io.gfile.rename(
                file, f"{folder}/{DAMAGED}{name}", overwrite=True
            )


def _reason(error: Exception) -> str:
    """What went wrong, in a line.

    TensorFlow's message goes on with the values of the variables.
    """
    words = _OPERATOR.sub("", str(error)).split()
    return " ".join(words)[:REASON_CHARACTERS]
