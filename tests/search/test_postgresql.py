"""A search on a real server of PostgreSQL, where one is installed."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_searching import COMMAND

pytest.importorskip("psycopg")
SERVER = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"))), None)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(SERVER is None, reason="needs PostgreSQL"),
]
# The server refuses to be root.
USER = "postgres" if os.geteuid() == 0 else None


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of its own; gives its URL."""
    folder = Path(f"/tmp/efficientnet-tf-postgres-{os.getpid()}")
    folder.mkdir()
    if USER:
        shutil.chown(folder, USER)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]

    def call(program: str, *words: str) -> None:
        subprocess.run(
            [str(SERVER / program), "-D", f"{folder}/data", *words],
            check=True,
            user=USER,
            cwd=folder,
            stdout=subprocess.DEVNULL,
        )

    try:
        call("initdb", "--auth=trust", "--username=search")
        options = f"-p {port} -k {folder}"
        call("pg_ctl", "-w", "-l", f"{folder}/log", "-o", options, "start")
        yield f"postgresql://search@localhost:{port}/postgres"
    finally:
        call("pg_ctl", "-m", "immediate", "stop")
        shutil.rmtree(folder)


def test_two_workers_share_a_server(pictures, server, tmp_path):
    begin = [
        *COMMAND,
        "--space=small",
        "--sampler=random",
        "--trials=4",
        "--proxy=synflow",
        f"--data_dir={pictures}",
        f"--storage={server}",
        f"--out={tmp_path}/one",
        "--set=model.pixels=32",
        "--set=train.batch=8",
        "--json",
    ]
    first = subprocess.run(begin, check=True, capture_output=True, text=True)
    assert json.loads(first.stdout)["complete"] == 4
    # Folders of their own, and one study.
    join = [*COMMAND, "--resume", f"--storage={server}", "--trials=8", "--json"]
    workers = [
        subprocess.Popen(
            [*join, f"--out={tmp_path}/{name}"], stdout=subprocess.PIPE
        )
        for name in ("two", "three")
    ]
    for worker in workers:
        said, _ = worker.communicate()
        assert worker.returncode == 0
        assert 8 <= json.loads(said)["complete"] <= 9
    assert not (tmp_path / "one" / "study.db").exists()
