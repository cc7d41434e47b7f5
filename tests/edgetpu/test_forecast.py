"""What the compiler would do, against what it did and what Google wrote."""

from __future__ import annotations

import json

import numpy as np
import pytest
from drawn import Drawing, constant, one

from edgetpu import rules
from edgetpu.compiler_log import MAPPED
from edgetpu.forecast import forecast
from edgetpu.package import read_package
from edgetpu.reader import open_model, read_model
from efficientnet_tf.errors import InputError

MAP = (1, 8, 8, 16)
BIAS = constant(16, dtype="int32")


def told(model):
    return [
        (each.on_edge_tpu, each.reason) for each in forecast(model).operators
    ]


def test_real_models_by_operator(coral):
    """Google's compiler decided; most of it is a compiler newer than 2019."""
    right = operators = 0
    for entry in json.loads((coral / "truth.json").read_text()):
        found = forecast(open_model(str(coral / entry["file"])))
        said = "".join("01"[each.on_edge_tpu] for each in found.operators)
        assert len(said) == len(entry["on_edge_tpu"])
        right += sum(map(str.__eq__, said, entry["on_edge_tpu"]))
        operators += len(said)
        assert found.compiles, entry["file"]
        assert found.subgraphs == entry["edge_tpu_subgraphs"]
    assert right / operators >= 0.995


# By operator: inside a limit of Coral's table, and beyond it.
LIMITS = {
    "a plain convolution": (
        True,
        one(
            "CONV_2D",
            [MAP, constant(16, 3, 3, 16), BIAS],
            [MAP],
            dilation=(1, 1),
        ),
    ),
    "the same dilation both ways": (
        True,
        one(
            "CONV_2D",
            [MAP, constant(16, 3, 3, 16), BIAS],
            [MAP],
            dilation=(2, 2),
        ),
    ),
    "another dilation across": (
        False,
        one(
            "DEPTHWISE_CONV_2D",
            [MAP, constant(1, 3, 3, 16), BIAS],
            [MAP],
            dilation=(1, 2),
        ),
    ),
    "a dilation along the only dimension": (
        True,
        one(
            "CONV_2D",
            [(1, 1, 64, 16), constant(16, 1, 3, 16), BIAS],
            [(1, 1, 64, 16)],
            dilation=(1, 4),
        ),
    ),
    "weights that are computed": (
        False,
        one(
            "DEPTHWISE_CONV_2D",
            [MAP, (1, 3, 3, 16), BIAS],
            [MAP],
            dilation=(1, 1),
        ),
    ),
    "a transposed convolution": (
        True,
        one(
            "TRANSPOSE_CONV",
            [np.array([1, 16, 16, 16]), constant(16, 3, 3, 16), MAP],
            [(1, 16, 16, 16)],
        ),
    ),
    "a pooling": (True, one("AVERAGE_POOL_2D", [MAP], [MAP])),
    "a pooling with ReLU": (
        False,
        one("MAX_POOL_2D", [MAP], [MAP], activation="RELU"),
    ),
    "an addition with ReLU": (
        True,
        one("ADD", [MAP, MAP], [MAP], activation="RELU"),
    ),
    "a concatenation": (
        True,
        one("CONCATENATION", [MAP, MAP], [(1, 8, 8, 32)], axis=3),
    ),
    "a concatenation with ReLU6": (
        False,
        one(
            "CONCATENATION",
            [MAP, MAP],
            [(1, 8, 8, 32)],
            axis=3,
            activation="RELU6",
        ),
    ),
    "a concatenation with zeros": (
        True,
        one(
            "CONCATENATION",
            [MAP, constant(*MAP, data=bytes(8 * 8 * 16))],
            [(1, 8, 8, 32)],
            axis=3,
        ),
    ),
    "a concatenation with ones": (
        False,
        one(
            "CONCATENATION",
            [MAP, constant(*MAP, data=b"\1" * 8 * 8 * 16)],
            [(1, 8, 8, 32)],
            axis=3,
        ),
    ),
    "a concatenation of two and zeros": (
        False,
        one(
            "CONCATENATION",
            [MAP, MAP, constant(*MAP, data=bytes(8 * 8 * 16))],
            [(1, 8, 8, 48)],
            axis=3,
        ),
    ),
    "a zero that is not 0": (
        True,
        one(
            "CONCATENATION",
            [MAP, constant(*MAP, data=b"\5" * 8 * 8 * 16, zero_point=(5,))],
            [(1, 8, 8, 32)],
            axis=3,
        ),
    ),
    "a dense layer": (
        True,
        one("FULLY_CONNECTED", [(1, 32), constant(10, 32)], [(1, 10)]),
    ),
    "a dense layer on several rows": (
        False,
        one("FULLY_CONNECTED", [(7, 32), constant(10, 32)], [(7, 10)]),
    ),
    "a dense layer with shuffled weights": (
        False,
        one(
            "FULLY_CONNECTED",
            [(1, 32), constant(10, 32)],
            [(1, 10)],
            weights_format="SHUFFLED4x16INT8",
        ),
    ),
    "a mean over the map": (
        True,
        one("MEAN", [MAP, np.array([1, 2])], [(1, 16)]),
    ),
    "a mean over 16 channels": (
        True,
        one("MEAN", [MAP, np.array([-1])], [(1, 8, 8)]),
    ),
    "a mean over 6 channels": (
        False,
        one("MEAN", [(1, 8, 8, 6), np.array([3])], [(1, 8, 8)]),
    ),
    "a mean over the batch": (
        False,
        one("MEAN", [MAP, np.array([0, 1])], [(8, 16)]),
    ),
    # google-coral/edgetpu #461: the first was mapped, the second not.
    "a mean over 64 x 128": (
        True,
        one("MEAN", [(1, 64, 128, 3), np.array([1, 2])], [(1, 3)]),
    ),
    "a mean over 256 x 128": (
        False,
        one("MEAN", [(1, 256, 128, 3), np.array([1, 2])], [(1, 3)]),
    ),
    "a maximum over the batch": (
        False,
        one("REDUCE_MAX", [MAP, np.array([0])], [(8, 8, 16)]),
    ),
    "a sum over the width": (
        True,
        one("SUM", [MAP, np.array([2])], [(1, 8, 16)]),
    ),
    "packing in the batch": (
        False,
        one("PACK", [(8, 16), (8, 16)], [(2, 8, 16)], axis=0),
    ),
    "packing elsewhere": (
        True,
        one("PACK", [(1, 8, 16), (1, 8, 16)], [(1, 2, 8, 16)], axis=1),
    ),
    "padding the map": (
        True,
        one(
            "PAD",
            [MAP, np.array([[0, 0], [1, 1], [1, 1], [0, 0]])],
            [(1, 10, 10, 16)],
        ),
    ),
    "padding the batch": (
        False,
        one("PAD", [(1, 16), np.array([[0, 1], [0, 0]])], [(2, 16)]),
    ),
    "splitting channels": (
        True,
        one("SPLIT", [np.array(3), MAP], [(1, 8, 8, 8), (1, 8, 8, 8)]),
    ),
    "splitting the batch": (
        False,
        one("SPLIT", [np.array(-4), MAP], [MAP]),
    ),
    "PReLU by channel": (
        True,
        one("PRELU", [MAP, constant(1, 1, 16)], [MAP]),
    ),
    "PReLU by place": (
        False,
        one("PRELU", [MAP, constant(8, 8, 16)], [MAP]),
    ),
    "a resize": (
        True,
        one("RESIZE_BILINEAR", [MAP, np.array([16, 16])], [(1, 16, 16, 16)]),
    ),
    # DeepLab's, which Google's compiler leaves on the CPU.
    "a resize of one value": (
        False,
        one(
            "RESIZE_BILINEAR",
            [(1, 1, 1, 256), np.array([33, 33])],
            [(1, 33, 33, 256)],
        ),
    ),
    "a resize to 512": (
        False,
        one(
            "RESIZE_NEAREST_NEIGHBOR",
            [(1, 256, 256, 3), np.array([512] * 2)],
            [(1, 512, 512, 3)],
        ),
    ),
    "softmax": (True, one("SOFTMAX", [(1, 1001)], [(1, 1001)])),
    "softmax of 16,001": (
        False,
        one("SOFTMAX", [(1, 16_001)], [(1, 16_001)]),
    ),
    "softmax by place": (False, one("SOFTMAX", [(1, 9, 4)], [(1, 9, 4)])),
    "a slice": (
        True,
        one(
            "STRIDED_SLICE",
            [MAP, *np.array([[0] * 4, [1] * 4, [1] * 4])],
            [(1, 1, 1, 1)],
        ),
    ),
    "a slice of every second": (
        False,
        one(
            "STRIDED_SLICE",
            [MAP, *np.array([[0] * 4, [1, 8, 8, 16], [1, 2, 2, 1]])],
            [(1, 4, 4, 16)],
        ),
    ),
    "a slice with a new axis": (
        False,
        one(
            "STRIDED_SLICE",
            [MAP, *np.array([[0] * 4, [1] * 4, [1] * 4])],
            [(1, 1, 1, 1)],
            new_axis_mask=1,
        ),
    ),
    # Not in Coral's table, and mapped.
    "a tile": (
        True,
        one("TILE", [MAP, np.array([1, 1, 1, 2])], [(1, 8, 8, 32)]),
    ),
    "four dimensions above 1": (
        False,
        one("RELU", [(2, 8, 8, 16)], [(2, 8, 8, 16)]),
    ),
    "a transpose in five dimensions": (
        False,
        one("TRANSPOSE", [(1, 3, 8, 8, 4), np.arange(5)], [(1, 3, 8, 8, 4)]),
    ),
    "float": (
        False,
        one(
            "RELU",
            [{"shape": MAP, "dtype": "float32"}],
            [{"shape": MAP, "dtype": "int8"}],
        ),
    ),
    "16 bits": (
        False,
        one("ADD", [{"shape": MAP, "dtype": "int16"}, MAP], [MAP]),
    ),
}


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit(name):
    inside, model = LIMITS[name]
    ((on_edge_tpu, reason),) = told(model)
    assert on_edge_tpu == inside
    assert (reason == MAPPED) == inside
    status = reason.partition(":")[0]
    assert status in (
        MAPPED,
        rules.UNSPECIFIED,
        rules.UNSUPPORTED_TYPE,
        rules.UNSUPPORTED_RANK,
    )


def test_every_limit_was_tried():
    tried = " ".join(
        told(model)[0][1] for inside, model in LIMITS.values() if not inside
    )
    for limit, explained in rules.LIMITS.items():
        assert explained.says in tried, limit


# The rows of Coral's table "Supported operations", by TensorFlow Lite's names.
DOCUMENTED = """
ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D EXPAND_DIMS
FULLY_CONNECTED L2_NORMALIZATION LOGISTIC LSTM UNIDIRECTIONAL_SEQUENCE_LSTM
MAXIMUM MAX_POOL_2D MEAN MINIMUM MUL PACK PAD PRELU QUANTIZE REDUCE_MAX
REDUCE_MIN RELU RELU6 RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR
RESIZE_NEAREST_NEIGHBOR RSQRT SLICE SOFTMAX SPACE_TO_DEPTH SPLIT SQUEEZE
STRIDED_SLICE SUB SUM SQUARED_DIFFERENCE TANH TRANSPOSE TRANSPOSE_CONV
"""


def test_the_table_is_corals_and_tile():
    assert set(rules.OPERATORS) == {*DOCUMENTED.split(), "TILE"}


@pytest.mark.parametrize(
    "name", ["LEAKY_RELU", "HARD_SWISH", "DEPTH_TO_SPACE", "NEG"]
)
def test_what_the_table_lacks(name):
    ((on_edge_tpu, reason),) = told(one(name, [MAP], [MAP]))
    assert not on_edge_tpu
    assert reason.startswith(f"{rules.UNSUPPORTED}: {name} is not among")


def test_an_lstm_keeps_its_cell_in_16_bits():
    state = {"shape": (1, 20), "dtype": "int16", "variable": True}
    inputs = [(1, 28, 28), constant(20, 28), state]
    model = one("UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, [(1, 28, 20)])
    assert told(model) == [(True, MAPPED)]


def chain(*names, shape=MAP):
    """Operators one after the other."""
    draw = Drawing()
    x = draw.tensor(*shape)
    for name in names:
        x = draw.operator(name, [x], [draw.tensor(*shape)])
    return draw.model()


def test_what_comes_after_the_first_unsupported_one_stays_on_the_cpu():
    found = forecast(chain("RELU", "RELU6", "HARD_SWISH", "RELU", "TANH"))
    assert [each.on_edge_tpu for each in found.operators] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert found.subgraphs == 1
    assert not found.whole
    assert "use ReLU6" in found.operators[2].reason
    for operator in found.operators[3:]:
        assert operator.reason.startswith(
            f"{rules.ANOTHER_SUBGRAPH}: it comes after operator 2, HARD_SWISH"
        )


def test_several_subgraphs_as_with_a():
    model = chain("RELU", "HARD_SWISH", "RELU", "HARD_SWISH", "RELU")
    found = forecast(model, multiple_subgraphs=True)
    assert [each.on_edge_tpu for each in found.operators] == [
        True,
        False,
        True,
        False,
        True,
    ]
    assert found.subgraphs == 3


def test_what_comes_before_does_not_count():
    found = forecast(chain("HARD_SWISH", "RELU", "HARD_SWISH", "RELU"))
    assert [each.on_edge_tpu for each in found.operators] == [
        False,
        True,
        False,
        False,
    ]
    assert "after operator 2" in found.operators[3].reason


def test_a_branch_that_needs_nothing_unsupported_is_mapped():
    """TensorFlow Lite gathers all that is ready, whatever its place."""
    draw = Drawing()
    x = draw.tensor(*MAP)
    left = draw.operator("RELU", [x], [draw.tensor(*MAP)])
    wrong = draw.operator("HARD_SWISH", [left], [draw.tensor(*MAP)])
    right = draw.operator("TANH", [x], [draw.tensor(*MAP)])
    right = draw.operator("LOGISTIC", [right], [draw.tensor(*MAP)])
    draw.operator("ADD", [wrong, right], [draw.tensor(*MAP)])
    found = forecast(draw.model())
    assert [each.on_edge_tpu for each in found.operators] == [
        True,
        False,
        True,
        True,
        False,
    ]


def test_float_at_both_ends():
    """As the shared face detector: QUANTIZE first, DEQUANTIZE last."""
    draw = Drawing()
    x = draw.tensor(*MAP, dtype="float32")
    x = draw.operator("QUANTIZE", [x], [draw.tensor(*MAP)])
    x = draw.operator("RELU", [x], [draw.tensor(*MAP)])
    draw.operator("DEQUANTIZE", [x], [draw.tensor(*MAP, dtype="float32")])
    (first, reason), (on, _), (last, other) = told(draw.model())
    assert (first, on, last) == (False, True, False)
    # Statuses of edgetpu_compiler's logs (tensorflow/tensorflow #42024).
    assert reason.startswith(rules.UNSPECIFIED)
    assert "inference_input_type" in reason
    assert other.startswith(rules.UNSUPPORTED_TYPE)
    assert "inference_output_type" in other


# Reported rejections, by google-coral/edgetpu issue.
@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("CONV_2D", 6),  # #631
        ("QUANTIZE", 3),  # #879
        ("TRANSPOSE_CONV", 4),  # #845
        ("EXP", 2),  # libedgetpu #71
        ("GELU", 1),
    ],
)
def test_a_version_that_is_too_new(name, version):
    model = one(
        name,
        [constant(4, dtype="int32"), constant(16, 3, 3, 16), MAP],
        [MAP],
        version=version,
    )
    found = forecast(model)
    assert not found.compiles
    assert (found.subgraphs, found.latency) == (0, None)
    (failure,) = found.failures
    assert failure.message == (
        f"Didn't find op for builtin opcode '{name}' version '{version}'."
    )
    assert not found.operators[0].on_edge_tpu
    assert failure.message in found.operators[0].reason


# Of TensorFlow 2.5 and before, by its runtime_version.cc.
@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("CONV_2D", 5),
        ("DEPTHWISE_CONV_2D", 6),
        ("ADD", 3),
        ("RESHAPE", 1),
        ("FULLY_CONNECTED", 9),
        ("MEAN", 3),
        ("SOFTMAX", 3),
        ("QUANTIZE", 2),
        ("AVERAGE_POOL_2D", 3),
        ("CONCATENATION", 3),
        ("PAD", 3),
        ("RELU", 3),
    ],
)
def test_the_newest_version_that_it_reads(name, version):
    from edgetpu.versions import NEWEST_VERSIONS

    assert NEWEST_VERSIONS[name] == version


def test_a_version_of_2_6_is_told_and_not_refused():
    found = forecast(one("ADD", [MAP, MAP], [MAP], version=4))
    assert found.compiles
    assert found.whole
    assert any(
        "ADD version 4 is of TensorFlow 2.6" in caution
        for caution in found.cautions
    )


FLOAT = {"shape": MAP, "dtype": "float32"}
FAILING = {
    "float": (one("RELU", [FLOAT], [FLOAT]), "Model not quantized"),
    "weights only": (
        one("CONV_2D", [FLOAT, constant(16, 3, 3, 16)], [FLOAT]),
        "Model not quantized",
    ),
    "flex": (
        one("FlexSplitV", [MAP], [MAP]),
        "Regular TensorFlow ops are not supported by this interpreter.",
    ),
    "a size that is computed": (
        one("RESHAPE", [MAP, {"shape": (2,), "dtype": "int32"}], [(1, 1024)]),
        "Attempting to use a delegate that only supports static-sized tensors "
        "with a graph that has dynamic-sized tensors.",
    ),
    "a bias of another scale": (
        one(
            "FULLY_CONNECTED",
            [
                {"shape": (1, 8), "scale": (0.5,), "zero_point": (0,)},
                constant(4, 8, scale=(0.25,), zero_point=(0,)),
                constant(4, dtype="int32", scale=(0.5,), zero_point=(0,)),
            ],
            [{"shape": (1, 4), "scale": (1.0,), "zero_point": (0,)}],
        ),
        "scale_diff / output_scale <= 0.02 was not true. Node number 0 "
        "(FULLY_CONNECTED) failed to prepare.",
    ),
}


@pytest.mark.parametrize("name", FAILING)
def test_what_the_compiler_refuses(name):
    model, message = FAILING[name]
    found = forecast(model)
    assert not found.compiles
    assert message in [failure.message for failure in found.failures]
    assert all(failure.cure for failure in found.failures)
    assert not any(each.on_edge_tpu for each in found.operators)
    assert found.memory.parameter_bytes == 0


def test_nothing_is_wrong_with_our_files(each):
    found = forecast(read_model(each.content))
    assert found.problems == ()
    assert not any("size open" in caution for caution in found.cautions)


def test_problems_are_told_once():
    # Two that the Edge TPU does not know, and what comes after them.
    model = chain("RELU", "HARD_SWISH", "HARD_SWISH", "RELU")
    problems = forecast(model).problems
    assert len(problems) == 2
    assert problems[0].startswith("operator HARD_SWISH: Operation not support")
    assert problems[1].startswith("operator RELU: More than one subgraph")
    (refused,) = forecast(FAILING["float"][0]).problems
    assert refused.startswith("Model not quantized no operator works on int8")


def test_a_batch_left_open_is_told_and_not_refused():
    """Compiler 16.0 took the shared dense model, which leaves it open."""
    image = {"shape": MAP, "dynamic": True}
    found = forecast(one("RELU", [image], [image]))
    assert found.compiles
    assert any("leave a size open" in each for each in found.cautions)


@pytest.mark.parametrize("name", sorted(rules.OPERATORS))
def test_operators_that_lack_everything(name):
    """As in a damaged file: an answer, whatever it is."""
    for inputs in ([], [()], [MAP], [MAP, constant()]):
        found = forecast(one(name, inputs, [MAP])).to_dict()
        (told,) = json.loads(json.dumps(found))["operators"]
        assert told["name"] == name
        assert told["reason"]


def test_a_file_with_nothing_for_the_edge_tpu_is_told():
    """The compiler writes one all the same (google-coral/edgetpu #609)."""
    found = forecast(chain("HARD_SWISH"))
    assert found.compiles
    assert (found.subgraphs, found.latency) == (0, None)
    assert "nothing would be on the Edge TPU" in found.cautions[0]


def test_a_compiled_file_is_refused():
    model = one("edgetpu-custom-op", [MAP], [MAP])
    with pytest.raises(InputError, match="compiled for the Edge TPU already"):
        forecast(model)


def test_json_has_what_scripts_ask_for():
    found = forecast(chain("RELU", "HARD_SWISH")).to_dict()
    plain = json.loads(json.dumps(found))
    assert plain["operators"][0] == {
        "index": 0,
        "name": "RELU",
        "on_edge_tpu": True,
        "reason": MAPPED,
    }
    assert {
        "subgraphs",
        "compiles",
        "parameter_bytes",
        "on_chip_bytes",
        "streamed_bytes",
        "latency_ms",
    } <= set(plain)
    assert plain["latency_ms"] > 0


def test_memory_of_real_models(coral):
    """docs/coral.md states how far the estimate is off."""
    for entry in json.loads((coral / "truth.json").read_text()):
        path = str(coral / entry["file"])
        told = forecast(open_model(path)).memory
        compiled = open_model(path.replace(".tflite", "_edgetpu.tflite"))
        real = [
            read_package(operator.custom_options)
            for operator in compiled.main.operators
            if operator.name == "edgetpu-custom-op"
        ]
        parameters = sum(
            each.cached_bytes + each.streamed_bytes for each in real
        )
        allowed = max(0.13 * parameters, 300)
        assert abs(told.parameter_bytes - parameters) <= allowed, path
        assert told.streamed_bytes == 0
