"""The flags of `python -m edgetpu`."""

from __future__ import annotations

from absl import flags


def define_flags() -> flags.FlagValues:
    """All flags of all verbs."""
    values = flags.FlagValues()
    flags.DEFINE_string(
        "model_dir", None, "A run: its model directory.", flag_values=values
    )
    flags.DEFINE_string(
        "out",
        None,
        "Where the files go, local or gs://; RUN/export if not given.",
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
        "Path of edgetpu_compiler; EDGETPU_COMPILER from the environment, "
        "then PATH, if not given.",
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
    return values
