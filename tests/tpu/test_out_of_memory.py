"""Errors of libtpu 0.0.21."""

from __future__ import annotations

from efficientnet_tf.tpu.out_of_memory import Allocation, out_of_memory

ARGUMENTS = """\
RESOURCE_EXHAUSTED: XLA:TPU compile permanent error. Ran out of memory in \
memory space hbm. Used 60.00G of 15.25G hbm. Exceeded hbm capacity by 44.75G.

Total hbm usage >= 76.75G:
    reserved         16.75G 
    program         unknown size 
    arguments        60.00G 

Output size 512B; shares 0B with arguments.

Program hbm requirement 0B:

"""
PROGRAM = """\
RESOURCE_EXHAUSTED: XLA:TPU compile permanent error. Ran out of memory in \
memory space hbm. Used 30.00G of 15.75G hbm. Exceeded hbm capacity by 14.25G.

Total hbm usage >= 30.25G:
    reserved        258.00M 
    program          30.00G 
    arguments            0B 

Output size 0B; shares 0B with arguments.

Program hbm requirement 30.00G:
    HLO temp         30.00G (100.0% utilization: Unpadded (30.00G) Padded \
(30.00G), 0.0% fragmentation (56.5K))

  Largest program allocations in hbm:

  1. Size: 6.00G
     Operator: op_name="jit(conv)/jvp(efficientnet-b0_1/block0a_conv_1)/\
conv_general_dilated" source_file="oom.py" source_line=20
     Shape: bf16[2048,256,256,24]{0,3,2,1:T(8,128)(2,1)}
     Unpadded size: 6.00G
     XLA label: fusion.52 = fusion(copy, copy-done), kind=kOutput, \
calls=fused_computation.45
     Allocation type: HLO temp
     ==========================

  2. Size: 54.0K
     Operator: op_name="jit(conv)/transpose(jvp(efficientnet-b0_1/\
block2a_conv_1))/conv_general_dilated" source_file="oom.py" source_line=20
     Shape: bf16[3,3,24,24]{3,2,1,0:T(8,128)(2,1)}
     Unpadded size: 10.1K
     Extra memory due to padding: 43.9K (5.3x expansion)
     XLA label: fusion.21 = fusion(fusion.15.remat3, fusion.19, fusion.53), \
kind=kOutput, calls=fused_computation.25
     Allocation type: HLO temp
     ==========================

  3. Size: 512B
     Shape: (bf16[3,3,24,24]{3,2,1,0:T(8,128)(2,1)S(1)}, u32[]{:S(2)})
     Unpadded size: 512B
     XLA label: copy-start = copy-start(Arg_1.2)
     Allocation type: HLO temp
     ==========================

"""
VECTOR_MEMORY = """\
RESOURCE_EXHAUSTED: Ran out of memory in memory space vmem while allocating \
on stack for %sort.1 = (f32[4096,2048]{1,0:T(8,128)}, \
s32[4096,2048]{1,0:T(8,128)}) sort(%tanh.4, %iota.clone), dimensions={0}, \
is_stable=true, to_apply=%region_0.19.clone, \
metadata={op_name="jit(f)/jit(sort)/sort" source_file="vm.py" source_line=6}. \
Scoped allocation with size 512.0K and limit 16.0K exceeded scoped vmem limit \
by 496.0K. It should not be possible to run out of scoped vmem - please file \
a bug against XLA."""
SINGLE = """\
RESOURCE_EXHAUSTED: Allocation (size=34359738368) would exceed memory \
(size=17179869184) :: #allocation6 [shape = \
'bf16[65536,262144]{1,0:T(8,128)(2,1)}', space=hbm, size = \
0xffffffffffffffff, tag = 'output of convolution_tanh_fusion@{}'] :: \
<no-hlo-instruction>"""
GIB = 2**30


def test_arguments_alone_are_too_large() -> None:
    answer = out_of_memory(ARGUMENTS)
    assert answer is not None
    assert answer.space == "hbm"
    assert answer.used_bytes == 60 * GIB
    assert answer.capacity_bytes == 15.25 * GIB
    assert answer.reserved_bytes == 16.75 * GIB
    assert answer.program_bytes is None
    assert answer.arguments_bytes == 60 * GIB
    assert answer.allocations == ()


def test_temporaries_are_too_large() -> None:
    answer = out_of_memory(PROGRAM)
    assert answer is not None
    assert (answer.used_bytes, answer.program_bytes) == (30 * GIB, 30 * GIB)
    assert answer.arguments_bytes == 0
    assert answer.reserved_bytes == 258 * 2**20
    first, second, third = answer.allocations
    assert first == Allocation(
        bytes=6 * GIB,
        padding_bytes=0,
        op_name="jit(conv)/jvp(efficientnet-b0_1/block0a_conv_1)"
        "/conv_general_dilated",
        shape="bf16[2048,256,256,24]{0,3,2,1:T(8,128)(2,1)}",
        kind="HLO temp",
    )
    assert second.bytes == 54 * 2**10
    assert second.padding_bytes == round(43.9 * 2**10)
    assert third.op_name == ""


def test_memory_inside_of_the_chip() -> None:
    answer = out_of_memory(VECTOR_MEMORY)
    assert answer is not None
    assert answer.space == "vmem"
    assert answer.used_bytes == 512 * 2**10
    assert answer.capacity_bytes == 16 * 2**10
    assert answer.program_bytes is None
    (allocation,) = answer.allocations
    assert allocation.op_name == "jit(f)/jit(sort)/sort"
    assert allocation.shape.startswith("(f32[4096,2048]")


def test_one_buffer_is_larger_than_the_memory() -> None:
    answer = out_of_memory(SINGLE)
    assert answer is not None
    assert (answer.space, answer.used_bytes) == ("hbm", 32 * GIB)
    assert answer.capacity_bytes == 16 * GIB
    assert answer.allocations[0].kind == "output of convolution_tanh_fusion@{}"


def test_other_errors_are_not_about_memory() -> None:
    assert out_of_memory("INTERNAL: Failed to deserialize the module") is None
