r"""EfficientNets: train, evaluate, report, predict, import, export, ...

usage: python main.py [VERB] [FLAGS]

  train             train and evaluate a network, then export it (the default)
  evaluate          what a trained network gets right, and what wrong
  report            a run as one HTML file: curves, confusions, worst images
  predict IMAGE...  the likeliest classes of image files
  import            make a run of a checkpoint of the original code
  export            write a trained network as .keras, int8 .tflite and others
  prepare           turn images into TFRecords: of class folders, ImageNet's
                    archives or tensorflow-datasets
  check             read every record of a data set; say what is wrong
  show              a picture of what a network will see of the images
  serve-data        prepare images for trainings on other machines
  describe          print a network as a table, or all networks
  scale             a network scaled up: by phi, to a budget, or by a grid of
                    coefficients that it trains
  rehearse          what a TPU would make of a training, without a TPU
  search            find a network by accuracy and cost (MNAS)

For example:

  python main.py
      A small network on scikit-learn's handwritten digits, on this machine.

  python main.py --tpu=NAME --model=efficientnet-b4 \
      --data_dir=gs://bucket/imagenet --model_dir=gs://bucket/run
      The original's recipe on a TPU.

  python main.py rehearse --model=efficientnet-b4 --topology=v5e:2x4 \
      --batch=1024
      Whether that training fits a TPU and what it costs; minutes, no TPU.

  python main.py prepare --from=photos --out=records --shards=8
  python main.py --data_dir=records --model=efficientnet-lite0 \
      --model_dir=runs/mine --set model.pixels=128 --set train.epochs=20 \
      --set train.batch=64
  python main.py evaluate --model_dir=runs/mine
  python main.py evaluate --follow --model_dir=runs/mine
  python main.py predict cat.jpg dog.png --model_dir=runs/mine \
      --save_plot=plots
      A network for your own images, what it confuses, and what it says.

  python main.py --init_from=runs/mine --data_dir=others \
      --model=efficientnet-lite0 --model_dir=runs/tuned \
      --set model.pixels=128 --set train.epochs=5 --set train.batch=64 \
      --set train.freeze=stage3
      Its weights carried over to other classes, a part of them frozen.

  python main.py import --model=efficientnet-b0 \
      --checkpoint=efficientnet-b0.tar.gz --model_dir=runs/b0
  python main.py predict panda.jpg --model_dir=runs/b0
      Weights that were published for the original's code.

  python main.py --config=runs/mine/config.json --model_dir=runs/again
      The same experiment again.

A run that was stopped goes on when the same command is given again. Without
--data_dir the data are the digits and the recipe is configs/digits.py; with
it, the recipe is the original's for ImageNet unless --config says otherwise.
Exit codes: 0 done, 1 failed, 2 wrong input. A training that is stopped saves
itself and ends with 143 after SIGTERM, with 130 after SIGINT (a second one
stops at once), and with 75 where the machine or another host goes away. Where
`predict` cannot read an image it says why, answers the others, and ends with 1;
so does `check` where anything is wrong with the data.

Several hosts train together where each is given the same command and its own
TF_CONFIG; --model_dir and --data_dir must be the same for all, such as gs://.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags
from rich.table import Table

from efficientnet_tf import command_line, report
from efficientnet_tf.errors import InputError, RunError, near
from efficientnet_tf.main_flags import define_flags
from efficientnet_tf.networks import alias
from efficientnet_tf.training.config import Config, DataConfig
from efficientnet_tf.training.config_files import load_config, override

DIGITS = Path(__file__).parent / "configs" / "digits.py"
SHEET = "images.png"


def train(given: flags.FlagValues) -> None:
    """Trains, evaluates, exports, and shows what came out."""
    _check_tpu(given)
    config = _config(given)
    if not given.tpu:
        command_line.choose_kernels(config.network().pixels)

    from edgetpu.find_compiler import find_compiler
    from efficientnet_tf.training.loop import train
    from efficientnet_tf.training.model_dir import ModelDir
    from efficientnet_tf.training.profiling import ProfileSteps
    from efficientnet_tf.training.strategy import (
        is_chief,
        make_strategy,
        without_others,
    )
    from efficientnet_tf.training.trained import run_config

    # Asked now, because hours may pass before it is needed.
    find_compiler(given.compiler or None)
    steps = given.profile_steps
    profile_steps = ProfileSteps.parse(steps) if steps else None
    strategy = make_strategy(given.tpu)
    result = train(
        config,
        given.model_dir,
        strategy=strategy,
        profile_steps=profile_steps,
    )
    if not is_chief(strategy):
        # The first host does the rest, and says what came out.
        return
    run = ModelDir(result["model_dir"])
    title = report.run_title(result)
    if "files" in result:
        print(f"{run.path} is finished", file=sys.stderr)
        if not run.has_report():
            _report(run.path, without_others(strategy))
    else:
        try:
            result |= _export(given, run_config(run.path), run.path, run.export)
        except Exception:
            # The figures of a long training must not be lost over a file.
            _show(given, result, report.figures(title, report.run_rows(result)))
            raise
        run.write_result(result)
        _report(run.path, without_others(strategy))
    _show(given, result, report.figures(title, report.run_rows(result)))


def evaluate(given: flags.FlagValues) -> None:
    """Evaluates a trained network."""
    _check_tpu(given)
    path, config = _present_run(given, "data", "evaluate")
    _check_data(config)
    if given.follow:
        _follow(given, path, config)
        return
    if given.follow_timeout is not None:
        raise InputError("--follow_timeout says nothing without --follow")

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


def report_(given: flags.FlagValues) -> None:
    """Writes the report of a run that is there."""
    _check_tpu(given)
    path, config = _present_run(given, "data", "evaluate")
    _check_data(config)

    from efficientnet_tf.run_report import write_report
    from efficientnet_tf.training.strategy import make_strategy

    strategy = make_strategy(given.tpu)
    facts = {"report": write_report(path, config, strategy=strategy)}
    _show(given, facts, report.figures(path, report.rows_of(facts)))


def predict(given: flags.FlagValues, images: Sequence[str]) -> None:
    """Classifies image files."""
    if not images:
        raise InputError("predict: name at least one image file")
    path, config = _present_run(given, "data", "evaluate")

    from efficientnet_tf.files import make_folder
    from efficientnet_tf.predict import plot_paths, predict
    from efficientnet_tf.training.trained import load_trained

    plots = plot_paths(given.save_plot, images) if given.save_plot else []
    trained = load_trained(
        path,
        config,
        checkpoint=config.evaluate.checkpoint,
        labels=given.labels,
    )
    if plots:
        make_folder(os.path.dirname(plots[0]) or ".", "--save_plot")
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


def import_(given: flags.FlagValues) -> None:
    """Makes a run of a checkpoint of the original's code."""
    for name in ("model", "checkpoint", "model_dir"):
        if not given[name].value:
            raise InputError(f"import: --{name} is missing")
    settings = _settings(given, "model", "data")
    config = override(Config(data=DataConfig(dir="")), settings)
    stride = config.model.table.variant.family.published_stride
    told = any(text.startswith("model.fused_stride=") for text in settings)
    if not told:
        config = override(config, [f"model.fused_stride={stride}"])

    from efficientnet_tf.training.importing import import_checkpoint
    from efficientnet_tf.training.trained import run_config

    account = import_checkpoint(
        config,
        given.model_dir,
        given.checkpoint,
        labels=given.labels,
        ema=given.ema,
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
            f"{given.model_dir}",
            file=sys.stderr,
        )
    imported = run_config(given.model_dir)
    facts = report.import_facts(imported, given.model_dir, account)
    _show(given, facts, report.figures(facts["model"], report.rows_of(facts)))


def export(given: flags.FlagValues) -> None:
    """Writes a trained network for other programs and for Coral."""
    path, config = _present_run(given, "data", "export")
    if "int8" in config.export.formats:
        _check_data(config)

    from efficientnet_tf.training.model_dir import ModelDir

    out = given.out or ModelDir(path).export
    exported = _export(given, config, path, out)
    rows = report.export_rows(exported)
    _show(given, exported, report.figures(f"export of {path}", rows))


def prepare(given: flags.FlagValues) -> None:
    """Turns pictures into TFRecords."""
    from efficientnet_tf.data.prepare import prepare

    for name, what in (
        ("from", "FOLDER, or tfds:NAME"),
        ("out", "FOLDER"),
    ):
        if not given[name].value:
            raise InputError(f"prepare: --{name}={what} is missing")
    dataset = prepare(
        str(given["from"].value),
        given.out,
        shards=given.shards,
        holdout=given.holdout,
        seed=given.seed,
        tfds_dir=given.data_dir,
        validation_labels=given.validation_labels,
        runner=given.runner,
        beam_options=given.beam_option,
    )
    facts = report.dataset_facts(dataset)
    _show(given, facts, report.figures(dataset.name, report.rows_of(facts)))


def check(given: flags.FlagValues) -> None:
    """Reads every record of a data set and says what is wrong."""
    from efficientnet_tf.data.check import check

    if not given.data_dir:
        raise InputError("check: --data_dir=FOLDER is missing")
    checked = check(given.data_dir)
    _show(given, checked.to_dict(), *report.check_tables(checked))
    if checked.problems:
        raise RunError(
            f"{checked.data_dir} has {len(checked.problems):,} problems"
        )


def show(given: flags.FlagValues) -> None:
    """Draws what a network will see of the training data."""
    from efficientnet_tf.show import show

    facts = show(_config(given), given.out or SHEET, images=given.images)
    _show(given, facts, report.figures(facts["data"], report.rows_of(facts)))


def serve_data(given: flags.FlagValues) -> None:
    """Runs a worker of tf.data's service, with or without its dispatcher."""
    from efficientnet_tf.data.service import serve

    serve(given.port, given.dispatcher, given.host)


def describe(given: flags.FlagValues) -> None:
    """Prints a network, or all of them, without TensorFlow."""
    from efficientnet_tf import describe as tables

    if not (given.model or given.config or given.set):
        _show(given, tables.every_network(), tables.variants_table())
        return
    base = load_config(given.config) if given.config else Config()
    network = override(base, _settings(given)).network()
    _show(given, tables.describe(network), tables.network_table(network))


def scale(given: flags.FlagValues) -> None:
    """Scales a network up."""
    from efficientnet_tf.search import scale as scaling

    present = {name for name in given if given[name].present}
    way = scaling.chosen_way(present, _settings(given))
    coefficients = scaling.Coefficients(given.alpha, given.beta, given.gamma)
    if way == "explain":
        answer = scaling.explain_shipped(coefficients)
    elif way == "grid":
        request = scaling.GridRequest(
            given.grid_step, given.grid_tolerance, given.out, given.workers
        )
        answer = scaling.search_grid(_config(given), request)
    else:
        base = scaling.base_of(override(Config(), _settings(given)))
        if way == "phi":
            answer = scaling.scale_by_phi(
                base, coefficients, given.phi, given.out
            )
        else:
            answer = scaling.scale_to_budget(
                base,
                coefficients,
                given.budget,
                given.images_per_core,
                given.out,
            )
    _show(given, answer.facts, *answer.tables)


def rehearse(given: flags.FlagValues) -> None:
    """Compiles a training step for a TPU that is not there."""
    from efficientnet_tf.tpu import tables
    from efficientnet_tf.tpu.batch_search import find_batch
    from efficientnet_tf.tpu.rehearsal import rehearse
    from efficientnet_tf.tpu.topology import parse_topology

    if not given.topology:
        raise InputError(
            "rehearse: --topology is missing, such as --topology=v5e:2x4"
        )
    topology = parse_topology(given.topology)
    config = override(
        load_config(given.config) if given.config else Config(),
        _settings(given),
    )
    network = config.network()
    if not given.find_batch:
        found = rehearse(config, network, topology, effort=given.effort)
        _show(given, found.to_dict(), *tables.pages(found))
        return
    best, tried = find_batch(config, network, topology, effort=given.effort)
    facts = {
        "largest_batch": best and best.batch,
        "tried": [each.to_dict() for each in tried],
    }
    shown = best or tried[-1]
    _show(given, {**shown.to_dict(), **facts}, *tables.pages(shown, tried))


def search(given: flags.FlagValues) -> None:
    """Looks for a network in a space of them."""
    from efficientnet_tf.search.settings import settings_from

    if not given.out:
        raise InputError("search: --out=FOLDER is missing")
    joins = given.resume or given.best
    told = [name for name in SEARCH if given[name].present]
    for name in (*told, "config", "set") if joins else ():
        if given[name].present and not (name == "trials" and given.resume):
            raise InputError(
                f"--{name} was decided when the search began; leave it out "
                "with --resume and --best"
            )
    settings = settings_from({name: given[name].value for name in told})
    config = None if joins else _config(given)
    if config:
        command_line.choose_kernels(config.network().pixels)

    from efficientnet_tf.search import outcome, run
    from efficientnet_tf.training.strategy import make_strategy

    out, storage = given.out, given.storage
    if given.best:
        found = run.best(out, storage=storage)
    elif config is None:
        found = run.resume(
            out,
            storage=storage,
            data_dir=given.data_dir,
            trials=settings.trials if told else None,
            strategy=make_strategy(given.tpu),
        )
    else:
        found = run.search(
            settings,
            config,
            out,
            storage=storage,
            strategy=make_strategy(given.tpu),
        )
    _show(given, found, *outcome.tables(found, out))


class Verb(NamedTuple):
    """What the first word of a command line stands for."""

    run: Callable[..., None]
    flags: set[str]


# Flags of `search` that are fields of its settings.
SEARCH = (
    *("space", "cost", "target", "objective", "exponent", "sampler"),
    *("population", "trials", "trial_epochs", "proxy", "pruning", "topology"),
    "seed",
)
_RUN = {"model_dir", "set", "json"}
VERBS = {
    "train": Verb(
        train,
        _RUN
        | {"model", "data_dir", "config", "init_from", "tpu", "compiler"}
        | {"profile_steps"},
    ),
    "evaluate": Verb(
        evaluate,
        _RUN
        | {"data_dir", "tpu", "split", "out", "labels"}
        | {"follow", "follow_timeout"},
    ),
    "report": Verb(report_, _RUN | {"data_dir", "tpu"}),
    "predict": Verb(predict, _RUN | {"labels", "save_plot"}),
    "import": Verb(import_, _RUN | {"model", "checkpoint", "ema", "labels"}),
    "export": Verb(
        export, _RUN | {"data_dir", "out", "labels", "compiler", "formats"}
    ),
    "prepare": Verb(
        prepare,
        {"from", "out", "shards", "holdout", "seed", "json"}
        | {"data_dir", "validation_labels", "runner", "beam_option"},
    ),
    "check": Verb(check, {"data_dir", "json"}),
    "show": Verb(
        show,
        {"model", "data_dir", "model_dir", "config", "set", "out", "images"}
        | {"json"},
    ),
    "serve-data": Verb(serve_data, {"port", "dispatcher", "host"}),
    "describe": Verb(describe, {"model", "config", "set", "json"}),
    "scale": Verb(
        scale,
        {"base", "phi", "budget", "explain", "grid", "alpha", "beta", "gamma"}
        | {"images_per_core", "grid_step", "grid_tolerance", "workers"}
        | {"data_dir", "config", "batch", "out", "set", "json"},
    ),
    "rehearse": Verb(
        rehearse,
        {"model", "config", "set", "json"}
        | {"topology", "batch", "find_batch", "effort"},
    ),
    "search": Verb(
        search,
        {"data_dir", "config", "set", "tpu", "json"}
        | {"out", "storage", "resume", "best", *SEARCH},
    ),
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
        present = _config_in(given.model_dir)
        if present:
            return present
    if given.data_dir in ("", "digits"):
        return load_config(str(DIGITS))
    return Config()


def _config_in(model_dir: str) -> Config | None:
    """That of the run in a directory; needs TensorFlow for one on gs:// only.

    Whoever trains has things to settle before TensorFlow is imported.
    """
    if "://" not in model_dir:
        path = os.path.join(model_dir, "config.json")
        return load_config(path) if os.path.exists(path) else None

    from efficientnet_tf.training.model_dir import ModelDir

    return ModelDir(model_dir).config()


def _settings(given: flags.FlagValues, *sections: str) -> list[str]:
    """--set, and the flags that are short for one.

    Args:
        given: The command line.
        sections: The only ones that may be set, if some are named.
    """
    name = given.model or given.base
    known = alias(name)
    if known:
        print(f"{name} is {known.variant}: {known.why}", file=sys.stderr)
    short = {
        "model.name": name,
        "data.dir": given.data_dir,
        "train.init_from": given.init_from,
        "train.batch": given.batch,
        "export.formats": given.formats,
    }
    said = [f"{field}={value}" for field, value in short.items() if value]
    for setting in [*said, *given.set]:
        if sections and setting.partition(".")[0] not in sections:
            raise InputError(
                f"--set {setting}: only {' and '.join(sections)} can be set; "
                "the rest is settled by the weights"
            )
    return [*said, *given.set]


def _present_run(given: flags.FlagValues, *sections: str) -> tuple[str, Config]:
    """A run's directory and its config, of which some sections may change."""
    if not given.model_dir:
        raise InputError("--model_dir is missing: name the directory of a run")
    settings = _settings(given, *sections)

    from efficientnet_tf.training.trained import run_config

    path = str(given.model_dir)
    return path, override(run_config(path), settings)


def _check_tpu(given: flags.FlagValues) -> None:
    """Says what a TPU lacks before TensorFlow is imported.

    Where there is no TPU, the import of the TPU wheel alone can take minutes.
    """
    from efficientnet_tf.training import tpu_checks

    if given["tpu"].present and not given.tpu:
        raise InputError(
            "--tpu= is empty; leave it out for all GPUs or the CPU, or name a "
            "TPU"
        )
    if given.tpu == "local":
        tpu_checks.check_local()
    elif given.tpu.startswith("grpc://"):
        tpu_checks.check_address(given.tpu)
    elif given.tpu:
        tpu_checks.ask_project_and_zone(given.tpu)
        tpu_checks.check_client(given.tpu)


def _check_data(config: Config) -> None:
    """Raises InputError where an imported run has not been given data."""
    if not config.data.dir:
        raise InputError(
            "imported weights come without data: name some by --data_dir"
        )


def _follow(given: flags.FlagValues, path: str, config: Config) -> None:
    """Evaluates each new checkpoint of a run that is being trained."""
    if given.out:
        raise InputError(
            "--out cannot be given with --follow, which writes to "
            "MODEL_DIR/evaluation"
        )

    from efficientnet_tf.follow import follow
    from efficientnet_tf.training.strategy import make_strategy

    for line in follow(
        config,
        path,
        split=given.split,
        labels=given.labels,
        timeout=given.follow_timeout,
        strategy=make_strategy(given.tpu),
    ):
        shown = json.dumps(line) if given.json else report.followed(line)
        print(shown, flush=True)


def _report(model_dir: str, strategy: Any) -> None:
    """Writes the report of a training that has just ended."""
    from efficientnet_tf.run_report import write_report

    try:
        write_report(model_dir, strategy=strategy)
    # Whatever it is: the training is done, and so is its export.
    except Exception as error:
        reason = " ".join(str(error).split())
        print(
            f"no report.html: {reason}; to try again, `report "
            f"--model_dir={model_dir}`",
            file=sys.stderr,
        )


def _export(
    given: flags.FlagValues, config: Config, model_dir: str, out: str
) -> dict[str, Any]:
    """Exports a run's averaged weights; returns figures and file sizes."""
    from edgetpu.export import export as export_int8
    from edgetpu.export_formats import export_formats
    from efficientnet_tf.training.trained import load_trained

    checkpoint = config.export.checkpoint
    trained = load_trained(
        model_dir, config, checkpoint=checkpoint, labels=given.labels
    )
    formats = config.export.formats
    if "int8" not in formats:
        files = export_formats(trained, out, formats)
        return report.export_facts(None, files, out)
    try:
        exported = export_int8(
            trained,
            trained.open_data(),
            out,
            calibration_images=config.export.calibration_images,
            verify_images=config.export.verify_images,
            compiler=given.compiler or None,
        )
    except RunError:
        # What the compiler refuses is no reason to keep these back.
        export_formats(trained, out, formats)
        raise
    files = export_formats(trained, out, formats)
    return report.export_facts(exported.to_dict(), files, out)


def _show(given: flags.FlagValues, facts: Any, *tables: Table) -> None:
    if given.json:
        print(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        report.console().print(*tables, sep="\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
