"""What is asked of tracing, and what it gives. Loads no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass

from efficientnet_tf.networks import Network
from efficientnet_tf.training.config import Config


@dataclass(frozen=True)
class Refused:
    """Something that a TPU does not do.

    Attributes:
        operator: TensorFlow's name of it; None where only the compiler knows.
        layer: The layer that it comes from; None where none is known.
        why: In words.
    """

    operator: str | None
    layer: str | None
    why: str


@dataclass(frozen=True)
class Program:
    """What one replica runs at once.

    Attributes:
        name: "step"; of a step in microbatches "microbatch" and "update".
        runs: How often in a step.
        path: File of its HLO, a serialized HloModuleProto.
        parameters: What each of its parameters is, by number: "images",
            "targets", "counters", or a kind of state.
    """

    name: str
    runs: int
    path: str
    parameters: tuple[str, ...]


@dataclass(frozen=True)
class Traced:
    """A training step before it meets a compiler.

    Attributes:
        programs: In the order of a step; none where some are refused.
        refused: What no TPU takes.
        layers: Names of the network's layers, in their order.
        state_bytes: What stays in memory from step to step, by kind.
        precision: Keras's dtype policy.
        seconds: That tracing the steps took, as a training would.
    """

    programs: tuple[Program, ...]
    refused: tuple[Refused, ...]
    layers: tuple[str, ...]
    state_bytes: dict[str, int]
    precision: str
    seconds: float


@dataclass(frozen=True)
class Request:
    """A training whose step is to be traced.

    Attributes:
        config: The experiment.
        bridged: The same for `bridged_cores`, images for each as before.
        network: What it trains.
        cores: Of the TPU.
        bridged_cores: What TensorFlow's bridge takes of a few of them it takes
            of all, and it needs long for many. The programs differ in how many
            exchange what.
        images: Of the training data, which only the schedules ask for.
    """

    config: Config
    bridged: Config
    network: Network
    cores: int
    bridged_cores: int
    images: int
