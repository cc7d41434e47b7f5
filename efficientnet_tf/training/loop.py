"""The training of a network, from a config to final figures."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from efficientnet_tf.data.pipeline import training_examples
from efficientnet_tf.data.preprocess import TrainingCrop
from efficientnet_tf.errors import RunError
from efficientnet_tf.networks import totals
from efficientnet_tf.progress import Advance, progress
from efficientnet_tf.training.checkpoints import Checkpoints
from efficientnet_tf.training.config import Config
from efficientnet_tf.training.evaluation import Evaluator, Scores, figures
from efficientnet_tf.training.failures import device_errors
from efficientnet_tf.training.model_dir import Metrics
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
        InputError: The config does not fit the data, the devices or the run
            that the directory holds.
        RunError: Training diverged, or records are missing or too many.
    """
    strategy = strategy or make_strategy("")
    check_batch(config.train.batch, strategy)
    run = open_run(config, model_dir)
    run.model_dir.claim(run.config, run.dataset.labels)
    finished = run.model_dir.result()
    if finished:
        return finished
    training = _Training(run, strategy)
    training.resume()
    training.finish_steps()
    result = training.result()
    run.model_dir.write_result(result)
    return result


@dataclass
class _Pace:
    """Time that training took, since a report or in all."""

    images: int = 0
    seconds: float = 0.0
    waited: float = 0.0

    def add(self, images: int, seconds: float, waited: float) -> None:
        self.images += images
        self.seconds += seconds
        self.waited += waited

    @property
    def images_per_second(self) -> float:
        return self.images / self.seconds if self.seconds else 0.0


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
            batch=run.config.evaluate.batch,
            crop_padding=run.config.data.crop_padding,
            strategy=strategy,
        )
        self._pace = _Pace()
        self._scores: Scores | None = None

    @property
    def _step(self) -> int:
        return int(self._state.step.numpy())

    def resume(self) -> None:
        """Goes back to the last checkpoint, if there is one."""
        self._checkpoints.restore()
        self._run.model_dir.keep_metrics_until(self._step)

    def finish_steps(self) -> None:
        """Trains until the planned steps are done."""
        run, planned = self._run, self._plan
        call = make_train_call(
            self._state, run.network, run.config.train, planned, self._strategy
        )
        batches = iter(self._batches(self._step * run.config.train.batch))
        # Traced beforehand, so that no time is measured while it compiles.
        call.get_concrete_function(batches, tf.constant(1))
        since_report = _Pace()
        events = tf.summary.create_file_writer(run.model_dir.tensorboard)
        name = f"{run.network.name} on {run.dataset.name}"
        with (
            events.as_default(),
            progress(name, planned.steps, self._step) as advance,
        ):
            while self._step < planned.steps:
                before = self._step
                steps = planned.next_stop(before) - before
                began = time.monotonic()
                with device_errors(f"training after step {before}"):
                    waited = float(call(batches, tf.constant(steps)).numpy())
                spent = (
                    steps * run.config.train.batch,
                    time.monotonic() - began,
                    waited,
                )
                since_report.add(*spent)
                self._pace.add(*spent)
                if self._report(since_report, advance):
                    since_report = _Pace()
        events.close()

    def result(self) -> dict[str, Any]:
        """Final figures of the last weights, averaged and raw."""
        run, state = self._run, self._state
        scores = self._scores or self._evaluate(state.averaged)
        raw = scores
        if state.averaged is not state.model:
            raw = self._evaluate(state.model)
        counts = totals(run.network)
        return {
            "model": run.network.name,
            "data": run.dataset.name,
            "steps": self._step,
            "epochs": self._step / self._plan.steps_per_epoch,
            **figures(scores, raw),
            "images_per_second": self._pace.images_per_second,
            "trainable_parameters": counts.trainable_parameters,
            "macs": counts.macs,
            "devices": describe_devices(self._strategy),
            "precision": self._policy,
        }

    def _batches(self, start: int) -> tf.distribute.DistributedDataset:
        """Batches of (images, labels) from an image of the stream on."""
        config, replicas = self._run.config, self._strategy.num_replicas_in_sync
        low = self._policy == "mixed_bfloat16"

        def of_host(
            context: tf.distribute.InputContext,
        ) -> tf.data.Dataset:
            examples = training_examples(
                self._run.dataset,
                pixels=self._run.network.pixels,
                crop_padding=config.data.crop_padding,
                crop=TrainingCrop(
                    min_area=config.data.min_crop_area, flip=config.data.flip
                ),
                seed=config.train.seed,
                start=start,
                part=context.input_pipeline_id,
                parts=context.num_input_pipelines,
            )
            batches = examples.batch(
                config.train.batch // replicas, drop_remainder=True
            )
            if low:
                batches = batches.map(
                    lambda images, labels: (
                        tf.cast(images, tf.bfloat16),
                        labels,
                    )
                )
            return batches.prefetch(tf.data.AUTOTUNE)

        return self._strategy.distribute_datasets_from_function(of_host)

    def _report(self, pace: _Pace, advance: Advance) -> bool:
        """Evaluates, notes and saves as planned; says whether it noted.

        The note comes first: a process that dies in between does these steps
        again and drops the note.
        """
        state, step = self._state, self._step
        loss = float(state.loss_sum.numpy()) / int(state.loss_count.numpy())
        if not math.isfinite(loss):
            raise RunError(
                f"the loss is {loss} at step {step}: training diverged; a "
                "lower train.learning_rate_per_256 or a longer "
                "train.warmup_epochs may help"
            )
        tf.summary.scalar("loss", loss, step)
        tf.summary.scalar("images_per_second", pace.images_per_second, step)
        evaluates = self._plan.evaluates(step)
        if evaluates:
            self._scores = scores = self._evaluate(state.averaged)
            self._note(loss, pace, scores)
            state.loss_sum.assign(0.0)
            state.loss_count.assign(0)
            self._checkpoints.save_if_best(scores.top1)
        else:
            self._scores = None
        if self._plan.saves(step):
            self._checkpoints.save()
        top1 = f", top-1 {self._scores.top1:.3f}" if self._scores else ""
        advance(step, f"loss {loss:.3f}{top1}")
        return evaluates

    def _note(self, loss: float, pace: _Pace, scores: Scores) -> None:
        step = self._step
        rate = learning_rate(self._plan, tf.constant(step - 1))
        metrics = Metrics(
            step=step,
            epoch=step / self._plan.steps_per_epoch,
            loss=loss,
            learning_rate=float(rate.numpy()),
            top1=scores.top1,
            top5=scores.top5,
            images_per_second=pace.images_per_second,
            input_wait_seconds=pace.waited,
        )
        self._run.model_dir.add_metrics(metrics)
        tf.summary.scalar("learning_rate", metrics.learning_rate, step)
        tf.summary.scalar("top1", scores.top1, step)
        tf.summary.scalar("top5", scores.top5, step)
        tf.summary.scalar("input_wait_seconds", pace.waited, step)
