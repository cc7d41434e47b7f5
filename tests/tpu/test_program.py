"""Costs of compiled programs, by hand-written text."""

from __future__ import annotations

import pytest

from efficientnet_tf.tpu.attribution import Place, place_of_path
from efficientnet_tf.tpu.hlo_text import Module
from efficientnet_tf.tpu.program import (
    Collective,
    by_layer,
    collectives,
    estimated_cycles,
    unknown_loops,
)

LAYERS = ("stem_conv", "block1a_se_reduce", "block1a_se_squeeze", "add_1")


def _cost(cycles: int) -> str:
    return (
        f'backend_config={{"window_config":{{"estimated_cycles":"{cycles}"}}}}'
    )


# A loop of seven rounds around a conditional; 1 KiB is one f32[256].
CALLS = f"""\
HloModule calls, is_scheduled=true

%fused (p: f32[256]) -> f32[256] {{
  %p = f32[256]{{0:T(256)}} parameter(0)
  ROOT %inner = f32[256]{{0:T(256)}} negate(%p), {_cost(1000)}
}}

%cheap (p.1: f32[256]) -> f32[256] {{
  %p.1 = f32[256]{{0:T(256)}} parameter(0)
  ROOT %a = f32[256]{{0:T(256)}} all-reduce(%p.1), to_apply=%sum, {_cost(3)}
}}

%dear (p.2: f32[256]) -> f32[256] {{
  %p.2 = f32[256]{{0:T(256)}} parameter(0)
  %b = f32[256]{{0:T(256)}} fusion(%p.2), kind=kLoop, calls=%fused, {_cost(50)}
  ROOT %c = f32[256]{{0:T(256)}} copy(%b), {_cost(5)}
}}

%body (s: (s32[], f32[256])) -> (s32[], f32[256]) {{
  %s = (s32[]{{:T(128)}}, f32[256]{{0:T(256)}}) parameter(0)
  %i = s32[]{{:T(128)}} get-tuple-element(%s), index=0
  %two = s32[]{{:T(128)}} constant(2)
  %next = s32[]{{:T(128)}} add(%i, %two)
  %x = f32[256]{{0:T(256)}} get-tuple-element(%s), index=1
  %d = f32[256]{{0:T(256)}} conditional(%i, %x, %x), \
branch_computations={{%cheap, %dear}}
  ROOT %t = (s32[]{{:T(128)}}, f32[256]{{0:T(256)}}) tuple(%next, %d)
}}

%test (s.1: (s32[], f32[256])) -> pred[] {{
  %s.1 = (s32[]{{:T(128)}}, f32[256]{{0:T(256)}}) parameter(0)
  %i.1 = s32[]{{:T(128)}} get-tuple-element(%s.1), index=0
  %end = s32[]{{:T(128)}} constant(13)
  ROOT %less = pred[]{{:T(512)}} compare(%i.1, %end), direction=LT, {_cost(2)}
}}

ENTRY %main (a0: f32[256]) -> f32[256] {{
  %a0 = f32[256]{{0:T(256)}} parameter(0)
  %zero = s32[]{{:T(128)}} constant(0)
  %start = s32[]{{:T(128)}} copy(%zero)
  %state = (s32[]{{:T(128)}}, f32[256]{{0:T(256)}}) tuple(%start, %a0)
  %loop = (s32[]{{:T(128)}}, f32[256]{{0:T(256)}}) while(%state), \
condition=%test, body=%body
  %y = f32[256]{{0:T(256)}} get-tuple-element(%loop), index=1
  ROOT %z = f32[256]{{0:T(256)}} negate(%y), {_cost(100)}
}}
"""
ROUNDS = 7  # 0, 2, 4 ... 12


def test_loops_and_branches_are_counted() -> None:
    module = Module.parse(CALLS)
    dearest = 50 + 5
    assert estimated_cycles(module) == 100 + ROUNDS * dearest + (ROUNDS + 1) * 2
    assert unknown_loops(module) == ()
    assert collectives(module) == (Collective("all-reduce", 7, 7 * 1024),)


def test_the_compilers_own_trip_count_goes_first() -> None:
    noted = CALLS.replace(
        "body=%body",
        'body=%body, backend_config={"known_trip_count":{"n":"3"}}',
    )
    assert estimated_cycles(Module.parse(noted)) == 100 + 3 * 55 + 4 * 2


@pytest.mark.parametrize(
    ("was", "is_"),
    [
        ("constant(0)", "parameter(1)"),
        ("add(%i, %two)", "multiply(%i, %two)"),
        ("direction=LT", "direction=NE"),
    ],
)
def test_a_loop_of_unknown_length_is_counted_once_and_named(
    was: str, is_: str
) -> None:
    module = Module.parse(CALLS.replace(was, is_))
    assert unknown_loops(module) == ("loop",)
    assert estimated_cycles(module) == 100 + 55 + 2
    assert collectives(module) == (Collective("all-reduce", 1, 1024),)


@pytest.mark.parametrize(
    ("limit", "direction", "rounds"),
    [(12, "LE", 7), (14, "LT", 7), (0, "LT", 0)],
)
def test_rounds_of_a_loop(limit: int, direction: str, rounds: int) -> None:
    text = CALLS.replace("constant(13)", f"constant({limit})")
    module = Module.parse(text.replace("=LT", f"={direction}"))
    expected = 100 + rounds * 55 + (rounds + 1) * 2
    assert estimated_cycles(module) == expected


COLLECTIVES = """\
HloModule collectives, is_scheduled=true

%async_start (q: f32[256]) -> f32[1024] {
  %q = f32[256]{0:T(256)} parameter(0)
  %g = f32[1024]{0:T(1024)} all-gather(%q), channel_id=6, dimensions={0}
  ROOT %u = f32[1024]{0:T(1024)} custom-call(%g), \
custom_call_target="AsyncCollectiveStart"
}

%async_collective_fusion.4 (q.1: f32[256]) -> f32[1024] {
  %q.1 = f32[256]{0:T(256)} parameter(0)
  ROOT %g.1 = f32[1024]{0:T(1024)} all-gather(%q.1), channel_id=6
}

%async_done (q.2: f32[256]) -> f32[1024] {
  %q.2 = f32[256]{0:T(256)} parameter(0)
  %g.2 = f32[1024]{0:T(1024)} all-gather(%q.2), channel_id=6
  ROOT %u.1 = f32[1024]{0:T(1024)} custom-call(%g.2), \
custom_call_target="AsyncCollectiveDone"
}

%all-reduce-scatter.1 (q.3: f32[1024]) -> f32[256] {
  %q.3 = f32[1024]{0:T(1024)} parameter(0)
  %r = f32[1024]{0:T(1024)} all-reduce(%q.3), to_apply=%sum
  ROOT %s = f32[256]{0:T(256)} slice(%r), slice={[0:256]}
}

ENTRY %main (a: f32[256], b: f32[1024]) -> f32[256] {
  %a = f32[256]{0:T(256)} parameter(0)
  %b = f32[1024]{0:T(1024)} parameter(1)
  %v = (f32[256]{0:T(256)}, f32[1024]{0:T(1024)}) all-reduce(%a, %b), \
to_apply=%sum
  %rs = f32[256]{0:T(256)} all-reduce-start(%a), to_apply=%sum
  %rd = f32[256]{0:T(256)} all-reduce-done(%rs)
  %gs = f32[1024]{0:T(1024)} fusion(%a), kind=kCustom, calls=%async_start
  %gc = f32[1024]{0:T(1024)} fusion(%a), kind=kOutput, \
calls=%async_collective_fusion.4
  %gd = f32[1024]{0:T(1024)} fusion(%a), kind=kCustom, calls=%async_done
  %sc = f32[256]{0:T(256)} fusion(%b), kind=kCustom, calls=%all-reduce-scatter.1
  %rsc = f32[256]{0:T(256)} reduce-scatter(%b), dimensions={0}, to_apply=%sum
  %ps = (f32[256]{0:T(256)}, f32[256]{0:T(256)}, u32[]{:S(2)}) \
collective-permute-start(%a), source_target_pairs={{0,1},{1,0}}
  %pd = f32[256]{0:T(256)} collective-permute-done(%ps)
  ROOT %tt = f32[256]{0:T(256)} all-to-all(%pd), dimensions={0}
}
"""


def test_collectives_of_every_kind() -> None:
    assert collectives(Module.parse(COLLECTIVES)) == (
        Collective("all-reduce", 2, 1024 + 4096 + 1024),
        Collective("all-gather", 1, 1024),
        Collective("reduce-scatter", 2, 2 * 4096),
        Collective("all-to-all", 1, 1024),
        Collective("collective-permute", 1, 1024),
    )


# Lines of an EfficientNet-B0 train step as libtpu 0.0.21 compiled it for v5e,
# with fewer of them and their file names left out.
TRAIN_STEP = f"""\
HloModule a_inference_rep, is_scheduled=true

%fused_computation.7 (param_0: f32[8]) -> bf16[8] {{
  %param_0 = f32[8]{{0:T(128)}} parameter(0)
  ROOT %convert.1 = bf16[8]{{0:T(256)(128)(2,1)}} convert(%param_0), \
metadata={{op_name="efficientnet-b0_1/block1a_se_reduce_1/Cast_1"}}
}}

ENTRY %main.11681 (Arg_0.1: f32[8], Arg_1.2: f32[128,32]) -> f32[8] {{
  %Arg_0.1 = f32[8]{{0:T(128)}} parameter(0), metadata={{op_name="XLA_Args"}}
  %Arg_1.2 = f32[128,32]{{0,1:T(8,128)}} parameter(1)
  %multiply_convert_fusion = bf16[128,32]{{0,1:T(8,128)(2,1)}} \
fusion(%Arg_1.2), kind=kLoop, calls=%fused_computation.7, \
metadata={{op_name="efficientnet-b0_1/Cast"}}, {_cost(11)}
  %convert_reduce_fusion.15 = f32[128,32]{{0,1:T(8,128)}} fusion(%Arg_1.2), \
kind=kLoop, calls=%fused_computation.7, \
metadata={{op_name="efficientnet-b0_1/block1a_se_squeeze_1/Mean"}}, \
{_cost(719297)}
  %copy.1 = f32[128,32]{{0,1:T(8,128)}} copy(%convert_reduce_fusion.15), \
{_cost(20)}
  %bitcast.2 = f32[128,32]{{0,1:T(8,128)}} bitcast(%copy.1)
  %convert.3665 = bf16[8]{{0:T(256)(128)(2,1)}} fusion(%Arg_0.1), kind=kLoop, \
calls=%fused_computation.7, {_cost(1826)}
  %fusion.1463 = bf16[128,8]{{0,1:T(8,128)(2,1)}} \
fusion(%bitcast.2, %convert.3665), kind=kOutput, calls=%fused_computation.7, \
metadata={{op_name="efficientnet-b0_1/block1a_se_reduce_1/MatMul"}}, \
{_cost(5712)}
  %fusion.9 = f32[8]{{0:T(128)}} fusion(%fusion.1463), kind=kOutput, \
calls=%fused_computation.7, metadata={{op_name=\
"gradient_tape/efficientnet-b0_1/block1a_se_reduce_1/MatMul/MatMul_1"}}, \
{_cost(6382)}
  %fusion.10 = f32[]{{:T(128)}} fusion(%fusion.9), kind=kLoop, \
calls=%fused_computation.7, \
metadata={{op_name="softmax_cross_entropy_with_logits"}}, {_cost(9)}
  %fusion.11 = f32[]{{:T(128)}} fusion(%fusion.9), kind=kLoop, \
calls=%fused_computation.7, metadata={{op_name="global_norm/L2Loss_67"}}, \
{_cost(1800)}
  ROOT %fusion.12 = f32[8]{{0:T(128)}} fusion(%Arg_0.1, %fusion.11), \
kind=kLoop, calls=%fused_computation.7, \
metadata={{op_name="cond/ResourceApplyMomentum_3"}}, {_cost(200)}
}}
"""


def test_costs_by_layer() -> None:
    module = Module.parse(TRAIN_STEP)
    costs = {
        (cost.layer, cost.direction): cost for cost in by_layer(module, LAYERS)
    }
    cycles = {key: cost.estimated_cycles for key, cost in costs.items()}
    assert cycles == {
        # A copy without a path belongs to what made the original.
        ("block1a_se_squeeze", "forward"): 719297 + 20,
        # A fusion without one is known by what is in it.
        ("block1a_se_reduce", "forward"): 5712 + 1826,
        ("block1a_se_reduce", "backward"): 6382,
        ("loss", "forward"): 9,
        ("other", "forward"): 11,
        ("other", "update"): 1800 + 200,
    }
    assert sum(cycles.values()) == estimated_cycles(module)
    # bf16[128,8] in, f32[8] out, in tiles of 8 by 128 and of 128.
    moved = costs["block1a_se_reduce", "backward"].moved_bytes
    assert moved == 8 * 128 * 2 + 512


def test_a_line_without_path_belongs_to_its_only_reader() -> None:
    text = TRAIN_STEP.replace("efficientnet-b0_1/block1a_se_squeeze_1/Mean", "")
    text = text.replace("efficientnet-b0_1/block1a_se_reduce_1/Cast_1", "")
    costs = by_layer(Module.parse(text), LAYERS)
    assert (costs[0].layer, costs[0].direction) == (
        "block1a_se_reduce",
        "forward",
    )
    assert costs[0].estimated_cycles == 719297 + 20 + 1826 + 5712


def test_a_block_that_runs_again_for_its_gradient() -> None:
    # As TensorFlow names the two calls of one model and its gradient.
    paths = {
        "piece_1/stem_conv_1/convolution": 100,
        "other_1/add_1_1/add": 10,
        "piece_3/stem_conv_1/convolution": 200,
        "gradient_tape/piece_3/stem_conv_1/convolution/Filter": 400,
        "gradient_tape/other_1/add_1_1/add": 20,
    }
    lines = "\n".join(
        f"  %l{i} = f32[8]{{0:T(128)}} negate(%p), "
        f'metadata={{op_name="{path}"}}, {_cost(cycles)}'
        for i, (path, cycles) in enumerate(paths.items())
    )
    module = Module.parse(
        "HloModule m, is_scheduled=true\n\nENTRY %main (p: f32[8]) -> s32[] {\n"
        f"  %p = f32[8]{{0:T(128)}} parameter(0)\n{lines}\n}}\n"
    )
    cycles = {
        (cost.layer, cost.direction): cost.estimated_cycles
        for cost in by_layer(module, LAYERS)
    }
    assert cycles == {
        ("stem_conv", "forward"): 100,
        ("stem_conv", "recomputed"): 200,
        ("stem_conv", "backward"): 400,
        ("add_1", "forward"): 10,
        ("add_1", "backward"): 20,
    }


def test_transfers_move_what_they_transfer() -> None:
    text = """HloModule m, is_scheduled=true

ENTRY %main (p: f32[1024]) -> f32[1024] {
  %p = f32[1024]{0:T(1024)} parameter(0)
  %s = ((f32[1024]{0:T(1024)}), f32[256]{0:T(256)S(1)}, s32[]{:S(2)}) \
slice-start(%p), slice={[0:256]}
  %d = f32[256]{0:T(256)S(1)} slice-done(%s)
  %c = (f32[1024]{0:T(1024)}, f32[1024]{0:T(1024)}, u32[]{:S(2)}) \
copy-start(%p)
  ROOT %e = f32[1024]{0:T(1024)} copy-done(%c)
}
"""
    (cost,) = by_layer(Module.parse(text), LAYERS)
    assert cost.moved_bytes == 1024 + 2 * 4096


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("net_1/stem_conv_1/convolution", Place("stem_conv", "forward")),
        ("net/stem_conv/convolution", Place("stem_conv", "forward")),
        (
            "gradient_tape/net_1/stem_conv_12/convolution",
            Place("stem_conv", "backward"),
        ),
        ("net_1/add_1_2/add", Place("add_1", "forward")),
        ("net_1/stem_conv_bn_1/mul", Place("other", "other")),
        ("gradient_tape/mul/Mul", Place("other", "backward")),
        (
            "gradient_tape/softmax_cross_entropy_with_logits/mul",
            Place("loss", "backward"),
        ),
        ("L2Loss_92", Place("loss", "forward")),
        ("ResourceApplyRMSProp_3", Place("other", "update")),
        ("cond", Place("other", "update")),
        ("global_norm/L2Loss_92", Place("other", "update")),
        ("XLA_Args", Place("other", "other")),
    ],
)
def test_places_of_paths(path: str, place: Place) -> None:
    assert place_of_path(path, LAYERS) == place
