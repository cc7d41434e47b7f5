"""The flags of `python -m edgetpu`."""

from __future__ import annotations

from absl import flags

from edgetpu.verify_tables import MIN_AGREEMENT


def define_flags() -> flags.FlagValues:
    """All flags of all verbs."""
    values = flags.FlagValues()
    flags.DEFINE_string(
        "model_dir", None, "A run: its model directory.", flag_values=values
    )
    flags.DEFINE_string(
        "out",
        None,
        "Where the files go; the verb's help says where if not given.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "calibration_images",
        None,
        "Training images that set the int8 ranges; as the run's config says "
        "(500 by default) if not given.",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_enum(
        "calibration_range",
        None,
        ["minmax", "image_percentile", "percentile", "mse"],
        "How they set them: by the extremes, by the extremes of 98 % of the "
        "images, by 99.99 % of the values, or by the least squared error; as "
        "above (image_percentile by default).",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "verify_images",
        None,
        "Validation images to compare int8 with float on; as above.",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_enum(
        "checkpoint",
        None,
        ["last", "best"],
        "Which weights; as the run's config says (last by default) if not "
        "given.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "compiler",
        None,
        "Path of edgetpu_compiler, or a command that runs it, {folder} being "
        "where the files are; EDGETPU_COMPILER from the environment, then "
        "PATH, if not given.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "data_dir",
        None,
        "The run's data, if it has moved since the training.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "json",
        False,
        "Print what came out as JSON instead of tables.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "tensors",
        False,
        "List all tensors too.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "require",
        None,
        ["compiles", "whole"],
        "End with 1 where the file would not compile, or not run whole on the "
        "Edge TPU.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "multiple_subgraphs",
        False,
        "As with the compiler's -a, which is experimental: several parts on "
        "the Edge TPU.",
        flag_values=values,
    )
    _define_compiler_flags(values)
    _define_quantize_flags(values)
    _define_verify_flags(values)
    return values


def _define_compiler_flags(values: flags.FlagValues) -> None:
    """Those that are edgetpu_compiler's own, but for -a."""
    flags.DEFINE_integer(
        "min_runtime_version",
        None,
        "Oldest runtime of libedgetpu that is to load the file, 10 to 14 (-m); "
        "14 if not given.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "num_segments",
        None,
        "Cut each model into so many files, for as many Edge TPUs in a row "
        "(-n).",
        flag_values=values,
    )
    flags.DEFINE_list(
        "intermediate_tensors",
        [],
        "End the Edge TPU's part at these tensors, parted by commas (-i).",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "search_delegate",
        False,
        "Where it does not compile, try again with ever smaller parts for the "
        "Edge TPU (-d).",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "delegate_search_step",
        None,
        "Operators that each of these tries leaves out (-k); 1 if not given.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "timeout_seconds",
        None,
        "Time for one try (-t); 180 if not given.",
        flag_values=values,
    )


def _define_quantize_flags(values: flags.FlagValues) -> None:
    """Those of `quantize`."""
    flags.DEFINE_string(
        "model",
        None,
        "The network: a model directory, or a .keras file.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "calibration",
        None,
        "Images that set the int8 ranges, as --data_dir of main.py has them; "
        "those of the run if not given.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "head",
        "softmax",
        ["softmax", "logits", "embedding"],
        "What the file gives: probabilities, logits, or the pooled features, "
        "as for training on the device.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "inference_type",
        "uint8",
        ["uint8", "int8"],
        "Type of input and output: uint8 takes raw pixels, int8 pixels less "
        "128.",
        flag_values=values,
    )
    flags.DEFINE_multi_string(
        "set",
        [],
        "SECTION.FIELD=VALUE of the config, for each field in a flag of its "
        "own: such as data.normalization=imagenet.",
        flag_values=values,
    )


def _define_verify_flags(values: flags.FlagValues) -> None:
    """Those of `verify`."""
    flags.DEFINE_string(
        "delegate",
        None,
        "Shared library of the Edge TPU; for compiled files libedgetpu.so.1 "
        "(macOS: libedgetpu.1.dylib, Windows: edgetpu.dll) if not given.",
        flag_values=values,
    )
    flags.DEFINE_float(
        "min_agreement",
        MIN_AGREEMENT,
        "End with 1 where int8 and float name the same class for less than "
        "this share of the images.",
        lower_bound=0.0,
        upper_bound=1.0,
        flag_values=values,
    )
