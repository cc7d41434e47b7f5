"""Top-1 and top-5, every image counted exactly once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from efficientnet_tf.data.cut import Cut
from efficientnet_tf.data.dataset import RecordDataset
from efficientnet_tf.data.manifest import Split
from efficientnet_tf.data.pipeline import evaluation_examples
from efficientnet_tf.data.preprocess import normalize
from efficientnet_tf.errors import RunError
from efficientnet_tf.networks import Network
from efficientnet_tf.training.failures import device_errors
from efficientnet_tf.training.strategy import is_shared

STEPS_PER_CALL = 16

# Sums over a batch, by name.
Counts = dict[str, tf.Tensor]
# Logits `[batch, classes]`, labels and weights `[batch]` -> sums, in which an
# image of weight 0 is as if it were not there.
Counter = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], Counts]


@dataclass(frozen=True)
class Scores:
    """What an evaluation found.

    Attributes:
        top1: Share of images whose likeliest class is right.
        top5: Share whose class is among the five likeliest.
        loss: Mean cross entropy, without smoothing or decay.
        images: How many images were counted.
        skipped: How many records could not be used; the shares and the mean
            are over the others.
    """

    top1: float
    top5: float
    loss: float
    images: int
    skipped: int = 0


def figures(averaged: Scores, raw: Scores) -> dict[str, float]:
    """The scores of both kinds of weights, named as in `result.json`."""
    return {
        "top1": averaged.top1,
        "top5": averaged.top5,
        "loss": averaged.loss,
        "raw_top1": raw.top1,
        "raw_top5": raw.top5,
        "validation_images": averaged.images,
        "validation_skipped": averaged.skipped,
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
        split: Split = "validation",
        first_logit: int = 0,
        max_bad_share: float = 0.0,
    ):
        """Lays the pipeline out; nothing is read yet.

        Args:
            network: What will be evaluated.
            dataset: Where the records are.
            cut: How images are cut, to the network's size.
            batch: Images of one step, all replicas together, rounded up to a
                multiple of them.
            strategy: The devices.
            split: Which of the records.
            first_logit: That of the data's first class.
            max_bad_share: Of the records that may be unusable.
        """
        self._network = network
        self._split = split
        self._images = dataset.split(split).images
        self._max_bad_share = max_bad_share
        self._first_logit = first_logit
        self._strategy = strategy
        self._shared = is_shared(strategy)
        replicas = strategy.num_replicas_in_sync
        share = -(-min(batch, self._images) // replicas)
        self._batch = share * replicas

        def of_host(
            context: tf.distribute.InputContext,
        ) -> tf.data.Dataset:
            examples = evaluation_examples(
                dataset,
                split,
                cut=cut,
                part=context.input_pipeline_id,
                parts=context.num_input_pipelines,
            )
            return padded_batches(examples, cut.pixels, share)

        self._batches = strategy.distribute_datasets_from_function(of_host)
        self._calls: dict[tuple[int, Counter], Callable[..., Counts]] = {}

    def __call__(self, model: keras.Model) -> Scores:
        """Evaluates a model of the network.

        Raises:
            RunError: More records than may be are unusable.
        """
        return scores(self.sums(model, count_scores))

    def sums(self, model: keras.Model, count: Counter) -> dict[str, np.ndarray]:
        """Counts over all images.

        Args:
            model: A model of the network.
            count: What to count; "scores" must be as `count_scores` has it.

        Returns:
            float64 arrays, of the names and shapes that `count` gives, and
            "records", how many there are, be they usable or not.

        Raises:
            RunError: More records than may be are unusable.
        """
        key = (id(model), count)
        if key not in self._calls:
            self._calls[key] = self._make_call(model, count)
        call = self._calls[key]
        iterator = iter(self._batches)
        sums: dict[str, np.ndarray] = {}
        steps = -(-self._images // self._batch)
        for start in range(0, steps, STEPS_PER_CALL):
            steps_now = min(STEPS_PER_CALL, steps - start)
            with device_errors("evaluation", shared=self._shared):
                found = call(iterator, tf.constant(steps_now))
                for name, value in found.items():
                    sums[name] = sums.get(name, 0.0) + value.numpy().astype(
                        np.float64
                    )
        sums["records"] = np.array(float(self._images))
        skipped = self._images - int(sums["scores"][0])
        if skipped > self._max_bad_share * self._images:
            raise RunError(
                f"{skipped:,} of the {self._images:,} records of the "
                f"{self._split} split cannot be used, more than "
                f"data.max_bad_share {self._max_bad_share:g}; `check` tells "
                "which and why, a larger share passes over them"
            )
        return sums

    def _make_call(
        self, model: keras.Model, count: Counter
    ) -> Callable[..., Counts]:
        network, strategy = self._network, self._strategy

        def replica_step(
            images: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor
        ) -> Counts:
            inputs = normalize(images, network.normalization)
            logits = model(inputs, training=False)
            return count(logits, labels + self._first_logit, weights)

        @tf.function(reduce_retracing=True)
        def call(iterator: tf.data.Iterator, steps: tf.Tensor) -> Counts:
            # An image of weight 0 gives zeros of the right shapes.
            sums = count(
                tf.zeros([1, network.classes]),
                tf.zeros([1], tf.int32),
                tf.zeros([1]),
            )
            for _ in tf.range(steps):
                found = strategy.run(replica_step, args=next(iterator))
                sums = {
                    name: value + strategy.reduce("SUM", found[name], axis=None)
                    for name, value in sums.items()
                }
            return sums

        return call


def count_scores(
    logits: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor
) -> Counts:
    """Images, those right at once, those right in five, cross entropy.

    Ties go to the lower class, so that a network which says the same of all
    classes is not credited.

    Args:
        logits: float32 `[batch, classes]`.
        labels: int32 `[batch]`, numbers of logits.
        weights: float32 `[batch]`, 0 for what is no image.

    Returns:
        float32 `[4]` as "scores".
    """
    right = right_in_five(logits, labels)
    entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    return {
        "scores": tf.stack(
            [
                tf.reduce_sum(weights),
                tf.reduce_sum(weights * right[:, 0]),
                tf.reduce_sum(weights * tf.reduce_sum(right, axis=1)),
                tf.reduce_sum(weights * entropy),
            ]
        )
    }


def right_in_five(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Which of the five likeliest classes is right: float32 `[batch, 5]`."""
    five = min(5, logits.shape[-1])
    best = tf.math.top_k(logits, five).indices
    return tf.cast(best == labels[:, tf.newaxis], tf.float32)


def scores(sums: Mapping[str, np.ndarray]) -> Scores:
    """Shares and means out of what `Evaluator.sums` gives."""
    images, top1, top5, loss = (float(value) for value in sums["scores"])
    counted = max(images, 1.0)
    return Scores(
        top1 / counted,
        top5 / counted,
        loss / counted,
        int(images),
        int(sums["records"] - images),
    )


def padded_batches(
    examples: tf.data.Dataset, pixels: int, share: int
) -> tf.data.Dataset:
    """Batches of (image, label, weight), endless images of weight 0 last.

    A record that could not be used, of the label -1, has weight 0 too.
    """
    nothing = tf.data.Dataset.from_tensors(
        (tf.zeros([pixels, pixels, 3]), tf.constant(0), tf.constant(0.0))
    )
    counted = examples.map(
        lambda image, label: (
            image,
            tf.maximum(label, 0),
            tf.cast(label >= 0, tf.float32),
        )
    )
    return (
        counted.concatenate(nothing.repeat())
        .batch(share, drop_remainder=True)
        .prefetch(tf.data.AUTOTUNE)
    )
