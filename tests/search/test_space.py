"""Spaces: every candidate is a network, and roundings are seen through."""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import replace

import pytest

from efficientnet_tf.errors import InputError
from efficientnet_tf.networks import (
    NamedVariant,
    network,
    parse_variant,
    totals,
    variant_text,
)
from efficientnet_tf.networks.edgetpu_latency import milliseconds
from efficientnet_tf.search.space import (
    OPERATIONS,
    SPACES,
    base,
    candidate,
    choose,
    find_space,
    fingerprint,
)


def drawn(name, seed):
    pick = random.Random(seed).choice
    return choose(SPACES[name], lambda _, options: pick(options))


def resolved(name, chosen, **more):
    named = NamedVariant("one", candidate(SPACES[name], chosen))
    return network(named, classes=10, **more)


# MnasNet's supplement and Sandler et al. 2018, table 2: depths and widths.
def test_the_mnas_space_lies_around_mobilenet_v2():
    stages = SPACES["mnas"].base.stages
    rows = [(s.expand, s.width, s.repeats, s.stride) for s in stages]
    assert rows == [
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ]
    # 3.4 M parameters and 300 M multiply-adds in their table 4, rounded;
    # keras.applications.MobileNetV2 has 3,504,872 trainable ones.
    total = totals(network(NamedVariant("v2", base(SPACES["mnas"]))))
    assert total.trainable_parameters == 3_504_872
    assert total.macs / 1e6 == pytest.approx(300, rel=0.05)


def test_the_edgetpu_space_lies_around_edgetpu_s_and_has_no_slow_parts():
    from efficientnet_tf.networks.families import EDGETPU

    space = SPACES["edgetpu"]
    assert [
        replace(s, expand_from=None, skip=True) for s in EDGETPU.stages
    ] == [replace(s, skip=True) for s in space.base.stages]
    assert space.squeezes == (0.0,)
    assert space.base.activation == "relu"
    assert {"fused4", "fused8"} <= set(space.operations)


@pytest.mark.parametrize("name", SPACES)
def test_every_option_of_every_stage_is_a_network(name):
    space = SPACES[name]
    chosen = drawn(name, 0)
    for place, column in itertools.product(
        range(1, len(space.base.stages) + 1), space.columns
    ):
        for option in space.columns[column]:
            found = resolved(
                name, {**chosen, f"stage{place}.{column}": option}, pixels=32
            )
            blocks = [b for b in found.blocks if b.stage == place]
            stage = space.base.stages[place - 1]
            seen = {
                "operation": (blocks[0].kind, blocks[0].expands)
                == (OPERATIONS.get(option, ("",))[0], option[-1:].isdigit())
                if column == "operation"
                else None,
                "kernel": blocks[0].kernel == option,
                "squeeze": bool(blocks[0].squeeze) == bool(option),
                "repeats": len(blocks) == max(1, stage.repeats + option)
                if column == "repeats"
                else None,
                "width": blocks[0].outputs % 8 == 0,
                "skip": option or not any(b.residual for b in blocks),
            }
            assert seen[column], (place, column, option)
            assert totals(found).macs > 0
            assert milliseconds(found) > 0


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("seed", range(20))
def test_a_candidate_is_a_variant_file(name, seed):
    variant = candidate(SPACES[name], drawn(name, seed))
    named = NamedVariant("found", variant)
    assert parse_variant(variant_text(named), "text") == named


@pytest.mark.parametrize("name", SPACES)
def test_a_candidate_builds_with_the_parameters_that_are_counted(name):
    from efficientnet_tf.modeling.build import build_network

    found = resolved(name, drawn(name, 7), pixels=32)
    model = build_network(found)
    counted = sum(w.shape.num_elements() for w in model.trainable_variables)
    assert counted == totals(found).trainable_parameters


def test_what_a_rounding_makes_equal_is_equal():
    chosen = drawn("mnas", 1) | {"stage1.repeats": 0}
    # 12 channels are rounded to 16, so as not to lose more than a tenth.
    few = chosen | {"stage1.width": 0.75}
    same = chosen | {"stage1.width": 1.0}
    other = chosen | {"stage1.width": 1.25}
    prints = [fingerprint(resolved("mnas", c)) for c in (few, same, other)]
    assert prints[0] == prints[1] != prints[2]
    named = NamedVariant("another name", candidate(SPACES["mnas"], few))
    assert fingerprint(network(named, classes=10)) == prints[0]


def test_sizes_are_those_of_counting():
    space = SPACES["mnas"]
    each = 4 * 2 * 2 * 3 * 3 * 2
    assert space.size == each**7


def test_an_unknown_space():
    with pytest.raises(InputError, match="did you mean mnas"):
        find_space("mnass")
    assert json.dumps(drawn("small", 0))
