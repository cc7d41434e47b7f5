"""What is in memory when, of hand-written schedules."""

from __future__ import annotations

import pytest

from efficientnet_tf.errors import InputError
from efficientnet_tf.tpu.hlo_text import Module
from efficientnet_tf.tpu.memory import ParameterBuffer, memory_at_peak

KIB = 1024


def _module(*lines: str, calls: str = "", header: str = "") -> Module:
    """A schedule in which `#n` stands for the shape of n KiB of float32."""
    text = "\n".join(f"  {line}" for line in lines)
    text = f"{calls}\nENTRY %main () -> f32[] {{\n{text}\n}}\n"
    for size in (1, 2, 3, 4, 8, 16):
        text = text.replace(f"#{size} ", f"f32[{size * 256}]{{0:T(256)}} ")
        text = text.replace(f"#{size},", f"f32[{size * 256}]{{0:T(256)}},")
        text = text.replace(f"#{size})", f"f32[{size * 256}]{{0:T(256)}})")
    return Module.parse(f"HloModule m, is_scheduled=true{header}\n\n{text}")


def test_a_buffer_lives_until_its_last_reader() -> None:
    peak = memory_at_peak(
        _module(
            "%p = #1 parameter(0)",
            '%a = #4 negate(%p), metadata={op_name="net_1/first_1/MatMul"}',
            '%b = #8 negate(%a), metadata={op_name="net_1/second/MatMul"}',
            "%c = #2 copy(%b)",
            "ROOT %d = #1 negate(%c)",
        ),
        layers=("first", "second"),
    )
    # The parameter and the result are the caller's, from start to end.
    assert peak.hbm_bytes == (1 + 4 + 8 + 1) * KIB
    assert peak.instruction == "b"
    assert peak.parameters == (ParameterBuffer(0, KIB),)
    found = [(each.layer, each.bytes) for each in peak.temporaries]
    assert found == [("second", 8 * KIB), ("first", 4 * KIB), ("second", KIB)]
    assert [each.output for each in peak.temporaries] == [False, False, True]
    assert peak.temporaries[0].shape == "f32[2048]"
    assert peak.unexplained_bytes is None


def test_views_own_nothing() -> None:
    peak = memory_at_peak(
        _module(
            "%a = #4 iota()",
            "%b = #4 bitcast(%a)",
            "%c = #2 iota()",
            "%d = (#4, #2) tuple(%b, %c)",
            "%e = (#4, #2) optimization-barrier(%d)",
            "%f = #4 get-tuple-element(%e), index=0",
            "%g = #8 negate(%f)",
            "ROOT %h = #1 negate(%g)",
        )
    )
    assert peak.hbm_bytes == (4 + 8 + 1) * KIB


def test_what_lies_elsewhere_is_not_hbm() -> None:
    peak = memory_at_peak(
        _module(
            "%p = #4 parameter(0)",
            "%s = (f32[1024]{0:T(256)S(1)}, #4, u32[]{:S(2)}) copy-start(%p)",
            "%d = f32[1024]{0:T(256)S(1)} copy-done(%s)",
            "%a = #2 negate(%d)",
            "ROOT %b = #1 negate(%a)",
        ),
        compiler_peak_bytes=20 * KIB,
    )
    assert peak.hbm_bytes == (4 + 2 + 1) * KIB
    assert peak.vmem_bytes == 4 * KIB
    # The caller's 5 KiB, and the larger of 2 KiB in HBM and 4 in VMEM.
    assert peak.unexplained_bytes == (20 - 9) * KIB


def test_an_asynchronous_start_fills_only_its_result() -> None:
    peak = memory_at_peak(
        _module(
            "%p = #8 parameter(0)",
            "%s = ((#8), #2, s32[]{:S(2)}) slice-start(%p), slice={[0:512]}",
            "%a = #4 iota()",
            "%d = #2 slice-done(%s)",
            "ROOT %b = #1 add(%d, %a)",
        )
    )
    assert peak.hbm_bytes == (8 + 2 + 4 + 1) * KIB


def test_an_asynchronous_sum_is_not_in_place() -> None:
    peak = memory_at_peak(
        _module(
            "%a = #4 iota()",
            "%s = #4 all-reduce-start(%a), to_apply=%sum",
            "%d = #4 all-reduce-done(%s)",
            "ROOT %b = #1 add(%d, %d)",
        )
    )
    assert peak.hbm_bytes == (4 + 4 + 1) * KIB


def test_an_output_is_written_over_its_parameter() -> None:
    peak = memory_at_peak(
        _module(
            "%p = #8 parameter(0)",
            "%q = #4 parameter(1)",
            "%a = #8 negate(%p)",
            "%b = #1 negate(%q)",
            "ROOT %t = (#1, #8) tuple(%b, %a)",
            header=", input_output_alias={ {1}: (0, {}, may-alias) }",
        )
    )
    assert peak.hbm_bytes == (8 + 4 + 1) * KIB
    assert [each.number for each in peak.parameters] == [0, 1]


def test_a_slice_is_put_in_place() -> None:
    calls = (
        "%put (x: f32[4096], y: f32[256]) -> f32[4096] {\n"
        "  %y = #1 parameter(1)\n"
        "  %x = #16 parameter(0)\n"
        "  %i = s32[]{:T(128)} constant(0)\n"
        "  ROOT %r = #16 dynamic-update-slice(%x, %y, %i)\n"
        "}\n"
    )
    peak = memory_at_peak(
        _module(
            "%a = #16 iota()",
            "%b = #1 iota()",
            "%c = #16 fusion(%a, %b), kind=kLoop, calls=%put",
            "ROOT %d = #2 negate(%c)",
            calls=calls,
        )
    )
    assert peak.hbm_bytes == (16 + 1 + 2) * KIB


def test_a_loop_keeps_its_state_in_place() -> None:
    calls = (
        "%body (s: (f32[1024])) -> (f32[1024]) {\n"
        "  %s = (#4) parameter(0)\n"
        "  %x = #4 get-tuple-element(%s), index=0\n"
        '  %y = #8 negate(%x), metadata={op_name="net_1/inside_1/mul"}\n'
        "  %z = #4 negate(%y)\n"
        "  ROOT %r = (#4) tuple(%z)\n"
        "}\n"
        "%test (s.1: (f32[1024])) -> pred[] {\n"
        "  %s.1 = (#4) parameter(0)\n"
        "  ROOT %c = pred[]{:T(512)S(6)} custom-call(%s.1)\n"
        "}\n"
    )
    peak = memory_at_peak(
        _module(
            "%a = #4 iota()",
            "%t = (#4) tuple(%a)",
            "%w = (#4) while(%t), condition=%test, body=%body",
            "%b = #4 get-tuple-element(%w), index=0",
            "ROOT %d = #1 negate(%b)",
            calls=calls,
        ),
        layers=("inside",),
    )
    assert peak.hbm_bytes == (4 + 8 + 1) * KIB
    assert peak.temporaries[0].layer == "inside"


def test_branches_take_turns() -> None:
    calls = "".join(
        f"%branch{size} (x{size}: f32[256]) -> f32[512] {{\n"
        f"  %x{size} = #1 parameter(0)\n"
        f"  %y{size} = #{size} negate(%x{size})\n"
        f"  ROOT %z{size} = #2 negate(%y{size})\n"
        "}\n"
        for size in (8, 16)
    )
    peak = memory_at_peak(
        _module(
            "%p = #1 parameter(0)",
            "%n = s32[]{:S(6)} parameter(1)",
            "%a = #3 iota()",
            "%c = #2 conditional(%n, %p, %p), "
            "branch_computations={%branch8, %branch16}",
            "ROOT %d = #1 add(%a, %c)",
            calls=calls,
        )
    )
    # The parameter, what waits outside, the larger branch and its result.
    assert peak.hbm_bytes == (1 + 3 + 16 + 2 + 1) * KIB


def test_a_module_without_schedule() -> None:
    module = Module.parse("HloModule m\n\nENTRY %e () -> s32[] {\n}\n")
    with pytest.raises(InputError, match="not scheduled"):
        memory_at_peak(module)
