"""The verbs about networks: describe, scale, rehearse, search."""

from __future__ import annotations

from efficientnet_tf import command_line
from efficientnet_tf.errors import InputError, Stopped
from efficientnet_tf.training.config import Config
from efficientnet_tf.training.config_files import load_config, override
from efficientnet_tf.verbs.command import Command

# Flags of `search` that are fields of its settings.
SEARCH = (
    *("space", "cost", "target", "objective", "exponent", "sampler"),
    *("population", "trials", "trial_epochs", "proxy", "pruning", "topology"),
    "seed",
)


def describe(command: Command) -> None:
    """Prints a network, or all of them, without TensorFlow."""
    from efficientnet_tf import describe as tables

    if not (command.given.model or command.given.config or command.given.set):
        command.show(tables.every_network(), tables.variants_table())
        return
    base = (
        load_config(command.given.config) if command.given.config else Config()
    )
    network = override(base, command.settings()).network()
    command.show(tables.describe(network), tables.network_table(network))


def scale(command: Command) -> None:
    """Scales a network up."""
    from efficientnet_tf.search import scale as scaling

    # --noexplain is there, and says that nothing is to be explained.
    present = {
        name
        for name in command.given
        if command.given[name].present
        and command.given[name].value is not False
    }
    way = scaling.chosen_way(present, command.settings())
    coefficients = scaling.Coefficients(
        command.given.alpha, command.given.beta, command.given.gamma
    )
    if way == "explain":
        answer = scaling.explain_shipped(coefficients)
    elif way == "grid":
        request = scaling.GridRequest(
            command.given.grid_step,
            command.given.grid_tolerance,
            command.given.out,
            command.given.workers,
        )
        answer = scaling.search_grid(command.config(), request)
    else:
        base = scaling.base_of(override(Config(), command.settings()))
        if way == "phi":
            answer = scaling.scale_by_phi(
                base, coefficients, command.given.phi, command.given.out
            )
        else:
            answer = scaling.scale_to_budget(
                base,
                coefficients,
                command.given.budget,
                command.given.images_per_core,
                command.given.out,
            )
    command.show(answer.facts, *answer.tables)


def rehearse(command: Command) -> None:
    """Compiles a training step for a TPU that is not there."""
    from efficientnet_tf.tpu import tables
    from efficientnet_tf.tpu.batch_search import find_batch
    from efficientnet_tf.tpu.rehearsal import rehearse
    from efficientnet_tf.tpu.topology import parse_topology

    if not command.given.topology:
        raise InputError(
            "rehearse: --topology is missing, such as --topology=v5e:2x4"
        )
    topology = parse_topology(command.given.topology)
    config = override(
        load_config(command.given.config) if command.given.config else Config(),
        command.settings(),
    )
    network = config.network()
    if not command.given.find_batch:
        found = rehearse(config, network, topology, effort=command.given.effort)
        command.show(found.to_dict(), *tables.pages(found))
        return
    best, tried = find_batch(
        config, network, topology, effort=command.given.effort
    )
    facts = {
        "largest_batch": best and best.batch,
        "tried": [each.to_dict() for each in tried],
    }
    shown = best or tried[-1]
    command.show({**shown.to_dict(), **facts}, *tables.pages(shown, tried))


class _SearchStopped(Stopped):
    """Of a search another command goes on than the one that was stopped."""

    def __init__(self, stopped: Stopped, out: str, storage: str):
        why = str(stopped).rpartition(": ")[0]
        place = " with the same --storage" if storage else ""
        # Past the sentence of a training.
        Exception.__init__(
            self, f"{why}: search --resume --out={out}{place} goes on"
        )
        self.exit_code = stopped.exit_code


def search(command: Command) -> None:
    """Looks for a network in a space of them."""
    from efficientnet_tf.search.settings import settings_from

    if not command.given.out:
        raise InputError("search: --out=FOLDER is missing")
    joins = command.given.resume or command.given.best
    told = [name for name in SEARCH if command.given[name].present]
    for name in (*told, "config", "set") if joins else ():
        if command.given[name].present and not (
            name == "trials" and command.given.resume
        ):
            raise InputError(
                f"--{name} was decided when the search began; leave it out "
                "with --resume and --best"
            )
    settings = settings_from({name: command.given[name].value for name in told})
    config = None if joins else command.config()
    if config:
        command_line.choose_kernels(config.network().pixels)

    from efficientnet_tf.search import outcome, run
    from efficientnet_tf.training.strategy import make_strategy

    out, storage = command.given.out, command.given.storage
    try:
        if command.given.best:
            found = run.best(out, storage=storage)
        elif config is None:
            found = run.resume(
                out,
                storage=storage,
                data_dir=command.given.data_dir,
                trials=settings.trials if told else None,
                strategy=make_strategy(command.given.tpu),
            )
        else:
            found = run.search(
                settings,
                config,
                out,
                storage=storage,
                strategy=make_strategy(command.given.tpu),
            )
    except Stopped as stopped:
        raise _SearchStopped(stopped, out, storage) from None
    command.show(found, *outcome.tables(found, out))
