"""Estimates of memory and time, against published and measured figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn import Drawing, constant, one

from edgetpu import latency_fit
from edgetpu.blueprint import Drawing as Blueprint
from edgetpu.blueprint import blueprint
from edgetpu.forecast import forecast
from edgetpu.graph import Graph, Model
from edgetpu.latency import latency as operators_latency
from edgetpu.memory import parameter_bytes
from edgetpu.work import work
from efficientnet_tf.networks import edgetpu_latency as latency
from efficientnet_tf.networks import network, variants
from efficientnet_tf.networks.edgetpu_memory import CACHE_BYTES, memory

DOCS = Path(__file__).parents[2] / "docs"


def parameters(model):
    graph = model.main
    return sum(parameter_bytes(each, graph) for each in graph.operators)


# Read from compiled files: LibrEdgeTPU's dense layers, and a dense layer of
# one output, of which the compiler makes sixteen.
@pytest.mark.parametrize(
    ("outputs", "inputs", "measured"),
    [
        (256, 256, 67584),
        (1024, 1024, 1056768),
        (1, 94400, 1510464),
    ],
)
def test_parameters_of_a_dense_layer(outputs, inputs, measured):
    weights = constant(outputs, inputs)
    model = one("FULLY_CONNECTED", [(1, inputs), weights], [(1, outputs)])
    assert parameters(model) == measured


# LibrEdgeTPU's gabor_64x64_p4: eight kernels of 7 x 7.
def test_parameters_of_a_depthwise_convolution():
    taken = [(1, 64, 64, 1), constant(1, 7, 7, 8), constant(8, dtype="int32")]
    model = one("DEPTHWISE_CONV_2D", taken, [(1, 64, 64, 8)])
    assert parameters(model) == 3200


# Compiler 16.0's log: on-chip and off-chip KiB of both, compiled together.
@pytest.mark.parametrize(
    ("name", "kib"), [("S", 3276.80 + 3450.88), ("M", 4311.04 + 4259.84)]
)
def test_parameters_of_the_published_networks(name, kib):
    resolved = network(f"efficientnet-edgetpu-{name}", classes=1001)
    found = forecast(blueprint(resolved)).memory
    assert found.parameter_bytes == pytest.approx(kib * 1024, rel=0.02)
    assert found.on_chip_bytes + found.streamed_bytes == found.parameter_bytes


def test_what_does_not_fit_is_streamed():
    assert memory(CACHE_BYTES).streamed_bytes == 0
    more = memory(CACHE_BYTES + 5)
    assert (more.on_chip_bytes, more.streamed_bytes) == (CACHE_BYTES, 5)


def test_work_of_a_convolution():
    taken = [(1, 8, 8, 3), constant(10, 3, 3, 3), constant(10, dtype="int32")]
    graph = one("CONV_2D", taken, [(1, 4, 4, 10)]).main
    done = work(graph.operators[0], graph)
    assert done.weights == 3 * 3 * 3 * 10
    assert done.macs == 4 * 4 * done.weights
    assert done.filled_macs == 4 * 4 * 3 * 3 * 3 * 64
    assert done.values == 8 * 8 * 3 + 4 * 4 * 10


def test_the_fit_finds_rates_that_were_put_in():
    random = np.random.default_rng(0)
    rates = np.array([0.5, 2.0, 0.25, 0.125, 4.0])
    rows = [
        latency_fit.Published(
            f"{number}", float(rates @ (1, *counts)), True, tuple(counts)
        )
        for number, counts in enumerate(random.uniform(0, 9, (12, 4)))
    ]
    np.testing.assert_allclose(latency_fit.fit(rows), rates)
    assert max(map(abs, latency_fit.errors(rows).values())) < 1e-9


def test_a_rate_is_never_negative():
    rows = [
        latency_fit.Published(f"{x}", 10.0 - x, True, (x, 1.0, 2.0, y))
        for x, y in ((0.0, 1.0), (1.0, 3.0), (2.0, 2.0), (3.0, 5.0), (4.0, 1.0))
    ]
    assert (latency_fit.fit(rows) >= 0).all()


def fitted():
    rows = latency_fit.read(DOCS / "coral_latency.csv")
    return [row for row in rows if row.fitted]


def test_the_rates_are_those_of_the_file():
    found = latency_fit.fit(fitted())
    ours = (
        latency.RUN_MS,
        latency.MS_PER_GIGA_MAC,
        latency.MS_PER_MEGA_DEPTHWISE_MAC,
        latency.MS_PER_MEGA_VALUE,
        latency.MS_PER_MEGABYTE,
    )
    np.testing.assert_allclose(ours, found, rtol=4e-3)


def test_the_error_that_is_stated_is_that_of_leaving_one_out():
    off = np.abs(list(latency_fit.errors(fitted()).values()))
    assert off.mean() == pytest.approx(latency.MEAN_ERROR, abs=6e-4)
    assert off.max() == pytest.approx(latency.WORST_ERROR, abs=6e-4)
    assert f"{latency.MEAN_ERROR:.0%}" in latency.BASIS


def milliseconds(name):
    return forecast(blueprint(network(name))).latency.milliseconds


# Published: S 5.1, M 8.7 ms; L recalled as 25.3.
def test_larger_networks_take_longer():
    s, m, l_ = (milliseconds(f"efficientnet-edgetpu-{x}") for x in "SML")
    assert s < m < l_
    assert s < milliseconds("efficientnet-b0")


@pytest.mark.parametrize(("name", "published"), [("S", 5.1), ("M", 8.7)])
def test_the_published_networks(name, published):
    resolved = network(
        f"efficientnet-edgetpu-{name}", classes=1001, fused_stride="project"
    )
    found = forecast(blueprint(resolved, late_stride=True)).latency
    assert found.milliseconds == pytest.approx(published, rel=0.05)


# ai.googleblog.com/2019/08: early layers are faster with full convolutions
# than with depthwise ones, in spite of all that they compute.
@pytest.mark.parametrize("name", ["1a", "2b", "3b", "3c"])
def test_fused_blocks_are_faster_than_depthwise_ones(name):
    resolved = network("efficientnet-edgetpu-S")
    (block,) = [block for block in resolved.blocks if block.name == name]
    assert block.kind == "fused"
    sides = {"1": 112, "2": 56, "3": 28}

    def taken(kind):
        draw = Blueprint()
        side = sides[name[0]]
        x = draw.tensor((1, side, side, block.inputs))
        y = draw.block(x, replace(block, kind=kind, expands=True))
        graph = Graph(tuple(draw.operators), tuple(draw.tensors), (x,), (y,))
        macs = sum(work(each, graph).macs for each in graph.operators)
        model = Model((graph,), "", 3, {}, 0)
        return macs, forecast(model).latency.milliseconds

    (macs, fused), (fewer, depthwise) = taken("fused"), taken("mbconv")
    assert macs > fewer
    assert fused < depthwise


def test_time_is_what_operators_and_usb_take():
    draw = Drawing()
    x = draw.tensor(1, 100, 100, 10)
    x = draw.operator("RELU", [x], [draw.tensor(1, 100, 100, 10)])
    draw.operator("HARD_SWISH", [x], [draw.tensor(1, 100, 100, 10)])
    found = forecast(draw.model()).latency
    # 0.2 M values move on the chip, 0.1 MB go in and 0.1 MB out to the CPU.
    assert found.operators == {0: pytest.approx(0.2 * 0.224)}
    assert found.milliseconds == pytest.approx(0.952 + 0.0448 + 0.2 * 2.0)


# Two walks, by different people's names for things: the operators of the file
# that would be, and the blocks of the table.
@pytest.mark.parametrize(
    "name", [name for name in variants() if "condconv" not in name]
)
def test_the_closed_form_is_the_sum_of_the_operators(name):
    resolved = network(name)
    graph = blueprint(resolved).main
    sizes = memory(
        sum(parameter_bytes(each, graph) for each in graph.operators)
    )
    summed = operators_latency(graph, range(len(graph.operators)), sizes)
    assert latency.milliseconds(resolved) == pytest.approx(
        summed.milliseconds, rel=1e-12
    )


@pytest.mark.parametrize("pixels", [32, 75])
def test_the_closed_form_of_small_images_and_moved_strides(pixels):
    resolved = network(
        "efficientnet-edgetpu-S", pixels=pixels, fused_stride="project"
    )
    graph = blueprint(resolved).main
    sizes = memory(
        sum(parameter_bytes(each, graph) for each in graph.operators)
    )
    summed = operators_latency(graph, range(len(graph.operators)), sizes)
    assert latency.milliseconds(resolved) == pytest.approx(
        summed.milliseconds, rel=1e-12
    )
