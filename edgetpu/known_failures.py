"""What edgetpu_compiler says when it fails, and what that means.

The messages are those of version 16.0, as people quoted them; the numbers are
issues of google-coral/edgetpu where no other place is named.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

FailureName = Literal[
    "version",
    "flex",
    "open_size",
    "bias_scale",
    "not_quantized",
    "activations",
    "out_of_range",
    "internal",
    "option",
    "unreadable",
    "timeout",
    "silent",
]


@dataclass(frozen=True)
class Failure:
    """Why no file for the Edge TPU comes out.

    Attributes:
        message: What the compiler says.
        cause: What it means here.
        cure: What would do.
    """

    message: str
    cause: str
    cure: str


@dataclass(frozen=True)
class KnownFailure:
    """A failure that people have met.

    Attributes:
        says: What the compiler prints then, in short.
        pattern: The same, to be found among other lines.
        cause: What it means; names in braces are groups of the pattern.
        cure: What would do.
    """

    says: str
    pattern: re.Pattern[str]
    cause: str
    cure: str


KNOWN: dict[FailureName, KnownFailure] = {
    "version": KnownFailure(
        "Didn't find op for builtin opcode 'X' version 'N'",
        re.compile(
            r"Didn't find op for builtin opcode '(?P<name>\w+)' "
            r"version '(?P<version>\d+)'"
        ),
        "version {version} of {name} is younger than the TensorFlow Lite of "
        "July 2021 in the compiler (#631, #845, #879)",
        "convert so that an older version or operator does: static "
        "shapes, int8 rather than 16 bits, no operators that are younger",
    ),
    "flex": KnownFailure(
        "Regular TensorFlow ops are not supported by this interpreter",
        re.compile(
            r"Regular TensorFlow ops are not supported by this interpreter"
        ),
        "the file holds TensorFlow operators (#479)",
        "convert without SELECT_TF_OPS",
    ),
    "open_size": KnownFailure(
        "... delegate that only supports static-sized tensors ...",
        re.compile(r"only supports static-sized tensors"),
        "a size is known only while the model runs, as where the batch was "
        "left open (#829, #831)",
        "convert a model of batch 1: keras.Input(shape, batch_size=1)",
    ),
    "bias_scale": KnownFailure(
        "scale_diff / output_scale <= 0.02 was not true",
        re.compile(
            r"(?:scale_diff / output_scale <= 0\.02 was not true"
            r"|Node number \d+ \((?:CONV_2D|DEPTHWISE_CONV_2D|FULLY_CONNECTED)"
            r"\) failed to prepare)"
        ),
        "the scale of a bias is not that of input times weight "
        "(tensorflow/tensorflow #30173, #36705)",
        "quantize again, after training by today's converter",
    ),
    "not_quantized": KnownFailure(
        "Model not quantized",
        re.compile(r"Model not quantized"),
        "float operators are left, or the batch was left open (#168, #222, "
        "#313)",
        "convert to full-integer: converter.optimizations, "
        "representative_dataset, TFLITE_BUILTINS_INT8 and "
        "inference_input_type, of a model of batch 1; here: "
        "python -m edgetpu export",
    ),
    "activations": KnownFailure(
        "Compilation failed due to large activation tensors in model",
        re.compile(
            r"Compilation failed due to large activation tensors in model"
        ),
        "what goes from layer to layer does not fit on the chip (#439, #444)",
        "take a smaller image, or try --num_segments=2 (-n) or "
        "--search_delegate (-d)",
    ),
    "out_of_range": KnownFailure(
        "terminating with uncaught exception of type std::out_of_range",
        re.compile(r"std::out_of_range"),
        "the compiler crashed, as it does on a segment of EfficientNetV2-L "
        "(#728)",
        "try --search_delegate (-d)",
    ),
    "internal": KnownFailure(
        "Internal compiler error. Aborting!",
        re.compile(r"Internal compiler error"),
        "compilers up to 15.0 give no other reason, and some such failures "
        "do not come again (#189, #211)",
        "try once more, or compiler 16.0",
    ),
    "option": KnownFailure(
        "Invalid option",
        re.compile(r"Invalid option"),
        "this compiler does not know one of the flags",
        "take compiler 16.0.384591198, or leave the flag out",
    ),
    "unreadable": KnownFailure(
        "Model could not be parsed",
        re.compile(r"Model could not be parsed"),
        "the compiler's TensorFlow Lite of July 2021 cannot read the file",
        "see what is too young or broken: python -m edgetpu forecast FILE",
    ),
    "timeout": KnownFailure(
        "Started a compilation timeout timer of N seconds",
        re.compile(
            r"Started a compilation timeout timer of (?P<seconds>\d+) seconds"
            r"(?![\s\S]*completed within timeout period)"
        ),
        "its child process did not say that it completed within {seconds} "
        "seconds: it took longer, or crashed",
        "give it time by --timeout_seconds (-t)",
    ),
    "silent": KnownFailure(
        "Compilation failed!",
        re.compile(r"Compilation failed!"),
        "the compiler gives no reason (#800, #903)",
        "try --search_delegate (-d), which leaves ever more of the model's end "
        "to the CPU until it compiles",
    ),
}

# They tell nothing where another one tells more.
_LAST_RESORTS: tuple[FailureName, ...] = ("unreadable", "timeout", "silent")


def explained(output: str) -> tuple[Failure, ...]:
    """Finds the known failures in what the compiler printed.

    Args:
        output: Of a compiler that made no file; it may be anything.

    Returns:
        Each once; none where nothing is known.
    """
    found = [
        _failure(KNOWN[name], match)
        for name in KNOWN
        if name not in _LAST_RESORTS
        for match in KNOWN[name].pattern.finditer(output)
    ]
    for name in _LAST_RESORTS:
        match = KNOWN[name].pattern.search(output)
        if match and not found:
            found.append(_failure(KNOWN[name], match))
    # Of several messages with the same cause the first one is enough.
    unique = {(failure.cause, failure.cure): failure for failure in found[::-1]}
    return tuple(reversed(unique.values()))


def _failure(known: KnownFailure, match: re.Match[str]) -> Failure:
    return Failure(
        message=match[0],
        cause=known.cause.format(**match.groupdict()),
        cure=known.cure,
    )
