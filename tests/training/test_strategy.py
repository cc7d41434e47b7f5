"""The devices of a run, by real sockets, servers and processes."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from efficientnet_tf.errors import InputError, RunError
from efficientnet_tf.training.cluster import Cluster, await_peers, read_cluster
from efficientnet_tf.training.strategy import (
    agreed,
    describe_devices,
    host_count,
    is_chief,
    make_strategy,
    policy,
)

ROOT = Path(__file__).parents[2]
SOON = 30


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes connections and says nothing."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def free_ports(count: int) -> list[int]:
    servers = [socket.create_server(("", 0)) for _ in range(count)]
    ports = [int(server.getsockname()[1]) for server in servers]
    for server in servers:
        server.close()
    return ports


def refused(address: str) -> str:
    """What make_strategy says of an address, in one line and soon."""
    began = time.monotonic()
    with pytest.raises(RunError) as caught:
        make_strategy(address)
    assert time.monotonic() - began < SOON
    said = str(caught.value)
    assert said.startswith(f"--tpu={address}")
    assert "\n" not in said
    return said


def test_without_accelerators_it_is_the_cpu() -> None:
    strategy = make_strategy("")
    assert strategy is tf.distribute.get_strategy()
    assert describe_devices(strategy) == "1 x CPU"
    assert policy("auto", strategy) == "float32"
    assert policy("bfloat16", strategy) == "mixed_bfloat16"


def test_one_process_is_the_chief_and_agrees_with_itself(mirrored: Any) -> None:
    for strategy in (make_strategy(""), mirrored):
        assert is_chief(strategy)
        assert host_count(strategy) == 1
        assert agreed(strategy, True)
        assert not agreed(strategy, False)
    assert describe_devices(mirrored) == "2 x CPU"


# TPUs by address and by name.


@pytest.mark.parametrize(
    "address", ["grpc://127.0.0.1:1", "grpc://nowhere.invalid:8470"]
)
def test_an_address_that_does_not_answer_is_said_soon(address: str) -> None:
    assert "does not answer" in refused(address)


def test_a_server_that_says_nothing(silent: str) -> None:
    assert "it is no gRPC server" in refused(f"grpc://{silent}")


def test_every_address_is_asked(silent: str) -> None:
    server = tf.distribute.Server.create_local_server()
    assert "no gRPC server" in refused(f"{server.target},{silent}")


def test_a_server_without_a_tpu() -> None:
    """TensorFlow stays connected to it: so in a process of its own."""
    program = (
        "import tensorflow as tf, sys\n"
        "from efficientnet_tf import command_line\n"
        "from efficientnet_tf.training.strategy import make_strategy\n"
        "server = tf.distribute.Server.create_local_server()\n"
        "sys.exit(command_line.run('main.py',"
        " lambda: make_strategy(server.target)))\n"
    )
    done = run_program(program)
    assert done.returncode == 1
    (line,) = [x for x in done.stderr.splitlines() if x.startswith("main.py")]
    assert "--tpu=grpc://localhost:" in line
    assert "the server there has no TPU" in line


@pytest.mark.parametrize("address", ["grpc://10.0.0.2:port", "grpc://"])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(InputError, match=r"must look like grpc://10\.0\.0\.2"):
        make_strategy(address)


class _Metadata(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        words = {
            "/computeMetadata/v1/project/project-id": "mine",
            "/computeMetadata/v1/instance/zone": "projects/7/zones/here-b",
        }
        assert self.headers["Metadata-Flavor"] == "Google"
        self.send_response(200)
        self.send_header("Metadata-Flavor", "Google")
        self.end_headers()
        self.wfile.write(words[self.path].encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


def test_a_name_where_nobody_knows_names(
    monkeypatch: pytest.MonkeyPatch, silent: str
) -> None:
    for host in ("127.0.0.1:1", silent):
        monkeypatch.setenv("GCE_METADATA_HOST", host)
        said = refused("v3-32")
        assert "cannot ask Google Cloud for a TPU of that name" in said
        assert host in said
        assert "on a TPU VM use --tpu=local" in said


def test_a_name_without_the_packages_that_look_it_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with HTTPServer(("127.0.0.1", 0), _Metadata) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        host = f"127.0.0.1:{server.server_port}"
        monkeypatch.setenv("GCE_METADATA_HOST", host)
        said = refused("v3-32")
        server.shutdown()
        thread.join()
    assert "pip install -e '.[tpu]'" in said


# Several hosts.


def tf_config(
    ports: Sequence[int], index: int, job: str = "worker"
) -> dict[str, Any]:
    addresses = [f"127.0.0.1:{port}" for port in ports]
    return {
        "cluster": {job: addresses},
        "task": {"type": job, "index": index},
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not JSON"),
        ("[1]", r"must be a JSON object, not \[1\]"),
        ('{"cluster": []', "is not JSON"),
        ('{"cluster": ["a:1"]}', "cluster must be a JSON object"),
        ('{"cluster": {"wroker": ["a:1"]}}', "did you mean worker"),
        ('{"cluster": {"ps": ["a:1"], "worker": ["b:1"]}}', "cluster has 'ps'"),
        ('{"cluster": {"worker": "a:1"}}', "cluster.worker must be a list"),
        ('{"cluster": {"worker": []}}', "cluster.worker must be a list"),
        ('{"cluster": {"worker": ["a"]}}', "'a', which is no host:port"),
        ('{"cluster": {"worker": ["a:99999"]}}', "no host:port"),
        ('{"cluster": {"worker": ["a:1", "a:1"]}}', "cluster has a:1 twice"),
        ('{"cluster": {"chief": ["a:1", "b:1"]}}', "more than one chief"),
        ('{"cluster": {"worker": ["a:1"]}}', "task must be a JSON object"),
        (
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "chief", '
            '"index": 0}}',
            "task.type 'chief' must be worker",
        ),
        (
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", '
            '"index": 1}}',
            "task.index 1 must be 0 to 0",
        ),
        (
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", '
            '"index": "0"}}',
            "task.index '0' must be 0 to 0",
        ),
    ],
)
def test_a_malformed_tf_config(
    monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match=says) as caught:
        make_strategy("")
    assert str(caught.value).startswith("TF_CONFIG: ")


@pytest.mark.parametrize(
    "text", ["", " ", "{}", '{"cluster": {}}', json.dumps(tf_config([5], 0))]
)
def test_a_tf_config_of_one_host(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    assert make_strategy("") is tf.distribute.get_strategy()


def test_the_chief_comes_first() -> None:
    config = {
        "cluster": {"worker": ["a:1", "b:1"], "chief": ["c:1"]},
        "task": {"type": "worker", "index": 0},
    }
    cluster = read_cluster(json.dumps(config))
    assert cluster == Cluster(("c:1", "a:1", "b:1"), 1)
    assert cluster.peers == ("c:1", "b:1")


def test_a_peer_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    own, peer = free_ports(2)
    config = tf_config([own, peer], 0)
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    with pytest.raises(
        RunError, match=rf"127\.0\.0\.1:{peer} does not answer \(connection"
    ):
        make_strategy("", peer_seconds=1)


def test_a_peer_may_come_later() -> None:
    ports = free_ports(2)
    addresses = tuple(f"127.0.0.1:{port}" for port in ports)
    first = threading.Thread(
        target=await_peers, args=(Cluster(addresses, 0), 20)
    )
    first.start()
    time.sleep(1)
    assert first.is_alive()
    await_peers(Cluster(addresses, 1), 20)
    # As TensorFlow's server would.
    with closing(socket.create_server(("", ports[1]))):
        first.join()


def test_a_port_that_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(socket.create_server(("", 0))) as server:
        ports = [server.getsockname()[1], 1]
        config = json.dumps(tf_config(ports, 0))
        monkeypatch.setenv("TF_CONFIG", config)
        with pytest.raises(InputError, match="address already in use"):
            make_strategy("", peer_seconds=1)


def test_several_hosts_come_before_everything_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tf.constant(1) + 1
    own, peer = free_ports(2)
    config = json.dumps(tf_config([own, peer], 0))
    monkeypatch.setenv("TF_CONFIG", config)
    with (
        closing(socket.create_server(("", peer))),
        pytest.raises(RunError, match="call make_strategy first"),
    ):
        make_strategy("")
    assert tf.distribute.get_strategy().num_replicas_in_sync == 1


# What two processes do together; the second one is asked to stop.
TOGETHER = """
import json, sys
import tensorflow as tf
from efficientnet_tf.training.strategy import (
    agreed, describe_devices, is_chief, make_strategy)

strategy = make_strategy("", peer_seconds=60)
with strategy.scope():
    total = tf.Variable(0.0)

@tf.function
def add(number):
    def replica_step(number):
        context = tf.distribute.get_replica_context()
        total.assign_add(context.all_reduce("SUM", tf.identity(number)))
    for _ in tf.range(3):
        strategy.run(replica_step, args=(number,))

add(tf.constant(1.0 if is_chief(strategy) else 10.0))
print(json.dumps({
    "devices": describe_devices(strategy),
    "chief": is_chief(strategy),
    "total": float(total.numpy()),
    "agreed": [agreed(strategy, not is_chief(strategy)),
               agreed(strategy, False)],
}))
"""


def run_program(
    program: str, config: dict[str, Any] | None = None
) -> subprocess.CompletedProcess[str]:
    (done,) = run_programs(program, [config])
    return done


def run_programs(
    program: str, configs: Sequence[dict[str, Any] | None]
) -> list[subprocess.CompletedProcess[str]]:
    """Runs a program in processes, one for each TF_CONFIG, at a time."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        # AutoGraph wants to read the source.
        file = Path(folder) / "program.py"
        file.write_text(program)
        processes = []
        for config in configs:
            environment = os.environ | {"PYTHONPATH": str(ROOT)}
            if config:
                environment["TF_CONFIG"] = json.dumps(config)
            process = subprocess.Popen(
                [sys.executable, str(file)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=environment,
            )
            processes.append(stack.enter_context(process))
            # Last in, first out: before the wait for its end.
            stack.callback(process.kill)
        done = []
        for process in processes:
            out, err = process.communicate(timeout=240)
            done.append(
                subprocess.CompletedProcess("", process.returncode, out, err)
            )
    return done


def test_two_hosts_add_up_and_agree() -> None:
    ports = free_ports(2)
    found = []
    for done in run_programs(TOGETHER, [tf_config(ports, n) for n in (0, 1)]):
        assert done.returncode == 0, done.stderr
        found.append(json.loads(done.stdout))
    for answer in found:
        assert answer["devices"] == "2 hosts x 1 CPU"
        assert answer["total"] == 33.0
        assert answer["agreed"] == [True, False]
    assert [answer["chief"] for answer in found] == [True, False]


# The second one dies; the first one trains on.
ALONE = """
import os, sys, time
import tensorflow as tf
from efficientnet_tf import command_line
from efficientnet_tf.training.failures import device_errors
from efficientnet_tf.training.strategy import is_chief, make_strategy

def work():
    strategy = make_strategy("", peer_seconds=60)

    @tf.function
    def add():
        return strategy.reduce("SUM", strategy.run(lambda: tf.constant(1.0)),
                               axis=None)

    for step in range(1000):
        with device_errors(f"training after step {step}", shared=True):
            add()
        if step == 3 and not is_chief(strategy):
            os._exit(9)
        time.sleep(0.1)

sys.exit(command_line.run("main.py", work))
"""


@pytest.mark.slow
def test_a_worker_that_is_gone_is_said() -> None:
    ports = free_ports(2)
    chief, worker = run_programs(ALONE, [tf_config(ports, n) for n in (0, 1)])
    assert worker.returncode == 9
    assert chief.returncode == 1
    (line,) = [x for x in chief.stderr.splitlines() if x.startswith("main.py")]
    assert re.search(r"after step \d+: a worker is gone \(", line)
