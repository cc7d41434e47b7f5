"""Top-1 and top-5, every image counted exactly once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from efficientnet_tf.data.cut import Cut
from efficientnet_tf.data.dataset import RecordDataset
from efficientnet_tf.data.pipeline import evaluation_examples
from efficientnet_tf.data.preprocess import normalize
from efficientnet_tf.errors import RunError
from efficientnet_tf.networks import Network
from efficientnet_tf.training.failures import device_errors

STEPS_PER_CALL = 16


@dataclass(frozen=True)
class Scores:
    """What an evaluation found.

    Attributes:
        top1: Share of images whose likeliest class is right.
        top5: Share whose class is among the five likeliest.
        loss: Mean cross entropy, without smoothing or decay.
        images: How many images were counted.
    """

    top1: float
    top5: float
    loss: float
    images: int


def figures(averaged: Scores, raw: Scores) -> dict[str, float]:
    """The scores of both kinds of weights, named as in `result.json`."""
    return {
        "top1": averaged.top1,
        "top5": averaged.top5,
        "loss": averaged.loss,
        "raw_top1": raw.top1,
        "raw_top5": raw.top5,
        "validation_images": averaged.images,
    }


class Evaluator:
    """Evaluates models of one network on one data set."""

    def __init__(
        self,
        network: Network,
        dataset: RecordDataset,
        *,
        cut: Cut,
        batch: int,
        strategy: tf.distribute.Strategy,
    ):
        """Lays the pipeline out; nothing is read yet.

        Args:
            network: What will be evaluated.
            dataset: Its validation split is used.
            cut: How images are cut, to the network's size.
            batch: Images of one step, all replicas together, rounded up to a
                multiple of them.
            strategy: The devices.
        """
        self._network = network
        self._images = dataset.validation.images
        self._strategy = strategy
        replicas = strategy.num_replicas_in_sync
        share = -(-min(batch, self._images + 1) // replicas)
        self._batch = share * replicas

        def of_host(
            context: tf.distribute.InputContext,
        ) -> tf.data.Dataset:
            examples = evaluation_examples(
                dataset,
                "validation",
                cut=cut,
                part=context.input_pipeline_id,
                parts=context.num_input_pipelines,
            )
            return _padded_batches(examples, cut.pixels, share)

        self._batches = strategy.distribute_datasets_from_function(of_host)
        self._calls: dict[int, Callable[..., tf.Tensor]] = {}

    def __call__(self, model: keras.Model) -> Scores:
        """Evaluates a model of the network.

        Raises:
            RunError: The records are not as many as they should be.
        """
        if id(model) not in self._calls:
            self._calls[id(model)] = self._make_call(model)
        call = self._calls[id(model)]
        iterator = iter(self._batches)
        sums = np.zeros(4)
        # The last batch always has room for one image too many, so that
        # records that should not be there are noticed.
        steps = self._images // self._batch + 1
        for start in range(0, steps, STEPS_PER_CALL):
            count = min(STEPS_PER_CALL, steps - start)
            with device_errors("evaluation"):
                sums += call(iterator, tf.constant(count)).numpy()
        images, top1, top5, loss = (float(value) for value in sums)
        if images != self._images:
            raise RunError(
                f"the validation split has {images:.0f} records or more; "
                f"{self._images} were expected"
            )
        return Scores(top1 / images, top5 / images, loss / images, int(images))

    def _make_call(self, model: keras.Model) -> Callable[..., tf.Tensor]:
        strategy = self._strategy

        def replica_step(*batch: tf.Tensor) -> tf.Tensor:
            return _count(model, self._network, *batch)

        @tf.function(reduce_retracing=True)
        def call(iterator: tf.data.Iterator, steps: tf.Tensor) -> tf.Tensor:
            sums = tf.zeros([4])
            for _ in tf.range(steps):
                found = strategy.run(replica_step, args=next(iterator))
                sums += strategy.reduce("SUM", found, axis=None)
            return sums

        return call


def _padded_batches(
    examples: tf.data.Dataset, pixels: int, share: int
) -> tf.data.Dataset:
    """Batches of (image, label, weight), endless images of weight 0 last."""
    nothing = tf.data.Dataset.from_tensors(
        (tf.zeros([pixels, pixels, 3]), tf.constant(0), tf.constant(0.0))
    )
    counted = examples.map(lambda image, label: (image, label, 1.0))
    return (
        counted.concatenate(nothing.repeat())
        .batch(share, drop_remainder=True)
        .prefetch(tf.data.AUTOTUNE)
    )


def _count(
    model: keras.Model,
    network: Network,
    images: tf.Tensor,
    labels: tf.Tensor,
    weights: tf.Tensor,
) -> tf.Tensor:
    """Sums over a batch: images, right at once, right in five, entropy.

    Ties go to the lower class, so that a network which says the same of all
    classes is not credited.
    """
    logits = model(normalize(images, network.normalization), training=False)
    five = min(5, network.classes)
    best = tf.math.top_k(logits, five).indices
    right = tf.cast(best == labels[:, tf.newaxis], tf.float32)
    entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    return tf.stack(
        [
            tf.reduce_sum(weights),
            tf.reduce_sum(weights * right[:, 0]),
            tf.reduce_sum(weights * tf.reduce_sum(right, axis=1)),
            tf.reduce_sum(weights * entropy),
        ]
    )
