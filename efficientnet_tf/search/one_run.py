"""A training in a process of its own. Nothing is imported before it begins."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Collection

from efficientnet_tf.training.config import Config

# Exit codes beside those of errors: somebody else is at it.
TAKEN = 10
_CLAIM = "claim"


def train_here(
    config: Config, folder: str, log: str, cores: Collection[int]
) -> None:
    """Trains, or goes on; ends the process.

    The exit code is 0 where `result.json` is there, `TAKEN` where another
    process has claimed the folder, else that of the error. What is said goes
    to the log.

    Args:
        config: The run.
        folder: Of the run and of its claim; there already.
        log: A local file that grows.
        cores: The cores to use; all, where none are named.
    """
    from efficientnet_tf.command_line import choose_kernels, run
    from efficientnet_tf.tpu.processes import end_with_parent

    end_with_parent()
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(descriptor, stream.fileno())
    if cores:
        # Before TensorFlow counts them.
        os.sched_setaffinity(0, cores)
    choose_kernels(config.network().pixels)
    try:
        code = run("scale", lambda: _train(config, folder))
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of a library must not keep it.
    os._exit(code)


def run_folder(folder: str) -> str:
    """Where the run of a folder leaves things."""
    return os.path.join(folder, "run")


def _train(config: Config, folder: str) -> None:
    import tensorflow as tf

    from efficientnet_tf.training.lease import InUse, hold
    from efficientnet_tf.training.loop import train
    from efficientnet_tf.training.model_dir import ModelDir

    claim = os.path.join(folder, _CLAIM)
    tf.io.gfile.makedirs(claim)
    try:
        with hold(claim):
            if ModelDir(run_folder(folder)).result() is None:
                train(config, run_folder(folder))
    except InUse:
        os._exit(TAKEN)
