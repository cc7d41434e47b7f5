"""What every test runs under: quiet TensorFlow on two logical CPU devices.

Two devices let a test spread a strategy over replicas. They must be declared
before TensorFlow starts its runtime, and a test without TensorFlow must not
pay for its import: so the import itself declares them, whoever asks for it.
"""

from __future__ import annotations

import hashlib
import os
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from gcs import LocalGcs

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

ROOT = Path(__file__).parents[1]
REPLICAS = 2


class _SplitCPU:
    """Finds TensorFlow as usual, and splits the CPU once it has loaded."""

    @staticmethod
    def find_spec(
        name: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if name != "tensorflow":
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def load_and_split(module: ModuleType) -> None:
            load(module)
            module.config.set_logical_device_configuration(
                module.config.list_physical_devices("CPU")[0],
                [module.config.LogicalDeviceConfiguration()] * REPLICAS,
            )

        spec.loader.exec_module = load_and_split
        return spec


sys.meta_path.insert(0, _SplitCPU)


@pytest.fixture(scope="session")
def mirrored() -> Any:
    """The strategy over both replicas.

    One for all tests: TensorFlow numbers the exchanges of a second one of the
    same devices alike, and takes them for those of the first.
    """
    import tensorflow as tf

    devices = [f"CPU:{number}" for number in range(REPLICAS)]
    return tf.distribute.MirroredStrategy(devices)


@pytest.fixture
def keras_mirror(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """Lets Keras download from a folder, into a cache of its own.

    The function publishes an EfficientNetB0 with or without its top, and
    returns it.
    """
    import h5py
    import keras
    from keras.src.applications import efficientnet
    from keras.src.legacy.saving import legacy_h5_format

    folder = tmp_path / "mirror"
    folder.mkdir()
    cache = str(tmp_path / "cache")
    # Where the folder is missing, Keras takes one that all processes share.
    os.mkdir(cache)
    monkeypatch.setenv("KERAS_HOME", cache)
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", cache)
    monkeypatch.setattr(
        efficientnet, "BASE_WEIGHTS_PATH", f"{folder.as_uri()}/"
    )

    def publish(*, top: bool) -> Any:
        model = keras.applications.EfficientNetB0(
            weights=None, include_top=top, input_shape=(32, 32, 3)
        )
        file = folder / f"efficientnetb0{'' if top else '_notop'}.h5"
        # The published files are of Keras's older format.
        with h5py.File(file, "w") as hdf5:
            legacy_h5_format.save_weights_to_hdf5_group(hdf5, model)
        digest = hashlib.md5(file.read_bytes()).hexdigest()
        monkeypatch.setitem(efficientnet.WEIGHTS_HASHES, "b0", (digest, digest))
        return model

    return publish


# Of the run below: logit 0 is a background, which some data does not have.
LABELS = ("background", "red", "green", "blue", "brown", "pink", "teal")


@pytest.fixture(scope="session")
def small_data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Records of noisy squares: all classes, and all but the background."""
    import numpy as np

    from efficientnet_tf.data.images import EncodedImage, encode_jpeg
    from efficientnet_tf.data.manifest import Manifest, write_manifest
    from efficientnet_tf.data.records import encode_record, write_shard

    random = np.random.default_rng(3)
    colours = random.integers(0, 256, (len(LABELS), 3))

    def record(label: int) -> bytes:
        noise = random.normal(0, 60, (40, 48, 3))
        pixels = np.clip(colours[label] + noise, 0, 255).astype(np.uint8)
        encoded = EncodedImage(encode_jpeg(pixels, 90), 40, 48)
        return encode_record(
            encoded, label=label, class_name=LABELS[label], filename="x.jpg"
        )

    folders = {}
    for name, first in (("whole", 0), ("part", 1)):
        folder = folders[name] = tmp_path_factory.mktemp("data") / name
        folder.mkdir()
        shards = [
            write_shard(
                str(folder / f"{split}-00000-of-00001"),
                [
                    record(label)
                    for label in range(first, len(LABELS))
                    # More of some classes than of others.
                    for _ in range(count + label % 3)
                ],
            )
            for split, count in (("train", 12), ("validation", 5))
        ]
        write_manifest(
            str(folder),
            Manifest(name, first, LABELS[first:], shards[:1], shards[1:]),
        )
    return folders


@contextmanager
def small_registered() -> Iterator[None]:
    """Knows a network of two blocks by the name of "small"."""
    from efficientnet_tf.networks import families
    from efficientnet_tf.networks.stages import Family, Stage, Variant

    stages = (Stage("mbconv", 1, 3, 2, 2, 8), Stage("fused", 1, 3, 2, 2, 8))
    family = Family(stages, "relu6", families.IMAGENET, stem=8, head=16)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(
            families.VARIANTS, "small", Variant(family, 1.0, 1.0, 32, 0.0)
        )
        yield


@pytest.fixture(scope="session")
def trained_small(
    small_data: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The directory of `small_run`."""
    from efficientnet_tf.training.config import Config
    from efficientnet_tf.training.config_files import override
    from efficientnet_tf.training.loop import train

    settings = (
        "model.name=small",
        "model.batch_norm_momentum=0.9",
        f"data.dir={small_data['whole']}",
        # By default tens of thousands of so small images would wait.
        "data.prefetch_bytes=4000000",
        "train.epochs=2",
        "train.batch=8",
        "train.learning_rate_per_256=0.3",
        "train.average_decay=0.9",
    )
    folder = tmp_path_factory.mktemp("runs") / "small"
    with small_registered():
        train(override(Config(), settings), str(folder))
    return folder


@pytest.fixture(scope="module")
def small_run(trained_small: Path) -> Iterator[Path]:
    """A run of a network of two blocks, trained but little."""
    with small_registered():
        yield trained_small


@pytest.fixture(scope="session")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalGcs]:
    """A local stand-in for Google Cloud Storage, with gs://bucket in it.

    Only processes that are begun with its environment see it.
    """
    from gcs import LocalGcs

    with closing(LocalGcs(tmp_path_factory.mktemp("gcs"), "bucket")) as server:
        yield server


@pytest.fixture(scope="session")
def shared() -> Path:
    """Material that is kept beside the repository, not in it."""
    path = ROOT.parent / "shared"
    if not path.is_dir():
        pytest.skip(f"needs {path.name}/ beside the repository")
    return path


@pytest.fixture(scope="session")
def photos(shared: Path) -> list[bytes]:
    """A hundred photographs of ImageNet's classes."""
    path = shared / "data" / "photos-100.zip"
    if not path.is_file():
        pytest.skip(f"needs the photographs of {path.name} in shared/data")
    with zipfile.ZipFile(path) as archive:
        names = sorted(archive.namelist())
        return [archive.read(x) for x in names if x.endswith(".JPEG")]
