"""The verbs about data: prepare, check, show, serve-data."""

from __future__ import annotations

from efficientnet_tf import report
from efficientnet_tf.errors import InputError, RunError
from efficientnet_tf.verbs.command import Command

SHEET = "images.png"


def prepare(command: Command) -> None:
    """Turns pictures into TFRecords."""
    from efficientnet_tf.data.prepare import prepare

    for name, what in (
        ("from", "FOLDER, or tfds:NAME"),
        ("out", "FOLDER"),
    ):
        if not command.given[name].value:
            raise InputError(f"prepare: --{name}={what} is missing")
    dataset = prepare(
        str(command.given["from"].value),
        command.given.out,
        shards=command.given.shards,
        holdout=command.given.holdout,
        seed=command.given.seed,
        tfds_dir=command.given.data_dir,
        validation_labels=command.given.validation_labels,
        runner=command.given.runner,
        beam_options=command.given.beam_option,
    )
    facts = report.dataset_facts(dataset)
    command.show(facts, report.figures(dataset.name, report.rows_of(facts)))


def check(command: Command) -> None:
    """Reads every record of a data set and says what is wrong."""
    from efficientnet_tf.data.check import check

    if not command.given.data_dir:
        raise InputError("check: --data_dir=FOLDER is missing")
    checked = check(command.given.data_dir)
    command.show(checked.to_dict(), *report.check_tables(checked))
    if checked.problems:
        raise RunError(
            f"{checked.data_dir} has {len(checked.problems):,} problems"
        )


def show(command: Command) -> None:
    """Draws what a network will see of the training data."""
    from efficientnet_tf.show import show

    facts = show(
        command.config(),
        command.given.out or SHEET,
        images=command.given.images,
    )
    command.show(facts, report.figures(facts["data"], report.rows_of(facts)))


def serve_data(command: Command) -> None:
    """Runs a worker of tf.data's service, with or without its dispatcher."""
    from efficientnet_tf.data.service import serve

    serve(command.given.port, command.given.dispatcher, command.given.host)
