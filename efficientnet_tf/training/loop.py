"""The training of a network, from a config to final figures."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from typing import Any

import keras
import tensorflow as tf

from efficientnet_tf.data.cache import in_memory
from efficientnet_tf.data.kinds import RecordDataset
from efficientnet_tf.errors import TEMPORARY, InputError, RunError, Stopped
from efficientnet_tf.networks import totals
from efficientnet_tf.training.batches import training_batches
from efficientnet_tf.training.checkpoints import Checkpoints
from efficientnet_tf.training.config import Config
from efficientnet_tf.training.divergence import first_not_finite
from efficientnet_tf.training.evaluation import Evaluator, Scores, figures
from efficientnet_tf.training.failures import WorkerGone, device_errors
from efficientnet_tf.training.initial import check_source, load_initial
from efficientnet_tf.training.journal import Journal
from efficientnet_tf.training.lease import Lease
from efficientnet_tf.training.model_dir import ModelDir, mean_pace
from efficientnet_tf.training.plan import Plan, norm_group, plan, replica_share
from efficientnet_tf.training.profiling import Profile, ProfileSteps
from efficientnet_tf.training.run import Run, open_run
from efficientnet_tf.training.schedules import learning_rate
from efficientnet_tf.training.state import TrainState, create_state
from efficientnet_tf.training.step import TrainStep, make_train_call
from efficientnet_tf.training.stops import Stop, Stops
from efficientnet_tf.training.strategy import (
    agreed,
    describe_devices,
    is_chief,
    is_shared,
    make_strategy,
    policy,
)

Watch = Callable[[int, int, float], None]

_ANOTHER_HOST = Stop("another host stops", TEMPORARY)


def train(
    config: Config,
    model_dir: str = "",
    *,
    strategy: tf.distribute.Strategy | None = None,
    profile_steps: ProfileSteps | None = None,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Trains a network, or goes on where a run of the same config stopped.

    Several hosts all call this with the same arguments; the first of them
    writes for all.

    Args:
        config: The experiment.
        model_dir: Where everything is left, local or gs://; empty for a
            folder under `runs/`, named by model and data.
        strategy: The devices; None for all GPUs, else the CPU.
        profile_steps: Steps to trace for TensorBoard's profiler.
        watch: Is told of every evaluation: the step, the last step of the
            training, and the top-1. What it raises ends the training.

    Returns:
        The final figures, as in `result.json`: `top1` and `top5` are those of
        the averaged weights.

    Raises:
        InputError: The config does not fit the data, the devices, the weights
            to start from or the run that the directory holds.
        RunError: Training diverged, or records are missing or too many.
        Stopped: Somebody or the machine asked to stop, and the training is
            saved; or a worker is gone, and it goes on from the last
            checkpoint. The same call goes on in both cases.
    """
    strategy = strategy or make_strategy("")
    replicas = strategy.num_replicas_in_sync
    replica_share(config, replicas)
    norm_group(config.train.sync_batch_norm, replicas)
    if model_dir and ModelDir(model_dir).imported():
        raise InputError(
            f"{model_dir} holds imported weights; to train them further, "
            f"--init_from={model_dir} and another --model_dir"
        )
    run = open_run(config, model_dir)
    profile = Profile(profile_steps, run.model_dir.tensorboard)
    profile.check(plan(run.config, run.dataset.train.images).steps)
    training: _Training | None = None
    try:
        with _claimed(run, strategy) as lease, Stops() as stops:
            finished = run.model_dir.result()
            if finished:
                return {**finished, "model_dir": run.model_dir.path}
            training = _Training(run, strategy, lease, stops, watch)
            # What is being saved is finished before others are let in.
            with closing(training), closing(profile):
                training.resume()
                return training.finish(profile)
    except WorkerGone as error:
        saved = training.saved if training else None
        raise Stopped(str(error), TEMPORARY, saved) from error


@contextmanager
def _claimed(run: Run, strategy: tf.distribute.Strategy) -> Iterator[Lease]:
    """Makes the model directory this run's; the first host does it for all."""
    if not is_chief(strategy):
        if agreed(strategy, False):
            raise RunError("the first host has refused this run; see there")
        if run.model_dir.config() is None:
            raise InputError(
                f"--model_dir {run.model_dir.path}: the first host has begun a "
                "run that this one does not see; all hosts must share the "
                "directory, as on gs://"
            )
        yield Lease()
        return
    with ExitStack() as stack:
        try:
            if run.model_dir.config() is None:
                check_source(run)
            run.model_dir.claim(run.config, run.dataset.labels)
            lease = stack.enter_context(run.model_dir.held())
            # Another may have begun at the same moment, with another config.
            run.model_dir.claim(run.config, run.dataset.labels)
        except Exception:
            agreed(strategy, True)
            raise
        agreed(strategy, False)
        yield lease


def _kept(run: Run) -> RecordDataset:
    """The data set, in memory if the config says so."""
    in_places = {"off": lambda dataset: dataset, "memory": in_memory}
    return in_places[run.config.data.cache](run.dataset)


class _Training:
    """A run on its devices."""

    def __init__(
        self,
        run: Run,
        strategy: tf.distribute.Strategy,
        lease: Lease,
        stops: Stops,
        watch: Watch | None = None,
    ):
        self._watch = watch
        self._run = run
        # What is read; what is said of it names the files that it came from.
        self._read = replace(run, dataset=_kept(run))
        self._strategy = strategy
        self._lease = lease
        self._stops = stops
        self._chief = is_chief(strategy)
        self._shared = is_shared(strategy)
        self._policy = policy(run.config.train.precision, strategy)
        self._plan: Plan = plan(run.config, run.dataset.train.images)
        with strategy.scope():
            self._state: TrainState = create_state(
                run.network, run.config, self._policy
            )
        self._checkpoints = Checkpoints(
            run.model_dir,
            self._state,
            run.config.train.checkpoints,
            writes=self._chief,
        )
        self._evaluate = Evaluator(
            run.network,
            self._read.dataset,
            cut=run.cut,
            batch=run.config.evaluate.batch,
            strategy=strategy,
            max_bad_share=run.config.data.max_bad_share,
        )
        self._journal = Journal(
            run, self._plan, self._state, writes=self._chief
        )
        # Of the last evaluation, and the step that it was of.
        self._scores: Scores | None = None
        self._scored = -1

    @property
    def saved(self) -> int | None:
        """Step of the newest checkpoint that is on disk; None for none."""
        return self._checkpoints.saved

    @property
    def _step(self) -> int:
        return int(self._state.step.numpy())

    def close(self) -> None:
        """Lets a checkpoint that is being written come to its end."""
        self._checkpoints.close()

    def resume(self) -> None:
        """Goes back to the last checkpoint, or to where the config starts."""
        if not self._chief:
            # Only when the first host has put aside what cannot be read.
            agreed(self._strategy, False)
        resumed = self._checkpoints.restore()
        if self._chief:
            agreed(self._strategy, False)
        if self._run.config.train.init_from and not resumed:
            report = str(load_initial(self._state, self._run))
            if self._chief:
                print("; ".join(report.splitlines()), file=sys.stderr)
        self._lease.check()
        self._journal.take_back(resumed=resumed)

    def finish(self, profile: Profile) -> dict[str, Any]:
        """Trains until the planned steps are done; returns final figures."""
        with self._journal as journal:
            self._train_steps(profile)
            self._checkpoints.wait()
            scores = self._scores
            if scores is None or self._scored != self._step:
                scores = self._evaluate(self._state.averaged)
            result = self._result(scores)
            journal.ended(scores)
            self._lease.check()
            if self._chief:
                self._run.model_dir.write_result(result)
        if stop := self._asked_to_stop():
            raise Stopped(stop.reason, stop.exit_code, self.saved)
        return result

    def _train_steps(self, profile: Profile) -> None:
        run, planned = self._run, self._plan
        call = make_train_call(
            self._state, run.network, run.config.train, planned, self._strategy
        )
        batches = self._batches()
        # Tracing takes long and belongs to no step; where XLA compiles, it
        # does so in the first call all the same.
        with device_errors("tracing the training step", shared=self._shared):
            call.get_concrete_function(batches, tf.constant(1))
        # A run that was stopped in a hurry left this for now.
        self._evaluate_and_save()
        while self._step < planned.steps:
            self._stop_if_asked()
            step = self._step
            stop = profile.next_stop(step, planned.next_stop(step))
            profile.before(step)
            self._train(call, batches, stop - step)
            profile.after(self._step)
            if self._step < stop:
                self._diverged()
            self._look_at_bad_records()
            self._journal.trained()
            self._stop_if_asked()
            self._evaluate_and_save()

    def _batches(self) -> Iterator[Any]:
        """Batches from the present step on."""
        policy = keras.DTypePolicy(self._policy)
        return iter(
            training_batches(
                self._read,
                self._strategy,
                start=self._step * self._run.config.train.batch,
                dtype=tf.as_dtype(policy.compute_dtype),
            )
        )

    def _train(
        self,
        call: tf.types.experimental.PolymorphicFunction,
        batches: Iterator[Any],
        steps: int,
    ) -> None:
        began = time.monotonic()
        what = f"training after step {self._step}"
        with device_errors(what, shared=self._shared):
            waited = float(call(batches, tf.constant(steps)).numpy())
        self._state.seconds.assign_add(time.monotonic() - began)
        self._state.waited_seconds.assign_add(waited)

    def _stop_if_asked(self) -> None:
        """Saves and ends if anybody, on any host, was asked to stop.

        What is due at this step is left for when the run goes on: there may
        be seconds until the machine is gone.
        """
        stop = self._asked_to_stop()
        if stop is None:
            return
        if self._step:
            with device_errors(f"saving step {self._step}"):
                self._save()
                self._checkpoints.wait()
        raise Stopped(stop.reason, stop.exit_code, self.saved)

    def _look_at_bad_records(self) -> None:
        """Looks up records that could not be used.

        Raises:
            RunError: They are too many, on all hosts.
        """
        too_many: RunError | None = None
        if self._chief:
            with device_errors("looking up bad records"):
                try:
                    self._journal.bad_records.look()
                except RunError as error:
                    too_many = error
        if agreed(self._strategy, too_many is not None):
            raise too_many or RunError(
                "the first host met too many bad records; see there"
            )

    def _asked_to_stop(self) -> Stop | None:
        """The same on all hosts, which must all ask at the same steps."""
        stop = self._stops.reason()
        if not agreed(self._strategy, stop is not None):
            return None
        return stop or _ANOTHER_HOST

    def _evaluate_and_save(self) -> None:
        """Does what is due at this step and was not done before.

        What is noted comes before the checkpoint: a process that dies in
        between does these steps again, and drops the note.
        """
        step = self._step
        if step == 0:
            return
        if self._plan.evaluates(step) and not self._journal.is_evaluated:
            self._scores = scores = self._evaluate(self._state.averaged)
            self._scored = step
            raw = None
            averages = self._state.averaged is not self._state.model
            if self._run.config.evaluate.raw and averages:
                raw = self._evaluate(self._state.model)
            self._lease.check()
            with device_errors(f"saving step {step}"):
                self._journal.evaluated(scores, raw)
                self._checkpoints.save_if_best(scores.top1)
        if self._plan.saves(step):
            with device_errors(f"saving step {step}"):
                self._save()
        if self._watch and self._scores and self._scored == step:
            self._watch(step, self._plan.steps, self._scores.top1)

    def _save(self) -> None:
        self._lease.check()
        self._checkpoints.save()

    def _diverged(self) -> None:
        """Raises the error of a step that is not finite, and says where."""
        run, step = self._run, self._step
        with device_errors("looking for where it diverged"):
            where = first_not_finite(
                self._state,
                TrainStep(
                    self._state, run.network, run.config.train, self._plan
                ),
                run.network,
                self._batches(),
                microbatches=run.config.train.microbatches,
                strategy=self._strategy,
            )
        rate = float(learning_rate(self._plan, tf.constant(step)).numpy())
        # An error of saving comes first.
        self._checkpoints.wait()
        kept = "nothing is saved yet"
        if self.saved:
            kept = f"the checkpoint of step {self.saved} is good"
        raise RunError(
            f"training diverged in step {step + 1}, at a learning rate of "
            f"{rate:.4g}: the first that is not finite is {where}; {kept}; a "
            "lower train.learning_rate_per_256, a longer train.warmup_epochs "
            "or a train.clip_norm may help, in another --model_dir"
        )

    def _result(self, scores: Scores) -> dict[str, Any]:
        """Final figures of the last weights, averaged and raw."""
        run, state = self._run, self._state
        raw = scores
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
            "bad_records": self._journal.bad_records.counts(),
            "images_per_second": mean_pace(run.model_dir.metrics()),
            "trainable_parameters": counts.trainable_parameters,
            "macs": counts.macs,
            "devices": describe_devices(self._strategy),
            "precision": self._policy,
        }
