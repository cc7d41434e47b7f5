"""The flags of edgetpu_compiler 16.0.384591198 that change what it makes."""

from __future__ import annotations

from dataclasses import dataclass

from efficientnet_tf.errors import InputError

# The compiler's own.
TIMEOUT_SECONDS = 180
# Runtimes of libedgetpu that it can compile for; the newest by itself.
RUNTIMES = range(10, 15)


@dataclass(frozen=True)
class CompilerOptions:
    """How to compile.

    Attributes:
        min_runtime_version: Oldest runtime of libedgetpu that is to load the
            file, 10 to 14; None for 14.
        num_segments: Parts to cut each model into, for as many Edge TPUs in a
            row; None for none.
        intermediate_tensors: Names of tensors where the Edge TPU's part ends;
            what comes after runs on the CPU.
        search_delegate: Whether to try again with ever smaller parts for the
            Edge TPU where compilation fails.
        delegate_search_step: Operators that each try leaves out; None for 1.
        timeout_seconds: Of one try; None for 180.
        multiple_subgraphs: Whether several parts may be on the Edge TPU;
            Google calls it experimental.
    """

    min_runtime_version: int | None = None
    num_segments: int | None = None
    intermediate_tensors: tuple[str, ...] = ()
    search_delegate: bool = False
    delegate_search_step: int | None = None
    timeout_seconds: int | None = None
    multiple_subgraphs: bool = False

    def __post_init__(self) -> None:
        runtime, segments = self.min_runtime_version, self.num_segments
        if runtime is not None and runtime not in RUNTIMES:
            raise InputError(
                f"min_runtime_version {runtime} is none that the compiler "
                f"knows; take {RUNTIMES[0]} to {RUNTIMES[-1]}"
            )
        if segments is not None and segments < 2:
            raise InputError(
                f"num_segments {segments} must be at least 2; leave it out for "
                "one file"
            )
        for name in ("delegate_search_step", "timeout_seconds"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} {value} must be at least 1")
        if self.delegate_search_step and not self.search_delegate:
            raise InputError(
                f"delegate_search_step {self.delegate_search_step} is of use "
                "with search_delegate only; set that too"
            )
        wrong = [
            name
            for name in self.intermediate_tensors
            if not name or "," in name
        ]
        if wrong:
            raise InputError(
                f"intermediate_tensors has {wrong[0]!r}; give names, parted by "
                "commas"
            )

    def flags(self) -> list[str]:
        """The compiler's words, besides -s, -o and the models."""
        valued = {
            "-m": self.min_runtime_version,
            "-n": self.num_segments,
            "-i": ",".join(self.intermediate_tensors) or None,
            "-k": self.delegate_search_step,
            "-t": self.timeout_seconds,
        }
        words = [
            word
            for flag, value in valued.items()
            if value is not None
            for word in (flag, str(value))
        ]
        switches = {"-d": self.search_delegate, "-a": self.multiple_subgraphs}
        return [*(flag for flag, on in switches.items() if on), *words]

    def longest_seconds(self, operators: int) -> int:
        """How long the compiler may take by its own time-out.

        Args:
            operators: Of all models; a search leaves out some with each try.
        """
        tries = self.num_segments or 1
        if self.search_delegate:
            tries *= 1 + operators // (self.delegate_search_step or 1)
        return tries * (self.timeout_seconds or TIMEOUT_SECONDS)

    def compiled_stems(self, stem: str) -> list[str]:
        """Names without ".tflite" of what it makes of one model."""
        count = self.num_segments
        if count is None:
            return [f"{stem}_edgetpu"]
        return [
            f"{stem}_segment_{number}_of_{count}_edgetpu"
            for number in range(count)
        ]
