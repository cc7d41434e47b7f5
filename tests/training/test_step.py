"""A step against what it must equal: in parts, over replicas, gone wrong."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from efficientnet_tf.errors import InputError
from efficientnet_tf.training.config import Config
from efficientnet_tf.training.config_files import override
from efficientnet_tf.training.loop import train
from efficientnet_tf.training.model_dir import ModelDir
from efficientnet_tf.training.plan import norm_group, plan, replica_share
from efficientnet_tf.training.state import TrainState, create_state
from efficientnet_tf.training.step import TrainStep, make_train_call

CLASSES = 3
ROOT = Path(__file__).parents[2]


def stepper(config: Config) -> tuple[TrainState, TrainStep]:
    network = config.network(CLASSES)
    state = create_state(network, config, "float32")
    state.step.assign(4)
    steps = plan(config, 40)
    return state, TrainStep(state, network, config.train, steps)


def batch(seed: int = 0) -> tuple[tf.Tensor, tf.Tensor]:
    """Eight images, the second four as the first, with targets of their own."""
    random = np.random.default_rng(seed)
    four = random.uniform(0, 255, (4, 32, 32, 3)).astype(np.float32)
    targets = random.dirichlet(np.ones(CLASSES), 8).astype(np.float32)
    return tf.constant(np.concatenate([four, four])), tf.constant(targets)


def trained(state: TrainState) -> dict[str, np.ndarray]:
    return {w.path: w.numpy() for w in state.model.trainable_variables}


@pytest.mark.parametrize(
    "settings",
    [
        ["train.optimizer=momentum"],
        ["train.optimizer=lars", "train.clip_norm=0.01", "train.remat=true"],
    ],
)
def test_microbatches_equal_the_batch(
    config: Config, settings: list[str]
) -> None:
    """Both halves hold the same images, so that batch norm sees the same."""
    settings = [*settings, "model.drop_path=0.0", "model.dropout=0.5"]
    whole_state, whole = stepper(override(config, settings))
    parts_state, parts = stepper(
        override(config, [*settings, "train.microbatches=2"])
    )
    before = trained(whole_state)
    assert before.keys() == trained(parts_state).keys()
    for seed in (0, 1):
        images, targets = batch(seed)
        loss = whole.whole(images, targets)
        for part in range(2):
            rows = slice(4 * part, 4 * part + 4)
            parts.accumulate(images[rows], targets[rows], tf.constant(part))
        np.testing.assert_allclose(parts.finish(), loss, rtol=1e-5)
    found = trained(parts_state)
    for path, value in trained(whole_state).items():
        assert np.abs(value - before[path]).max() > 0, path
        np.testing.assert_allclose(
            found[path], value, rtol=1e-3, atol=1e-5, err_msg=path
        )
    assert int(parts_state.step) == int(whole_state.step) == 6
    for sum_ in parts_state.accumulated:
        assert not np.any(sum_)


def test_a_clipped_gradient_has_the_length(config: Config) -> None:
    settings = ["train.optimizer=sgd", "train.weight_decay=0.5"]
    lengths = {}
    for clip in (0.0, 0.01, 1e6):
        state, step = stepper(
            override(config, [*settings, f"train.clip_norm={clip}"])
        )
        # The rate is 0.32 at batch 256, so 0.01 at batch 8, and it rises.
        state.step.assign(plan(config, 40).warmup_steps)
        before = trained(state)
        step.whole(*batch())
        changes = [
            value - before[path] for path, value in trained(state).items()
        ]
        lengths[clip] = np.sqrt(sum(np.sum(c**2) for c in changes)) / 0.01
        norm = float(state.gradient_norm)
    assert norm > 1
    assert lengths[0.0] == pytest.approx(norm, rel=1e-3)
    assert lengths[1e6] == pytest.approx(norm, rel=1e-3)
    assert lengths[0.01] == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("parts", [1, 2])
def test_waiting_for_a_slow_source_is_counted(
    config: Config, parts: int
) -> None:
    """As long as the source sleeps, and no longer than the call takes."""
    config = override(config, [f"train.microbatches={parts}"])
    network, steps, nap = config.network(CLASSES), 3, 0.2
    state = create_state(network, config, "float32")
    images, targets = batch()
    size = 8 // parts

    def late(number: np.int64) -> np.int64:
        time.sleep(nap)
        return number

    def slow(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        woken = tf.numpy_function(late, [number], tf.int64)
        with tf.control_dependencies([woken]):
            return tf.identity(images[:size]), tf.identity(targets[:size])

    shapes = [[size, 32, 32, 3], [size, CLASSES]]
    source = tf.data.Dataset.range(100).map(slow)
    source = source.map(lambda *two: tuple(map(tf.ensure_shape, two, shapes)))
    # Else tf.data reads ahead, and sleeps while a step goes on.
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    source = source.with_options(options)
    call = make_train_call(
        state,
        network,
        config.train,
        plan(config, 40),
        tf.distribute.get_strategy(),
    )
    began = time.monotonic()
    waited = float(call(iter(source), tf.constant(steps)))
    assert steps * parts * nap <= waited < time.monotonic() - began


@pytest.mark.parametrize("device", ["any", "tpu"])
def test_a_step_that_is_not_finite_changes_nothing_nor_do_those_after_it(
    config: Config, monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    if device == "tpu":
        # So that what is for TPUs is taken here.
        monkeypatch.setattr(
            tf.distribute, "TPUStrategy", tf.distribute.Strategy
        )
    state, step = stepper(config)
    images, targets = batch()
    step.whole(images, targets)
    before = trained(state)
    averages = [w.numpy() for w in state.averaged.weights]
    slots = {name: slot.numpy() for name, slot in state.optimizer.slots.items()}
    step.whole(images * np.inf, targets)
    assert not np.isfinite(state.loss_sum)
    step.whole(images, targets)
    assert not np.isfinite(state.loss_sum)
    assert int(state.step) == 5
    assert int(state.loss_count) == 1
    for path, value in trained(state).items():
        np.testing.assert_array_equal(value, before[path], err_msg=path)
    for name, slot in state.optimizer.slots.items():
        np.testing.assert_array_equal(slot, slots[name], err_msg=name)
    for weight, value in zip(state.averaged.weights, averages, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_decoupled_decay_is_not_in_the_loss(config: Config) -> None:
    losses = {}
    for optimizer in ("adamw", "rmsprop"):
        for decay in (0.0, 0.5):
            settings = [
                f"train.optimizer={optimizer}",
                f"train.weight_decay={decay}",
            ]
            _, step = stepper(override(config, settings))
            losses[optimizer, decay] = float(step.whole(*batch()))
    assert losses["adamw", 0.0] == losses["adamw", 0.5]
    assert losses["rmsprop", 0.5] > losses["rmsprop", 0.0] + 1


def after_two_steps(
    config: Config, strategy: tf.distribute.Strategy
) -> TrainState:
    """The same two batches, shared out among the replicas."""
    images, targets = (
        np.concatenate(values)
        for values in zip(batch(0), batch(1), strict=True)
    )

    def shares(context: tf.distribute.InputContext) -> tf.data.Dataset:
        rows = tf.data.Dataset.from_tensor_slices((images, targets))
        share = 8 // context.num_replicas_in_sync
        return rows.batch(share, drop_remainder=True)

    with strategy.scope():
        state, _ = stepper(config)
    call = make_train_call(
        state,
        config.network(CLASSES),
        config.train,
        plan(config, 40),
        strategy,
    )
    batches = iter(strategy.distribute_datasets_from_function(shares))
    call(batches, tf.constant(2))
    return state


def test_a_gradient_of_two_replicas_is_clipped_as_a_whole(
    config: Config, mirrored: tf.distribute.Strategy
) -> None:
    config = override(config, ["train.clip_norm=0.05"])
    alone, both = (
        after_two_steps(config, strategy)
        for strategy in (tf.distribute.get_strategy(), mirrored)
    )
    norm, loss = alone.gradient_norm.numpy(), alone.loss_sum.numpy()
    assert norm > 2 * 0.05
    assert both.gradient_norm.numpy() == pytest.approx(norm, rel=1e-3)
    assert both.loss_sum.numpy() == pytest.approx(loss, rel=1e-4)
    expected = trained(alone)
    for path, value in trained(both).items():
        np.testing.assert_allclose(
            value, expected[path], rtol=2e-3, atol=2e-4, err_msg=path
        )


# `test_loop.py` has whole trainings without these in the default suite.
@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        ["train.clip_norm=0.5", "data.mixup=0.2", "data.cutmix=1.0"],
        ["train.remat=true", "train.optimizer=lars"],
        ["train.optimizer=lamb", "train.learning_rate_per_256=0.1"],
    ],
    ids=lambda settings: settings[0],
)
def test_two_replicas_equal_one(
    config: Config,
    tmp_path: Path,
    mirrored: tf.distribute.Strategy,
    settings: list[str],
) -> None:
    config = override(config, [*settings, "train.epochs=1.0"])
    alone, both = str(tmp_path / "alone"), str(tmp_path / "both")
    train(config, alone)
    train(config, both, strategy=mirrored)
    check_same_run(alone, both)


def check_same_run(alone: str, both: str) -> None:
    (one,), (two,) = (ModelDir(path).metrics() for path in (alone, both))
    assert two.loss == pytest.approx(one.loss, rel=1e-4)
    readers = [
        tf.train.load_checkpoint(f"{path}/checkpoints")
        for path in (alone, both)
    ]
    for name in readers[0].get_variable_to_shape_map():
        if name.startswith("model/"):
            np.testing.assert_allclose(
                *(reader.get_tensor(name) for reader in readers),
                rtol=2e-3,
                atol=2e-4,
                err_msg=name,
            )


@pytest.mark.slow
def test_microbatches_of_replicas_equal_those_of_one(
    config: Config, tmp_path: Path, mirrored: tf.distribute.Strategy
) -> None:
    config = override(config, ["train.epochs=1.0", "train.microbatches=2"])
    alone, both = str(tmp_path / "alone"), str(tmp_path / "both")
    train(config, alone)
    train(config, both, strategy=mirrored)
    check_same_run(alone, both)


@pytest.mark.parametrize(
    ("settings", "unit", "near"),
    [
        (["train.microbatches=3"], "6 .2 replicas x 3 microbatches", 6),
        (["train.batch=6", "data.mixup=0.1"], "4 .2 replicas, in pairs", 4),
    ],
)
def test_a_batch_that_cannot_be_divided(
    config: Config, settings: list[str], unit: str, near: int
) -> None:
    with pytest.raises(InputError, match=f"multiple of {unit}.*try {near}"):
        replica_share(override(config, settings), 2)


def test_groups_of_batch_norm_by_the_original_s_rule() -> None:
    # facts of the original: up to 8 shards local, else max(8, shards // 8).
    found = {n: norm_group("original", n) for n in (1, 8, 16, 32, 128, 1024)}
    assert found == {1: 1, 8: 1, 16: 8, 32: 8, 128: 16, 1024: 128}
    assert norm_group("all", 12) == 12
    assert norm_group("off", 12) == 1
    with pytest.raises(InputError, match="12 replicas are no multiple .* 8"):
        norm_group("original", 12)


# Four replicas, which the tests' own process has not.
GROUPS = """
import json
import numpy as np
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 4)
from efficientnet_tf.modeling.layers import BatchNorm
from efficientnet_tf.modeling.moment import Moment, announced
strategy = tf.distribute.MirroredStrategy([f"CPU:{n}" for n in range(4)])
images = np.random.default_rng(0).normal(
    np.arange(8)[:, None, None, None], 2, (8, 3, 3, 2)).astype(np.float32)
found = {}
for group in (1, 2, 4):
    with strategy.scope():
        layer = BatchNorm(momentum=0.0, epsilon=0.0)
        layer.build((None, 3, 3, 2))

    @tf.function
    def run():
        def step():
            replica = tf.distribute.get_replica_context()
            first = 2 * replica.replica_id_in_sync_group
            part = tf.constant(images)[first:first + 2]
            with announced(Moment(0, tf.constant(0), norm_group=group)):
                with tf.GradientTape() as tape:
                    tape.watch(part)
                    outputs = layer(part, training=True)
                    loss = tf.reduce_sum(outputs ** 3)
            return outputs, tape.gradient(loss, part)
        return [tf.concat(strategy.experimental_local_results(x), 0)
                for x in strategy.run(step)]

    outputs, gradients = run()
    found[group] = [outputs.numpy().tolist(), gradients.numpy().tolist(),
                    layer.moving_mean.numpy().tolist(),
                    layer.moving_variance.numpy().tolist()]
print(json.dumps({"images": images.tolist(), "found": found}))
"""


def test_batch_norm_shares_statistics_within_groups() -> None:
    done = subprocess.run(
        [sys.executable, "-c", GROUPS],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    images = np.array(answer["images"])
    for group, (outputs, gradients, mean, variance) in answer["found"].items():
        means, variances, expected = [], [], []
        for part in np.split(images, 4 // int(group)):
            means.append(part.mean((0, 1, 2)))
            variances.append(part.var((0, 1, 2)))
            expected.append((part - means[-1]) / np.sqrt(variances[-1]))
        np.testing.assert_allclose(
            outputs, np.concatenate(expected), rtol=1e-3, atol=1e-4
        )
        np.testing.assert_allclose(mean, np.mean(means, 0), rtol=1e-4)
        np.testing.assert_allclose(variance, np.mean(variances, 0), rtol=1e-4)
        # Ioffe and Szegedy 2015, section 3, for a loss of the cubes' sum.
        slopes = []
        for part, spread in zip(expected, variances, strict=True):
            slope = 3 * part**2
            along = (slope * part).mean((0, 1, 2))
            slope = slope - slope.mean((0, 1, 2)) - part * along
            slopes.append(slope / np.sqrt(spread))
        np.testing.assert_allclose(
            gradients, np.concatenate(slopes), rtol=1e-2, atol=1e-3
        )
