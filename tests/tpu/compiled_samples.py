"""Small programs through the real TPU compiler; prints JSON.

For each: the optimised HLO text and what the compiler says of it, or its
error. Run in a process of its own, so that jax stays out of the tests'.
"""

from __future__ import annotations

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding, PartitionSpec

CHIPS = topologies.get_topology_desc(
    platform="tpu", topology_name="v5e:2x2"
).devices


def _float32(*shape, chips=1, spread=()):
    mesh = Mesh(np.array(CHIPS[:chips]), ("chips",))
    sharding = NamedSharding(mesh, PartitionSpec(*spread))
    return jax.ShapeDtypeStruct(shape, jnp.float32, sharding=sharding)


def train(weights, x):
    def loss(weights):
        y = x
        for i, kernel in enumerate(weights):
            with jax.named_scope(f"net_1/dense{i}_1"):
                y = jnp.tanh(y @ kernel)
        return (y**2).mean()

    gradients = jax.grad(loss)(weights)
    return [w - 0.1 * g for w, g in zip(weights, gradients, strict=True)]


def loop(x, kernel):
    return lax.fori_loop(0, 7, lambda _, y: jnp.tanh(y @ kernel), x)


def branches(x, kernel):
    dear = lambda: jnp.tanh(x @ kernel) @ kernel  # noqa: E731
    return lax.cond(x[0, 0] > 0, dear, lambda: x * 2.0)


def sums(x, kernel):
    def replica(x, kernel):
        def body(_, y):
            return jnp.tanh(lax.psum(y @ kernel, "chips")) * 0.5

        return lax.psum((lax.fori_loop(0, 3, body, x), x[:1]), "chips")

    return jax.shard_map(
        replica,
        mesh=Mesh(np.array(CHIPS), ("chips",)),
        in_specs=(PartitionSpec("chips"), PartitionSpec()),
        out_specs=PartitionSpec(),
        check_vma=False,
    )(x, kernel)


def too_large(x, kernel):
    with jax.named_scope("net_1/dense_1"):
        y = jnp.tanh(x @ kernel)
    return y @ kernel.T


def _compiled(function, *arguments, donate=()):
    lowered = jax.jit(function, donate_argnums=donate).lower(*arguments)
    try:
        program = lowered.compile().runtime_executable()
    except jax.errors.JaxRuntimeError as error:
        return {"error": str(error)}
    memory = program.get_compiled_memory_stats()
    return {
        "text": program.hlo_modules()[0].to_string(),
        "arguments": memory.argument_size_in_bytes,
        "outputs": memory.output_size_in_bytes - memory.alias_size_in_bytes,
        "temporaries": memory.temp_size_in_bytes,
        "peak": memory.peak_memory_in_bytes,
    }


def main():
    kernel = _float32(512, 512)
    x = _float32(1024, 512)
    far = _float32(1024, 256, chips=4, spread=("chips",))
    samples = {
        "train": _compiled(
            train, [kernel] * 2, _float32(131072, 512), donate=(0,)
        ),
        "loop": _compiled(loop, x, kernel),
        "branches": _compiled(branches, x, kernel),
        "sums": _compiled(sums, far, _float32(256, 256, chips=4)),
        "too_large": _compiled(
            too_large, _float32(65536, 512), _float32(512, 2**17)
        ),
    }
    json.dump(samples, sys.stdout)


if __name__ == "__main__":
    main()
