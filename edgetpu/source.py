"""The network that is to be quantised: out of a run, or of a `.keras` file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace

import keras
import tensorflow as tf

from efficientnet_tf.data.cut import Cut
from efficientnet_tf.data.dataset import RecordDataset
from efficientnet_tf.errors import InputError
from efficientnet_tf.modeling.build import build_network
from efficientnet_tf.networks import HEAD, FusedStride, Network, variants
from efficientnet_tf.training.config import (
    Config,
    DataConfig,
    ModelConfig,
    Which,
)
from efficientnet_tf.training.config_files import override
from efficientnet_tf.training.model_dir import ModelDir
from efficientnet_tf.training.run import open_data
from efficientnet_tf.training.trained import load_trained, run_config

_NAME = "model.name="
_STRIDES: tuple[FusedStride, ...] = ("expand", "project")


@dataclass(frozen=True)
class Source:
    """A network with weights.

    Attributes:
        config: That of the run; of a file, what is usual for its network.
        network: Every number final.
        model: Normalised images -> logits, or features without a classifier.
        labels: Names of the classes; empty for a file, which has none.
    """

    config: Config
    network: Network
    model: keras.Model
    labels: tuple[str, ...]

    @property
    def cut(self) -> Cut:
        """How pictures become the network's inputs."""
        return self.config.data.cut(self.network.pixels)

    def open_data(self, data_dir: str | None, flag: str) -> RecordDataset:
        """Opens images to calibrate with, or to compare on.

        Args:
            data_dir: Where they are; None for those of the run.
            flag: What says so on the command line.

        Raises:
            InputError: There are none.
        """
        config = self.config
        if data_dir:
            config = override(config, [f"data.dir={data_dir}"])
        if not config.data.dir:
            raise InputError(
                f"{flag} is missing: name images such as the network was "
                'trained on, or "digits"'
            )
        # They need not be of the network's classes.
        return open_data(
            replace(config, model=replace(config.model, classes=None))
        )


def load_source(
    path: str, *, checkpoint: Which | None = None, settings: Sequence[str] = ()
) -> Source:
    """Loads a network.

    Args:
        path: A model directory of `main.py train` or `main.py import`, or a
            `.keras` file of `main.py export`; local or gs://.
        checkpoint: Of a model directory, which weights; None for what its
            config says.
        settings: Fields of the config, as `--set` has them.

    Raises:
        InputError: There is no such network.
    """
    if path.endswith(".keras"):
        if checkpoint:
            raise InputError(
                f"--checkpoint {checkpoint} is for a model directory; {path} "
                "holds one set of weights"
            )
        return _from_file(path, settings)
    if ModelDir(path).config() is None:
        raise InputError(
            f"--model {path} holds no run, having no config.json; give a model "
            "directory of `python main.py train` or `import`, or a .keras file "
            "of `python main.py export`"
        )
    config = override(run_config(path), settings)
    trained = load_trained(
        path, config, checkpoint=checkpoint or config.export.checkpoint
    )
    return Source(config, trained.network, trained.model, trained.labels)


def default_out(path: str) -> str:
    """Where files of a network go: RUN/export, or the file's own folder."""
    if path.endswith(".keras"):
        return os.path.dirname(path) or "."
    return ModelDir(path).export


def _from_file(path: str, settings: Sequence[str]) -> Source:
    model = _opened(path)
    names = _names(model)
    word = _word(model, path, settings)
    for stride in _STRIDES:
        config = _config(model, word, stride, settings)
        network = config.network()
        built = build_network(network, dtype="float32")
        if names == _names(built):
            return Source(config, network, model, ())
    raise InputError(
        f"{path} says that it is {model.name}, but has other layers; give a "
        "file of `python main.py export`"
    )


def _names(model: keras.Model) -> set[str]:
    """Those of the layers, but for what only a training drops."""
    return {
        layer.name
        for layer in model.layers
        if not isinstance(layer, keras.layers.Dropout)
    }


def _word(model: keras.Model, path: str, settings: Sequence[str]) -> str:
    """What `model.name` is: the model's own name, or its variant file."""
    said = [each for each in settings if each.startswith(_NAME)]
    word = said[-1].removeprefix(_NAME) if said else model.name
    if word not in variants() and not word.endswith(".json"):
        raise InputError(
            f"{path} holds {model.name!r}, which is no network of this "
            "project; give a file of `python main.py export`, or of a network "
            f"of your own its variant file too, --set {_NAME}FILE.json"
        )
    return word


def _opened(path: str) -> keras.Model:
    if not tf.io.gfile.exists(path) or tf.io.gfile.isdir(path):
        raise InputError(f"--model {path} is no file; give a .keras file")
    with tempfile.TemporaryDirectory() as folder:
        local = os.path.join(folder, "model.keras")
        tf.io.gfile.copy(path, local)
        try:
            return keras.models.load_model(local, compile=False)
        # Keras has no error of its own for a file that it cannot read.
        except Exception as error:
            reason = " ".join(str(error).split()).replace(local, path)[:300]
            raise InputError(
                f"{path} cannot be opened by Keras ({reason}); give a .keras "
                "file of `python main.py export`"
            ) from error


def _config(
    model: keras.Model, word: str, stride: FusedStride, settings: Sequence[str]
) -> Config:
    shape = model.input_shape
    if len(model.outputs) != 1 or len(shape) != 4 or None in shape[1:3]:
        raise InputError(
            f"{model.name} takes {shape} and has {len(model.outputs)} outputs; "
            "give one for images of one size with one output"
        )
    headless = model.layers[-1].name != HEAD
    config = Config(
        model=ModelConfig(
            word,
            classes=0 if headless else model.output_shape[-1],
            pixels=shape[1],
            fused_stride=stride,
        ),
        data=DataConfig(dir=""),
    )
    return override(config, settings)
