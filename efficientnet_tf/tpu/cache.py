"""What was compiled before need not be compiled again."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from importlib.resources import files

from efficientnet_tf.tpu.analysis import Outcome
from efficientnet_tf.tpu.compiling import Effort, compiler_version
from efficientnet_tf.tpu.topology import Topology

# Whoever changes one of these changes what it reads off the same program.
_READERS = (
    "analysis",
    "attribution",
    "compiling",
    "hlo_shapes",
    "hlo_text",
    "in_place",
    "live_ranges",
    "loops",
    "memory",
    "out_of_memory",
    "program",
)
_FOLDER = os.path.join("efficientnet-tf", "rehearsals")


def key_of(
    path: str, topology: Topology, effort: Effort, layers: Sequence[str]
) -> str:
    """What decides an outcome: program, TPU, compiler, and how it is read.

    Args:
        path: Of a serialized HloModuleProto.
        topology: What it is compiled for.
        effort: Of the compiler.
        layers: That its costs are told by.
    """
    digest = hashlib.sha256()
    for words in (topology.name, effort, compiler_version(), *layers):
        digest.update(f"{words}\n".encode())
    for name in _READERS:
        source = files("efficientnet_tf.tpu").joinpath(f"{name}.py")
        digest.update(source.read_bytes())
    with open(path, "rb") as file:
        digest.update(file.read())
    return digest.hexdigest()


def load(key: str) -> Outcome | None:
    """What is known of a program; None where nothing is, or nothing whole."""
    try:
        with open(_path(key), encoding="utf-8") as file:
            return Outcome(**json.load(file))
    except (OSError, ValueError, TypeError):
        return None


def save(key: str, outcome: Outcome) -> None:
    """Keeps what a program became; where that fails, nothing is kept."""
    path = _path(key)
    temporary = f"{path}.{uuid.uuid4().hex[:8]}.tmp"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(asdict(outcome), file)
        os.replace(temporary, path)
    except OSError:
        return


def _path(key: str) -> str:
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(home, _FOLDER, f"{key}.json")
