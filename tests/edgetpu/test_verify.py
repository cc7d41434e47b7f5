"""What int8 costs."""

from __future__ import annotations

import dataclasses
import json

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edgetpu import verify as module
from edgetpu.quantize import quantize
from edgetpu.reader import read_graph
from edgetpu.samples import picked_examples, to_uint8
from edgetpu.verify import verify
from efficientnet_tf.data.cut import Cut
from efficientnet_tf.data.preprocess import normalize
from efficientnet_tf.errors import InputError

CUT = Cut(32, "pad32", "legacy_bicubic")


def _examples(dataset):
    return picked_examples(dataset, "validation", images=24, cut=CUT)


def _verified(each, examples, content=None, layer_images=0):
    return verify(
        each.network,
        each.model,
        content or each.content,
        examples,
        images=24,
        layer_images=layer_images,
    )


def test_int8_agrees_with_float_on_real_images(each, dataset):
    examples = _examples(dataset)
    found = _verified(each, examples).comparison
    assert found.images == 24

    # The float figure by hand, on images that were not rounded.
    images, labels = next(examples.batch(24).as_numpy_iterator())
    logits = each.model(normalize(images, each.network.normalization)).numpy()
    right = np.mean(logits.argmax(-1) == labels)
    assert found.float_top1 == pytest.approx(right)
    assert found.float_top1 > 0.8
    assert found.int8_top1 > 0.8
    assert found.agreement > 0.9


def test_divergence_is_that_of_the_book(lite, dataset):
    examples = _examples(dataset)
    images, _ = next(examples.batch(24).as_numpy_iterator())
    logits = lite.model(normalize(images, lite.network.normalization)).numpy()
    powers = np.exp(logits.astype(np.float64))
    exact = powers / powers.sum(-1, keepdims=True)
    interpreter = Interpreter(model_content=lite.content)
    interpreter.allocate_tensors()
    divergences = []
    for image, row in zip(to_uint8(images), exact, strict=True):
        interpreter.set_tensor(
            interpreter.get_input_details()[0]["index"], image[np.newaxis]
        )
        interpreter.invoke()
        (given,) = interpreter.get_output_details()
        raw = interpreter.get_tensor(given["index"])[0]
        scores = raw / 256
        # What is missing of 1 is shared by the zeros.
        missing = max(1 - scores.sum(), 1 / 256)
        zeros = scores == 0
        scores[zeros] = min(missing / max(zeros.sum(), 1), 1 / 512)
        scores /= scores.sum()
        divergences.append(float(np.sum(row * np.log(row / scores))))
    found = _verified(lite, examples)
    assert found.comparison.kl_mean == pytest.approx(np.mean(divergences))
    assert found.comparison.kl_max == pytest.approx(max(divergences))
    worst = [each.place for each in found.worst]
    assert worst == list(np.argsort(divergences)[::-1][: len(worst)])
    np.testing.assert_array_equal(
        found.pictures[worst[0]], to_uint8(images)[worst[0]]
    )


def test_wrong_labels_lower_both_but_not_the_agreement(lite, dataset):
    examples = _examples(dataset)
    right = _verified(lite, examples).comparison
    wrong = _verified(
        lite, examples.map(lambda image, label: (image, (label + 1) % 4))
    ).comparison
    assert wrong.float_top1 <= 1 - right.float_top1
    assert wrong.int8_top1 <= 1 - right.int8_top1
    assert wrong.agreement == right.agreement


def test_without_labels_there_is_no_top1(lite, dataset):
    unlabelled = _examples(dataset).map(lambda image, label: (image, -1))
    found = _verified(lite, unlabelled)
    assert found.comparison.float_top1 is None
    assert found.comparison.int8_top1 is None
    assert found.comparison.agreement > 0.9
    assert {each.label for each in found.worst} == {None}


def test_logits_are_told_from_probabilities(lite, dataset, pictures):
    images = pictures(8, seed=3)[0]
    images[0], images[1] = 0, 255
    content = quantize(lite.network, lite.model, images, head="logits")
    found = _verified(lite, _examples(dataset), content).comparison
    assert found.agreement > 0.9
    assert found.kl_mean < 0.1


def test_no_images_are_refused(lite, dataset):
    with pytest.raises(InputError, match="no images"):
        _verified(lite, _examples(dataset).take(0))


def test_a_file_of_another_network_is_refused(lite, dataset, coral):
    path = coral / "mobilenet_v1_0.25_128_quant-22b67d.tflite"
    with pytest.raises(InputError, match="128 pixels and gives 1001"):
        _verified(lite, _examples(dataset), path.read_bytes())


def test_a_file_that_is_no_classifier_is_refused(lite, dataset, coral):
    content = (coral / "dense_256-a3db31.tflite").read_bytes()
    with pytest.raises(InputError, match=r"\[1, 256\].*of efficientnet-lite0"):
        _verified(lite, _examples(dataset), content)


def test_each_layer_has_its_signal_to_noise(converted, dataset):
    b0 = converted("efficientnet-b0")
    found = _verified(b0, _examples(dataset), layer_images=4)
    ends = [error for error in found.layers if error.operator == "SOFTMAX"]
    assert len(ends) == 1
    by_layer = {error.layer: error for error in found.layers}
    assert {"stem_conv", "block1a_dwconv", "predictions"} <= set(by_layer)
    # Eight bits hold some 50 dB, and a network that works keeps some of it.
    for error in found.layers:
        assert error.snr_db is None or 5 < error.snr_db < 65
    costs = [error.lost_db for error in found.costliest(len(found.layers))]
    assert costs == sorted(costs, reverse=True)


@pytest.fixture(scope="module")
def with_layers(converted, dataset):
    lite = converted("efficientnet-lite0")
    return _verified(lite, _examples(dataset), layer_images=16)


def test_noise_of_the_stem_by_hand(lite, dataset, with_layers):
    """The first layer, computed here by Keras and the file's own numbers."""
    found = with_layers
    stem = found.layers[0]
    assert stem.layer == "stem_conv"
    images = to_uint8(next(_examples(dataset).batch(16).as_numpy_iterator())[0])
    exact = keras.Model(
        lite.model.input, lite.model.get_layer("stem_activation").output
    )(normalize(images, lite.network.normalization)).numpy()
    interpreter = Interpreter(
        model_content=lite.content,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=(
            OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        ),
    )
    interpreter.allocate_tensors()
    (output,) = read_graph(lite.content).operators[stem.index].outputs
    scale, zero_point = interpreter.get_tensor_details()[output]["quantization"]
    noise = []
    for image, row in zip(images, exact, strict=True):
        interpreter.set_tensor(
            interpreter.get_input_details()[0]["index"], image[np.newaxis]
        )
        interpreter.invoke()
        given = interpreter.get_tensor(output)[0].astype(float)
        noise.append(np.square((given - zero_point) * scale - row).sum())
    signal = np.square(exact).sum(axis=(1, 2, 3))
    expected = 10 * np.log10(np.median(signal / noise))
    assert stem.snr_db == pytest.approx(expected, abs=0.2)


def test_a_layer_that_is_spoilt_is_found(lite, dataset):
    """One layer's weights are made noisy in the file's network only."""
    spoilt = keras.models.clone_model(lite.model)
    spoilt.set_weights(lite.model.get_weights())
    layer = spoilt.get_layer("block2a_project_conv")
    (kernel,) = layer.get_weights()
    random = np.random.default_rng(0)
    layer.set_weights([kernel + random.normal(0, kernel.std(), kernel.shape)])
    examples = _examples(dataset)
    images = to_uint8(next(examples.batch(24).as_numpy_iterator())[0])
    black = np.zeros_like(images[:1])
    content = quantize(
        lite.network, spoilt, np.concatenate([images, black, black + 255])
    )
    found = _verified(lite, examples, content, layer_images=8)
    (worst,) = found.costliest(1)
    assert worst.layer == "block2a_project_conv"


def test_json_has_no_pictures(with_layers):
    found = with_layers
    facts = json.loads(json.dumps(found.to_dict()))
    assert facts["comparison"] == dataclasses.asdict(found.comparison)
    assert len(facts["layers"]) == len(found.layers)
    assert facts["worst"][0]["kl"] == found.worst[0].kl


def test_a_smoothed_softmax_that_is_only_rounded_is_near():
    """As after label smoothing: those that are none are about half a step."""
    exact = np.array([0.981, *np.linspace(0.0015, 0.0027, 9)])
    exact /= exact.sum()
    rounded = np.rint(exact * 256) / 256
    found = module._log_probabilities(rounded.astype(np.float32), "softmax")
    assert np.sum(exact * (np.log(exact) - found)) < 0.01


@pytest.mark.parametrize("classes", [10, 100, 1000])
def test_a_softmax_that_is_only_rounded_is_near(classes):
    """As many classes at 0 as there may be, they weigh what they can."""
    random = np.random.default_rng(classes)
    logits = random.normal(0, 1, classes)
    logits[3] += 9
    exact = np.exp(logits) / np.exp(logits).sum()
    rounded = np.rint(exact * 256).clip(0, 255) / 256
    found = module._log_probabilities(rounded.astype(np.float32), "softmax")
    assert np.exp(found).sum() == pytest.approx(1)
    assert np.exp(found[3]) == pytest.approx(exact[3], abs=1 / 100)
    assert np.sum(exact * (np.log(exact) - found)) < 0.05
