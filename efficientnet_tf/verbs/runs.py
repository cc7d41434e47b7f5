"""The verbs about runs: evaluate, report, predict, import."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence

from efficientnet_tf import report
from efficientnet_tf.errors import InputError, RunError
from efficientnet_tf.training.config import Config, DataConfig
from efficientnet_tf.training.config_files import override
from efficientnet_tf.verbs.command import Command, check_data


def evaluate(command: Command) -> None:
    """Evaluates a trained network."""
    command.check_tpu()
    path, config = command.present_run("data", "evaluate")
    check_data(config)
    if command.given.follow:
        _follow(command, path, config)
        return
    if command.given.follow_timeout is not None:
        raise InputError("--follow_timeout says nothing without --follow")

    from efficientnet_tf.evaluate import evaluate
    from efficientnet_tf.training.strategy import make_strategy

    result = evaluate(
        config,
        path,
        split=command.given.split,
        out=command.given.out,
        labels=command.given.labels,
        strategy=make_strategy(command.given.tpu),
    )
    rows = report.evaluation_rows(result)
    command.show(result, report.figures(result["model"], rows))


def report_(command: Command) -> None:
    """Writes the report of a run that is there."""
    command.check_tpu()
    path, config = command.present_run("data", "evaluate")
    check_data(config)

    from efficientnet_tf.run_report import write_report
    from efficientnet_tf.training.strategy import make_strategy

    strategy = make_strategy(command.given.tpu)
    facts = {"report": write_report(path, config, strategy=strategy)}
    command.show(facts, report.figures(path, report.rows_of(facts)))


def predict(command: Command, images: Sequence[str]) -> None:
    """Classifies image files."""
    if not images:
        raise InputError("predict: name at least one image file")
    path, config = command.present_run("data", "evaluate")

    from efficientnet_tf.files import make_folder
    from efficientnet_tf.predict import plot_paths, predict
    from efficientnet_tf.training.trained import load_trained

    plots = (
        plot_paths(command.given.save_plot, images)
        if command.given.save_plot
        else []
    )
    trained = load_trained(
        path,
        config,
        checkpoint=config.evaluate.checkpoint,
        labels=command.given.labels,
    )
    if plots:
        make_folder(os.path.dirname(plots[0]) or ".", "--save_plot")
    answers = []
    for answer in predict(trained, images):
        answers.append(answer)
        if command.given.json:
            print(json.dumps(answer.to_dict()), flush=True)
    if not command.given.json:
        report.console().print(report.predictions(answers))
    for plot, answer in zip(plots, answers, strict=False):
        if not answer.error:
            from efficientnet_tf.plots import save_prediction

            save_prediction(plot, answer)
    failed = [answer.image for answer in answers if answer.error]
    if failed:
        raise RunError(
            f"{len(failed)} of {len(answers)} images could not be read: "
            f"{', '.join(failed)}"
        )


def import_(command: Command) -> None:
    """Makes a run of a checkpoint of the original's code."""
    for name in ("model", "checkpoint", "model_dir"):
        if not command.given[name].value:
            raise InputError(f"import: --{name} is missing")
    settings = command.settings("model", "data")
    config = override(Config(data=DataConfig(dir="")), settings)
    stride = config.model.table.variant.family.published_stride
    told = any(text.startswith("model.fused_stride=") for text in settings)
    if not told:
        config = override(config, [f"model.fused_stride={stride}"])

    from efficientnet_tf.training.importing import import_checkpoint
    from efficientnet_tf.training.trained import run_config

    account = import_checkpoint(
        config,
        command.given.model_dir,
        command.given.checkpoint,
        labels=command.given.labels,
        ema=command.given.ema,
    )
    if not told and stride != "expand":
        print(
            f"model.fused_stride={stride}: so were the published weights "
            "trained; to import others, --set model.fused_stride=expand",
            file=sys.stderr,
        )
    if account.fresh:
        print(
            f"the classifier is untrained ({next(iter(account.fresh.values()))}"
            f"): what it says is chance; train it by --init_from="
            f"{command.given.model_dir}",
            file=sys.stderr,
        )
    imported = run_config(command.given.model_dir)
    facts = report.import_facts(imported, command.given.model_dir, account)
    command.show(facts, report.figures(facts["model"], report.rows_of(facts)))


def _follow(command: Command, path: str, config: Config) -> None:
    """Evaluates each new checkpoint of a run that is being trained."""
    if command.given.out:
        raise InputError(
            "--out cannot be given with --follow, which writes to "
            "MODEL_DIR/evaluation"
        )

    from efficientnet_tf.follow import follow
    from efficientnet_tf.training.strategy import make_strategy

    for line in follow(
        config,
        path,
        split=command.given.split,
        labels=command.given.labels,
        timeout=command.given.follow_timeout,
        strategy=make_strategy(command.given.tpu),
    ):
        shown = (
            json.dumps(line) if command.given.json else report.followed(line)
        )
        print(shown, flush=True)
