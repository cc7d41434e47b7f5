"""Metadata and extras. Settings of tools live in pyproject.toml."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import Extension, find_packages, setup

ROOT = Path(__file__).parent


def version() -> str:
    """Reads the version without importing the package."""
    text = (ROOT / "efficientnet_tf" / "__init__.py").read_text()
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    if found is None:
        raise ValueError("efficientnet_tf/__init__.py has no __version__")
    return found[1]


# What describes a network and prepares an image, on any host.
BASE = [
    "absl-py>=2.1,<3",
    "matplotlib>=3.9,<4",
    "numpy>=2.0,<3",
    "pillow>=11,<14",
    "rich>=13,<16",
]

# Runs .tflite files and opens them; brings no TensorFlow, Keras or SciPy.
EDGE = ["ai-edge-litert>=2.1,<3", "flatbuffers>=24.3.25,<26"]

# What every host that trains has besides a TensorFlow.
TRAIN = [
    *EDGE,
    "google-crc32c>=1.5,<2",
    "keras>=3.12,<3.16",
    "scikit-learn>=1.5,<2",
    "tensorboard~=2.20.0",
]

# Data sets by name. TFDS 4.9.10 imports importlib_resources and does not ask
# for it. No TensorFlow: it goes beside cpu, gpu or tpu.
TFDS = ["tensorflow-datasets>=4.9.9,<5", "importlib_resources>=6,<8"]

# `tensorflow` and `tensorflow-tpu` own the same files and must never meet in
# one environment, so that neither is in the base install: an extra picks one.
CPU = [*TRAIN, "tensorflow==2.20.*"]
GPU = [*TRAIN, "tensorflow[and-cuda]==2.20.*"]
# tensorflow-tpu asks for libtpu~=0.0.14, but importing it aborts from libtpu
# 0.0.32 on. The client looks up TPUs by name; installed later, on its own, it
# would downgrade protobuf and break TensorFlow.
TPU = [
    *TRAIN,
    "tensorflow-tpu==2.20.0",
    "libtpu==0.0.21",
    "cloud-tpu-client==0.10",
]
# Beam holds protobuf below 7, which TensorFlow 2.20 takes as well: an
# environment of its own. What its [tfrecord] adds is google-crc32c, of TRAIN.
PREPARE = [*CPU, *TFDS, "apache-beam[gcp]>=2.70,<3"]
# The compiler that TensorFlow 2.20's TPU wheel runs on, and what leads to it.
REHEARSE = [*CPU, "jax==0.7.1", "libtpu==0.0.21"]
# Trials of an architecture search, on any database of SQLAlchemy's.
SEARCH = [
    *CPU,
    "optuna>=5,<6",
    "optuna-dashboard>=0.21,<1",
    "psycopg[binary]>=3.2,<4",
    "scipy>=1.13,<2",
]
TEST = [
    *REHEARSE,
    *SEARCH,
    *TFDS,
    "pytest>=8,<10",
    "pytest-xdist>=3.6,<4",
    "trustme>=1.2,<2",
]
DEV = [
    *TEST,
    "clang-format>=23,<24",
    "mypy>=1.13,<3",
    "pre-commit>=4,<5",
    "ruff>=0.9,<1",
]
# The peers of benchmarks/train_step.py and of input_pipeline.py. tf_keras asks
# for plain `tensorflow`.
BENCH = [
    *CPU,
    "grain>=0.2.18,<0.3",
    "keras-cv==0.9.0",
    "opencv-python-headless>=4.10,<6",
    "tf_keras==2.20.1",
    "timm>=1.0,<2",
    "torch>=2.6,<3",
    "torchvision>=0.21,<1",
]

# A TensorFlow op, by TensorFlow's C interface, for which it needs no TensorFlow
# here. Without a C compiler the package does without it. Sums and products are
# not contracted, so that all processors give the same pixels.
KERNELS = "efficientnet_tf/data/kernels"
CROP_TO_IMAGE = Extension(
    "efficientnet_tf.data._crop_to_image",
    sources=[
        f"{KERNELS}/{name}.c"
        for name in ("colours", "crop_to_image", "moves", "resample")
    ],
    depends=[f"{KERNELS}/image.h"],
    extra_compile_args=[
        *("-std=gnu11", "-O3", "-ffp-contract=off", "-fno-math-errno"),
        *("-fvisibility=hidden", "-Wall", "-Wextra"),
    ],
    libraries=["m", "dl"],
    optional=True,
)

setup(
    name="efficientnet-tf",
    version=version(),
    description=(
        "EfficientNets on TensorFlow: found, scaled, trained, put on Coral"
    ),
    long_description=(ROOT / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    # tensorflow-tpu, libtpu and TensorFlow were tried together on 3.11 only.
    python_requires="==3.11.*",
    packages=find_packages(include=["efficientnet_tf*", "edgetpu*"]),
    package_data={
        "efficientnet_tf": [
            "py.typed",
            "data/imagenet_labels.txt",
            "data/kernels/*",
        ],
        "edgetpu": ["py.typed"],
    },
    py_modules=[],
    ext_modules=[CROP_TO_IMAGE],
    install_requires=BASE,
    extras_require={
        "cpu": CPU,
        "gpu": GPU,
        "tpu": TPU,
        "edge": EDGE,
        "tfds": TFDS,
        "prepare": PREPARE,
        "rehearse": REHEARSE,
        "search": SEARCH,
        "test": TEST,
        "dev": DEV,
        "bench": BENCH,
    },
)
