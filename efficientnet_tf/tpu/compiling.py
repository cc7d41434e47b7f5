"""Programs compiled for a TPU by its own compiler, where there is none.

The compiler is the library that drives TPUs, libtpu; JAX leads to it. Both
come with the extra `rehearse`. It relies on names that are private to jax
0.7.1, and runs in a process of its own: libtpu takes hold of the process and
may abort it.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Literal

import numpy as np

from efficientnet_tf.errors import RunError
from efficientnet_tf.tpu.topology import Topology

Effort = Literal["quick", "full"]

# libtpu reads them when it is loaded. It would ask Google Cloud's metadata
# server what machine this is, and refuse a second process.
_ENVIRONMENT = {
    "TPU_SKIP_MDS_QUERY": "1",
    "JAX_PLATFORMS": "cpu",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-8",
    "TPU_WORKER_HOSTNAMES": "localhost",
}


@dataclass(frozen=True)
class Compiled:
    """A program as the compiler leaves it, for one core.

    Attributes:
        text: The scheduled HLO; empty where there is none.
        error: What the compiler said instead; empty where it succeeded.
        peak_bytes: The compiler's figure of the most that is alive at once.
        hbm_bytes: What a run takes of HBM: what it is given and makes, the
            holes between, and the program.
        code_bytes: Of the program itself.
        flops: Of a run, multiply and add counted apart.
        bytes_accessed: Read from and written to memory in a run.
        seconds: That it took.
    """

    text: str
    error: str
    peak_bytes: int
    hbm_bytes: int
    code_bytes: int
    flops: float
    bytes_accessed: float
    seconds: float


def compiler_version() -> str:
    """The packages that decide what a program becomes.

    Raises:
        RunError: They are not installed.
    """
    try:
        return ", ".join(
            f"{name} {metadata.version(name)}" for name in ("jax", "libtpu")
        )
    except metadata.PackageNotFoundError as error:
        raise RunError(
            f"a rehearsal needs {error.name}, which is not installed: "
            "pip install -e '.[rehearse]'"
        ) from None


def compile_program(path: str, topology: Topology, effort: Effort) -> Compiled:
    """Compiles a program that every core of a TPU runs.

    Args:
        path: Of a serialized HloModuleProto.
        topology: What it is compiled for.
        effort: "full" as a TPU's runtime does; "quick" takes less time and
            may give a program that is a little slower or larger.
    """
    os.environ.update(_ENVIRONMENT)
    from jax._src.interpreters import mlir
    from jax._src.lib import xla_client
    from jax.errors import JaxRuntimeError

    began = time.monotonic()
    devices = _devices(topology)
    with mlir.make_ir_context() as context:
        context.allow_unregistered_dialects = True
        try:
            module = _stablehlo(path)
            executable = devices[0].client.compile(
                module,
                executable_devices=xla_client.DeviceList(tuple(devices)),
                compile_options=_options(devices, effort),
            )
        except (JaxRuntimeError, _NotStatic) as error:
            seconds = time.monotonic() - began
            return Compiled("", str(error), 0, 0, 0, 0.0, 0.0, seconds)
    seconds = time.monotonic() - began
    memory = executable.get_compiled_memory_stats()
    cost = executable.cost_analysis()
    return Compiled(
        executable.hlo_modules()[0].to_string(),
        "",
        memory.peak_memory_in_bytes,
        memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        - memory.alias_size_in_bytes
        + memory.temp_size_in_bytes
        + memory.generated_code_size_in_bytes,
        memory.generated_code_size_in_bytes,
        cost["flops"],
        cost["bytes accessed"],
        seconds,
    )


class _NotStatic(Exception):
    """A tensor's size is known only when the program runs."""


def _devices(topology: Topology) -> list[Any]:
    """Those of a TPU that is not there, which can be compiled for."""
    from jax.experimental import topologies

    options = {}
    if len(topology.chips) == 2 and topology.cores == 1:
        # Of a whole host otherwise, which has four chips.
        options["chips_per_host_bounds"] = [1, 1, 1]
    found = topologies.get_topology_desc(
        platform="tpu", topology_name=topology.name, **options
    )
    return list(found.devices)


def _options(devices: Sequence[Any], effort: Effort) -> Any:
    from jax._src import compiler

    options = compiler.get_compile_options(
        num_replicas=len(devices),
        num_partitions=1,
        device_assignment=np.array([[device.id] for device in devices]),
        backend=None,
    )
    build = options.executable_build_options
    build.use_spmd_partitioning = False
    if effort == "quick":
        build.optimization_level = 1
        build.exec_time_optimization_effort = -1.0
    return options


def _stablehlo(path: str) -> bytes:
    """What JAX's compiler takes, in the present MLIR context."""
    from jax._src.interpreters import mlir
    from jax._src.lib import _jax
    from jax._src.lib.mlir import ir

    with open(path, "rb") as file:
        text = _jax.mlir.hlo_to_stablehlo(file.read())
    try:
        module = ir.Module.parse(text)
    except ir.MLIRError as error:
        # TensorFlow leaves an operator without a name where it goes dynamic.
        where = re.search(r'fused\["([^"]+)"', str(error))
        raise _NotStatic(
            "a size is known only when the program runs, at "
            f"{where[1] if where else error}"
        ) from error
    _erase_copies(module)
    return bytes(mlir.module_to_bytecode(module))


def _erase_copies(module: Any) -> None:
    """Takes out `mhlo.copy`, an identity that JAX's compiler does not know."""
    # Its types do not say what it has.
    from jax._src.lib.mlir import ir as ir_

    ir: Any = ir_
    copies = []

    def collect(operation: Any) -> Any:
        if operation.name == "mhlo.copy":
            copies.append(operation)
        return ir.WalkResult.ADVANCE

    module.operation.walk(collect)
    for copy in copies:
        copy.results[0].replace_all_uses_with(copy.operands[0])
        copy.operation.erase()
