"""Quantisation, against the float network and LiteRT itself."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from edgetpu.quantize import INPUT, device_model, quantize
from edgetpu.reader import read_graph
from edgetpu.run import Runner
from efficientnet_tf.data.preprocess import normalize
from efficientnet_tf.errors import InputError, RunError
from efficientnet_tf.networks import network


def softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def float_scores(made, images):
    """From the definition: softmax of the model on (pixel - mean) / std."""
    norm = made.network.normalization
    inputs = (images.astype(np.float64) - norm.mean) / norm.std
    return softmax(made.model(inputs.astype(np.float32)).numpy())


def int8_scores(content, images):
    """Raw pixels into LiteRT, without this project's runner."""
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (taken,) = interpreter.get_input_details()
    (given,) = interpreter.get_output_details()
    assert given["dtype"] == np.uint8
    assert given["quantization"] == (1 / 256, 0)
    scores = []
    for image in images:
        interpreter.set_tensor(taken["index"], image[np.newaxis])
        interpreter.invoke()
        scores.append(interpreter.get_tensor(given["index"])[0] / 256)
    return np.stack(scores)


def test_raw_pixels_give_what_the_float_network_gives(each, pictures):
    images, labels = pictures(40, seed=5)
    truth = float_scores(each, images)
    found = int8_scores(each.content, images)

    assert np.mean(truth.argmax(-1) == labels) > 0.9
    assert np.mean(truth.argmax(-1) == found.argmax(-1)) > 0.9
    assert np.abs(truth - found).mean() < 0.01


def real(values, details):
    scale, zero_point = details["quantization"]
    return (values.astype(np.float64) - zero_point) * scale


@pytest.mark.parametrize("head", ["logits", "embedding"])
def test_heads_give_what_the_float_network_has_there(
    lite, pictures, with_extremes, head
):
    images, _ = pictures(24, seed=1)
    content = quantize(
        lite.network, lite.model, with_extremes(images), head=head
    )
    counts = read_graph(content).counts()
    assert "SOFTMAX" not in counts
    assert counts.get("FULLY_CONNECTED", 0) == (head == "logits")

    layer = {"logits": "predictions", "embedding": "avg_pool"}[head]
    part = keras.Model(lite.model.input, lite.model.get_layer(layer).output)
    new, _ = pictures(16, seed=5)
    truth = part((new.astype(np.float32) - 127) / 128).numpy()
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (taken,) = interpreter.get_input_details()
    (given,) = interpreter.get_output_details()
    assert given["dtype"] == np.uint8
    assert tuple(given["shape"]) == (1, truth.shape[1])
    found = []
    for image in new:
        interpreter.set_tensor(taken["index"], image[np.newaxis])
        interpreter.invoke()
        found.append(real(interpreter.get_tensor(given["index"])[0], given))
    error = np.stack(found) - truth
    assert np.sqrt(np.mean(error**2)) < 0.1 * truth.std()


def test_int8_takes_pixels_less_128(lite, pictures, with_extremes):
    images, _ = pictures(24, seed=1)
    content = quantize(
        lite.network, lite.model, with_extremes(images), inference_type="int8"
    )
    graph = read_graph(content)
    assert "QUANTIZE" not in graph.counts()
    tensor = graph.tensors[graph.inputs[0]]
    assert (tensor.dtype, tensor.scale) == ("int8", (1 / 128,))
    assert tensor.zero_point == (-1,)
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (taken,) = interpreter.get_input_details()
    (given,) = interpreter.get_output_details()
    new, _ = pictures(16, seed=5)
    truth = float_scores(lite, new)
    for image, scores in zip(new, truth, strict=True):
        signed = (image.astype(np.int16) - 128).astype(np.int8)
        interpreter.set_tensor(taken["index"], signed[np.newaxis])
        interpreter.invoke()
        found = real(interpreter.get_tensor(given["index"])[0], given)
        assert np.abs(found - scores).max() < 0.2


def test_device_model_is_the_network_up_to_rounding(each, pictures):
    # Before any quantisation: so the domain and the borders are right.
    images, _ = pictures(3, seed=6)
    device = device_model(each.network, each.model)
    for image in images:
        x = (image[np.newaxis].astype(np.float32) - 127) / 128
        np.testing.assert_allclose(
            device(x).numpy(),
            float_scores(each, image[np.newaxis]),
            atol=2e-5,
        )


def test_input_takes_pixels_as_they_are(each):
    graph = read_graph(each.content)
    (place,) = graph.inputs
    tensor = graph.tensors[place]
    assert (tensor.dtype, tensor.shape) == ("uint8", (1, 32, 32, 3))
    assert (tensor.scale, tensor.zero_point) == ((1 / 128,), (127,))


def test_normalisation_costs_one_operator_and_only_where_needed(converted):
    def depthwise(name):
        counts = read_graph(converted(name).content).counts()
        blocks = converted(name).network.blocks
        return counts.get("DEPTHWISE_CONV_2D", 0) - sum(
            block.kind == "mbconv" for block in blocks
        )

    assert depthwise("efficientnet-b0") == 1
    assert depthwise("efficientnet-lite0") == 0
    assert depthwise("efficientnet-edgetpu-S") == 0


def test_normalisation_weights_are_exact_in_int8(converted):
    made = converted("efficientnet-b0")
    graph = read_graph(made.content)
    first = next(op for op in graph.operators if op.name != "QUANTIZE")
    weights = graph.tensors[first.inputs[1]]
    assert weights.shape == (1, 1, 1, 3)
    # Each channel's only weight is the largest one, 127 steps.
    np.testing.assert_allclose(
        np.multiply(weights.scale, 127),
        128 / np.array(made.network.normalization.std),
        rtol=1e-6,
    )


def test_dense_weights_have_one_scale(each):
    # Old runtimes compute garbage where there is one per channel.
    graph = read_graph(each.content)
    (dense,) = [op for op in graph.operators if op.name == "FULLY_CONNECTED"]
    assert len(graph.tensors[dense.inputs[1]].scale) == 1
    convolution = next(op for op in graph.operators if op.name == "CONV_2D")
    assert len(graph.tensors[convolution.inputs[1]].scale) > 1


def test_without_extremes_the_input_is_refused(lite, pictures, capfd):
    images, _ = pictures(4, seed=1)
    with pytest.raises(RunError, match="not uint8, scale 1/128, zero point"):
        quantize(lite.network, lite.model, np.clip(images, 20, 200))
    # And the converter's chatter stays away from the terminal.
    assert capfd.readouterr() == ("", "")


def test_images_of_another_size_are_refused(lite):
    with pytest.raises(InputError, match=r"uint8 \[2, 40, 40, 3\], not"):
        quantize(lite.network, lite.model, np.zeros((2, 40, 40, 3), np.uint8))


def test_a_backbone_is_refused(lite):
    headless = dataclasses.replace(lite.network, classes=0)
    with pytest.raises(InputError, match="classes 0"):
        quantize(headless, lite.model, np.zeros((2, 32, 32, 3), np.uint8))


def test_weights_of_another_network_are_refused(lite, converted):
    with pytest.raises(InputError, match="is in one of them only"):
        device_model(lite.network, converted("efficientnet-b0").model)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "operators"),
    [
        # Counted by hand from the tables: lite0 has 16 blocks, one of them
        # without expansion; every block projects; stem and head.
        (
            "efficientnet-lite0",
            {"CONV_2D": 33, "DEPTHWISE_CONV_2D": 16, "ADD": 9},
        ),
        (
            "efficientnet-b0",
            {"CONV_2D": 65, "DEPTHWISE_CONV_2D": 17, "ADD": 9},
        ),
        # The compiler's log of the published S counts 66 operators.
        (
            "efficientnet-edgetpu-S",
            {"CONV_2D": 38, "DEPTHWISE_CONV_2D": 11, "ADD": 12},
        ),
    ],
)
def test_whole_networks(name, operators, taught, pictures, with_extremes):
    whole = network(name, classes=4, pixels=64)
    model = taught(whole)
    images, _ = pictures(8, side=64, seed=1)
    counts = read_graph(quantize(whole, model, with_extremes(images))).counts()
    assert operators.items() <= counts.items()
    if name == "efficientnet-edgetpu-S":
        assert sum(counts.values()) == 66


def test_what_all_logits_share_costs_no_resolution(
    lite, pictures, with_extremes
):
    """Logits of an image may have any offset in common: softmax has none."""
    shifted = keras.models.clone_model(lite.model)
    shifted.set_weights(lite.model.get_weights())
    kernel, bias = shifted.get_layer("predictions").get_weights()
    common = np.random.default_rng(0).normal(0, 20, (len(kernel), 1))
    shifted.get_layer("predictions").set_weights([kernel + common, bias + 7])
    images = with_extremes(pictures(24, seed=3)[0])
    plain = Runner(quantize(lite.network, lite.model, images))
    moved = Runner(quantize(lite.network, shifted, images))
    for image in pictures(8, seed=9)[0]:
        np.testing.assert_allclose(
            moved.scores(image), plain.scores(image), atol=2 / 256
        )
    # Of the logits themselves nothing is taken away.
    model = device_model(lite.network, shifted, "logits")
    inputs = normalize(images[:1], INPUT)
    expected = shifted(normalize(images[:1], lite.network.normalization))
    np.testing.assert_allclose(model(inputs), expected, rtol=1e-3, atol=1e-2)
