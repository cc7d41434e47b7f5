"""Every image counted exactly once, whatever the batch.

Replicas are in `test_details.py`.
"""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from efficientnet_tf.data.cut import Cut
from efficientnet_tf.data.dataset import Shards
from efficientnet_tf.data.pipeline import evaluation_examples
from efficientnet_tf.data.preprocess import normalize
from efficientnet_tf.errors import RunError
from efficientnet_tf.modeling.build import build_network
from efficientnet_tf.networks import network
from efficientnet_tf.training.evaluation import Evaluator, Scores

IMAGES = 13
CUT = Cut(32, "whole", "legacy_bicubic")


@pytest.fixture
def tiny_network(tiny):
    return network(tiny, classes=3)


def evaluator(network, dataset, batch):
    return Evaluator(
        network,
        dataset,
        batch=batch,
        cut=CUT,
        strategy=tf.distribute.get_strategy(),
    )


def by_hand(model, network, squares) -> Scores:
    """All images in one go, their scores in NumPy."""
    images, labels = zip(
        *evaluation_examples(squares, "validation", cut=CUT), strict=True
    )
    inputs = normalize(tf.stack(images), network.normalization)
    logits = model(inputs, training=False).numpy().astype(float)
    top1, loss = 0, 0.0
    for row, label in zip(logits, map(int, labels), strict=True):
        top1 += int(np.argmax(row) == label)
        loss += np.log(np.exp(row).sum()) - row[label]
    return Scores(top1 / IMAGES, 1.0, loss / IMAGES, IMAGES)


@pytest.mark.parametrize("batch", [1, 4, 13, 500])
def test_batches_do_not_matter(tiny_network, squares, batch):
    keras.utils.set_random_seed(1)
    model = build_network(tiny_network)
    scores = evaluator(tiny_network, squares, batch)(model)
    expected = by_hand(model, tiny_network, squares)
    assert scores.images == IMAGES
    assert scores.top1 == pytest.approx(expected.top1)
    assert scores.top5 == 1.0
    assert scores.loss == pytest.approx(expected.loss, rel=1e-4)


def test_the_same_of_all_classes_is_no_credit(tiny_network, squares):
    model = build_network(tiny_network)
    dense = model.get_layer("predictions")
    dense.set_weights([np.zeros_like(w) for w in dense.get_weights()])
    scores = evaluator(tiny_network, squares, 4)(model)
    labels = [
        int(label)
        for _, label in evaluation_examples(squares, "validation", cut=CUT)
    ]
    # The lowest class wins a tie.
    assert scores.top1 == pytest.approx(labels.count(0) / IMAGES)
    assert scores.loss == pytest.approx(np.log(3), rel=1e-5)


def test_records_that_are_not_there_are_said(tiny_network, squares):
    """Of a split that should have one more, 14 and not 13."""
    files = squares.validation.files
    wrong = replace(squares, validation=Shards(files, (7, 7)))
    model = build_network(tiny_network)
    expected = evaluator(tiny_network, squares, 4)(model)
    with pytest.raises(RunError, match="1 of the 14 records .*max_bad_share"):
        evaluator(tiny_network, wrong, 4)(model)
    lenient = Evaluator(
        tiny_network,
        wrong,
        batch=4,
        cut=CUT,
        strategy=tf.distribute.get_strategy(),
        max_bad_share=0.1,
    )
    found = lenient(model)
    assert (found.images, found.skipped) == (IMAGES, 1)
    assert found.top1 == expected.top1
    assert found.loss == pytest.approx(expected.loss)
