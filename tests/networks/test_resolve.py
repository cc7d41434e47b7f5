from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from efficientnet_tf.errors import InputError
from efficientnet_tf.networks import network, variants
from efficientnet_tf.networks.resolve import round_width


@pytest.mark.parametrize(
    ("channels", "width", "expected"),
    [
        # 19.2 rounds to 16, which loses more than a tenth: the trap.
        (16, 1.2, 24),
        (16, 1.0, 16),
        (16, 1.1, 16),
        (16, 1.4, 24),
        (32, 1.1, 32),
        (32, 1.2, 40),
        (24, 1.1, 24),
        (112, 1.1, 120),
        # A half rounds up, and nothing gets below 8.
        (20, 1.0, 24),
        (1, 1.0, 8),
        (1280, 4.3, 5504),
    ],
)
def test_round_width(channels: int, width: float, expected: int) -> None:
    assert round_width(channels, width) == expected


def test_v2_rounds_to_the_nearest() -> None:
    # Source: google/automl's `round_filters` knows no tenth.
    assert round_width(16, 1.2, rounding="nearest") == 16
    assert network("efficientnetv2-b3").blocks[0].outputs == 16


@pytest.mark.parametrize("width", [0.5, 0.75, 1.0, 1.3, 1.8, 2.2, 4.3])
def test_round_width_loses_at_most_a_tenth(width: float) -> None:
    for channels in range(8, 1400, 8):
        rounded = round_width(channels, width)
        assert rounded % 8 == 0
        assert rounded >= 0.9 * channels * width


@pytest.mark.parametrize("name", variants())
def test_blocks_fit_together(name: str) -> None:
    resolved = network(name)
    channels = resolved.stem
    for block in resolved.blocks:
        assert block.inputs == channels
        if block.residual and not block.shortcut:
            assert block.stride == 1
            assert block.inputs == block.outputs
        channels = block.outputs
    names = [block.name for block in resolved.blocks]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", variants())
def test_drop_path_ramp(name: str) -> None:
    blocks = network(name).blocks
    # Source: the original's 1 - (1 - 0.8) * b / N, N the scaled count. What
    # came before dropped no paths.
    aim = 0.2 if name.startswith("efficientnet") else 0.0
    assert [block.drop_path for block in blocks] == pytest.approx(
        [aim * number / len(blocks) for number in range(len(blocks))]
    )


def test_drop_path_reaches_the_ramp() -> None:
    blocks = network("efficientnet-b0", drop_path=0.4).blocks
    assert blocks[0].drop_path == 0
    assert blocks[8].drop_path == pytest.approx(0.2)
    off = network("efficientnet-b0", drop_path=0.0)
    assert {block.drop_path for block in off.blocks} == {0.0}


def test_what_the_caller_sets_is_what_stands() -> None:
    resolved = network("efficientnet-b0", classes=10, pixels=64, dropout=0.5)
    assert (resolved.classes, resolved.pixels, resolved.dropout) == (
        10,
        64,
        0.5,
    )
    assert network("efficientnet-b0", classes=0).classes == 0
    assert network("efficientnet-b0", dropout=0.0).dropout == 0.0
    # It does not stick.
    assert network("efficientnet-b0").classes == 1000


def test_a_network_is_frozen() -> None:
    resolved = network("efficientnet-b0")
    with pytest.raises(FrozenInstanceError):
        resolved.pixels = 64  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given", "proposed"),
    [
        ("b0", "efficientnet-b0"),
        ("efficientnet_b3", "efficientnet-b3"),
        ("EfficientNet-B7", "efficientnet-b7"),
        ("efficientnet-lite5", "efficientnet-lite4"),
        ("efficientnet-edgetpu-s", "efficientnet-edgetpu-S"),
        ("lite0", "efficientnet-lite0"),
        ("edgetpu-S", "efficientnet-edgetpu-S"),
    ],
)
def test_an_unknown_name_gets_a_near_one(given: str, proposed: str) -> None:
    with pytest.raises(InputError, match=proposed) as error:
        network(given)
    assert given in str(error.value)


def test_a_strange_name_gets_the_list() -> None:
    with pytest.raises(InputError) as error:
        network("swin")
    for name in variants():
        assert name in str(error.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("classes", 1),
        ("classes", -1),
        ("pixels", 31),
        ("pixels", 0),
        ("pixels", -224),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("dropout", float("nan")),
        ("drop_path", 1.0),
        ("drop_path", -0.1),
    ],
)
def test_a_bad_value_is_named_and_answered(field: str, value: Any) -> None:
    with pytest.raises(InputError) as error:
        network("efficientnet-b0", **{field: value})
    assert field in str(error.value)
    assert str(value) in str(error.value)


def test_more_blocks_than_letters() -> None:
    names = [b.name for b in network("efficientnetv2-xl").blocks]
    assert names[-8 - 32 :][:2] == ["6a", "6b"]
    assert names[-9] == "6af"


@pytest.mark.parametrize(
    "name", ["efficientnet-edgetpu-S", "efficientnetv2-b0"]
)
def test_the_stride_of_a_fused_block_can_be_the_projections(name: str) -> None:
    usual = network(name)
    moved = network(name, fused_stride="project")
    for ours, theirs in zip(usual.blocks, moved.blocks, strict=True):
        strided = ours.kind == "fused" and ours.stride == 2
        assert theirs.padding == ("symmetric" if strided else "same")
        assert replace(theirs, padding="same") == ours


def test_a_stride_that_cannot_move_is_refused() -> None:
    # X-B0's fused blocks squeeze, which would see what is left out.
    for name in ("efficientnet-b0", "efficientnet-x-b0"):
        with pytest.raises(InputError, match="no fused block whose stride"):
            network(name, fused_stride="project")
    with pytest.raises(InputError, match="fused_stride 'both'"):
        network("efficientnet-edgetpu-S", fused_stride="both")


def test_another_normalization() -> None:
    resolved = network("efficientnet-b0", normalization="unit")
    # Source: AdvProp's x * 2 / 255 - 1.
    assert resolved.normalization.mean == (127.5,) * 3
    assert resolved.normalization.std == (127.5,) * 3
    with pytest.raises(InputError, match="normalization 'advprop'"):
        network("efficientnet-b0", normalization="advprop")


def test_the_smallest_image_is_taken() -> None:
    assert network("efficientnet-b0", pixels=32).pixels == 32
