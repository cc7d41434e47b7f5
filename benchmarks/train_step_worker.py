"""A worker of benchmarks/train_step.py: one network in one framework.

Every framework does the same: normalises the same pixels, takes softmax cross
entropy with label smoothing 0.1, and one step of SGD with momentum 0.9.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.harness import CPU, WALL, Figures, Turn, timed
from benchmarks.train_call import (
    BARE,
    BUILD,
    CLASSES,
    TRACE,
    TRACE_CPU,
    TrainCall,
    recipe,
    use_threads,
)
from benchmarks.worker import serve
from efficientnet_tf.command_line import choose_kernels

SMOOTHING, MOMENTUM, RATE = 0.1, 0.9, 0.01
FIRST_STEP = "first_step_seconds"
IMAGES, IMAGES_PER_CPU = "images_per_second", "images_per_cpu_second"


@dataclass(frozen=True)
class Job:
    """What a worker trains.

    Attributes:
        framework: One of `FRAMEWORKS`.
        model: The project's name of the network.
        pixels: Side of the image.
        batch: Images of a step.
        steps: Steps of a turn.
        threads: For the arithmetic of an operation.
        onednn: Whether a peer on TensorFlow takes oneDNN's kernels, or those
            that it takes by itself; ours chooses.
    """

    framework: str
    model: str
    pixels: int
    batch: int
    steps: int
    threads: int
    onednn: bool = False

    def to_json(self) -> str:
        """The worker's argument."""
        return json.dumps(dataclasses.asdict(self))


# What trains for a number of steps; and the seconds until it could.
Trained = tuple[Callable[[int], object], dict[str, float]]

_KERAS = {f"efficientnet-b{n}": f"EfficientNetB{n}" for n in range(8)}
# Whose kernels are a choice that ours makes and they leave to their user.
ON_TENSORFLOW = ("keras", "tf_keras")
# Each peer's networks, by ours.
PEERS = {
    "keras": _KERAS,
    "tf_keras": _KERAS,
    "timm": {
        **{f"efficientnet-b{n}": f"efficientnet_b{n}" for n in range(9)},
        **{
            f"efficientnet-edgetpu-{n}": f"efficientnet_e{n.lower()}"
            for n in "SML"
        },
    },
}


def _ours(job: Job, *, application: str = "") -> Trained:
    if not application:
        choose_kernels(job.pixels)
    use_threads(job.threads)
    config = recipe(job.model, job.pixels, job.batch, *BARE)
    call = TrainCall(config, application=application)
    return call, call.facts


def _keras(job: Job) -> Trained:
    return _ours(job, application=PEERS["keras"][job.model])


def _tf_keras(job: Job) -> Trained:
    """The least that a step can be with tf_keras."""
    import tensorflow as tf
    import tf_keras

    from efficientnet_tf.data.preprocess import normalize
    from efficientnet_tf.networks import network

    use_threads(job.threads)
    normalization = network(job.model).normalization
    began = time.perf_counter()
    whole = getattr(tf_keras.applications, PEERS["tf_keras"][job.model])(
        weights=None,
        input_shape=(job.pixels, job.pixels, 3),
        classes=CLASSES,
        classifier_activation=None,
    )
    stem = whole.get_layer("stem_conv_pad").input
    model = tf_keras.Model(stem, whole.output)
    weights = model.trainable_variables
    slots = [tf.Variable(tf.zeros_like(weight)) for weight in weights]
    shape = [job.batch, job.pixels, job.pixels, 3]
    images = tf.random.stateless_uniform(shape, (1, 2), 0.0, 255.0)
    targets = tf.one_hot(tf.range(job.batch) % CLASSES, CLASSES)
    built = time.perf_counter() - began

    def step() -> None:
        with tf.GradientTape() as tape:
            logits = model(normalize(images, normalization), training=True)
            smooth = targets * (1 - SMOOTHING) + SMOOTHING / CLASSES
            loss = tf.reduce_mean(
                tf.nn.softmax_cross_entropy_with_logits(smooth, logits)
            )
        gradients = tape.gradient(loss, weights)
        for weight, slot, gradient in zip(
            weights, slots, gradients, strict=True
        ):
            tf.raw_ops.ResourceApplyMomentum(
                var=weight.handle,
                accum=slot.handle,
                lr=RATE,
                grad=gradient,
                momentum=MOMENTUM,
            )

    @tf.function
    def train(steps: tf.Tensor) -> tf.Tensor:
        for _ in tf.range(steps):
            step()
        return steps

    traced = timed(lambda: train.get_concrete_function(tf.constant(1)))(0)
    return lambda steps: train(tf.constant(steps)).numpy(), {
        BUILD: built,
        TRACE: traced[WALL],
        TRACE_CPU: traced[CPU],
    }


def _timm(job: Job) -> Trained:
    """PyTorch's eager mode, channels last."""
    import timm
    import torch

    from efficientnet_tf.networks import network

    torch.set_num_threads(job.threads)
    torch.manual_seed(0)
    resolved = network(job.model)
    began = time.perf_counter()
    model = timm.create_model(
        PEERS["timm"][job.model],
        num_classes=CLASSES,
        drop_rate=resolved.dropout,
        drop_path_rate=resolved.drop_path,
    ).to(memory_format=torch.channels_last)
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), RATE, momentum=MOMENTUM)
    criterion = torch.nn.CrossEntropyLoss(label_smoothing=SMOOTHING)
    built = time.perf_counter() - began
    colours = resolved.normalization
    mean = torch.tensor(colours.mean).view(1, 3, 1, 1)
    std = torch.tensor(colours.std).view(1, 3, 1, 1)
    images = 255 * torch.rand(job.batch, 3, job.pixels, job.pixels)
    images = images.to(memory_format=torch.channels_last)
    labels = torch.arange(job.batch) % CLASSES

    def train(steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            criterion(model((images - mean) / std), labels).backward()
            optimizer.step()

    return train, {BUILD: built}


FRAMEWORKS: dict[str, Callable[[Job], Trained]] = {
    "ours": _ours,
    "keras": _keras,
    "tf_keras": _tf_keras,
    "timm": _timm,
}


def _start(job: Job) -> tuple[Figures, Turn]:
    """The first step, and how the others are timed."""
    if job.onednn:
        os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"
    began = time.perf_counter()
    train, facts = FRAMEWORKS[job.framework](job)
    train(1)
    facts[FIRST_STEP] = time.perf_counter() - began
    step = timed(lambda: train(job.steps), job.steps)

    def turn(number: int) -> Figures:
        found = step(number)
        return {
            IMAGES: job.batch / found[WALL],
            IMAGES_PER_CPU: job.batch / found[CPU],
        }

    return facts, turn


if __name__ == "__main__":
    serve(lambda: _start(Job(**json.loads(sys.argv[1]))))
