"""Checkpoints as TF1 writes them, with the original's names and values."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from efficientnet_tf import InputError, LoadReport, load_tf1_checkpoint
from efficientnet_tf.modeling.build import build
from efficientnet_tf.modeling.tf1_checkpoint import open_tf1_checkpoint
from efficientnet_tf.modeling.tf1_names import OriginalName, original_names

EMA = "/ExponentialMovingAverage"
TOLERANCE = 1e-3
LITE0 = "efficientnet-lite0"

Tensors = dict[str, np.ndarray]


def write(prefix: Path, tensors: Tensors) -> str:
    """Writes a checkpoint by the operation that TF1's saver runs."""
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=list(tensors.values()),
    )
    return str(prefix)


@pytest.fixture
def original(
    golden: Callable[[str], dict[str, Any]],
    rebuilt: Callable[[str, tuple[int, ...]], np.ndarray],
) -> Callable[[str], Tensors]:
    """The variables of a network, by the original's names."""

    def make(name: str) -> Tensors:
        return {
            full: rebuilt(full, tuple(shape))
            for full, shape in golden(name)["variables"]
        }

    return make


@pytest.fixture
def lite0(original: Callable[[str], Tensors]) -> Tensors:
    return original(LITE0)


def averaged(tensors: Tensors) -> Tensors:
    return {name + EMA: value for name, value in tensors.items()}


def noise(tensors: Tensors) -> Tensors:
    return {name: np.full_like(value, 7) for name, value in tensors.items()}


def as_the_original(
    model: keras.Model, golden: dict[str, Any], images: np.ndarray
) -> bool:
    logits = np.asarray(model(images, training=False))
    expected = np.array(golden["logits"])
    error = np.abs(logits[:, : expected.shape[1]] - expected).max()
    return bool(error <= TOLERANCE * golden["logits_std"])


def complete(report: LoadReport, model: keras.Model, tensors: Tensors) -> None:
    """Every variable and every tensor is accounted for, once."""
    paths = {variable.path for variable in model.weights}
    assert report.assigned.keys() | report.fresh.keys() == paths
    assert not report.assigned.keys() & report.fresh.keys()
    used = list(report.assigned.values())
    assert len(set(used)) == len(used)
    assert set(used) | report.unused.keys() == tensors.keys()
    assert not set(used) & report.unused.keys()
    assert all(report.unused.values())


@pytest.mark.parametrize(
    "name",
    [
        LITE0,
        "efficientnet-b0",
        "efficientnet-condconv-b0-4e",
        "efficientnet-edgetpu-S",
        "efficientnet-x-b0",
    ],
)
def test_averages_come_first(
    name: str,
    tmp_path: Path,
    original: Callable[[str], Tensors],
    golden: Callable[[str], dict[str, Any]],
    golden_images: Callable[[int], np.ndarray],
) -> None:
    expected = golden(name)
    weights = original(name)
    tensors = noise(weights) | averaged(weights)
    for weight in weights:
        tensors |= {f"{weight}/{s}": weights[weight] for s in ("RMSProp",)}
        tensors |= {f"{weight}/RMSProp_1": weights[weight]}
    tensors["global_step"] = np.float32(218949)
    path = write(tmp_path / "model.ckpt", tensors)

    model = build(name, pixels=expected["image_size"])
    report = load_tf1_checkpoint(model, path)
    assert as_the_original(
        model, expected, golden_images(expected["image_size"])
    )
    complete(report, model, tensors)
    assert all(tensor.endswith(EMA) for tensor in report.assigned.values())
    assert not report.fresh
    reasons = report.unused.values()
    assert list(reasons).count("slot of the optimizer") == 2 * len(weights)
    assert report.unused["global_step"] == "counter of training"
    assert f"{len(weights)} variables" in str(report)


def test_raw_where_there_are_no_averages(
    tmp_path: Path,
    lite0: Tensors,
    golden: Callable[[str], dict[str, Any]],
    golden_images: Callable[[int], np.ndarray],
) -> None:
    path = write(tmp_path / "model.ckpt", lite0)
    model = build(LITE0, pixels=96)
    load_tf1_checkpoint(model, path)
    assert as_the_original(model, golden(LITE0), golden_images(96))


def test_what_a_session_of_tf1_saved(tmp_path: Path, lite0: Tensors) -> None:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name, value in lite0.items():
            tf.compat.v1.get_variable(
                name, initializer=value, use_resource=False
            )
        session.run(tf.compat.v1.global_variables_initializer())
        saver = tf.compat.v1.train.Saver()
        saver.save(session, str(tmp_path / "model.ckpt"), global_step=7)
    model = build(LITE0, pixels=32)
    load_tf1_checkpoint(model, str(tmp_path))
    expected = lite0[f"{LITE0}/stem/conv2d/kernel"][0, 0, 0, 0]
    assert first_kernel(model) == expected


def test_raw_on_demand(
    tmp_path: Path,
    lite0: Tensors,
    golden: Callable[[str], dict[str, Any]],
    golden_images: Callable[[int], np.ndarray],
) -> None:
    tensors = lite0 | averaged(noise(lite0))
    path = write(tmp_path / "model.ckpt", tensors)
    model = build(LITE0, pixels=96)
    report = load_tf1_checkpoint(model, path, ema=False)
    assert as_the_original(model, golden(LITE0), golden_images(96))
    complete(report, model, tensors)


def test_averages_alone_will_do(tmp_path: Path, lite0: Tensors) -> None:
    # As in the L2 checkpoint of NoisyStudent.
    path = write(tmp_path / "model.ckpt", averaged(lite0))
    model = build(LITE0, pixels=96)
    complete(load_tf1_checkpoint(model, path), model, averaged(lite0))
    with pytest.raises(InputError, match="not averaged; take it with ema"):
        load_tf1_checkpoint(model, path, ema=False)


def test_other_counters_of_experts(
    tmp_path: Path,
    original: Callable[[str], Tensors],
    golden: Callable[[str], dict[str, Any]],
    golden_images: Callable[[int], np.ndarray],
) -> None:
    # As if the network had been built second in its process.
    name = "efficientnet-condconv-b0-4e"
    tensors = {}
    for full, value in original(name).items():
        scope, _, kind = full.rpartition("/")
        stem, _, number = scope.rpartition("_")
        if stem.endswith("/cond_conv2d"):
            full = f"{stem}_{int(number) + 24}/{kind}"
        tensors[full] = value
    path = write(tmp_path / "model.ckpt", tensors)
    model = build(name, pixels=golden(name)["image_size"])
    load_tf1_checkpoint(model, path)
    images = golden_images(golden(name)["image_size"])
    assert as_the_original(model, golden(name), images)


@pytest.fixture
def saved(tmp_path: Path, lite0: Tensors) -> Path:
    """A folder with a checkpoint, as the original publishes it."""
    folder = tmp_path / LITE0
    folder.mkdir()
    write(folder / "model.ckpt-1", lite0)
    return folder


def first_kernel(model: keras.Model) -> float:
    return float(np.asarray(model.get_layer("stem_conv").kernel)[0, 0, 0, 0])


@pytest.mark.parametrize(
    "form", ["prefix", "index", "data", "directory", "parent", "tar.gz", "tar"]
)
def test_every_form_of_a_path(
    saved: Path, form: str, lite0: Tensors, model: keras.Model
) -> None:
    model.get_layer("stem_conv").kernel.assign(np.zeros((3, 3, 3, 32)))
    paths = {
        "prefix": saved / "model.ckpt-1",
        "index": saved / "model.ckpt-1.index",
        "data": saved / "model.ckpt-1.data-00000-of-00001",
        "directory": saved,
        "parent": saved.parent,
    }
    if form.startswith("tar"):
        paths[form] = saved.parent / f"{LITE0}.{form}"
        with tarfile.open(paths[form], "w:gz" if "gz" in form else "w") as file:
            file.add(saved, LITE0)
    load_tf1_checkpoint(model, str(paths[form]))
    expected = lite0[f"{LITE0}/stem/conv2d/kernel"][0, 0, 0, 0]
    assert first_kernel(model) == expected
    with open_tf1_checkpoint(str(paths[form])) as checkpoint:
        assert checkpoint.classes == 1000


def test_the_state_file_chooses_among_many(saved: Path, lite0: Tensors) -> None:
    write(saved / "model.ckpt-2", noise(lite0))
    state = 'model_checkpoint_path: "/cns/some/where/model.ckpt-2"\n'
    (saved / "checkpoint").write_text(state)
    model = build(LITE0, pixels=32)
    load_tf1_checkpoint(model, str(saved))
    assert first_kernel(model) == 7

    (saved / "checkpoint").unlink()
    with pytest.raises(InputError, match="2 checkpoints .*prefix of one"):
        load_tf1_checkpoint(model, str(saved))


@pytest.mark.parametrize(
    ("here", "there"), [(1000, 1000), (1000, 1001), (5, 10)]
)
def test_a_head_of_other_classes_is_left_fresh(
    tmp_path: Path, lite0: Tensors, here: int, there: int
) -> None:
    lite0 |= {
        f"{LITE0}/head/dense/kernel": np.ones((1280, there), "float32"),
        f"{LITE0}/head/dense/bias": np.ones(there, "float32"),
    }
    path = write(tmp_path / "model.ckpt", lite0)
    with open_tf1_checkpoint(path) as checkpoint:
        assert checkpoint.classes == there
    model = build(LITE0, pixels=32, classes=here)
    report = load_tf1_checkpoint(model, path)
    complete(report, model, lite0)
    bias = np.asarray(model.get_layer("predictions").bias)
    if here == there:
        assert not report.fresh
        assert (bias == 1).all()
    else:
        assert report.fresh.keys() == {"predictions/kernel", "predictions/bias"}
        assert (bias == 0).all()
        assert f"the model has {here} classes, the checkpoint {there}" in str(
            report
        )
    assert ("background" in str(report)) == ((here, there) == (1000, 1001))


def test_a_backbone_needs_no_head(tmp_path: Path, lite0: Tensors) -> None:
    path = write(tmp_path / "model.ckpt", lite0)
    model = build(LITE0, pixels=32, classes=0)
    report = load_tf1_checkpoint(model, path)
    complete(report, model, lite0)
    assert set(report.unused.values()) == {"the model has no classifier"}


def assert_refused(model: keras.Model, path: Path | str, words: str) -> None:
    """The error says so, and nothing was assigned."""
    before = [np.asarray(variable).copy() for variable in model.weights]
    with pytest.raises(InputError, match=words):
        load_tf1_checkpoint(model, str(path))
    for variable, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(np.asarray(variable), value)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return build(LITE0, pixels=32)


def test_a_missing_tensor(
    tmp_path: Path, lite0: Tensors, model: keras.Model
) -> None:
    del lite0[f"{LITE0}/blocks_3/conv2d_1/kernel"]
    path = write(tmp_path / "model.ckpt", lite0)
    assert_refused(
        model, path, "no blocks_3/conv2d_1/kernel for block3a_project"
    )


def test_another_shape_names_both(
    tmp_path: Path, lite0: Tensors, model: keras.Model
) -> None:
    name = f"{LITE0}/blocks_3/conv2d_1/kernel"
    lite0[name] = np.zeros((1, 1, 144, 48), "float32")
    path = write(tmp_path / "model.ckpt", lite0)
    assert_refused(
        model,
        path,
        rf"{name} is \[1, 1, 144, 48\], but block3a_project_conv/kernel needs "
        r"\[1, 1, 144, 40\]",
    )


def test_a_network_with_more_in_it(
    tmp_path: Path, original: Callable[[str], Tensors], model: keras.Model
) -> None:
    # B0 has all that Lite0 has, in the same shapes, and squeezes besides.
    path = write(tmp_path / "model.ckpt", original("efficientnet-b0"))
    assert_refused(
        model, path, r"another network: .*/se/conv2d.*efficientnet-b0/"
    )


def test_a_network_with_less_in_it(tmp_path: Path, lite0: Tensors) -> None:
    path = write(tmp_path / "model.ckpt", lite0)
    assert_refused(
        build("efficientnet-b0", pixels=32), path, "has no blocks_0/se"
    )


def test_what_is_no_checkpoint(
    tmp_path: Path, saved: Path, model: keras.Model
) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a checkpoint")
    assert_refused(model, text, "notes.txt is no checkpoint")
    assert_refused(model, tmp_path / "model.ckpt", "model.ckpt is not there")
    (tmp_path / "empty").mkdir()
    assert_refused(model, tmp_path / "empty", "holds no checkpoint")

    (saved / "model.ckpt-1.index").write_text("text")
    assert_refused(model, saved, "no checkpoint that can be read")
    (tmp_path / "archive.tar.gz").write_text("text")
    assert_refused(model, tmp_path / "archive.tar.gz", "cannot be unpacked")
    assert_refused(model, tmp_path / "none.tar.gz", "cannot be read")


def test_what_is_not_whole(saved: Path, model: keras.Model) -> None:
    archive = saved.parent / "archive.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(saved, LITE0)
    content = archive.read_bytes()
    archive.write_bytes(content[: len(content) // 2])
    assert_refused(model, archive, "cannot be unpacked")

    data = saved / "model.ckpt-1.data-00000-of-00001"
    content = data.read_bytes()
    data.write_bytes(content[: len(content) // 2])
    assert_refused(model, saved, "lacks the values of")
    data.unlink()
    assert_refused(model, saved, "not all of model.ckpt-1.data")


def test_a_run_of_the_project_is_no_checkpoint(
    tmp_path: Path, model: keras.Model
) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "step-0.index").write_text("")
    assert_refused(model, tmp_path, "is a run of this project.*--init_from")


def test_a_folder_that_reads_like_a_pattern(
    tmp_path: Path, lite0: Tensors, model: keras.Model
) -> None:
    folder = tmp_path / "ck[1]"
    folder.mkdir()
    write(tmp_path / "model.ckpt", lite0)
    for path in tmp_path.glob("model.ckpt*"):
        path.rename(folder / path.name)
    assert_refused(model, folder, "takes the name for a pattern")


def test_names_of_v2() -> None:
    # Source: google/automl efficientnetv2/effnetv2_model.py at 2fb46e7.
    names = original_names(build("efficientnetv2-b0", pixels=32, classes=10))
    for path, name, shape in (
        ("stem_conv/kernel", "stem/conv2d/kernel", (3, 3, 3, 32)),
        (
            "block1a_project_conv/kernel",
            "blocks_0/conv2d/kernel",
            (3, 3, 32, 16),
        ),
        (
            "block1a_project_bn/gamma",
            "blocks_0/tpu_batch_normalization/gamma",
            (16,),
        ),
        (
            "block2a_expand_conv/kernel",
            "blocks_1/conv2d/kernel",
            (3, 3, 16, 64),
        ),
        (
            "block2a_project_conv/kernel",
            "blocks_1/conv2d_1/kernel",
            (1, 1, 64, 32),
        ),
        (
            "block2a_project_bn/beta",
            "blocks_1/tpu_batch_normalization_1/beta",
            (32,),
        ),
        (
            "block4a_expand_conv/kernel",
            "blocks_5/conv2d/kernel",
            (1, 1, 48, 192),
        ),
        (
            "block4a_dwconv/kernel",
            "blocks_5/depthwise_conv2d/depthwise_kernel",
            (3, 3, 192, 1),
        ),
        ("block4a_se_reduce/bias", "blocks_5/se/conv2d/bias", (12,)),
        (
            "block4a_se_expand/kernel",
            "blocks_5/se/conv2d_1/kernel",
            (1, 1, 12, 192),
        ),
        (
            "block4a_project_bn/moving_mean",
            "blocks_5/tpu_batch_normalization_2/moving_mean",
            (96,),
        ),
        ("top_conv/kernel", "head/conv2d/kernel", (1, 1, 192, 1280)),
        ("predictions/bias", "head/dense/bias", (10,)),
    ):
        assert names[path] == OriginalName(name, shape)


def test_what_the_project_itself_has_saved(
    tmp_path: Path, model: keras.Model
) -> None:
    checkpoint = tf.train.Checkpoint(step=tf.Variable(1))
    path = checkpoint.save(tmp_path / "step")
    assert_refused(model, path, "TensorFlow 2.*--init_from")


def test_another_model_is_refused(saved: Path) -> None:
    inputs = keras.Input((4,))
    other = keras.Model(inputs, keras.layers.Dense(3, name="mine")(inputs))
    assert_refused(other, saved, "mine/kernel is no variable")


def test_an_archive_cannot_write_elsewhere(
    saved: Path, model: keras.Model
) -> None:
    archive = saved.parent / "archive.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(saved, f"../../{LITE0}")
    shutil.rmtree(saved)
    assert_refused(model, archive, "cannot be unpacked")
