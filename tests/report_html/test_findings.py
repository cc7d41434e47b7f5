"""The worst images against a look at all of them in one go."""

import numpy as np
import pytest
import tensorflow as tf

from efficientnet_tf.data.pipeline import evaluation_examples
from efficientnet_tf.data.preprocess import normalize
from efficientnet_tf.report_html import findings
from efficientnet_tf.report_html.findings import judge
from efficientnet_tf.training.config_files import override
from efficientnet_tf.training.trained import load_trained, run_config


def judged(run, strategy, *settings):
    config = override(run_config(str(run)), settings)
    with strategy.scope():
        trained = load_trained(str(run), config)
    return trained, judge(trained, trained.open_data(), 0, strategy)


def by_hand(trained):
    """(loss, label, shares, pixels) of each image, the worst one first."""
    images, labels = zip(
        *evaluation_examples(
            trained.open_data(), "validation", cut=trained.cut
        ),
        strict=True,
    )
    inputs = normalize(tf.stack(images), trained.network.normalization)
    logits = np.asarray(trained.model(inputs, training=False)).astype(float)
    found = []
    for image, label, row in zip(images, labels, logits, strict=True):
        shares = np.exp(row) / np.exp(row).sum()
        loss = -np.log(shares[int(label)])
        found.append((loss, int(label), shares, image.numpy()))
    return sorted(found, key=lambda one: -one[0])


@pytest.mark.parametrize("batch", [7, 1000])
def test_the_worst_are_those_by_hand(batch, small_run):
    strategy = tf.distribute.get_strategy()
    trained, found = judged(small_run, strategy, f"evaluate.batch={batch}")
    check(trained, found)


def test_replicas_find_the_same(small_run, mirrored):
    trained, found = judged(small_run, mirrored, "evaluate.batch=10")
    check(trained, found)


def check(trained, found):
    expected = by_hand(trained)
    assert found.details.scores.images == found.of_images == len(expected)
    right = [label == shares.argmax() for _, label, shares, _ in expected]
    assert found.details.scores.top1 == pytest.approx(np.mean(right))
    assert found.details.confusion.sum() == len(expected)
    assert len(found.worst) == min(24, len(expected))
    for one, (loss, label, shares, pixels) in zip(
        found.worst, expected, strict=False
    ):
        assert one.loss == pytest.approx(loss, abs=1e-4)
        assert one.label == label
        assert one.probability == pytest.approx(shares[label], abs=1e-5)
        order = np.argsort(-shares)[:3].tolist()
        assert [number for number, _ in one.said] == order
        assert np.abs(one.picture - np.clip(pixels, 0, 255)).max() <= 0.5


def test_of_very_many_images_the_first_are_enough(small_run, monkeypatch):
    monkeypatch.setattr(findings, "MOST_IMAGES", 10)
    strategy = tf.distribute.get_strategy()
    _, found = judged(small_run, strategy, "evaluate.batch=4")
    assert found.details.scores.images == 10
    assert found.of_images > 10
    assert len(found.worst) == 10
