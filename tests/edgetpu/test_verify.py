"""What is found wrong with a file, and what int8 costs."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from edgetpu import verify
from edgetpu.samples import picked_examples
from edgetpu.verify import compare, structural_problems
from efficientnet_tf.data.cut import Cut
from efficientnet_tf.data.preprocess import normalize

CUT = Cut(32, "pad32", "legacy_bicubic")


def test_nothing_is_wrong_with_our_files(each):
    assert structural_problems(each.content, pixels=32) == []


def test_nothing_is_wrong_with_a_real_model(coral):
    path = coral / "mobilenet_v1_0.25_128_quant-22b67d.tflite"
    assert structural_problems(path.read_bytes(), pixels=128) == []


@pytest.mark.parametrize(
    ("file", "words"),
    [
        # Float at both ends.
        (
            "face_detection_front_128_full_integer_quant-eb3169",
            [
                "the input is float32 [1, 128, 128, 3], not uint8",
                "operator QUANTIZE works on float32",
                "operator DEQUANTIZE is not among those",
            ],
        ),
        # Converted with an open batch.
        ("dense_256-a3db31", ["4 tensors have an open size"]),
        (
            "deeplabv3_mnv2_dm05_pascal_quant-c5fdea",
            ["operator RESIZE_BILINEAR is not among", "operator ARG_MAX"],
        ),
        (
            "keras_lstm_mnist_ptq-2ce838",
            ["operator UNIDIRECTIONAL_SEQUENCE_LSTM works on"],
        ),
        (
            "mobilenet_v1_0.25_128_quant-22b67d_edgetpu",
            ["operator edgetpu-custom-op is not among"],
        ),
    ],
)
def test_real_files_that_are_not_fit(coral, file, words):
    content = (coral / f"{file}.tflite").read_bytes()
    problems = structural_problems(content, pixels=128)
    for expected in words:
        assert any(problem.startswith(expected) for problem in problems)


def test_another_size_is_wrong(lite):
    (problem,) = structural_problems(lite.content, pixels=64)
    assert problem == (
        "the input is uint8 [1, 32, 32, 3], not uint8 [1, 64, 64, 3]"
    )


def test_an_operator_too_new_is_named_once(lite, monkeypatch):
    monkeypatch.setitem(verify.NEWEST_VERSIONS, "CONV_2D", 2)
    (problem,) = structural_problems(lite.content, pixels=32)
    assert problem == (
        "operator CONV_2D has version 3; edgetpu_compiler 16.0 reads up to 2"
    )


def test_a_float_model_is_wrong_all_over(tmp_path):
    module = tf.Module()
    module.f = tf.function(
        lambda x: tf.nn.relu(x) + 1,
        input_signature=[tf.TensorSpec([1, 8, 8, 3], tf.float32)],
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.f.get_concrete_function()], module
    )
    problems = structural_problems(converter.convert(), pixels=8)
    assert any("input is float32" in problem for problem in problems)
    assert any("ADD works on float32" in problem for problem in problems)


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
