import math

import pytest
import tensorflow as tf

from efficientnet_tf.training.config import Config
from efficientnet_tf.training.config_files import override
from efficientnet_tf.training.plan import plan
from efficientnet_tf.training.schedules import learning_rate


def rate(planned, step):
    return float(learning_rate(planned, tf.constant(step, tf.int64)))


def test_exponential_against_the_originals_formula():
    # facts of the original: 0.128 at batch 2048, times 0.97 for every 2.4
    # epochs of 625.57 steps counted from step 0, rising for 3,127 steps.
    planned = plan(Config(), 1_281_167)
    assert rate(planned, 0) == 0.0
    assert rate(planned, 1) == pytest.approx(0.128 / 3127, rel=1e-6)
    assert rate(planned, 3126) == pytest.approx(0.128 * 3126 / 3127, rel=1e-6)
    # 3127 / 1501.37 = 2.08: two falls lie below the rise already.
    assert rate(planned, 3127) == pytest.approx(0.128 * 0.97**2, rel=1e-6)
    assert rate(planned, 109_474) == pytest.approx(0.128 * 0.97**72, rel=1e-5)
    assert rate(planned, 218_948) == pytest.approx(0.128 * 0.97**145, rel=1e-5)


def test_exponential_equals_tf1s_staircase():
    planned = plan(override(Config(), ["train.warmup_epochs=0"]), 1_281_167)
    for step in range(0, 218_949, 9973):
        peer = tf.compat.v1.train.exponential_decay(
            0.128, step, planned.decay_steps, 0.97, staircase=True
        )
        assert rate(planned, step) == pytest.approx(float(peer()), rel=1e-5)


def test_cosine_ends_at_zero():
    planned = plan(
        override(
            Config(),
            ["train.schedule=cosine", "train.batch=256", "train.epochs=10"],
        ),
        2560,
    )
    assert planned.steps == 100
    assert rate(planned, 50) == pytest.approx(0.008)
    assert rate(planned, 75) == pytest.approx(0.008 * (1 - 2**-0.5), rel=1e-5)
    assert rate(planned, 100) == pytest.approx(0.0, abs=1e-9)


def test_poly_equals_tf1s():
    # The original: power 2, to 0.1, over one step more than there are.
    planned = plan(
        override(
            Config(),
            [
                "train.schedule=poly",
                "train.batch=32768",
                "train.epochs=50",
                "train.learning_rate_per_256=0.118",
            ],
        ),
        1_281_167,
    )
    peak = 0.118 * 128
    assert (planned.steps, planned.warmup_steps) == (1955, 195)
    assert rate(planned, 0) == 0.0
    assert rate(planned, 97) == pytest.approx(peak * 97 / 195)
    for step in (195, 196, 1075, 1954):
        peer = tf.compat.v1.train.polynomial_decay(
            peak, step - 195, 1955 - 195 + 1, 0.1, power=2.0
        )
        assert rate(planned, step) == pytest.approx(float(peer()), rel=1e-5)
    assert rate(planned, 195) == pytest.approx(peak)


def test_constant():
    planned = plan(
        override(Config(), ["train.schedule=constant", "train.batch=256"]), 256
    )
    assert rate(planned, 300) == pytest.approx(0.016)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        # By the formulas of the original, at the end of the warm-up, in the
        # middle and at the last step of 1000, with a peak of 0.016.
        ("exponential", (0.97**2, 0.97**20, 0.97**41)),
        (
            "cosine",
            tuple((1 + math.cos(math.pi * t)) / 2 for t in (0.05, 0.5, 0.999)),
        ),
        ("constant", (1, 1, 1)),
    ],
)
def test_warm_up_then_the_schedule(schedule, expected):
    settings = [
        f"train.schedule={schedule}",
        "train.batch=256",
        "train.epochs=100",
        "train.warmup_epochs=5",
    ]
    planned = plan(override(Config(), settings), 2560)
    assert (planned.steps, planned.warmup_steps) == (1000, 50)
    assert rate(planned, 0) == 0.0
    assert rate(planned, 25) == pytest.approx(0.016 / 2)
    for step, factor in zip((50, 500, 999), expected, strict=True):
        near = pytest.approx(0.016 * factor, rel=1e-4, abs=1e-8)
        assert rate(planned, step) == near
