"""The runner of a Coral host, against LiteRT itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from edgetpu.quantize import device_model, quantize
from edgetpu.run import Runner
from efficientnet_tf.data.preprocess import normalize


def test_scores_are_those_of_litert(each, pictures):
    interpreter = Interpreter(model_content=each.content)
    interpreter.allocate_tensors()
    runner = Runner(each.content)
    for image in pictures(5, seed=9)[0]:
        interpreter.set_tensor(
            interpreter.get_input_details()[0]["index"], image[np.newaxis]
        )
        interpreter.invoke()
        raw = interpreter.get_tensor(
            interpreter.get_output_details()[0]["index"]
        )[0]
        scores = runner.scores(image)
        assert scores.dtype == np.float32
        np.testing.assert_array_equal(scores * 256, raw)


def test_top_begins_with_the_best(lite, pictures, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(lite.content)
    runner = Runner(str(path), threads=1)
    for image in pictures(4, seed=9)[0]:
        scores = runner.scores(image)
        top = runner.top(image, 4)
        assert [score for _, score in top] == sorted(scores, reverse=True)
        assert all(scores[number] == score for number, score in top)


def test_equal_scores_come_in_the_order_of_classes(lite, monkeypatch):
    runner = Runner(lite.content)
    scores = np.array([0.25, 0.5, 0.5, 0.25], np.float32)
    monkeypatch.setattr(runner, "scores", lambda image: scores)
    numbers = [number for number, _ in runner.top(np.zeros(()), 4)]
    assert numbers == [1, 2, 0, 3]


def test_other_quantisations_of_the_same_input(coral):
    # Google's MobileNet: the same scale, zero point 128.
    path = coral / "mobilenet_v1_0.25_128_quant-22b67d.tflite"
    runner = Runner(str(path))
    image = np.arange(128 * 128 * 3).reshape(128, 128, 3).astype(np.uint8)
    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    (taken,) = interpreter.get_input_details()
    (given,) = interpreter.get_output_details()
    shifted = np.minimum(image.astype(int) + 1, 255).astype(np.uint8)
    interpreter.set_tensor(taken["index"], shifted[np.newaxis])
    interpreter.invoke()
    scores = interpreter.get_tensor(given["index"])[0]
    np.testing.assert_array_equal(runner.scores(image) * 256, scores)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((32, 32, 3), np.float32),
        np.zeros((16, 32, 3), np.uint8),
        np.zeros((1, 32, 32, 3), np.uint8),
    ],
)
def test_another_image_is_refused(lite, image):
    with pytest.raises(ValueError, match=r"not uint8 \[32, 32, 3\]"):
        Runner(lite.content).scores(image)


def test_a_compiled_file_asks_for_a_delegate(compiled_file):
    with pytest.raises(ValueError, match="libedgetpu.so.1"):
        Runner(str(compiled_file))


def test_real_compiled_files_ask_for_a_delegate(coral):
    path = coral / "mobilenet_v1_0.25_128_quant-22b67d_edgetpu.tflite"
    with pytest.raises(ValueError, match="compiled for the Edge TPU"):
        Runner(str(path))


def test_a_delegate_that_is_not_there(lite):
    with pytest.raises(ValueError, match="libnothing"):
        Runner(lite.content, delegate="libnothing.so.1")


def test_a_model_that_does_not_classify_is_refused(coral):
    name = "face_detection_front_128_full_integer_quant-eb3169.tflite"
    with pytest.raises(ValueError, match="outputs, not one of each"):
        Runner(str(coral / name))


def test_whole_numbers_below_zero_too(lite, pictures):
    images = pictures(8, seed=3)[0]
    images[0], images[1] = 0, 255
    content = quantize(lite.network, lite.model, images, inference_type="int8")
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (taken,) = interpreter.get_input_details()
    (given,) = interpreter.get_output_details()
    for image in pictures(4, seed=9)[0]:
        entered = (image.astype(int) - 128).astype(np.int8)
        interpreter.set_tensor(taken["index"], entered[np.newaxis])
        interpreter.invoke()
        raw = interpreter.get_tensor(given["index"])[0].astype(int) + 128
        scores = Runner(content).scores(image)
        np.testing.assert_array_equal(scores * 256, raw)


def test_a_float_model(lite, pictures):
    converter = tf.lite.TFLiteConverter.from_keras_model(
        device_model(lite.network, lite.model)
    )
    content = converter.convert()
    image = pictures(1, seed=9)[0]
    logits = lite.model(normalize(image, lite.network.normalization))
    np.testing.assert_allclose(
        Runner(content).scores(image[0]), tf.nn.softmax(logits)[0], atol=1e-5
    )


def test_needs_numpy_and_litert_only():
    code = """
import sys
import edgetpu.run
heavy = {"tensorflow", "keras", "efficientnet_tf", "absl", "rich"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=True
    )
