"""Which ops images get, how often and how strongly, as published."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache

import numpy as np
import pytest
import tensorflow as tf

from efficientnet_tf.data.augmentation.drawing import (
    NAMES,
    NO_OP,
    Drawn,
    draw,
    drawn_text,
)
from efficientnet_tf.data.augmentation.ops import OPS, Op, Reach, argument
from efficientnet_tf.data.augmentation.policies import (
    AUTOAUGMENT,
    AUTOAUGMENT_REACH,
    RANDAUGMENT,
    RANDAUGMENT_REACH,
)
from efficientnet_tf.data.augmentation.recipe import Augmentation

# policy_v0 of the original's autoaugment.py: op probability,level.
V0 = """
Equalize .8,1 + ShearY .8,4 | Color .4,9 + Equalize .6,3 |
Color .4,1 + Rotate .6,8 | Solarize .8,3 + Equalize .4,7 |
Solarize .4,2 + Solarize .6,2 | Color .2,0 + Equalize .8,8 |
Equalize .4,8 + SolarizeAdd .8,3 | ShearX .2,9 + Rotate .6,8 |
Color .6,1 + Equalize 1.0,2 | Invert .4,9 + Rotate .6,0 |
Equalize 1.0,9 + ShearY .6,3 | Color .4,7 + Equalize .6,0 |
Posterize .4,6 + AutoContrast .4,7 | Solarize .6,8 + Color .6,9 |
Solarize .2,4 + Rotate .8,9 | Rotate 1.0,7 + TranslateY .8,9 |
ShearX 0.0,0 + Solarize .8,4 | ShearY .8,0 + Color .6,4 |
Color 1.0,0 + Rotate .6,2 | Equalize .8,4 + Equalize 0.0,8 |
Equalize 1.0,4 + AutoContrast .6,2 | ShearY .4,7 + SolarizeAdd .6,7 |
Posterize .8,2 + Solarize .6,10 | Solarize .6,8 + Equalize .6,1 |
Color .8,6 + Rotate .4,5
"""
# Of Cubuk et al.'s formulae, written anew: op, level, argument.
ARGUMENTS: list[tuple[Op, float, float]] = [
    ("Rotate", 10, 30),
    ("Rotate", 28, 84),
    ("Posterize", 2, 0),
    ("Posterize", 3, 1),
    ("Posterize", 10, 4),
    ("Posterize", 28, 11),
    ("Solarize", 9, 230),
    ("Solarize", 10, 256),
    ("Solarize", 17, 435),
    ("Solarize", 28, 716),
    ("SolarizeAdd", 3, 33),
    ("SolarizeAdd", 10, 110),
    ("Color", 0, 0.1),
    ("Contrast", 5, 1.0),
    ("Brightness", 10, 1.9),
    ("Sharpness", 28, 5.14),
    ("ShearX", 10, 0.3),
    ("ShearY", 28, 0.84),
    ("TranslateX", 10, 100),
    ("TranslateY", 17, 170),
    ("Cutout", 10, 40),
    ("Cutout", 7, 28),
    ("AutoContrast", 7, 0),
    ("Equalize", 7, 0),
    ("Invert", 7, 0),
]
# Chance to exceed them: 1 in 10,000, by scipy.stats.chi2.isf(1e-4, degrees).
CHI_SQUARE = {1: 15.1, 15: 44.3, 30: 67.6, 60: 109.5, 255: 347.7}
DRAWS = 20_000
MEANT = Augmentation("randaugment", layers=2, magnitude=7)
AUTO = Augmentation("autoaugment")


@cache
def drawn(augmentation: Augmentation) -> Drawn:
    """Many draws, as NumPy arrays with a leading axis."""

    @tf.function
    def many() -> Drawn:
        def one(number: tf.Tensor) -> Drawn:
            return draw(
                tf.stack([tf.constant(3, tf.int64), number]), augmentation
            )

        signature = Drawn(tf.int32, tf.float32, tf.float32)
        numbers = tf.range(DRAWS, dtype=tf.int64)
        return tf.map_fn(one, numbers, fn_output_signature=signature)

    return Drawn(*(part.numpy() for part in many()))


def chi_square(counts: np.ndarray, expected: np.ndarray | float) -> float:
    return float((np.square(counts - expected) / expected).sum())


def test_the_policy_is_v0() -> None:
    steps = re.findall(r"(\w+) ([\d.]+),(\d+)", V0)
    published = [(op, float(p), int(level)) for op, p, level in steps]
    ours = [tuple(step) for pair in AUTOAUGMENT for step in pair]
    assert ours == published
    assert len(AUTOAUGMENT) == 25


def test_randaugment_has_the_originals_sixteen_ops() -> None:
    # available_ops of the original's distort_image_with_randaugment.
    published = (
        "AutoContrast Equalize Invert Rotate Posterize Solarize Color Contrast "
        "Brightness Sharpness ShearX ShearY TranslateX TranslateY Cutout "
        "SolarizeAdd"
    )
    assert " ".join(RANDAUGMENT) == published
    assert Reach(translate=250, cutout=100) == AUTOAUGMENT_REACH
    assert Reach(translate=100, cutout=40) == RANDAUGMENT_REACH


@pytest.mark.parametrize(("op", "level", "expected"), ARGUMENTS)
def test_levels(op: Op, level: float, expected: float) -> None:
    assert argument(op, level, RANDAUGMENT_REACH) == pytest.approx(expected)


def test_levels_of_autoaugment_reach_further() -> None:
    assert argument("TranslateY", 9, AUTOAUGMENT_REACH) == 225
    assert argument("Cutout", 10, AUTOAUGMENT_REACH) == 100


def test_randaugments_ops_are_equally_frequent_and_independent() -> None:
    first, second = drawn(MEANT).ops.T
    for layer in (first, second):
        counts = np.bincount(layer, minlength=16)
        assert len(counts) == 16
        assert chi_square(counts, DRAWS / 16) < CHI_SQUARE[15]
    pairs = np.bincount(first * 16 + second, minlength=256)
    assert chi_square(pairs, DRAWS / 256) < CHI_SQUARE[255]


def test_randaugments_arguments_have_both_signs_where_they_may() -> None:
    found = drawn(MEANT)
    for number, name in enumerate(NAMES):
        values = found.arguments[found.ops == number]
        expected = argument(name, 7, RANDAUGMENT_REACH)
        np.testing.assert_allclose(np.abs(values), expected, rtol=1e-6)
        negative = (values < 0).sum()
        if name in (
            "Rotate",
            "ShearX",
            "ShearY",
            "TranslateX",
            "TranslateY",
        ):
            counts = np.array([negative, len(values) - negative])
            assert chi_square(counts, len(values) / 2) < CHI_SQUARE[1]
        else:
            assert negative == 0


@pytest.mark.parametrize("axis", [0, 1])
def test_centres_are_uniform_and_apart_from_the_ops(axis: int) -> None:
    found = drawn(MEANT)
    cutout = found.ops == NAMES.index("Cutout")
    for places in (found.centres[..., axis].ravel(), found.centres[cutout]):
        counts, _ = np.histogram(places, 16, (0, 1))
        assert counts.sum() == places.size
        assert chi_square(counts, places.size / 16) < CHI_SQUARE[15]


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_randaugment_applies_as_many_ops_as_asked(layers: int) -> None:
    found = draw(
        tf.constant([0, 1]), Augmentation("randaugment", layers=layers)
    )
    assert found.ops.shape == found.arguments.shape == (layers,)
    assert found.centres.shape == (layers, 2)
    assert np.all(found.ops < NO_OP)


def outcome(ops: np.ndarray, arguments: np.ndarray) -> tuple[object, ...]:
    """What was applied, without signs: (op, argument), (op, argument)."""
    return tuple(
        (NAMES[op], round(abs(float(value)), 3))
        for op, value in zip(ops, arguments, strict=True)
        if op != NO_OP
    )


def test_autoaugments_pairs_and_probabilities() -> None:
    expected: Counter[tuple[object, ...]] = Counter()
    steps = re.findall(r"(\w+) ([\d.]+),(\d+)", V0)
    for pair in zip(steps[::2], steps[1::2], strict=True):
        cases: list[tuple[tuple[object, ...], float]] = [((), DRAWS / 25)]
        for op, likely, level in pair:
            value = argument(op, int(level), AUTOAUGMENT_REACH)
            applied = (op, round(value, 3))
            cases = [
                case
                for before, times in cases
                for case in (
                    ((*before, applied), times * float(likely)),
                    (before, times * (1 - float(likely))),
                )
            ]
        for case, times in cases:
            expected[case] += times
    likely = {case: times for case, times in expected.items() if times > 1e-6}
    found = drawn(AUTO)
    counts = Counter(map(outcome, found.ops, found.arguments))
    # Nothing but what the policy has, and all of it as often as it says.
    assert set(counts) == set(likely)
    keys = sorted(likely, key=str)
    statistic = chi_square(
        np.array([counts[key] for key in keys]),
        np.array([likely[key] for key in keys]),
    )
    assert 30 < len(keys) - 1 <= 60
    assert statistic < CHI_SQUARE[60]


@pytest.mark.parametrize("augmentation", [MEANT, AUTO])
def test_draws_follow_from_the_seed(augmentation: Augmentation) -> None:
    texts = [
        drawn_text(draw(tf.constant([0, number]), augmentation)).numpy()
        for number in (*range(20), *range(20))
    ]
    assert texts[:20] == texts[20:]
    assert len(set(texts)) > 10


def test_draws_in_words() -> None:
    centres = tf.zeros([3, 2])
    ops = [NAMES.index("Rotate"), NO_OP, NAMES.index("Equalize")]
    some = Drawn(tf.constant(ops), tf.constant([-21.0, 0.3, 0.0]), centres)
    assert drawn_text(some).numpy() == b"Rotate -21, Equalize"
    ops = [NAMES.index(name) for name in ("Posterize", "ShearX", "Invert")]
    some = Drawn(tf.constant(ops), tf.constant([4.0, 0.21, 0.0]), centres)
    assert drawn_text(some).numpy() == b"Posterize 4, ShearX 0.21, Invert"
    nothing = draw(tf.constant([0, 1]), Augmentation("none"))
    assert drawn_text(nothing).numpy() == b""
    none = Drawn(tf.constant([NO_OP] * 3), tf.zeros([3]), centres)
    assert drawn_text(none).numpy() == b""


def test_every_op_has_a_row() -> None:
    assert set(OPS) == {op for op, _, _ in ARGUMENTS}
