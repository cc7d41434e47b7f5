r"""EfficientNets: train, evaluate, predict, export, prepare, describe.

usage: python main.py [VERB] [FLAGS]

  train             train and evaluate a network, then export it (the default)
  evaluate          what a trained network gets right, and what wrong
  predict IMAGE...  the likeliest classes of image files
  export            write a trained network as .keras and as int8 .tflite
  prepare           turn a folder of class folders of images into TFRecords
  describe          print a network as a table, or all networks

For example:

  python main.py
      A small network on scikit-learn's handwritten digits, on this machine.

  python main.py --tpu=NAME --model=efficientnet-b4 \
      --data_dir=gs://bucket/imagenet --model_dir=gs://bucket/run
      The original's recipe on a TPU.

  python main.py prepare --from=photos --out=records --shards=8
  python main.py --data_dir=records --model=efficientnet-lite0 \
      --model_dir=runs/mine --set model.pixels=128 --set train.epochs=20 \
      --set train.batch=64
  python main.py evaluate --model_dir=runs/mine
  python main.py predict cat.jpg dog.png --model_dir=runs/mine \
      --save_plot=plots
      A network for your own images, what it confuses, and what it says.

  python main.py --init_from=runs/mine --data_dir=others \
      --model=efficientnet-lite0 --model_dir=runs/tuned \
      --set model.pixels=128 --set train.epochs=5 --set train.batch=64 \
      --set train.freeze=stage3
      Its weights carried over to other classes, a part of them frozen.

  python main.py --config=runs/mine/config.json --model_dir=runs/again
      The same experiment again.

A run that was stopped goes on when the same command is given again. Without
--data_dir the data are the digits and the recipe is configs/digits.py; with
it, the recipe is the original's for ImageNet unless --config says otherwise.
Exit codes: 0 done, 1 failed, 2 wrong input, 130 interrupted. Where `predict`
cannot read an image it says why, answers the others, and ends with 1.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags
from rich.table import Table

from efficientnet_tf import command_line, report
from efficientnet_tf.errors import InputError, RunError, near
from efficientnet_tf.training.config import Config
from efficientnet_tf.training.config_files import load_config, override

DIGITS = Path(__file__).parent / "configs" / "digits.py"


def train(given: flags.FlagValues) -> None:
    """Trains, evaluates, exports, and shows what came out."""
    config = _config(given)

    from edgetpu.compiler import find_compiler
    from efficientnet_tf.training.loop import train
    from efficientnet_tf.training.model_dir import ModelDir
    from efficientnet_tf.training.strategy import make_strategy
    from efficientnet_tf.training.trained import run_config

    # Asked now, because hours may pass before it is needed.
    find_compiler(given.compiler or None)
    strategy = make_strategy(given.tpu)
    result = train(config, given.model_dir, strategy=strategy)
    run = ModelDir(result["model_dir"])
    title = report.run_title(result)
    if "files" in result:
        print(f"{run.path} is finished", file=sys.stderr)
    else:
        try:
            result |= _export(given, run_config(run.path), run.path, run.export)
        except RunError:
            # The figures of a long training must not be lost over a file.
            _show(given, result, report.figures(title, report.run_rows(result)))
            raise
        run.write_result(result)
    _show(given, result, report.figures(title, report.run_rows(result)))


def evaluate(given: flags.FlagValues) -> None:
    """Evaluates a trained network."""
    path, config = _present_run(given, "data", "evaluate")

    from efficientnet_tf.evaluate import evaluate
    from efficientnet_tf.training.strategy import make_strategy

    result = evaluate(
        config,
        path,
        split=given.split,
        out=given.out,
        labels=given.labels,
        strategy=make_strategy(given.tpu),
    )
    rows = report.evaluation_rows(result)
    _show(given, result, report.figures(result["model"], rows))


def predict(given: flags.FlagValues, images: Sequence[str]) -> None:
    """Classifies image files."""
    if not images:
        raise InputError("predict: name at least one image file")
    path, config = _present_run(given, "data", "evaluate")

    from efficientnet_tf.predict import plot_paths, predict
    from efficientnet_tf.training.trained import load_trained

    trained = load_trained(
        path,
        config,
        checkpoint=config.evaluate.checkpoint,
        labels=given.labels,
    )
    plots = plot_paths(given.save_plot, images) if given.save_plot else []
    answers = []
    for answer in predict(trained, images):
        answers.append(answer)
        if given.json:
            print(json.dumps(answer.to_dict()), flush=True)
    if not given.json:
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


def export(given: flags.FlagValues) -> None:
    """Writes a trained network for other programs and for Coral."""
    path, config = _present_run(given, "data", "export")

    from efficientnet_tf.training.model_dir import ModelDir

    out = given.out or ModelDir(path).export
    exported = _export(given, config, path, out)
    rows = report.export_rows(exported)
    _show(given, exported, report.figures(f"export of {path}", rows))


def prepare(given: flags.FlagValues) -> None:
    """Turns a folder of class folders into TFRecords."""
    from efficientnet_tf.data.prepare import prepare

    for name in ("from", "out"):
        if not given[name].value:
            raise InputError(f"prepare: --{name}=FOLDER is missing")
    dataset = prepare(
        str(given["from"].value),
        given.out,
        shards=given.shards,
        holdout=given.holdout,
        seed=given.seed,
    )
    facts = report.dataset_facts(dataset)
    rows = [(name, f"{value:,}" if isinstance(value, int) else value)
            for name, value in facts.items()]  # fmt: skip
    _show(given, facts, report.figures(dataset.name, rows))


def describe(given: flags.FlagValues) -> None:
    """Prints a network, or all of them, without TensorFlow."""
    from efficientnet_tf import describe as tables

    if not (given.model or given.config or given.set):
        _show(given, tables.every_network(), tables.variants_table())
        return
    base = load_config(given.config) if given.config else Config()
    network = override(base, _settings(given)).network()
    _show(given, tables.describe(network), tables.network_table(network))


class Verb(NamedTuple):
    """What the first word of a command line stands for."""

    run: Callable[..., None]
    flags: set[str]


_RUN = {"model_dir", "set", "json"}
VERBS = {
    "train": Verb(
        train,
        _RUN | {"model", "data_dir", "config", "init_from", "tpu", "compiler"},
    ),
    "evaluate": Verb(
        evaluate, _RUN | {"data_dir", "tpu", "split", "out", "labels"}
    ),
    "predict": Verb(predict, _RUN | {"labels", "save_plot"}),
    "export": Verb(export, _RUN | {"data_dir", "out", "compiler"}),
    "prepare": Verb(
        prepare, {"from", "out", "shards", "holdout", "seed", "json"}
    ),
    "describe": Verb(describe, {"model", "config", "set", "json"}),
}


def main(arguments: Sequence[str]) -> int:
    """Runs a command line and returns its exit code."""
    given = define_flags()
    if command_line.asks_for_help(arguments):
        print(f"{__doc__}\nflags:\n{command_line.flag_help(given)}")
        return 0

    def work() -> None:
        verb, words = parse(given, arguments)
        if verb == "predict":
            predict(given, words)
        else:
            VERBS[verb].run(given)

    return command_line.run("main.py", work)


def define_flags() -> flags.FlagValues:
    """The flags of all verbs, with nothing given yet."""
    given = flags.FlagValues()

    def text(name: str, means: str) -> None:
        flags.DEFINE_string(name, "", means, flag_values=given)

    text("model", "Network that `describe` lists; short for model.name.")
    text(
        "tpu",
        "A TPU's name, grpc://ADDRESS, or local on a TPU VM; empty for all "
        "GPUs if there are any, else the CPU.",
    )
    text(
        "data_dir",
        "TFRecords in the layout of ImageNet, local or gs://; short for "
        "data.dir; empty for the digits.",
    )
    text(
        "model_dir",
        "The run's directory, local or gs://; empty for a folder under runs/, "
        "named by model and data.",
    )
    text("config", "FILE.py, FILE.py:VARIANT or the config.json of a run.")
    text(
        "init_from",
        "train: a model directory to take weights from, or imagenet; short "
        "for train.init_from.",
    )
    flags.DEFINE_multi_string(
        "set",
        [],
        "SECTION.FIELD=VALUE, as often as needed; see "
        "efficientnet_tf/training/config.py.",
        flag_values=given,
    )
    flags.DEFINE_bool(
        "json",
        False,
        "Print JSON instead of tables; predict: an object a line.",
        flag_values=given,
    )
    text("from", "prepare: the folder of class folders.")
    text(
        "out",
        "prepare, export, evaluate: the folder to write; evaluate without it: "
        "MODEL_DIR/evaluation/SPLIT.",
    )
    flags.DEFINE_enum(
        "split",
        "validation",
        ["validation", "train"],
        "evaluate: which of the records.",
        flag_values=given,
    )
    text(
        "labels",
        "evaluate, predict: names of the classes, a line each or the JSON map "
        "of the original; imagenet for those of ImageNet.",
    )
    text(
        "save_plot",
        "predict: a .png to write, or a folder for one of each image.",
    )
    flags.DEFINE_integer(
        "shards",
        None,
        "prepare: training files to write; by size if not given.",
        lower_bound=1,
        flag_values=given,
    )
    flags.DEFINE_float(
        "holdout",
        0.2,
        "prepare: share of each class held out for validation, where the "
        "folder does not say.",
        flag_values=given,
    )
    flags.DEFINE_integer(
        "seed",
        0,
        "prepare: decides the order and what is held out.",
        flag_values=given,
    )
    text("compiler", "train, export: edgetpu_compiler, if not on the PATH.")
    return given


def parse(
    given: flags.FlagValues, arguments: Sequence[str]
) -> tuple[str, list[str]]:
    """Reads the command line; returns the verb and the words behind it."""
    words = command_line.parse(given, arguments)
    verb, *words = words or ["train"]
    if verb not in VERBS:
        raise InputError(f"unknown verb {verb!r}: {near(verb, VERBS)}")
    if words and verb != "predict":
        raise InputError(
            f"{verb}: unexpected {words[0]!r}; flags look like --model=NAME"
        )
    for name in given:
        if given[name].present and name not in VERBS[verb].flags:
            raise InputError(
                f"{verb} has no flag --{name}: "
                f"{near(name, sorted(VERBS[verb].flags))}"
            )
    return verb, words


def _config(given: flags.FlagValues) -> Config:
    """The config of a training.

    It starts from --config, else from the run in --model_dir, else from the
    digits or, where --data_dir names other data, from the original's recipe.
    """
    return override(_base_config(given), _settings(given))


def _base_config(given: flags.FlagValues) -> Config:
    if given.config:
        return load_config(given.config)
    if given.model_dir:
        from efficientnet_tf.training.model_dir import ModelDir

        present = ModelDir(given.model_dir).config()
        if present:
            return present
    if given.data_dir in ("", "digits"):
        return load_config(str(DIGITS))
    return Config()


def _settings(given: flags.FlagValues) -> list[str]:
    """--set, and the flags that are short for one."""
    short = {
        "model.name": given.model,
        "data.dir": given.data_dir,
        "train.init_from": given.init_from,
    }
    said = [f"{field}={value}" for field, value in short.items() if value]
    return [*said, *given.set]


def _present_run(given: flags.FlagValues, *sections: str) -> tuple[str, Config]:
    """A run's directory and its config, of which some sections may change."""
    if not given.model_dir:
        raise InputError("--model_dir is missing: name the directory of a run")
    settings = _settings(given)
    for setting in settings:
        if setting.partition(".")[0] not in sections:
            raise InputError(
                f"--set {setting}: the run is trained; only "
                f"{' and '.join(sections)} can be set"
            )

    from efficientnet_tf.training.trained import run_config

    path = str(given.model_dir)
    return path, override(run_config(path), settings)


def _export(
    given: flags.FlagValues, config: Config, model_dir: str, out: str
) -> dict[str, Any]:
    """Exports a run's averaged weights; returns figures and file sizes."""
    from edgetpu.export import export as export_int8
    from efficientnet_tf.export import export_keras
    from efficientnet_tf.training.run import open_data
    from efficientnet_tf.training.trained import load_trained

    checkpoint = config.export.checkpoint
    trained = load_trained(model_dir, config, checkpoint=checkpoint)
    dataset = open_data(config)
    keras_file = export_keras(trained, out)
    exported = export_int8(
        trained,
        dataset,
        out,
        calibration_images=config.export.calibration_images,
        verify_images=config.export.verify_images,
        compiler=given.compiler or None,
    )
    return report.export_facts(exported.to_dict(), [keras_file], out)


def _show(given: flags.FlagValues, facts: Any, table: Table) -> None:
    if given.json:
        print(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        report.console().print(table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
