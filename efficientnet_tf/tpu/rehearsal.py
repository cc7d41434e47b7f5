"""A training step compiled for a TPU that is not there: fits, and costs."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from efficientnet_tf.networks import Network
from efficientnet_tf.tpu import cache
from efficientnet_tf.tpu.analysis import Outcome, analyse
from efficientnet_tf.tpu.compiling import Effort, compiler_version
from efficientnet_tf.tpu.processes import apart
from efficientnet_tf.tpu.topology import Topology
from efficientnet_tf.tpu.traced import Program, Refused, Request, Traced
from efficientnet_tf.training.config import Config, differences
from efficientnet_tf.training.plan import norm_group, replica_share

# Of ImageNet; only schedules depend on it, and nothing here on those.
TRAIN_IMAGES = 1_281_167
_BRIDGED_CORES = 2
_TOO_LARGE = "too large for HBM"


@dataclass(frozen=True)
class Rehearsal:
    """What a TPU would make of a training; figures are for one core.

    Attributes:
        model: The network.
        pixels: Side of its images.
        classes: Of its head.
        settings: Where the config is not the default one, as `--set` takes it.
        topology: Of the TPU.
        cores: It has.
        batch: Of all cores.
        images_per_core: Of a step.
        microbatches: In which a core takes them.
        remat: Whether blocks are computed a second time.
        optimizer: The config's.
        precision: Keras's dtype policy.
        effort: The compiler's.
        compiler: Its packages and their versions.
        fits: Whether every program compiled and there is room for it.
        hbm_bytes: What a program may use of a core's memory.
        peak_hbm_bytes: The most that is used at once, or that was wanted;
            None where something was refused.
        memory: What it goes to, in bytes, in the program that needs most.
        temporaries: Rows of `layer, direction, bytes`, the largest first.
        flops_per_image: Multiply and add counted apart; like the following,
            None where the step did not compile.
        bytes_per_image: Read from and written to HBM.
        arithmetic_intensity: FLOPs for a byte.
        estimated_cycles: Of a step, the compiler's own estimate.
        estimated_cycles_per_image: The same for an image.
        collectives: Rows of `kind, count, operand_bytes`, of a step.
        layers: Rows of `layer, direction, estimated_cycles, moved_bytes`.
        limit_images_per_second: What a core's published arithmetic and
            bandwidth allow: `flops` and `bytes`.
        refused: Rows of `operator, layer, why`.
        unknown_loops: Loops that are counted as if they ran once. FLOPs and
            bytes are the compiler's counts, which take every loop so.
        trace_seconds: That TensorFlow took for the step's graph.
        compile_seconds: That the compiler took, maybe long ago.
        cached: Whether all was known before.
    """

    model: str
    pixels: int
    classes: int
    settings: list[str]
    topology: str
    cores: int
    batch: int
    images_per_core: int
    microbatches: int
    remat: bool
    optimizer: str
    precision: str
    effort: str
    compiler: str
    fits: bool
    hbm_bytes: int
    peak_hbm_bytes: int | None
    memory: dict[str, int]
    temporaries: list[dict[str, Any]]
    flops_per_image: float | None
    bytes_per_image: float | None
    arithmetic_intensity: float | None
    estimated_cycles: int | None
    estimated_cycles_per_image: float | None
    collectives: list[dict[str, Any]]
    layers: list[dict[str, Any]]
    limit_images_per_second: dict[str, float]
    refused: list[dict[str, Any]]
    unknown_loops: list[str]
    trace_seconds: float
    compile_seconds: float
    cached: bool

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def rehearse(
    config: Config,
    network: Network,
    topology: Topology,
    *,
    effort: Effort = "quick",
) -> Rehearsal:
    """Traces the training step, compiles it and says what it would cost.

    Args:
        config: The experiment; its data are not opened.
        network: What it trains.
        topology: Of the TPU.
        effort: Of the compiler; "full" as a TPU's runtime compiles.

    Raises:
        InputError: The batch or the batch norm's groups do not divide so.
        RunError: What it needs is not installed, or failed in a way that is
            no answer.
    """
    _check(config, topology)
    compiler = compiler_version()
    with tempfile.TemporaryDirectory() as folder:
        traced = apart(
            f"tracing {network.name} for {topology.name}",
            _trace,
            _request(config, network, topology),
            folder,
        )
        outcomes = [
            _outcome(program, topology, effort, traced.layers)
            for program in traced.programs
        ]
    return _combined(
        config, network, topology, effort, compiler, traced, outcomes
    )


def _trace(request: Request, folder: str) -> Traced:
    """Keeps TensorFlow, and its made-up TPU, out of this process."""
    from efficientnet_tf.tpu.tracing import trace

    return trace(request, folder)


def _request(config: Config, network: Network, topology: Topology) -> Request:
    few = min(topology.cores, _BRIDGED_CORES)
    batch = config.train.batch // topology.cores * few
    bridged = replace(config, train=replace(config.train, batch=batch))
    return Request(config, bridged, network, topology.cores, few, TRAIN_IMAGES)


def _check(config: Config, topology: Topology) -> None:
    """Raises InputError where the batch cannot be divided among the cores."""
    replica_share(config, topology.cores)
    norm_group(config.train.sync_batch_norm, topology.cores)


@dataclass(frozen=True)
class _Known:
    outcome: Outcome
    cached: bool


def _outcome(
    program: Program,
    topology: Topology,
    effort: Effort,
    layers: Sequence[str],
) -> _Known:
    key = cache.key_of(program.path, topology, effort, layers)
    known = cache.load(key)
    if known:
        return _Known(known, True)
    outcome = apart(
        f"compiling the {program.name} for {topology.name}",
        analyse,
        program.path,
        topology,
        effort,
        layers,
    )
    cache.save(key, outcome)
    return _Known(outcome, False)


def _combined(
    config: Config,
    network: Network,
    topology: Topology,
    effort: Effort,
    compiler: str,
    traced: Traced,
    known: Sequence[_Known],
) -> Rehearsal:
    train = config.train
    pairs = [
        (program, each.outcome)
        for program, each in zip(traced.programs, known, strict=True)
    ]
    refused = [
        *traced.refused,
        *(
            Refused(None, None, outcome.refusal)
            for _, outcome in pairs
            if outcome.refusal
        ),
    ]
    room = _room(pairs, traced.state_bytes)
    peak = None if refused else sum(room.values())
    images = train.batch // topology.cores
    result = Rehearsal(
        model=network.name,
        pixels=network.pixels,
        classes=network.classes,
        settings=_settings(config),
        topology=topology.name,
        cores=topology.cores,
        batch=train.batch,
        images_per_core=images,
        microbatches=train.microbatches,
        remat=train.remat,
        optimizer=train.optimizer,
        precision=traced.precision,
        effort=effort,
        compiler=compiler,
        fits=peak is not None and peak <= topology.hbm_bytes,
        hbm_bytes=topology.hbm_bytes,
        peak_hbm_bytes=peak,
        memory={} if refused else room,
        temporaries=_temporaries(pairs, traced.state_bytes),
        flops_per_image=None,
        bytes_per_image=None,
        arithmetic_intensity=None,
        estimated_cycles=None,
        estimated_cycles_per_image=None,
        collectives=[],
        layers=[],
        limit_images_per_second={},
        refused=[asdict(each) for each in refused],
        unknown_loops=sorted(
            {name for _, outcome in pairs for name in outcome.unknown_loops}
        ),
        trace_seconds=traced.seconds,
        compile_seconds=sum(o.compile_seconds for _, o in pairs),
        cached=bool(known) and all(each.cached for each in known),
    )
    if refused or any(o.hbm_needed is not None for _, o in pairs):
        return replace(result, fits=False)
    return _with_costs(result, topology, pairs)


def _settings(config: Config) -> list[str]:
    """What makes the config of the default one."""
    said = []
    for name in differences(config, Config()):
        section, _, field = name.partition(".")
        value = getattr(getattr(config, section), field)
        text = str(value).lower() if isinstance(value, bool) else value
        said.append(f"{name}={text}")
    return said


def _room(
    pairs: Sequence[tuple[Program, Outcome]], state_bytes: dict[str, int]
) -> dict[str, int]:
    """Where memory goes while the program runs that needs most of it."""
    rooms = [
        _room_of(program, outcome, state_bytes) for program, outcome in pairs
    ]
    if not rooms:
        return {}
    sizes = [_total(room) for room in rooms]
    room = dict(rooms[sizes.index(max(sizes))])
    # All programs of a training stay loaded.
    room["programs"] = sum(outcome.code_bytes for _, outcome in pairs)
    return {name: size for name, size in room.items() if size}


def _room_of(
    program: Program, outcome: Outcome, state_bytes: Mapping[str, int]
) -> Mapping[str, int]:
    held = {
        kind: size
        for kind, size in state_bytes.items()
        if kind not in program.parameters
    }
    if outcome.hbm_needed is not None:
        return {**held, _TOO_LARGE: outcome.hbm_needed}
    room: Counter[str] = Counter(held)
    for number, size in outcome.parameter_bytes.items():
        room[program.parameters[int(number)]] += size
    room["temporaries"] = sum(row["bytes"] for row in outcome.temporaries)
    room["not explained"] = outcome.holes
    return room


def _with_costs(
    result: Rehearsal,
    topology: Topology,
    pairs: Sequence[tuple[Program, Outcome]],
) -> Rehearsal:
    """Adds up what a step costs, program by program."""
    images = result.images_per_core
    flops = sum(p.runs * o.flops for p, o in pairs) / images
    moved = sum(p.runs * o.bytes_accessed for p, o in pairs) / images
    cycles = sum(p.runs * o.estimated_cycles for p, o in pairs)
    generation = topology.generation
    return replace(
        result,
        flops_per_image=flops,
        bytes_per_image=moved,
        arithmetic_intensity=flops / moved,
        estimated_cycles=cycles,
        estimated_cycles_per_image=cycles / images,
        collectives=_added(
            pairs, "collectives", ("kind",), ("count", "operand_bytes")
        ),
        layers=_added(
            pairs,
            "layers",
            ("layer", "direction"),
            ("estimated_cycles", "moved_bytes"),
        ),
        limit_images_per_second={
            "flops": generation.peak_tflops * 1e12 / flops,
            "bytes": generation.hbm_gb_per_second * 1e9 / moved,
        },
    )


def _added(
    pairs: Sequence[tuple[Program, Outcome]],
    rows: str,
    names: tuple[str, ...],
    numbers: tuple[str, ...],
) -> list[dict[str, Any]]:
    """Rows of all programs, as often as they run, those of a name in one."""
    sums: dict[tuple[str, ...], Counter[str]] = {}
    for program, outcome in pairs:
        for row in getattr(outcome, rows):
            place = tuple(row[name] for name in names)
            sums.setdefault(place, Counter()).update(
                {number: program.runs * row[number] for number in numbers}
            )
    return [
        {**dict(zip(names, place, strict=True)), **total}
        for place, total in sums.items()
    ]


def _temporaries(
    pairs: Sequence[tuple[Program, Outcome]], state_bytes: dict[str, int]
) -> list[dict[str, Any]]:
    """Of the program that needs most memory."""
    if not pairs:
        return []
    rooms = [_total(_room_of(p, o, state_bytes)) for p, o in pairs]
    _, fullest = pairs[rooms.index(max(rooms))]
    return fullest.temporaries


def _total(room: Mapping[str, int]) -> int:
    return sum(room.values())
