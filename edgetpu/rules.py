"""Which operators edgetpu_compiler 16.0 maps to the Edge TPU, as data.

The operators and their limits are those of the table "Supported operations"
in coral.ai/docs/edgetpu/models-intro, of compiler 16.0 and runtime 14 (its
text is also at developer.axis.com, ARTPEC-7, whose accelerator is an Edge
TPU). What the table does not say comes from logs of the compiler in issues of
google-coral/edgetpu, whose numbers stand beside it. `limits.py` has the test
of each limit, by the same word.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# The compiler's own words, in its table of operators.
UNSUPPORTED = "Operation not supported"
UNSUPPORTED_TYPE = "Operation is working on an unsupported data type"
UNSUPPORTED_RANK = (
    "Tensor has unsupported rank (up to 3 innermost dimensions mapped)"
)
UNSPECIFIED = (
    "Operation is otherwise supported, but not mapped due to some unspecified "
    "limitation"
)
ANOTHER_SUBGRAPH = "More than one subgraph is not supported"

Limit = Literal[
    "activation",
    "batch_axis",
    "batch_pack",
    "batch_pad",
    "batch_split",
    "constant_parameters",
    "constant_concatenation",
    "dilation",
    "mean_depth",
    "mean_size",
    "one_dimension_out",
    "prelu_alpha",
    "resize",
    "slice_masks",
    "slice_strides",
    "softmax",
    "weights_format",
]


@dataclass(frozen=True)
class Explained:
    """A limit in words.

    Attributes:
        says: What is beyond the limit.
        cure: What would do.
    """

    says: str
    cure: str


# Sizes that decide. Google's table says "depending on size" without a number:
# these are the nearest ones known from logs.
#
# A mean over 256 x 128 places was not mapped, one over 64 x 128 was
# (google-coral/edgetpu #461); nothing is known of those between.
MEAN_PLACES_MAPPED = 64 * 128
MEAN_PLACES_NOT_MAPPED = 256 * 128
# "Certain reshapes might not be mapped for large tensor sizes": one of 48 x 48
# x 255 values was not (YOLOv5s at 384 pixels, #512). Larger ones are known to
# run, so that this is no limit, only worth a word.
RESHAPE_VALUES_SAFE = 48 * 48 * 255
# A resize to 512 pixels was not mapped, one to 128 was (#31); to 256 as well
# (#187, nearest neighbour).
RESIZE_SIDE_MAPPED = 256
# The table: "at most 16,000 elements".
SOFTMAX_VALUES = 16_000
# The table: "the z-dimension must be a multiple of 4".
MEAN_DEPTH_MULTIPLE = 4

LIMITS: dict[Limit, Explained] = {
    "activation": Explained(
        "it has a fused activation",
        "make the activation a layer of its own",
    ),
    "batch_axis": Explained(
        "it reduces the batch dimension",
        "reduce over other dimensions",
    ),
    "batch_pack": Explained(
        "it packs in the batch dimension",
        "pack along another dimension",
    ),
    "batch_pad": Explained(
        "it pads the batch dimension",
        "pad other dimensions",
    ),
    "batch_split": Explained(
        "it splits the batch dimension",
        "split another dimension",
    ),
    "constant_parameters": Explained(
        "its weights or its bias are computed, not constant",
        "freeze them before the conversion",
    ),
    "constant_concatenation": Explained(
        "it concatenates a constant that is not one block of zeros beside one "
        "other input",
        "feed the constant in as an input, or pad with zeros",
    ),
    "dilation": Explained(
        "its dilation differs between height and width",
        "use the same in both",
    ),
    "mean_depth": Explained(
        "it averages over channels whose number is no multiple of "
        f"{MEAN_DEPTH_MULTIPLE}",
        f"use a multiple of {MEAN_DEPTH_MULTIPLE}",
    ),
    "mean_size": Explained(
        f"it averages over {MEAN_PLACES_NOT_MAPPED:,} places or more",
        "use a smaller image, or split the map, average the parts and add "
        "them up",
    ),
    "one_dimension_out": Explained(
        "its output has more than one dimension",
        "use a 1x1 convolution instead of a dense layer on several positions",
    ),
    "prelu_alpha": Explained(
        "its alpha varies over more than the channels",
        "give Keras's PReLU shared_axes=[1, 2]",
    ),
    "resize": Explained(
        "it would not be precise enough: it enlarges a single value, or to "
        f"more than {RESIZE_SIDE_MAPPED} pixels",
        "leave the last resize to the host, or work on a smaller image; "
        "instead of enlarging a pooled value, add or multiply it, which "
        "broadcasts",
    ),
    "slice_masks": Explained(
        "it uses an ellipsis or a new axis",
        "write the slice out, and reshape apart",
    ),
    "slice_strides": Explained(
        "a stride is not 1",
        "use a strided convolution or pooling",
    ),
    "softmax": Explained(
        "it works on more than one dimension, or on more than "
        f"{SOFTMAX_VALUES:,} values",
        "do it on the host",
    ),
    "weights_format": Explained(
        "its weights are stored in a shuffled order",
        "convert with the default format",
    ),
}

# Operators that run, and what keeps one from it. All of the table's but TILE,
# which it does not have and the compiler maps.
# fmt: off
OPERATORS: dict[str, tuple[Limit, ...]] = {
    "ADD":                          (),
    "AVERAGE_POOL_2D":              ("activation",),
    "CONCATENATION":                ("activation", "constant_concatenation"),
    "CONV_2D":                      ("constant_parameters", "dilation"),
    "DEPTHWISE_CONV_2D":            ("constant_parameters", "dilation"),
    "EXPAND_DIMS":                  (),
    "FULLY_CONNECTED":              ("constant_parameters", "weights_format",
                                     "one_dimension_out"),
    "L2_NORMALIZATION":             (),
    "LOGISTIC":                     (),
    "LSTM":                         (),
    "MAXIMUM":                      (),
    "MAX_POOL_2D":                  ("activation",),
    "MEAN":                         ("batch_axis", "mean_depth", "mean_size"),
    "MINIMUM":                      (),
    "MUL":                          (),
    "PACK":                         ("batch_pack",),
    "PAD":                          ("batch_pad",),
    "PRELU":                        ("prelu_alpha",),
    "QUANTIZE":                     (),
    "REDUCE_MAX":                   ("batch_axis",),
    "REDUCE_MIN":                   ("batch_axis",),
    "RELU":                         (),
    "RELU6":                        (),
    "RELU_N1_TO_1":                 (),
    "RESHAPE":                      (),
    "RESIZE_BILINEAR":              ("resize",),
    "RESIZE_NEAREST_NEIGHBOR":      ("resize",),
    "RSQRT":                        (),
    "SLICE":                        (),
    "SOFTMAX":                      ("softmax",),
    "SPACE_TO_DEPTH":               (),
    "SPLIT":                        ("batch_split",),
    "SQUARED_DIFFERENCE":           (),
    "SQUEEZE":                      (),
    "STRIDED_SLICE":                ("slice_strides", "slice_masks"),
    "SUB":                          (),
    "SUM":                          ("batch_axis",),
    "TANH":                         (),
    "TILE":                         (),
    "TRANSPOSE":                    (),
    "TRANSPOSE_CONV":               ("constant_parameters",),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (),
}
# fmt: on

# What tensors may hold; an LSTM keeps its cell in 16 bits.
DTYPES = ("int8", "uint8")
STATE_DTYPES = ("int16",)
# Dimensions that may be larger than 1: height, width and channels.
INNER_DIMENSIONS = 3

# Which input of an operator sets the size of its output. Computed while the
# model runs, it leaves the size open, and the compiler takes no such model
# (#829, #831).
SIZE_INPUTS = {
    "BROADCAST_TO": 1,
    "EXPAND_DIMS": 1,
    "FILL": 0,
    "MEAN": 1,
    "PAD": 1,
    "PADV2": 1,
    "REDUCE_MAX": 1,
    "REDUCE_MIN": 1,
    "RESHAPE": 1,
    "RESIZE_BILINEAR": 1,
    "RESIZE_NEAREST_NEIGHBOR": 1,
    "SLICE": 2,
    "STRIDED_SLICE": 2,
    "SUM": 1,
    "TILE": 1,
    "TRANSPOSE_CONV": 0,
}
# Whose output's size depends on the values that come in.
OPEN_SIZED = ("NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5", "WHERE")

# What mends an operator that does not run at all.
CURES = {
    "ARG_MAX": "end the model before it; take the largest score on the host",
    "ARG_MIN": "end the model before it; take the smallest on the host",
    "BATCH_MATMUL": "use convolutions or dense layers with constant weights",
    "CAST": "give the model uint8 or int8 and leave the cast out",
    "DEPTH_TO_SPACE": "use a transposed convolution, or do it on the host",
    "DEQUANTIZE": "convert with inference_output_type=tf.uint8 or tf.int8, or "
    "let the host do it: it is cheap at the end",
    "DIV": "multiply by the reciprocal",
    "ELU": "use ReLU or PReLU",
    "EXP": "use softmax or logistic, or do it on the host",
    "GATHER": "use slices",
    "GELU": "use ReLU",
    "HARD_SWISH": "use ReLU6, as EfficientNet-Lite does",
    "LEAKY_RELU": "use ReLU or PReLU; or maximum(x, alpha * x)",
    "MIRROR_PAD": "pad with zeros",
    "NON_MAX_SUPPRESSION_V4": "do it on the host",
    "NON_MAX_SUPPRESSION_V5": "do it on the host",
    "PADV2": "pad with zeros",
    "POW": "multiply",
    "QUANTIZE": "convert with inference_input_type=tf.uint8 or tf.int8",
    "SPLIT_V": "split into equal parts, or use slices",
    "SQRT": "do it on the host",
    "TOPK_V2": "do it on the host",
    "UNPACK": "use slices or splits",
}
