"""Small networks that have learnt colours, converted once for all tests."""

from __future__ import annotations

import dataclasses
import io
import os
from pathlib import Path

import numpy as np
import pytest

COLOURS = {
    "red": (220, 40, 40),
    "green": (40, 200, 60),
    "blue": (50, 60, 210),
    "yellow": (230, 220, 60),
}
LABELS = tuple(COLOURS)
PIXELS = 32
# One network of each family, cut after a few blocks: stem, residual blocks,
# squeeze and excitation, fused blocks and head are all there.
BLOCKS = {
    "efficientnet-lite0": 3,
    "efficientnet-b0": 3,
    "efficientnet-edgetpu-S": 3,
}
# Drawn and converted, and no more; the second has a strided 3x3 by then.
OLDER = {"mobilenet-v1": 2, "resnet-50-v1.5": 4}


@pytest.fixture(scope="session")
def pictures():
    return draw


def draw(count, *, side=PIXELS, seed):
    """uint8 [count, side, side, 3] of coloured squares, and their classes."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 90, (count, side, side, 3))
    labels = np.arange(count) % len(COLOURS)
    for image, label in zip(images, labels, strict=True):
        top, left = random.integers(0, side // 4, 2)
        size = side * 3 // 4
        square = image[top : top + size, left : left + size]
        square[:] = COLOURS[LABELS[label]] + random.integers(
            -25, 25, square.shape
        )
    return images.clip(0, 255).astype(np.uint8), labels


@pytest.fixture(scope="session")
def records(tmp_path_factory):
    """A folder of TFRecords in ImageNet's layout, written by hand."""
    import tensorflow as tf
    from PIL import Image

    folder = tmp_path_factory.mktemp("colours")

    def feature(image, label):
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=95)
        values = {
            "image/encoded": tf.train.Feature(
                bytes_list=tf.train.BytesList(value=[file.getvalue()])
            ),
            "image/class/label": tf.train.Feature(
                int64_list=tf.train.Int64List(value=[int(label) + 1])
            ),
        }
        return tf.train.Example(features=tf.train.Features(feature=values))

    for split, files, seed in (("train", 2, 1), ("validation", 1, 2)):
        images, labels = draw(24, side=40, seed=seed)
        for file in range(files):
            path = folder / f"{split}-{file:05d}-of-{files:05d}"
            with tf.io.TFRecordWriter(str(path)) as writer:
                for image, label in zip(
                    images[file::files], labels[file::files], strict=True
                ):
                    writer.write(feature(image, label).SerializeToString())
    (folder / "labels.txt").write_text("".join(f"{x}\n" for x in LABELS))
    return folder


@pytest.fixture(scope="session")
def dataset(records):
    from efficientnet_tf.data.dataset import open_dataset

    return open_dataset(
        str(records), train_images=24, validation_images=24, classes=4
    )


@pytest.fixture(scope="session")
def taught():
    return teach


def teach(network):
    """A model whose every weight matters and which tells the colours."""
    import keras

    from efficientnet_tf.data.preprocess import normalize
    from efficientnet_tf.modeling.build import build_network

    keras.utils.set_random_seed(7)
    model = build_network(network)
    random = np.random.default_rng(7)
    for weight in model.weights:
        name = weight.path.split("/")[-1]
        if name in ("beta", "moving_mean", "bias"):
            weight.assign(random.normal(0, 0.2, weight.shape))
        elif name in ("gamma", "moving_variance"):
            weight.assign(random.uniform(0.5, 1.5, weight.shape))

    images, labels = draw(64, side=network.pixels, seed=3)
    inputs = normalize(images, network.normalization)
    features = keras.Model(model.inputs, model.get_layer("avg_pool").output)(
        inputs
    ).numpy()
    mean = features.mean(0)
    centred = features - mean
    wanted = np.eye(network.classes)[labels] * 6
    kernel = centred.T @ np.linalg.solve(
        centred @ centred.T + 0.1 * np.eye(len(images)), wanted
    )
    model.get_layer("predictions").set_weights([kernel, -mean @ kernel])
    return model


@dataclasses.dataclass
class Converted:
    network: object
    model: object
    content: bytes

    @property
    def trained(self):
        from efficientnet_tf.training.config import Config, ModelConfig
        from efficientnet_tf.training.trained import TrainedModel

        name = self.network.name
        return TrainedModel(
            config=Config(model=ModelConfig(name, classes=4, pixels=PIXELS)),
            network=self.network,
            labels=LABELS,
            model=self.model,
            raw=self.model,
            step=12,
        )


@pytest.fixture(scope="session")
def with_extremes():
    return add_extremes


def add_extremes(images):
    black = np.zeros_like(images[:1])
    return np.concatenate([images, black, np.full_like(black, 255)])


@pytest.fixture(scope="session")
def converted(dataset):
    """Gives a network's `Converted`, made once."""
    from edgetpu.calibrate import calibration_images
    from edgetpu.quantize import quantize
    from efficientnet_tf.data.cut import Cut
    from efficientnet_tf.networks import network

    made = {}

    def convert(name):
        if name not in made:
            resolved = network(name, classes=4, pixels=PIXELS)
            resolved = dataclasses.replace(
                resolved, blocks=resolved.blocks[: (BLOCKS | OLDER)[name]]
            )
            model = teach(resolved)
            images = calibration_images(
                dataset,
                images=24,
                cut=Cut(PIXELS, "pad32", "legacy_bicubic"),
            )
            content = quantize(resolved, model, images)
            made[name] = Converted(resolved, model, content)
        return made[name]

    return convert


@pytest.fixture(params=BLOCKS)
def each(request, converted):
    return converted(request.param)


@pytest.fixture
def lite(converted):
    return converted("efficientnet-lite0")


@pytest.fixture(scope="session")
def coral(shared):
    """Real models, before and after Google's compiler."""
    folder = shared / "coral"
    if not folder.is_dir():
        pytest.skip("needs the compiled models of shared/coral")
    return folder


@pytest.fixture(scope="session")
def compiled_file(tmp_path_factory) -> Path:
    """A model as the compiler leaves it: one operator, for the Edge TPU."""
    path = tmp_path_factory.mktemp("compiled") / "model_edgetpu.tflite"
    path.write_bytes(_one_operator("CUSTOM", "edgetpu-custom-op", "UINT8"))
    return path


@pytest.fixture(scope="session")
def model() -> bytes:
    """What the compiler takes: one operator, int8."""
    return _one_operator("RELU", None, "INT8")


@pytest.fixture(scope="session")
def float_model() -> bytes:
    return _one_operator("RELU", None, "FLOAT32")


def _one_operator(name, custom, dtype) -> bytes:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    def tensor(name):
        made = schema.TensorT()
        made.name, made.shape = name, [1, 8, 8, 3]
        made.type, made.buffer = getattr(schema.TensorType, dtype), 0
        return made

    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0], [1]
    graph = schema.SubGraphT()
    graph.tensors = [tensor("pixels"), tensor("scores")]
    graph.inputs, graph.outputs, graph.operators = [0], [1], [operator]
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, name)
    code.deprecatedBuiltinCode = code.builtinCode
    code.customCode, code.version = custom, 1
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    model.buffers = [schema.BufferT()]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.fixture
def no_compiler(monkeypatch):
    """Google's compiler is not found, even where there is one."""
    monkeypatch.delenv("EDGETPU_COMPILER", raising=False)
    monkeypatch.setenv("PATH", os.defpath)


# Takes the flags of version 16.0 and no others, as that does; then the shell
# knows $models, the last one as $model, and where its file should go.
STAND_IN = """\
#!/bin/sh
echo "$@" >> "$0.arguments"
out=. segments=0 models= table=no
while [ $# -gt 0 ]; do
  case "$1" in
    -s) table=yes ;;
    -d | -a) ;;
    -o) out=$2; shift ;;
    -n) segments=$2; shift ;;
    -m | -i | -k | -t) shift ;;
    -*) echo "Invalid option: $1"; exit 1 ;;
    *) models="$models $1"; model=$1 ;;
  esac
  shift
done
test $table = yes || exit 9
stem=$(basename "$model" .tflite)
written="$out/${stem}_edgetpu.tflite"
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Makes a program that is run as the compiler is."""
    monkeypatch.delenv("EDGETPU_COMPILER", raising=False)

    def make(*, prints="", then="", name="edgetpu_compiler"):
        said = tmp_path / f"{name}.txt"
        said.write_text(prints)
        program = tmp_path / name
        program.write_text(f"{STAND_IN}cat '{said}'\n{then}\n")
        program.chmod(0o755)
        return str(program)

    return make


@pytest.fixture
def already_converted(lite, monkeypatch):
    """Saves the seconds of converting the same network again."""
    monkeypatch.setattr(
        "edgetpu.export.quantize", lambda *_, **__: lite.content
    )
    monkeypatch.setattr("edgetpu.verify.layer_errors", lambda *_, **__: ())
