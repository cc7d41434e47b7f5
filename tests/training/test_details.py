"""Confusion and calibration against NumPy, on made-up logits and replicas."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from efficientnet_tf.data.cut import Cut
from efficientnet_tf.data.pipeline import evaluation_examples
from efficientnet_tf.data.preprocess import normalize
from efficientnet_tf.modeling.build import build_network
from efficientnet_tf.networks import network
from efficientnet_tf.training.details import count_details, details
from efficientnet_tf.training.evaluation import Evaluator, count_scores

IMAGES, CLASSES = 600, 8


CUT = Cut(pixels=32, crop="pad32", resize="legacy_bicubic")


def by_hand(logits, labels):
    """Top-1, top-5, loss, calibration error and confusion, image by image."""
    logits = logits.astype(np.float64)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    order = np.argsort(-logits, axis=1, kind="stable")
    best = order[:, 0]
    confidence = shares[np.arange(len(labels)), best]
    error = 0.0
    for number in range(15):
        low, high = number / 15, (number + 1) / 15
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            right = np.mean(best[inside] == labels[inside])
            gap = abs(right - confidence[inside].mean())
            error += inside.mean() * gap
    confusion = np.zeros([logits.shape[1]] * 2, int)
    for label, guess in zip(labels, best, strict=True):
        confusion[label, guess] += 1
    return {
        "top1": np.mean(best == labels),
        "top5": np.mean((order[:, :5] == labels[:, None]).any(axis=1)),
        "loss": -np.mean(np.log(shares[np.arange(len(labels)), labels])),
        "calibration_error": error,
        "confusion": confusion,
    }


def of_all(sums):
    """As `Evaluator.sums` gives them, which knows how many records there are.

    None of these could not be used.
    """
    records = sums["scores"][0]
    everything = {**sums, "records": records}
    return {name: value.numpy() for name, value in everything.items()}


def check(found, expected):
    for name in ("top1", "top5", "loss"):
        assert getattr(found.scores, name) == pytest.approx(
            expected[name], rel=1e-5
        )
    assert found.calibration_error == pytest.approx(
        expected["calibration_error"], abs=1e-6
    )
    np.testing.assert_array_equal(found.confusion, expected["confusion"])


@pytest.fixture
def logits():
    random = np.random.default_rng(0)
    return random.normal(0, 2.5, (IMAGES, CLASSES)).astype(np.float32)


@pytest.fixture
def labels(logits):
    """Right for about half of the logits."""
    random = np.random.default_rng(1)
    anything = random.integers(0, CLASSES, IMAGES)
    return np.where(random.random(IMAGES) < 0.4, logits.argmax(1), anything)


def test_counts_are_those_of_numpy(logits, labels):
    sums = count_details(
        tf.constant(logits),
        tf.constant(labels, tf.int32),
        tf.ones(IMAGES),
    )
    found = details(of_all(sums))
    expected = by_hand(logits, labels)
    check(found, expected)
    assert expected["calibration_error"] > 0.05
    in_five = np.argsort(-logits, axis=1)[:, :5] == labels[:, None]
    np.testing.assert_array_equal(
        found.in_five, np.bincount(labels, in_five.any(axis=1), CLASSES)
    )


def test_what_has_no_weight_is_not_there(logits, labels):
    weights = np.zeros(IMAGES, np.float32)
    weights[:100] = 1
    label = tf.constant(labels, tf.int32)
    some = count_details(logits[:100], label[:100], tf.ones(100))
    for name, value in count_details(logits, label, weights).items():
        np.testing.assert_allclose(value, some[name], rtol=1e-5)


def test_the_sure_and_right_are_calibrated():
    """A softmax of 1.0 belongs to the last bin."""
    logits = tf.constant([[200.0, 0.0], [0.0, 200.0]])
    sums = count_details(logits, tf.constant([0, 1]), tf.ones(2))
    found = details(of_all(sums))
    assert found.calibration_error == 0.0
    assert found.bins[-1].tolist() == [2.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("split", "classes"), [("train", 3), ("validation", 3), ("validation", 4)]
)
def test_replicas_and_padding_do_not_matter(
    tiny, squares, mirrored, split, classes
):
    """On two replicas, as all at once; with a background and without."""
    first = classes - 3
    tiny_network = network(tiny, classes=classes)
    keras.utils.set_random_seed(1)
    with mirrored.scope():
        model = build_network(tiny_network)
    evaluator = Evaluator(
        tiny_network,
        squares,
        batch=5,
        cut=CUT,
        strategy=mirrored,
        split=split,
        first_logit=first,
    )
    found = details(evaluator.sums(model, count_details))
    keras.utils.set_random_seed(1)
    alone = build_network(tiny_network)
    images, labels = zip(
        *evaluation_examples(squares, split, cut=CUT), strict=True
    )
    inputs = normalize(tf.stack(images), tiny_network.normalization)
    logits = alone(inputs, training=False).numpy()
    assert found.scores.images == len(labels)
    check(found, by_hand(logits, np.array(labels) + first))
    again = evaluator.sums(model, count_scores)
    assert set(again) == {"scores", "records"}
    assert evaluator(model) == found.scores
