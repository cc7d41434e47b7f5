"""Where a network errs and how sure it is of itself, in one pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from efficientnet_tf.training.evaluation import (
    Counts,
    Scores,
    count_scores,
    right_in_five,
    scores,
)

# As Guo et al. 2017, "On Calibration of Modern Neural Networks", section 5.
CONFIDENCE_BINS = 15


@dataclass(frozen=True)
class Details:
    """What a detailed evaluation found.

    Attributes:
        scores: The figures of any evaluation.
        confusion: int64 `[classes, classes]`: images by their class and by the
            likeliest one, numbered as logits.
        in_five: int64 `[classes]`: images of a class that have it among the
            five likeliest.
        bins: float64 `[15, 3]`: images, the sum of their highest
            probabilities, and how many are right, by highest probability; bin
            m of M is (m/M, (m + 1)/M].
    """

    scores: Scores
    confusion: np.ndarray
    in_five: np.ndarray
    bins: np.ndarray

    @property
    def calibration_error(self) -> float:
        """Expected calibration error, from 0 to 1.

        The mean distance between how sure and how right the network is, bins
        weighted by their images: Guo et al. 2017, equation 3.
        """
        _, confidence, right = self.bins.T
        return float(np.abs(right - confidence).sum() / self.scores.images)


def count_details(
    logits: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor
) -> Counts:
    """What `details` needs of a batch; for `Evaluator.sums`.

    Args:
        logits: float32 `[batch, classes]`.
        labels: int32 `[batch]`, numbers of logits.
        weights: float32 `[batch]`, 0 for what is no image.

    Returns:
        float32 "scores" as in `count_scores`, "confusion" `[classes *
        classes]`, "in_five" `[classes]` and "bins" `[15, 3]`.
    """
    classes = logits.shape[-1]
    right = right_in_five(logits, labels)
    # Of classes that are equally likely the lower one, as for the scores.
    likeliest = tf.math.top_k(logits, 1).indices[:, 0]
    confidence = tf.reduce_max(tf.nn.softmax(logits), axis=1)
    place = tf.cast(tf.math.ceil(confidence * CONFIDENCE_BINS), tf.int32) - 1
    facts = tf.stack([tf.ones_like(weights), confidence, right[:, 0]], axis=1)
    return {
        **count_scores(logits, labels, weights),
        "confusion": tf.math.unsorted_segment_sum(
            weights, labels * classes + likeliest, classes * classes
        ),
        "in_five": tf.math.unsorted_segment_sum(
            weights * tf.reduce_sum(right, axis=1), labels, classes
        ),
        "bins": tf.math.unsorted_segment_sum(
            weights[:, tf.newaxis] * facts,
            tf.clip_by_value(place, 0, CONFIDENCE_BINS - 1),
            CONFIDENCE_BINS,
        ),
    }


def details(sums: Mapping[str, np.ndarray]) -> Details:
    """Makes the sums of `count_details` what they mean."""
    in_five = np.rint(sums["in_five"]).astype(np.int64)
    confusion = np.rint(sums["confusion"]).astype(np.int64)
    return Details(
        scores=scores(sums),
        confusion=confusion.reshape(len(in_five), len(in_five)),
        in_five=in_five,
        bins=sums["bins"],
    )
