"""The same work on many things, by Apache Beam, on one machine or many."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

from efficientnet_tf.errors import InputError, RunError

# Not one of Beam's runners.
PROCESSES = "processes"


def local_runner() -> str:
    """What works on this machine: Beam where it is installed."""
    return "DirectRunner" if find_spec("apache_beam") else PROCESSES


def new_pipeline(runner: str, options: Sequence[str]) -> Any:
    """An empty pipeline of Apache Beam; nothing runs, nothing is written.

    Args:
        runner: Its name, as Beam knows it.
        options: Its options, each "--NAME=VALUE".

    Raises:
        InputError: Beam is not installed, or does not know the options.
    """
    try:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
    except ModuleNotFoundError as error:
        raise InputError(
            f"runner {runner} needs {error.name}: in a fresh environment, pip "
            "install -e '.[prepare]'; the runner `processes` needs none"
        ) from error
    known = PipelineOptions([f"--runner={runner}", *options])
    try:
        return beam.Pipeline(options=known)
    except (ValueError, ImportError) as error:
        raise InputError(f"runner {runner}: {error}") from error


def run_beam(
    function: Callable[[str], None],
    items: Sequence[str],
    pipeline: Any,
    runner: str,
) -> None:
    """Calls a function for each thing, wherever a runner likes.

    Args:
        function: One of a module that the workers have, or a partial of it.
        items: The things; none depends on another.
        pipeline: By `new_pipeline`.
        runner: Its runner, for what is said.

    Raises:
        RunError: The pipeline failed.
    """
    import apache_beam as beam

    print(f"{len(items):,} shards go to {runner}", file=sys.stderr)
    (
        pipeline
        | "shards" >> beam.Create(list(items))
        # Else one worker may be given all of them.
        | "spread" >> beam.Reshuffle()
        | "write" >> beam.Map(function)
    )
    try:
        state = pipeline.run().wait_until_finish()
    # Beam has no error of its own for what a worker raised.
    except Exception as error:
        raise RunError(f"{runner} failed: {error}") from error
    if state not in (None, "DONE"):
        raise RunError(f"{runner} ended as {state}; the same command goes on")
