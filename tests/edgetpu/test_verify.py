"""What int8 costs."""

from __future__ import annotations

import numpy as np
import pytest

from edgetpu.samples import picked_examples
from edgetpu.verify import compare
from efficientnet_tf.data.cut import Cut
from efficientnet_tf.data.preprocess import normalize

CUT = Cut(32, "pad32", "legacy_bicubic")


def test_int8_agrees_with_float_on_real_images(each, dataset):
    examples = picked_examples(dataset, "validation", images=24, cut=CUT)
    found = compare(each.network, each.model, each.content, examples)
    assert found.images == 24

    # The float figure by hand, on images that were not rounded.
    images, labels = next(examples.batch(24).as_numpy_iterator())
    logits = each.model(normalize(images, each.network.normalization)).numpy()
    right = np.mean(logits.argmax(-1) == labels)
    assert found.float_top1 == pytest.approx(right)
    assert found.float_top1 > 0.8
    assert found.int8_top1 > 0.8
    assert found.agreement > 0.9


def test_wrong_labels_lower_both_but_not_the_agreement(lite, dataset):
    examples = picked_examples(dataset, "validation", images=24, cut=CUT)
    right = compare(lite.network, lite.model, lite.content, examples)
    wrong = compare(
        lite.network,
        lite.model,
        lite.content,
        examples.map(lambda image, label: (image, (label + 1) % 4)),
    )
    assert wrong.float_top1 <= 1 - right.float_top1
    assert wrong.int8_top1 <= 1 - right.int8_top1
    assert wrong.agreement == right.agreement


def test_no_images_are_refused(lite, dataset):
    nothing = picked_examples(dataset, "validation", images=1, cut=CUT).skip(1)
    with pytest.raises(ValueError, match="no examples"):
        compare(lite.network, lite.model, lite.content, nothing)
