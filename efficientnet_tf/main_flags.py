"""The flags of `main.py`."""

from __future__ import annotations

from absl import flags


def define_flags() -> flags.FlagValues:
    """The flags of all verbs, with nothing given yet."""
    given = flags.FlagValues()

    def text(name: str, means: str) -> None:
        flags.DEFINE_string(name, "", means, flag_values=given)

    text(
        "model",
        "A name that `describe` lists, or FILE.json of a network of your own, "
        "local or gs://; short for model.name.",
    )
    text(
        "tpu",
        "A TPU's name, grpc://ADDRESS, or local on a TPU VM; left out, all "
        "GPUs if there are any, else the CPU.",
    )
    text(
        "data_dir",
        "TFRecords in the layout of ImageNet, local or gs://; short for "
        "data.dir; left out, the run's own, and in a new run the digits. "
        "prepare: where tensorflow-datasets keeps its data.",
    )
    text(
        "model_dir",
        "The run's directory, local or gs://; left out, a folder under runs/, "
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
        "SECTION.FIELD=VALUE, for each field in a flag of its own: see "
        "efficientnet_tf/training/config.py",
        flag_values=given,
    )
    flags.DEFINE_bool(
        "json",
        False,
        "Print JSON instead of tables; predict: an object a line.",
        flag_values=given,
    )
    text(
        "checkpoint",
        "import: the prefix of a checkpoint, its folder or a .tar.gz, local or "
        "gs://.",
    )
    flags.DEFINE_bool(
        "ema",
        True,
        "import: averaged weights, where the checkpoint has some; --noema for "
        "the raw ones.",
        flag_values=given,
    )
    text(
        "from",
        "prepare: a folder of class folders, one of ImageNet's archives, or "
        "tfds:NAME of tensorflow-datasets.",
    )
    text(
        "validation_labels",
        "prepare: of ImageNet's archives, a file with the synset of each "
        "validation picture, a line each; tensorflow-datasets' if not given.",
    )
    text(
        "runner",
        "prepare: processes, one on each core; or a runner of Apache Beam, "
        "such as DataflowRunner. Left out, Beam's DirectRunner where Beam is "
        "installed, else processes.",
    )
    flags.DEFINE_multi_string(
        "beam_option",
        [],
        "prepare: --NAME=VALUE for that runner, each in a flag of its own.",
        flag_values=given,
    )
    text(
        "out",
        "prepare, export, evaluate: the folder to write; evaluate without it: "
        "MODEL_DIR/evaluation/SPLIT. show: the .png, images.png without it. "
        "search: a folder for the study, its trials and what it found. "
        "scale: the FILE.json to write, for --model; with --grid a folder.",
    )
    text(
        "formats",
        "export: of keras, int8, float, float16, dynamic_range, saved_model, "
        "parted by commas; short for export.formats.",
    )
    flags.DEFINE_enum(
        "split",
        "validation",
        ["validation", "train"],
        "evaluate: which of the records.",
        flag_values=given,
    )
    flags.DEFINE_bool(
        "follow",
        False,
        "evaluate: each new checkpoint until the training has ended, into "
        "MODEL_DIR/evaluation/SPLIT/follow.jsonl.",
        flag_values=given,
    )
    flags.DEFINE_float(
        "follow_timeout",
        None,
        "evaluate --follow: seconds without a new checkpoint after which it "
        "waits no longer; endless if not given.",
        lower_bound=0.0,
        flag_values=given,
    )
    flags.DEFINE_integer(
        "images",
        24,
        "show: how many of the first training images.",
        lower_bound=1,
        flag_values=given,
    )
    text(
        "labels",
        "evaluate, predict, import, export: names of the classes, a line each "
        "or the JSON map of the original; imagenet for those of ImageNet.",
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
        "prepare: decides the order and what is held out. search: decides what "
        "the first worker draws.",
        flag_values=given,
    )
    text(
        "profile_steps",
        "train: FIRST,LAST of the steps to trace for TensorBoard's profiler.",
    )
    text(
        "topology",
        "rehearse, search --cost=tpu_cycles: a TPU's generation and chips, "
        "such as v5e:2x4, v4:2x2x1.",
    )
    flags.DEFINE_integer(
        "batch",
        None,
        "rehearse, scale --grid: images of a step, of all cores; short for "
        "train.batch.",
        lower_bound=1,
        flag_values=given,
    )
    flags.DEFINE_bool(
        "find_batch",
        False,
        "rehearse: the largest batch that fits, from --batch on.",
        flag_values=given,
    )
    flags.DEFINE_enum(
        "effort",
        "quick",
        ["quick", "full"],
        "rehearse: of the compiler; full as a TPU's runtime compiles, quick in "
        "about half the time.",
        flag_values=given,
    )
    flags.DEFINE_integer(
        "port",
        0,
        "serve-data: the port to listen at; any that is free if not given.",
        lower_bound=0,
        upper_bound=65535,
        flag_values=given,
    )
    text(
        "dispatcher",
        "serve-data: grpc://HOST:PORT of a dispatcher to work for; left out to "
        "run one here, whose address is printed.",
    )
    flags.DEFINE_string(
        "host",
        "localhost",
        "serve-data: the name by which other machines find this one.",
        flag_values=given,
    )
    _define_search(given)
    _scale_flags(given)
    text("compiler", "train, export: edgetpu_compiler, if not on the PATH.")
    return given


def _define_search(given: flags.FlagValues) -> None:
    """Flags of `search`; its `Settings` have the defaults."""

    def text(name: str, means: str) -> None:
        flags.DEFINE_string(name, None, f"search: {means}", flag_values=given)

    def number(name: str, means: str) -> None:
        flags.DEFINE_float(name, None, f"search: {means}", flag_values=given)

    def count(name: str, means: str) -> None:
        flags.DEFINE_integer(name, None, f"search: {means}", flag_values=given)

    text("space", "which networks: mnas (default), edgetpu or small.")
    text(
        "cost",
        "what counts besides accuracy: macs (default), parameters, "
        "activation_memory, edgetpu_ms, tpu_cycles or litert_ms.",
    )
    number(
        "target",
        "the cost that is aimed at; that of the network which the space lies "
        "around if not given.",
    )
    text(
        "objective",
        "soft (default), accuracy * (cost / target) ** exponent; hard, "
        "accuracy up to the target; pareto, both apart.",
    )
    number("exponent", "of the soft objective, -0.07 if not given.")
    text("sampler", "evolution (default), tpe, nsga2 or random.")
    count("population", "evolution, nsga2: trials that may be parents; 20.")
    count("trials", "after how many it ends; 100.")
    number("trial_epochs", "of the training of a candidate; 5.")
    text(
        "proxy",
        "what stands for that training: none (default); short, a quarter of "
        "it; synflow, a figure of the untrained network.",
    )
    text(
        "pruning",
        "median (default) ends a training that is below the median of the "
        "others at the same step; off.",
    )
    flags.DEFINE_string(
        "storage",
        "",
        "search: URL of a database, such as postgresql://USER@HOST/NAME; "
        "left out for a SQLite file in --out.",
        flag_values=given,
    )
    for name, means in (
        ("resume", "go on with the search in --out or --storage, or help it."),
        ("best", "only say what the search has found so far."),
    ):
        flags.DEFINE_bool(name, False, f"search: {means}", flag_values=given)


def _scale_flags(given: flags.FlagValues) -> None:
    """Those of `scale` alone."""
    for name, means in (
        ("base", "scale: what is scaled; as --model."),
        (
            "budget",
            "scale: what the network may cost at most: 4.2GMACs, 30Mparams, "
            "8ms-edgetpu (estimated) or HBM:16GiB (of a TPU core in training, "
            "estimated).",
        ),
    ):
        flags.DEFINE_string(name, "", means, flag_values=given)
    flags.DEFINE_float(
        "phi",
        None,
        "scale: the exponent of all three; below 0 to scale down.",
        flag_values=given,
    )
    for name, value, what in (
        ("alpha", 1.2, "depth"),
        ("beta", 1.1, "width"),
        ("gamma", 1.15, "resolution"),
    ):
        flags.DEFINE_float(
            name,
            value,
            f"scale: factor of {what} at a phi of 1; {value} if not given, "
            "the paper's.",
            flag_values=given,
        )
    for name, means in (
        ("explain", "scale: the shipped B0 to B7 beside the rule."),
        (
            "grid",
            "scale: train every (alpha, beta, gamma) that about doubles the "
            "cost, on --data_dir.",
        ),
    ):
        flags.DEFINE_bool(name, False, means, flag_values=given)
    flags.DEFINE_float(
        "grid_step",
        0.1,
        "scale --grid: between two values of a coefficient.",
        flag_values=given,
    )
    flags.DEFINE_float(
        "grid_tolerance",
        0.15,
        "scale --grid: share by which the cost may miss twice the base's.",
        flag_values=given,
    )
    flags.DEFINE_integer(
        "workers",
        1,
        "scale --grid: trainings at a time; they share the cores out.",
        lower_bound=1,
        flag_values=given,
    )
    flags.DEFINE_integer(
        "images_per_core",
        8,
        "scale --budget=HBM:...: images that a core trains on at once.",
        lower_bound=1,
        flag_values=given,
    )
