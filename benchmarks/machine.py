"""The machine that figures were taken on, as it says itself."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

# The widest first; what a library picks its kernels by.
_ISAS = ("amx_tile", "avx512_bf16", "avx512f", "avx2", "avx", "sse4_2")
# Variables that change how fast the same program is.
_PREFIXES = ("MALLOC_", "OMP_", "KMP_", "TF_ENABLE_", "TF_XLA_", "XLA_FLAGS")
_KIBIBYTES_PER_GIBIBYTE = 2**20


@dataclass(frozen=True)
class Machine:
    """Where and when.

    Attributes:
        cpu: The processor's own name.
        cores: Those that the process may use.
        isa: The widest vector instructions that it has.
        memory_gib: All of the memory.
        system: Kernel and architecture.
        python: Its version.
        versions: Of the packages that took part.
        environment: Variables that change speed, where they are set.
        date: UTC, to the minute.
        load_average: Processes that ran or waited over the last minute, before
            the benchmark began: a quiet machine is near 0.
    """

    cpu: str
    cores: int
    isa: str
    memory_gib: float
    system: str
    python: str
    versions: dict[str, str]
    environment: dict[str, str]
    date: str
    load_average: float

    def line(self) -> str:
        """All of it in one line."""
        versions = [f"{name} {v}" for name, v in self.versions.items()]
        cores = "1 core" if self.cores == 1 else f"{self.cores} cores"
        parts = [
            f"{self.cpu}, {cores}, {self.isa}",
            f"{self.memory_gib:.0f} GiB",
            self.system,
            ", ".join([f"Python {self.python}", *versions]),
            *(f"{name}={value}" for name, value in self.environment.items()),
            f"{self.date}, load average {self.load_average:.2f}",
        ]
        return "; ".join(parts)


def this_machine(packages: Iterable[str]) -> Machine:
    """Describes this one.

    Args:
        packages: Names of distributions; those that are not installed are left
            out.
    """
    now = datetime.datetime.now(datetime.UTC)
    return Machine(
        cpu=_field("/proc/cpuinfo", "model name") or platform.processor(),
        cores=usable_cores(),
        isa=_isa(),
        memory_gib=round(_memory_gib(), 1),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        versions=_versions(packages),
        environment={
            name: value
            for name, value in sorted(os.environ.items())
            if name.startswith(_PREFIXES)
        },
        date=now.strftime("%Y-%m-%d %H:%M UTC"),
        load_average=round(os.getloadavg()[0], 2),
    )


def usable_cores() -> int:
    """How many this process may run on."""
    return len(os.sched_getaffinity(0))


def _versions(packages: Iterable[str]) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _isa() -> str:
    flags = set(_field("/proc/cpuinfo", "flags").split())
    return next((isa for isa in _ISAS if isa in flags), platform.machine())


def _memory_gib() -> float:
    said = _field("/proc/meminfo", "MemTotal").split()
    return int(said[0]) / _KIBIBYTES_PER_GIBIBYTE if said else 0.0


def _field(path: str, name: str) -> str:
    """The first value of that name in a file of the kernel's; empty if none."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""
