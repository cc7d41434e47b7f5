"""The very step function, traced under a genuine TPUStrategy.

Nothing runs on a TPU. The strategy stands on a made-up topology of sixteen
cores, which is enough to trace what would run, and TensorFlow's own bridge
then says whether a TPU would take it: it refuses host operators in a replica.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# In a process of its own: the made-up TPU stays in TensorFlow's globals.
PROGRAM = """
import collections, json, sys
import tensorflow as tf
from efficientnet_tf.networks import families
from efficientnet_tf.networks.stages import Family, Stage, Variant
from efficientnet_tf.tpu.pretended import pretended_tpu
from efficientnet_tf.training.config_files import override
from efficientnet_tf.training.config import Config
from efficientnet_tf.training.details import count_details
from efficientnet_tf.training.lease import Lease
from efficientnet_tf.training.loop import _Training
from efficientnet_tf.training.batches import training_batches
from efficientnet_tf.training.run import open_run
from efficientnet_tf.training.step import make_train_call
from efficientnet_tf.training.stops import Stops

strategy = pretended_tpu(16)

stages = (Stage("mbconv", 1, 3, 2, 2, 8, se=0.25),
          Stage("mbconv", 1, 3, 1, 2, 8, se=0.25))
family = Family(stages, "swish", families.IMAGENET, stem=8, head=16)
families.VARIANTS["tiny"] = Variant(family, 1.0, 1.0, 32, 0.2)
config = override(Config(), [
    "model.name=tiny", f"data.dir={sys.argv[1]}", "train.batch=64",
    *sys.argv[3:]])
training = _Training(
    open_run(config, sys.argv[2]), strategy, Lease(), Stops())
run = training._run
call = make_train_call(
    training._state, run.network, run.config.train, training._plan, strategy)
batches = iter(training_batches(run, strategy, start=0, dtype=tf.bfloat16))
evaluate = training._evaluate
# Details have the scores of an evaluation in them.
details = evaluate._make_call(training._state.averaged, count_details)
calls = {
    "train": call.get_concrete_function(batches, tf.constant(1)),
    "evaluate": details.get_concrete_function(
        iter(evaluate._batches), tf.constant(1)),
}
found = {"policy": training._policy}
for name, traced in calls.items():
    graph = traced.graph.as_graph_def()
    nodes = collections.Counter(node.op for node in graph.node)
    for function in graph.library.function:
        nodes.update(node.op for node in function.node_def)
    lowered = tf.mlir.experimental.convert_function(
        traced, pass_pipeline="tf-replicated-clustering-bridge-v2")
    found[name] = {"sums": nodes["CrossReplicaSum"],
                   "updates": nodes["ResourceApplyRMSProp"],
                   "depthwise": nodes["DepthwiseConv2dNative"],
                   "clusters": lowered.count("tf_device.cluster_func")}
found["weights"] = len(training._state.model.trainable_variables)
found["batch_norms"] = sum(
    weight.path.endswith("gamma") for weight in training._state.model.weights)
print(json.dumps(found))
"""


def trace(data, folder, *settings):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(data), str(folder), *settings],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def traced(squares_dir, tmp_path_factory):
    return trace(squares_dir, tmp_path_factory.mktemp("run"))


def test_a_tpu_computes_in_bfloat16(traced):
    assert traced["policy"] == "mixed_bfloat16"


def test_one_exchange_for_each_gradient_and_batch_norm(traced):
    # Each gradient and the loss once; each batch norm's statistics once
    # forward and once backward.
    expected = traced["weights"] + 1 + 2 * traced["batch_norms"]
    assert traced["train"]["sums"] == expected
    assert traced["train"]["updates"] == traced["weights"]


@pytest.mark.parametrize("call", ["train", "evaluate"])
def test_the_bridge_makes_one_program_of_a_replica(traced, call):
    assert traced[call]["clusters"] >= 1


@pytest.mark.slow
def test_microbatches_that_are_computed_twice_in_groups_of_batch_norm(
    traced, squares_dir, tmp_path
):
    found = trace(
        squares_dir,
        tmp_path,
        "train.microbatches=2",
        "train.remat=true",
        "train.sync_batch_norm=original",
        "train.clip_norm=1.0",
    )
    # Of the two groups of eight the statistics travel once more, where a block
    # is computed for the second time; gradients only at the end of a step.
    batch_norms = found["batch_norms"]
    assert found["train"]["sums"] == found["weights"] + 1 + 3 * batch_norms
    assert found["train"]["updates"] == found["weights"]
    assert found["train"]["depthwise"] == 2 * traced["train"]["depthwise"]
    assert found["train"]["clusters"] == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "optimizer", ["momentum", "sgd", "lars", "adamw", "lamb"]
)
def test_the_bridge_takes_every_optimizer(squares_dir, tmp_path, optimizer):
    found = trace(
        squares_dir,
        tmp_path,
        f"train.optimizer={optimizer}",
        "train.sync_batch_norm=off",
    )
    # Without sharing, only what the moving statistics need.
    expected = found["weights"] + 1 + found["batch_norms"]
    assert found["train"]["sums"] == expected
    assert found["train"]["updates"] == 0
