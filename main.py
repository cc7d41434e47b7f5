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

`python main.py VERB --help` has the flags of that verb alone. A run that was
stopped goes on when the same command is given again. Without --data_dir the
data are the digits and the recipe is configs/digits.py; with it, the recipe is
the original's for ImageNet unless --config says otherwise.
Exit codes: 0 done, 1 failed, 2 wrong input. A training that is stopped saves
itself and ends with 143 after SIGTERM, with 130 after SIGINT (a second one
stops at once), and with 75 where the machine or another host goes away. Where
`predict` cannot read an image it says why, answers the others, and ends with 1;
so does `check` where anything is wrong with the data.

Several hosts train together where each is given the same command and its own
TF_CONFIG; --model_dir and --data_dir must be the same for all, such as gs://.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from efficientnet_tf import command_line, report
from efficientnet_tf.errors import InputError, RunError, near
from efficientnet_tf.main_flags import define_flags
from efficientnet_tf.training.config import Config
from efficientnet_tf.verbs import data, networks, runs
from efficientnet_tf.verbs.command import Command, check_data

DIGITS = Path(__file__).parent / "configs" / "digits.py"


def train(command: Command) -> None:
    """Trains, evaluates, exports, and shows what came out."""
    command.check_tpu()
    config = command.config()
    if not command.given.tpu:
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
    find_compiler(command.given.compiler or None)
    steps = command.given.profile_steps
    profile_steps = ProfileSteps.parse(steps) if steps else None
    strategy = make_strategy(command.given.tpu)
    result = train(
        config,
        command.given.model_dir,
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
            result |= _export(
                command, run_config(run.path), run.path, run.export
            )
        except Exception:
            # The figures of a long training must not be lost over a file.
            command.show(result, report.figures(title, report.run_rows(result)))
            raise
        run.write_result(result)
        _report(run.path, without_others(strategy))
    command.show(result, report.figures(title, report.run_rows(result)))


def export(command: Command) -> None:
    """Writes a trained network for other programs and for Coral."""
    path, config = command.present_run("data", "export")
    if "int8" in config.export.formats:
        check_data(config)

    from efficientnet_tf.training.model_dir import ModelDir

    out = command.given.out or ModelDir(path).export
    exported = _export(command, config, path, out)
    rows = report.export_rows(exported)
    command.show(exported, report.figures(f"export of {path}", rows))


class Verb(NamedTuple):
    """What the first word of a command line stands for."""

    run: Callable[..., None]
    flags: set[str]


_RUN = {"model_dir", "set", "json"}
VERBS = {
    "train": Verb(
        train,
        _RUN
        | {"model", "data_dir", "config", "init_from", "tpu", "compiler"}
        | {"profile_steps"},
    ),
    "evaluate": Verb(
        runs.evaluate,
        _RUN
        | {"data_dir", "tpu", "split", "out", "labels"}
        | {"follow", "follow_timeout"},
    ),
    "report": Verb(runs.report_, _RUN | {"data_dir", "tpu"}),
    "predict": Verb(runs.predict, _RUN | {"labels", "save_plot"}),
    "import": Verb(
        runs.import_, _RUN | {"model", "checkpoint", "ema", "labels"}
    ),
    "export": Verb(
        export, _RUN | {"data_dir", "out", "labels", "compiler", "formats"}
    ),
    "prepare": Verb(
        data.prepare,
        {"from", "out", "shards", "holdout", "seed", "json"}
        | {"data_dir", "validation_labels", "runner", "beam_option"},
    ),
    "check": Verb(data.check, {"data_dir", "json"}),
    "show": Verb(
        data.show,
        {"model", "data_dir", "model_dir", "config", "set", "out", "images"}
        | {"json"},
    ),
    "serve-data": Verb(data.serve_data, {"port", "dispatcher", "host"}),
    "describe": Verb(networks.describe, {"model", "config", "set", "json"}),
    "scale": Verb(
        networks.scale,
        {"base", "phi", "budget", "explain", "grid", "alpha", "beta", "gamma"}
        | {"images_per_core", "grid_step", "grid_tolerance", "workers"}
        | {"data_dir", "config", "batch", "out", "set", "json"},
    ),
    "rehearse": Verb(
        networks.rehearse,
        {"model", "config", "set", "json"}
        | {"topology", "batch", "find_batch", "effort"},
    ),
    "search": Verb(
        networks.search,
        {"data_dir", "config", "set", "tpu", "json"}
        | {"out", "storage", "resume", "best", *networks.SEARCH},
    ),
}


def main(arguments: Sequence[str]) -> int:
    """Runs a command line and returns its exit code."""
    given = define_flags()
    if command_line.asks_for_help(arguments):
        print(_help(given, arguments))
        return 0

    def work() -> None:
        verb, words = parse(given, arguments)
        command = Command(given, str(DIGITS))
        if verb == "predict":
            runs.predict(command, words)
        else:
            VERBS[verb].run(command)

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


def _help(given: flags.FlagValues, arguments: Sequence[str]) -> str:
    """What can be said: of a verb its flags, if one is named, or else all."""
    verbs = [word for word in arguments if word in VERBS]
    if len(verbs) != 1:
        return f"{__doc__}\nflags:\n{command_line.flag_help(given)}"
    (verb,) = verbs
    lines = __doc__.splitlines()
    begin = next(n for n, x in enumerate(lines) if x.startswith(f"  {verb} "))
    said = [lines[begin]]
    for line in lines[begin + 1 :]:
        if not line.startswith("    "):
            break
        said.append(line)
    flag_lines = command_line.flag_help(given, VERBS[verb].flags)
    return "\n".join([*said, "", "flags:", flag_lines])


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
    command: Command, config: Config, model_dir: str, out: str
) -> dict[str, Any]:
    """Exports a run's averaged weights; returns figures and file sizes."""
    from edgetpu.export import export as export_int8
    from edgetpu.export_formats import export_formats
    from efficientnet_tf.training.trained import load_trained

    checkpoint = config.export.checkpoint
    trained = load_trained(
        model_dir, config, checkpoint=checkpoint, labels=command.given.labels
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
            compiler=command.given.compiler or None,
        )
    except RunError:
        # What the compiler refuses is no reason to keep these back.
        export_formats(trained, out, formats)
        raise
    files = export_formats(trained, out, formats)
    return report.export_facts(exported.to_dict(), files, out)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
