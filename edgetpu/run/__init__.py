"""Runs a .tflite file, on a CPU or on an Edge TPU, without TensorFlow.

Needs NumPy, Pillow and LiteRT only (on old boards `tflite_runtime`), and
nothing else of this project: the folder can be copied to a Coral board as it
is, and runs on Python 3.7.

    scp -r edgetpu/run mendel@board:
    ssh mendel@board python3 -m run MODEL_edgetpu.tflite cat.jpg

    runner = Runner("efficientnet-lite0_int8_edgetpu.tflite")
    for number, score in runner.top(image): ...

pixels turns a picture into what a network is given, interpreters opens files,
runner classifies, timing measures, and __main__ is the command.
"""

from .runner import Runner

__all__ = ["Runner"]
