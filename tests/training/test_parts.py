"""What is frozen stays as it is; what is not, learns."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from efficientnet_tf.errors import InputError
from efficientnet_tf.modeling.build import build
from efficientnet_tf.modeling.moment import Moment, announced
from efficientnet_tf.networks import network
from efficientnet_tf.training.averaging import follow
from efficientnet_tf.training.config import Config, TrainConfig
from efficientnet_tf.training.config_files import override
from efficientnet_tf.training.loop import train
from efficientnet_tf.training.optimizers import make_optimizer
from efficientnet_tf.training.parts import freezable, frozen_prefixes
from efficientnet_tf.training.plan import plan
from efficientnet_tf.training.state import create_state
from efficientnet_tf.training.step import TrainStep
from efficientnet_tf.training.trained import load_trained, run_config

FROZEN_OF_TINY = {
    "stem": ("stem_",),
    "stage1": ("stem_", "block1a_"),
    "stage2": ("stem_", "block1a_", "block2a_"),
    "backbone": ("stem_", "block1a_", "block2a_", "top_"),
}


@pytest.fixture(scope="module")
def source(config, tmp_path_factory):
    """A finished run to start from."""
    path = str(tmp_path_factory.mktemp("runs") / "source")
    train(override(config, ["train.epochs=1"]), path)
    return path


@pytest.fixture(scope="module")
def tuning(config, source):
    """A recipe that starts from it, on the same classes."""
    return override(config, [f"train.init_from={source}", "train.epochs=1"])


def checkpoint(model_dir, kind):
    """All tensors of a kind in the last checkpoint, by path."""
    reader = tf.train.load_checkpoint(str(Path(model_dir) / "checkpoints"))
    end = "/.ATTRIBUTES/VARIABLE_VALUE"
    return {
        name.removeprefix(f"{kind}/")
        .removesuffix(end)
        .replace(".S", "/"): reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if name.startswith(f"{kind}/") and name.endswith(end)
    }


def check_tuned(model_dir, source, freeze):
    """Frozen variables are the source's, all others are not."""
    began = checkpoint(source, "averaged")
    for kind in ("model", "averaged"):
        found = checkpoint(model_dir, kind)
        assert found.keys() == began.keys()
        for path, value in found.items():
            frozen = path.startswith(FROZEN_OF_TINY[freeze])
            assert np.array_equal(value, began[path]) == frozen, (kind, path)
    slots = checkpoint(model_dir, "optimizer")
    statistics = ("moving_mean", "moving_variance")
    assert {path.rpartition("/")[0] for path in slots} == {
        path
        for path in began
        if not path.startswith(FROZEN_OF_TINY[freeze])
        and not path.endswith(statistics)
    }


@pytest.mark.parametrize(
    "freeze",
    [
        "stage1",
        "backbone",
        pytest.param("stem", marks=pytest.mark.slow),
        pytest.param("stage2", marks=pytest.mark.slow),
    ],
)
def test_the_frozen_part_stays_and_the_rest_learns(
    tuning, source, tmp_path, freeze
):
    path = str(tmp_path / "tuned")
    result = train(override(tuning, [f"train.freeze={freeze}"]), path)
    check_tuned(path, source, freeze)
    again = load_trained(path, run_config(path))
    assert again.step == result["steps"] == 5


def test_without_averages_the_frozen_part_stays_too(tuning, source, tmp_path):
    path = str(tmp_path / "tuned")
    settings = ["train.average_decay=0.0", "train.freeze=stage1"]
    result = train(override(tuning, settings), path)
    # The raw weights are judged.
    assert result["top1"] == result["raw_top1"]
    trained = load_trained(path, run_config(path))
    assert trained.raw is trained.model
    began, found = (checkpoint(run, "averaged") for run in (source, path))
    assert found.keys() == began.keys()
    for name, value in found.items():
        frozen = name.startswith(FROZEN_OF_TINY["stage1"])
        assert np.array_equal(value, began[name]) == frozen, name


@pytest.mark.slow
def test_two_replicas_freeze_as_one_does(tuning, source, tmp_path, mirrored):
    frozen = override(tuning, ["train.freeze=stage1"])
    alone, both = str(tmp_path / "alone"), str(tmp_path / "both")
    train(frozen, alone)
    train(frozen, both, strategy=mirrored)
    check_tuned(both, source, "stage1")
    for kind in ("model", "averaged"):
        expected = checkpoint(alone, kind)
        for path, value in checkpoint(both, kind).items():
            np.testing.assert_allclose(
                value, expected[path], rtol=2e-3, atol=2e-4, err_msg=path
            )


def test_a_frozen_part_works_as_in_inference(tuning):
    """Batch norm takes the moving statistics, and nothing is dropped."""
    settings = ["model.drop_path=0.9", "model.dropout=0.0"]
    still = override(tuning, [*settings, "train.freeze=backbone"])
    images = tf.random.stateless_normal([4, 32, 32, 3], [1, 2])
    for config, same in ((still, True), (override(tuning, settings), False)):
        model = create_state(config.network(3), config, "float32").model
        with announced(Moment(0, tf.constant(3))):
            learning = model(images, training=True)
        assert np.array_equal(learning, model(images, training=False)) == same


def test_frozen_weights_do_not_decay(tuning):
    losses = []
    for weight_decay in (0.0, 0.5):
        config = override(
            tuning,
            [f"train.weight_decay={weight_decay}", "train.freeze=backbone"],
        )
        net = config.network(3)
        state = create_state(net, config, "float32")
        images = tf.zeros([8, 32, 32, 3])
        targets = tf.one_hot(tf.zeros([8], tf.int32), 3)
        step = TrainStep(state, net, config.train, plan(config, 40))
        losses.append(float(step.whole(images, targets)))
    kernel, bias = state.model.get_layer("predictions").get_weights()
    expected = 0.5 * 0.5 * (np.sum(kernel**2) + np.sum(bias**2))
    assert losses[1] - losses[0] == pytest.approx(expected, rel=1e-4)


def test_averages_follow_by_name_whatever_the_order():
    def model(names):
        inputs = keras.Input((1,))
        layers = [keras.layers.Dense(1, name=name) for name in names]
        return keras.Model(inputs, [layer(inputs) for layer in layers])

    averaged, learning = model(["a", "b"]), model(["b", "a"])
    paths = [[w.path for w in m.weights] for m in (averaged, learning)]
    assert paths[0] != paths[1]
    learning.get_layer("a").set_weights([np.full((1, 1), 3.0), np.ones(1)])
    follow(averaged, learning, 0.0, tf.constant(1))
    np.testing.assert_allclose(averaged.get_layer("a").kernel, [[3.0]])
    np.testing.assert_allclose(
        averaged.get_layer("b").kernel, learning.get_layer("b").kernel
    )


def test_the_classifier_has_a_learning_rate_of_its_own():
    """Ten times the rate, and nothing else, in every step of many."""

    def layer(name):
        made = keras.layers.Dense(3, name=name)
        made.build((None, 4))
        made.set_weights([np.ones((4, 3)), np.zeros(3)])
        return made

    head, other, peer = layer("predictions"), layer("top_conv"), layer("peer")
    weights = [*head.weights, *other.weights]
    ours = make_optimizer(weights, TrainConfig(head_learning_rate_factor=10.0))
    fast = make_optimizer(peer.weights, TrainConfig())
    slow = [w.numpy() for w in other.weights]
    square, step = np.ones((4, 3)), np.zeros((4, 3))
    random = np.random.default_rng(0)
    for now in range(20):
        kernel, bias = random.normal(size=(4, 3)), random.normal(size=3)
        gradients = [tf.constant(g, tf.float32) for g in (kernel, bias)]
        rate = float(random.uniform(0.001, 0.01))
        ours.apply(gradients * 2, tf.constant(rate), tf.constant(now))
        fast.apply(gradients, tf.constant(rate) * 10.0, tf.constant(now))
        # What TensorFlow 1's optimizer does, in NumPy.
        square += 0.1 * (kernel**2 - square)
        step = 0.9 * step + rate * kernel / np.sqrt(square + 0.001)
        slow[0] = slow[0] - step
    for ours_now, peer_now in zip(head.weights, peer.weights, strict=True):
        np.testing.assert_array_equal(ours_now.numpy(), peer_now.numpy())
    np.testing.assert_allclose(other.kernel.numpy(), slow[0], rtol=1e-4)


def test_every_layer_is_in_the_part_that_its_name_says():
    lite = network("efficientnet-lite0")
    numbered = [f"stage{number}" for number in range(1, 8)]
    assert freezable(lite) == ["none", "stem", *numbered, "backbone"]
    with_weights = [
        layer.name
        for layer in build("efficientnet-lite0", pixels=32).layers
        if layer.weights
    ]

    def frozen(freeze):
        prefixes = frozen_prefixes(lite, freeze)
        return [name for name in with_weights if name.startswith(prefixes)]

    assert frozen("none") == []
    assert frozen("stem") == ["stem_conv", "stem_bn"]
    assert frozen("stage1")[-1] == "block1a_project_bn"
    assert frozen("stage3")[-1] == "block3b_project_bn"
    assert frozen("stage7")[-1] == "block7a_project_bn"
    assert frozen("backbone") == with_weights[:-1]
    for part in freezable(lite)[1:]:
        # Whatever is frozen lies before all that learns.
        assert frozen(part) == with_weights[: len(frozen(part))]


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("train.freeze=stage8", "efficientnet-b0 has none, stem, stage1, .*7"),
        ("train.freeze=all", "'all': efficientnet-b0 has none, stem"),
        ("train.head_learning_rate_factor=0", "must be above 0"),
    ],
)
def test_what_cannot_be_frozen(setting, says):
    with pytest.raises(InputError, match=says):
        override(Config(), ["train.init_from=imagenet", setting])


def test_random_weights_are_not_frozen():
    with pytest.raises(InputError, match=r"keep random weights.*--init_from"):
        override(Config(), ["train.freeze=stem"])
