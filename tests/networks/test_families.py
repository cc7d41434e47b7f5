"""The tables against the original's, typed as its documents print them."""

from __future__ import annotations

import itertools

import pytest

from efficientnet_tf.networks import network, variants
from efficientnet_tf.networks.families import ALIASES, VARIANTS

# Source: tensorflow/tpu models/official/efficientnet at 7dc921f, its graphs.
STAGES = {
    "efficientnet-b0": "16x1 24x2 40x2 80x3 112x3 192x4 320x1",
    "efficientnet-b1": "16x2 24x3 40x3 80x4 112x4 192x5 320x2",
    "efficientnet-b2": "16x2 24x3 48x3 88x4 120x4 208x5 352x2",
    "efficientnet-b3": "24x2 32x3 48x3 96x5 136x5 232x6 384x2",
    "efficientnet-b4": "24x2 32x4 56x4 112x6 160x6 272x8 448x2",
    "efficientnet-b5": "24x3 40x5 64x5 128x7 176x7 304x9 512x3",
    "efficientnet-b6": "32x3 40x6 72x6 144x8 200x8 344x11 576x3",
    "efficientnet-b7": "32x4 48x7 80x7 160x10 224x10 384x13 640x4",
    "efficientnet-b8": "32x4 56x8 88x8 176x11 248x11 424x15 704x4",
    "efficientnet-l2": "72x6 104x11 176x11 344x16 480x16 824x22 1376x6",
    "efficientnet-lite0": "16x1 24x2 40x2 80x3 112x3 192x4 320x1",
    "efficientnet-lite1": "16x1 24x3 40x3 80x4 112x4 192x5 320x1",
    "efficientnet-lite2": "16x1 24x3 48x3 88x4 120x4 208x5 352x1",
    "efficientnet-lite3": "24x1 32x3 48x3 96x5 136x5 232x6 384x1",
    "efficientnet-lite4": "24x1 32x4 56x4 112x6 160x6 272x8 448x1",
    "efficientnet-edgetpu-S": "24x1 32x2 48x4 96x5 144x4 192x2",
    "efficientnet-edgetpu-M": "24x2 32x3 48x5 96x6 144x5 192x3",
    "efficientnet-edgetpu-L": "32x2 40x3 56x6 112x7 176x6 232x3",
    "efficientnet-condconv-b0-4e": "16x1 24x2 40x2 80x3 112x3 192x4 320x1",
    # The stage that moves space to depth has four times its table's width.
    "efficientnet-x-b0": "64x1 24x2 40x2 80x3 112x3 192x4 320x1",
    # Source: google/automl efficientnetv2 at 2fb46e7.
    "efficientnetv2-b0": "16x1 32x2 48x2 96x3 112x5 192x8",
    "efficientnetv2-s": "24x2 48x4 64x4 128x6 160x9 256x15",
    "efficientnetv2-m": "24x3 48x5 80x5 160x7 176x14 304x18 512x5",
    "efficientnetv2-l": "32x4 64x7 96x7 192x10 224x19 384x25 640x7",
    "efficientnetv2-xl": "32x4 64x8 96x8 192x16 256x24 512x32 640x8",
    # Sources: table 1 of arXiv 1704.04861, 2 of 1801.04381, 1 of 1512.03385;
    # `mnasnet_a1` of tensorflow/tpu.
    "mobilenet-v1": "64x1 128x2 256x2 512x6 1024x2",
    "mobilenet-v2": "16x1 24x2 32x3 64x4 96x3 160x3 320x1",
    "mnasnet-a1": "16x1 24x2 40x3 80x4 112x2 160x3 320x1",
    "resnet-50": "256x3 512x4 1024x6 2048x3",
    "resnet-152": "256x3 512x8 1024x36 2048x3",
}


def test_the_originals_names_are_all_here() -> None:
    scaled = {"b": range(9), "lite": range(5), "x-b": range(8)}
    scaled |= {f"x-{kind}-b": range(1, 8) for kind in ("tpu", "gpu")}
    scaled |= {"h-b": range(5, 8), "h-tpu-b": range(5, 8)}
    names = {f"{word}{n}" for word, numbers in scaled.items() for n in numbers}
    names |= {"l2", *(f"edgetpu-{size}" for size in "SML")}
    names |= {f"condconv-b0-{kind}" for kind in ("4e", "8e", "8e-depth")}
    assert len(names) == 49
    originals = {name for name in variants() if "efficientnet-" in name}
    assert originals == {f"efficientnet-{name}" for name in names}


@pytest.mark.parametrize("name", ALIASES)
def test_an_alias_is_its_variant(name: str) -> None:
    assert name not in variants()
    assert network(name) == network(ALIASES[name].variant)
    assert ALIASES[name].why


@pytest.mark.parametrize("name", STAGES)
def test_stage_widths_and_repeats(name: str) -> None:
    stages = itertools.groupby(
        network(name).blocks, key=lambda block: (block.stage, block.outputs)
    )
    words = [f"{width}x{len(list(group))}" for (_, width), group in stages]
    assert " ".join(words) == STAGES[name]


@pytest.mark.parametrize(
    ("name", "kernels", "strides"),
    [
        ("efficientnet-b0", "3 3 5 3 5 5 3", "1 2 2 2 1 2 1"),
        ("efficientnet-lite0", "3 3 5 3 5 5 3", "1 2 2 2 1 2 1"),
        ("efficientnet-edgetpu-S", "3 3 3 5 5 5", "1 2 2 2 1 2"),
        # The second stage's halving is done by the first.
        ("efficientnet-x-b0", "2 3 5 3 5 5 3", "1 1 2 2 1 2 1"),
        ("efficientnetv2-s", "3 3 3 3 3 3", "1 2 2 2 1 2"),
        ("mobilenet-v1", "3 3 3 3 3", "1 2 2 2 2"),
        ("mobilenet-v2", "3 3 3 3 3 3 3", "1 2 2 2 1 2 1"),
        ("mnasnet-a1", "3 3 5 3 3 5 3", "1 2 2 2 1 2 1"),
        ("resnet-50", "3 3 3 3", "1 2 2 2"),
    ],
)
def test_kernels_and_strides(name: str, kernels: str, strides: str) -> None:
    firsts = [block for block in network(name).blocks if block.name[1] == "a"]
    assert " ".join(str(block.kernel) for block in firsts) == kernels
    assert " ".join(str(block.stride) for block in firsts) == strides


@pytest.mark.parametrize("name", variants())
def test_only_the_first_block_of_a_stage_strides(name: str) -> None:
    for block in network(name).blocks:
        if not block.name.endswith("a"):
            assert block.stride == 1
            assert block.inputs == block.outputs


def test_squeeze_widths_of_b0() -> None:
    squeezes = [block.squeeze for block in network("efficientnet-b0").blocks]
    expected = "8 4 6 6 10 10 20 20 20 28 28 28 48 48 48 48"
    assert squeezes == [int(width) for width in expected.split()]


@pytest.mark.parametrize("name", variants())
def test_which_blocks_squeeze(name: str) -> None:
    for block in network(name).blocks:
        if name.startswith(("efficientnet-lite", "efficientnet-edgetpu")):
            assert not block.squeeze
        elif name.startswith("efficientnetv2"):
            assert bool(block.squeeze) == (block.kind == "mbconv")
        elif name == "mnasnet-a1":
            assert bool(block.squeeze) == (block.stage in (3, 5, 6))
        elif name.startswith(("mobilenet", "resnet")):
            assert not block.squeeze
        else:
            assert block.squeeze


def test_space_to_depth_of_x_b0() -> None:
    first, second, *rest = network("efficientnet-x-b0").blocks
    assert (first.space_to_depth, first.halves) == (True, True)
    assert (first.inputs, first.expanded, first.squeeze) == (32, 128, 32)
    # Ratios count the 16 channels of the table, not the 64 that come in.
    assert (second.inputs, second.expanded, second.squeeze) == (64, 96, 16)
    assert not any(block.space_to_depth for block in rest)


def test_activations_of_x_b0() -> None:
    resolved = network("efficientnet-x-b0")
    assert resolved.activation == "relu"
    swish = {b.stage for b in resolved.blocks if b.activation == "swish"}
    assert swish == {2, 3}


@pytest.mark.parametrize(
    ("name", "experts"),
    [("4e", 4), ("8e", 8), ("8e-depth", 8)],
)
def test_experts_are_in_the_last_three_stages(name: str, experts: int) -> None:
    for block in network(f"efficientnet-condconv-b0-{name}").blocks:
        assert block.experts == (experts if block.stage >= 5 else 0)


def test_h_expands_four_times_in_its_middle() -> None:
    blocks = network("efficientnet-h-b5").blocks
    ratios = {b.stage: b.expanded // b.inputs for b in blocks if b.residual}
    assert ratios == {1: 1, 2: 4, 3: 4, 4: 4, 5: 6, 6: 6, 7: 6}


@pytest.mark.parametrize(
    ("name", "stem", "inputs", "expanded", "second"),
    [
        # The first block declares 24 input channels, scaled, times 4.
        ("efficientnet-edgetpu-S", 32, 32, 96, None),
        # The second counts what really comes in.
        ("efficientnet-edgetpu-M", 32, 32, 96, 96),
        ("efficientnet-edgetpu-L", 40, 40, 128, 128),
    ],
)
def test_edgetpu_expands_from_declared_channels(
    name: str, stem: int, inputs: int, expanded: int, second: int | None
) -> None:
    resolved = network(name)
    assert resolved.stem == stem
    first = resolved.blocks[0]
    assert (first.inputs, first.expanded) == (inputs, expanded)
    if second:
        assert resolved.blocks[1].name == "1b"
        assert resolved.blocks[1].expanded == second
    # "noskip" in the original's first stage.
    assert not any(
        block.residual for block in resolved.blocks if block.stage == 1
    )


@pytest.mark.parametrize("number", range(5))
def test_lite_keeps_its_ends(number: int) -> None:
    name = f"efficientnet-lite{number}"
    resolved = network(name)
    assert (resolved.stem, resolved.head) == (32, 1280)
    repeats = [
        sum(block.stage == stage for block in resolved.blocks)
        for stage in (1, 7)
    ]
    assert repeats == [1, 1]
    # The widths of those stages do scale.
    ends = [resolved.blocks[0].outputs, resolved.blocks[-1].outputs]
    scaled = {1.0: [16, 320], 1.1: [16, 352], 1.2: [24, 384], 1.4: [24, 448]}
    assert ends == scaled[VARIANTS[name].width]


@pytest.mark.parametrize(
    ("name", "activation", "classes", "mean", "std"),
    [
        ("efficientnet-b0", "swish", 1000, 123.675, 58.395),
        ("efficientnet-l2", "swish", 1000, 123.675, 58.395),
        ("efficientnet-lite0", "relu6", 1000, 127.0, 128.0),
        ("efficientnet-edgetpu-S", "relu", 1001, 127.0, 128.0),
    ],
)
def test_what_a_family_shares(
    name: str, activation: str, classes: int, mean: float, std: float
) -> None:
    resolved = network(name)
    assert resolved.activation == activation
    assert resolved.classes == classes
    assert resolved.normalization.mean[0] == mean
    assert resolved.normalization.std[0] == std
