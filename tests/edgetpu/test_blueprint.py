"""Networks drawn without TensorFlow, against what the converter makes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edgetpu.advice import squeezes, swishes
from edgetpu.blueprint import blueprint
from edgetpu.forecast import forecast
from edgetpu.reader import read_graph
from efficientnet_tf.errors import InputError
from efficientnet_tf.networks import network, variants
from efficientnet_tf.networks.costs import totals

FAMILY = [name for name in variants() if "condconv" not in name]


def described(graph):
    """What the hardware sees of each operator, whatever their order."""
    rows = []
    for operator in graph.operators:
        inputs = sorted(
            (tensor.dtype, tensor.shape, tensor.constant)
            for tensor in graph.taken(operator)
        )
        outputs = [(t.dtype, t.shape) for t in graph.given(operator)]
        options = operator.options
        rows.append(
            (
                operator.name,
                operator.version,
                inputs,
                outputs,
                options.stride,
                options.activation,
            )
        )
    return sorted(rows, key=str)


def test_a_drawing_is_what_the_converter_makes(each):
    drawn = blueprint(each.network).main
    assert described(drawn) == described(read_graph(each.content))
    assert drawn.tensors[drawn.inputs[0]].dtype == "uint8"


@pytest.mark.parametrize("name", ["mobilenet-v1", "resnet-50-v1.5"])
def test_an_older_network_is_what_the_converter_makes(name, converted):
    found = converted(name)
    drawn = blueprint(found.network).main
    assert described(drawn) == described(read_graph(found.content))


# The log of compiler 16.0 for Google's M, and the counts of S and L.
@pytest.mark.parametrize(
    ("name", "total", "counts"),
    [
        ("S", 66, {}),
        (
            "M",
            86,
            {
                "CONV_2D": 50,
                "DEPTHWISE_CONV_2D": 14,
                "ADD": 17,
                "MEAN": 1,
                "FULLY_CONNECTED": 1,
                "SOFTMAX": 1,
                "QUANTIZE": 2,
            },
        ),
        ("L", 97, {"CONV_2D": 56, "DEPTHWISE_CONV_2D": 16, "ADD": 20}),
    ],
)
def test_published_operators(name, total, counts):
    resolved = network(f"efficientnet-edgetpu-{name}", classes=1001)
    model = blueprint(resolved)
    found = model.main.counts()
    assert sum(found.values()) == total
    assert counts.items() <= found.items()
    assert forecast(model).whole


@pytest.mark.parametrize("name", FAMILY)
def test_a_drawing_multiplies_as_often_as_the_network(name):
    from edgetpu.work import work

    resolved = network(name)
    graph = blueprint(resolved).main
    macs = sum(work(each, graph).macs for each in graph.operators)
    centred = graph.operators[1].name == "DEPTHWISE_CONV_2D"
    extra = 3 * resolved.pixels**2 if centred else 0
    assert macs - extra == totals(resolved).macs


def test_swish_and_squeeze_are_told_and_others_proposed():
    model = blueprint(network("efficientnet-b0"))
    assert len(swishes(model.main)) == 49
    # One a block, by the paper's table.
    assert len(squeezes(model.main)) == 16
    (caution,) = [c for c in forecast(model).cautions if "swish" in c]
    assert "16 squeeze-and-excitation" in caution
    assert "efficientnet-lite0" in caution
    assert "efficientnet-edgetpu-S" in caution


@pytest.mark.parametrize(
    "name", ["efficientnet-lite0", "efficientnet-edgetpu-S"]
)
def test_what_is_proposed_has_neither(name):
    model = blueprint(network(name))
    assert not swishes(model.main)
    assert not squeezes(model.main)
    assert forecast(model).whole


def test_networks_that_cannot_be_drawn():
    with pytest.raises(InputError, match="constant ones only"):
        blueprint(network("efficientnet-condconv-b0-4e"))
    with pytest.raises(InputError, match="has no classes"):
        blueprint(network("efficientnet-lite0", classes=0))


def test_both_placements_of_the_stride():
    """Padded by hand it takes a PAD for each; as published it takes none."""
    late = network("efficientnet-edgetpu-S", fused_stride="project")
    plain = blueprint(late).main.counts()
    published = blueprint(late, late_stride=True).main
    assert plain["PAD"] == 2
    assert "PAD" not in published.counts()
    # 2.352 G of multiply-adds as published, 1.789 G at the original's HEAD
    # (Vitis-AI lists 4.72 G operations).
    from edgetpu.work import work

    for graph, giga in ((published, 2.352), (blueprint(late).main, 1.789)):
        macs = sum(work(each, graph).macs for each in graph.operators)
        assert macs / 1e9 == pytest.approx(giga, abs=6e-4)


def test_no_tensorflow():
    script = (
        "import sys\n"
        "from edgetpu.blueprint import blueprint\n"
        "from edgetpu.forecast import forecast\n"
        "from efficientnet_tf.networks import network\n"
        "forecast(blueprint(network('efficientnet-edgetpu-S')))\n"
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)\n"
    )
    subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[2],
        check=True,
    )
