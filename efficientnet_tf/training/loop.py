"""The training of a network, from a config to final figures."""

from __future__ import annotations

import math
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from efficientnet_tf.errors import InputError, RunError
from efficientnet_tf.networks import totals
from efficientnet_tf.progress import progress
from efficientnet_tf.training.batches import training_batches
from efficientnet_tf.training.checkpoints import Checkpoints
from efficientnet_tf.training.config import Config
from efficientnet_tf.training.evaluation import Evaluator, Scores, figures
from efficientnet_tf.training.failures import device_errors
from efficientnet_tf.training.initial import check_source, load_initial
from efficientnet_tf.training.model_dir import Metrics, ModelDir, mean_pace
from efficientnet_tf.training.plan import Plan, plan
from efficientnet_tf.training.run import Run, open_run
from efficientnet_tf.training.schedules import learning_rate
from efficientnet_tf.training.state import TrainState, create_state
from efficientnet_tf.training.step import make_train_call
from efficientnet_tf.training.strategy import (
    check_batch,
    describe_devices,
    make_strategy,
    policy,
)


def train(
    config: Config,
    model_dir: str = "",
    *,
    strategy: tf.distribute.Strategy | None = None,
) -> dict[str, Any]:
    """Trains a network, or goes on where a run of the same config stopped.

    Args:
        config: The experiment.
        model_dir: Where everything is left, local or gs://; empty for a
            folder under `runs/`, named by model and data.
        strategy: The devices; None for all GPUs, else the CPU.

    Returns:
        The final figures, as in `result.json`: `top1` and `top5` are those of
        the averaged weights.

    Raises:
        InputError: The config does not fit the data, the devices, the weights
            to start from or the run that the directory holds.
        RunError: Training diverged, or records are missing or too many.
    """
    strategy = strategy or make_strategy("")
    check_batch(config.train.batch, strategy)
    if model_dir and ModelDir(model_dir).imported():
        raise InputError(
            f"{model_dir} holds imported weights; to train them further, "
            f"--init_from={model_dir} and another --model_dir"
        )
    run = open_run(config, model_dir)
    if run.model_dir.config() is None:
        check_source(run)
    run.model_dir.claim(run.config, run.dataset.labels)
    with run.model_dir.held():
        finished = run.model_dir.result()
        if finished:
            return {**finished, "model_dir": run.model_dir.path}
        training = _Training(run, strategy)
        training.resume()
        training.finish_steps()
        result = training.result()
        run.model_dir.write_result(result)
    return result


@dataclass
class _Pace:
    """What training did since the last note, and in what time."""

    images: int = 0
    seconds: float = 0.0
    waited_seconds: float = 0.0

    @property
    def images_per_second(self) -> float:
        return self.images / self.seconds


class _Training:
    """A run on its devices."""

    def __init__(self, run: Run, strategy: tf.distribute.Strategy):
        self._run = run
        self._strategy = strategy
        self._policy = policy(run.config.train.precision, strategy)
        self._plan: Plan = plan(run.config, run.dataset.train.images)
        with strategy.scope():
            self._state: TrainState = create_state(
                run.network, run.config, self._policy
            )
        self._checkpoints = Checkpoints(
            run.model_dir, self._state, run.config.train.checkpoints
        )
        self._evaluate = Evaluator(
            run.network,
            run.dataset,
            cut=run.cut,
            batch=run.config.evaluate.batch,
            strategy=strategy,
        )
        self._pace = _Pace()
        # Of the present step, if it was evaluated.
        self._scores: Scores | None = None

    @property
    def _step(self) -> int:
        return int(self._state.step.numpy())

    def resume(self) -> None:
        """Goes back to the last checkpoint, or to where the config starts."""
        resumed = self._checkpoints.restore()
        if self._run.config.train.init_from and not resumed:
            report = str(load_initial(self._state, self._run))
            print("; ".join(report.splitlines()), file=sys.stderr)
        self._run.model_dir.keep_metrics_until(self._step)

    def finish_steps(self) -> None:
        """Trains until the planned steps are done."""
        run, planned = self._run, self._plan
        call = make_train_call(
            self._state, run.network, run.config.train, planned, self._strategy
        )
        batches = iter(
            training_batches(
                run,
                self._strategy,
                start=self._step * run.config.train.batch,
                dtype=tf.as_dtype(
                    keras.DTypePolicy(self._policy).compute_dtype
                ),
            )
        )
        # Tracing takes long and belongs to no step; where XLA compiles, it
        # does so in the first call all the same.
        call.get_concrete_function(batches, tf.constant(1))
        with (
            closing(
                tf.summary.create_file_writer(run.model_dir.tensorboard)
            ) as events,
            events.as_default(),
            progress(run.network.name, planned.steps, self._step) as advance,
        ):
            while self._step < planned.steps:
                steps = planned.next_stop(self._step) - self._step
                self._train(call, batches, steps)
                advance(self._step, self._after_call())

    def result(self) -> dict[str, Any]:
        """Final figures of the last weights, averaged and raw."""
        run, state = self._run, self._state
        scores = raw = self._scores or self._evaluate(state.averaged)
        if state.averaged is not state.model:
            raw = self._evaluate(state.model)
        counts = totals(run.network)
        return {
            "model": run.network.name,
            "pixels": run.network.pixels,
            "data": run.dataset.name,
            "model_dir": run.model_dir.path,
            "steps": self._step,
            "epochs": self._step / self._plan.steps_per_epoch,
            **figures(scores, raw),
            "images_per_second": mean_pace(run.model_dir.metrics()),
            "trainable_parameters": counts.trainable_parameters,
            "macs": counts.macs,
            "devices": describe_devices(self._strategy),
            "precision": self._policy,
        }

    def _train(
        self,
        call: tf.types.experimental.PolymorphicFunction,
        batches: tf.data.Iterator,
        steps: int,
    ) -> None:
        began = time.monotonic()
        with device_errors(f"training after step {self._step}"):
            waited = float(call(batches, tf.constant(steps)).numpy())
        self._pace.images += steps * self._run.config.train.batch
        self._pace.seconds += time.monotonic() - began
        self._pace.waited_seconds += waited

    def _after_call(self) -> str:
        """Evaluates and saves as planned; says how training goes.

        What is noted comes before the checkpoint: a process that dies in
        between does these steps again, and drops the note.
        """
        step = self._step
        loss = self._mean_loss()
        tf.summary.scalar("loss", loss, step)
        said = f"loss {loss:.3f}"
        self._scores = None
        if self._plan.evaluates(step):
            self._scores = scores = self._evaluate(self._state.averaged)
            said += f", top-1 {scores.top1:.3f}"
            with device_errors(f"saving step {step}"):
                self._note(loss, scores)
                self._checkpoints.save_if_best(scores.top1)
        if self._plan.saves(step):
            with device_errors(f"saving step {step}"):
                self._checkpoints.save()
        return said

    def _mean_loss(self) -> float:
        """Since the last note; an error where it is no number."""
        state = self._state
        loss = float(state.loss_sum.numpy()) / int(state.loss_count.numpy())
        if not math.isfinite(loss):
            raise RunError(
                f"the loss is {loss} at step {self._step}: training diverged; "
                "a lower train.learning_rate_per_256 or a longer "
                "train.warmup_epochs may help"
            )
        return loss

    def _note(self, loss: float, scores: Scores) -> None:
        """Adds a line of metrics and starts counting anew."""
        step = self._step
        rate = learning_rate(self._plan, tf.constant(step - 1))
        metrics = Metrics(
            step=step,
            epoch=step / self._plan.steps_per_epoch,
            loss=loss,
            learning_rate=float(rate.numpy()),
            top1=scores.top1,
            top5=scores.top5,
            images_per_second=self._pace.images_per_second,
            input_wait_seconds=self._pace.waited_seconds,
        )
        self._run.model_dir.add_metrics(metrics)
        for name in (
            "learning_rate",
            "top1",
            "top5",
            "images_per_second",
            "input_wait_seconds",
        ):
            tf.summary.scalar(name, getattr(metrics, name), step)
        self._state.loss_sum.assign(0.0)
        self._state.loss_count.assign(0)
        self._pace = _Pace()
