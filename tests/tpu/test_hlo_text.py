"""Reading HLO text: what a shape occupies, and what stands where."""

from __future__ import annotations

import pytest

from efficientnet_tf.errors import InputError
from efficientnet_tf.tpu.hlo_shapes import parse_shape
from efficientnet_tf.tpu.hlo_text import Alias, Module

MODULE = """\
HloModule m, is_scheduled=true, input_output_alias={ {0}: (1, {}, may-alias), \
{1}: (0, {}, must-alias) }, entry_computation_layout={(f32[8]{0:T(128)})->f32[]}

%body (p: f32[8]) -> f32[8] {
  %p = f32[8]{0:T(128)} parameter(0)
  ROOT %n = f32[8]{0:T(128)} negate(%p)
}

ENTRY %main (a: f32[8], b: s32[2]) -> (s32[2], f32[8]) {
  %a = f32[8]{0:T(128)} parameter(0), metadata={op_name="XLA_Args"}
  %b = s32[2]{0:T(128)} parameter(1)
  %c = s32[2]{0:T(128)} constant({1, 2})
  %f.1 = (f32[8]{0:T(128)}, /*index=1*/s32[]{:T(128)S(6)}) fusion(%a, \
/*index=1*/%b), kind=kLoop, calls=%body, metadata={op_name="net/calls=%x(y)"}, \
backend_config={"window_config":{"estimated_cycles":"42"}}
  %g = f32[8]{0:T(128)} get-tuple-element(%f.1), index=0
  ROOT %r = (s32[2]{0:T(128)}, f32[8]{0:T(128)}) tuple(%c, %g)
}
"""


# Bytes as the compiler gave them for these shapes (libtpu 0.0.21, v5e).
@pytest.mark.parametrize(
    ("text", "padded", "unpadded"),
    [
        ("f32[]{:T(128)}", 512, 4),
        ("bf16[3,3,24,24]{3,2,1,0:T(8,128)(2,1)}", 54 * 1024, 10368),
        ("bf16[128,224,224,3]{0,2,3,1:T(8,128)(2,1)}", 38535168, 38535168),
        ("f32[1280,1000]{0,1:T(8,128)}", 5120000, 5120000),
        ("f32[65536,65536]{1,0:T(8,128)}", 2**34, 2**34),
        ("f32[1,256]{1,0:T(1,128)}", 1024, 1024),
    ],
)
def test_tiles_are_filled_up(text: str, padded: int, unpadded: int) -> None:
    (array,) = parse_shape(text).arrays
    assert array.bytes == padded
    assert array.unpadded_bytes == unpadded


def test_elements_of_other_widths() -> None:
    assert parse_shape("pred[3]").arrays[0].bytes == 3
    assert parse_shape("s4[3]{0:E(4)}").arrays[0].bytes == 2
    assert parse_shape("f8e4m3fn[5]").arrays[0].bytes == 5
    assert parse_shape("token[]").arrays[0].bytes == 0


def test_only_the_main_memory_is_hbm() -> None:
    shape = parse_shape("(f32[8,128]{1,0:T(8,128)S(1)}, f32[8]{0:T(128)})")
    assert [array.space for array in shape.arrays] == [1, 0]
    assert shape.hbm_bytes == 512


def test_tuples_in_tuples() -> None:
    shape = parse_shape("((f32[2]{0}, s32[]), (), /*index=2*/u32[]{:S(2)})")
    assert [str(array) for array in shape.arrays] == [
        "f32[2]",
        "s32[]",
        "u32[]",
    ]
    assert shape.spans == ((0, 2), (2, 2), (2, 3))


def test_a_module() -> None:
    module = Module.parse(MODULE)
    assert (module.entry, module.scheduled) == ("main", True)
    assert module.aliases == (Alias((0,), 1, ()), Alias((1,), 0, ()))
    entry = module.computations["main"]
    assert [line.name for line in entry.instructions] == list("abc") + [
        "f.1",
        "g",
        "r",
    ]
    fusion = entry.by_name["f.1"]
    assert fusion.operands == ("a", "b")
    assert fusion.called == ("body",)
    assert fusion.op_name == "net/calls=%x(y)"
    assert fusion.estimated_cycles == 42
    assert entry.by_name["c"].operands == ()
    assert entry.by_name["g"].attribute("index") == "0"
    assert entry.root.name == "r"
    assert entry.parameters[1].name == "b"
    assert module.computations["body"].root.opcode == "negate"


def test_what_is_no_module() -> None:
    with pytest.raises(InputError, match="no ENTRY computation"):
        Module.parse("module @jit_f {\n}\n")
    with pytest.raises(InputError, match="ends inside of main"):
        Module.parse(MODULE[: MODULE.index("%g =")])
