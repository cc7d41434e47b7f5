"""What one program costs a core, read off what the compiler made of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from efficientnet_tf.tpu.attribution import place_of_path
from efficientnet_tf.tpu.compiling import Compiled, Effort, compile_program
from efficientnet_tf.tpu.hlo_text import Module
from efficientnet_tf.tpu.memory import Peak, memory_at_peak
from efficientnet_tf.tpu.out_of_memory import OutOfMemory, out_of_memory
from efficientnet_tf.tpu.program import (
    by_layer,
    collectives,
    estimated_cycles,
    unknown_loops,
)
from efficientnet_tf.tpu.topology import Topology


@dataclass(frozen=True)
class Outcome:
    """What became of a program; plain values, which JSON can hold.

    Attributes:
        refusal: What the compiler said, if it is no matter of memory.
        hbm_needed: What it wanted to use of HBM, where that was too much.
        hbm_bytes: What a run takes of HBM, the program itself among it.
        code_bytes: Of the program.
        parameter_bytes: Of each parameter, by number, as it lies.
        temporaries: What fills memory at its fullest moment: rows of
            `layer, direction, bytes`, the largest first.
        holes: Between buffers, and what our reading does not explain.
        flops: Of a run.
        bytes_accessed: Of a run.
        estimated_cycles: Of a run, the compiler's own estimate.
        unknown_loops: Loops that were counted once.
        collectives: Rows of `kind, count, operand_bytes`.
        layers: Rows of `layer, direction, estimated_cycles, moved_bytes`.
        compile_seconds: That the compiler took.
    """

    refusal: str = ""
    hbm_needed: int | None = None
    hbm_bytes: int = 0
    code_bytes: int = 0
    parameter_bytes: dict[str, int] = field(default_factory=dict)
    temporaries: list[dict[str, Any]] = field(default_factory=list)
    holes: int = 0
    flops: float = 0.0
    bytes_accessed: float = 0.0
    estimated_cycles: int = 0
    unknown_loops: list[str] = field(default_factory=list)
    collectives: list[dict[str, Any]] = field(default_factory=list)
    layers: list[dict[str, Any]] = field(default_factory=list)
    compile_seconds: float = 0.0


def analyse(
    path: str, topology: Topology, effort: Effort, layers: Sequence[str]
) -> Outcome:
    """Compiles a program and reads what came out.

    Args:
        path: Of a serialized HloModuleProto.
        topology: What it is compiled for.
        effort: Of the compiler.
        layers: Names of the network's layers.
    """
    compiled = compile_program(path, topology, effort)
    if compiled.error:
        return _failed(compiled, layers)
    module = Module.parse(compiled.text)
    peak = memory_at_peak(module, layers, compiled.peak_bytes)
    temporaries = _summed(
        ((item.layer, item.direction), item.bytes) for item in peak.temporaries
    )
    return Outcome(
        hbm_bytes=compiled.hbm_bytes,
        code_bytes=compiled.code_bytes,
        parameter_bytes={
            str(buffer.number): buffer.bytes for buffer in peak.parameters
        },
        temporaries=temporaries,
        holes=_holes(compiled, peak),
        flops=compiled.flops,
        bytes_accessed=compiled.bytes_accessed,
        estimated_cycles=estimated_cycles(module),
        unknown_loops=list(unknown_loops(module)),
        collectives=[asdict(each) for each in collectives(module)],
        layers=[asdict(each) for each in by_layer(module, layers)],
        compile_seconds=compiled.seconds,
    )


def _failed(compiled: Compiled, layers: Sequence[str]) -> Outcome:
    found = out_of_memory(compiled.error)
    if found is None or found.space != "hbm":
        return Outcome(
            refusal=" ".join(compiled.error.split()),
            compile_seconds=compiled.seconds,
        )
    return Outcome(
        hbm_needed=_needed(found),
        temporaries=_summed(
            (
                (place.layer, place.direction),
                allocation.bytes,
            )
            for allocation in found.allocations
            for place in [place_of_path(allocation.op_name, layers)]
        ),
        compile_seconds=compiled.seconds,
    )


def _needed(found: OutOfMemory) -> int:
    """What it wanted to use; of a single buffer that is too large, that."""
    if found.used_bytes is not None:
        return found.used_bytes
    return max(allocation.bytes for allocation in found.allocations)


def _holes(compiled: Compiled, peak: Peak) -> int:
    """What is taken beyond the buffers that our reading names."""
    named = sum(buffer.bytes for buffer in peak.parameters)
    named += sum(buffer.bytes for buffer in peak.temporaries)
    return compiled.hbm_bytes - compiled.code_bytes - named


def _summed(rows: Any) -> list[dict[str, Any]]:
    """Bytes by layer and pass, the largest first."""
    sums: Counter[tuple[str, str]] = Counter()
    for place, size in rows:
        sums[place] += size
    return [
        {"layer": layer, "direction": direction, "bytes": size}
        for (layer, direction), size in sums.most_common()
    ]
