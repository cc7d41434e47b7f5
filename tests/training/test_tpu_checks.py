"""The facts of a TPU VM, laid out in a folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from efficientnet_tf.errors import RunError
from efficientnet_tf.training.tpu_checks import check_local, within

NOBODY = 65534
HOLDER = """
import fcntl, sys
with open(sys.argv[1], "w") as file:
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def vm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A TPU VM's /dev and /tmp, with the wheels' metadata installed.

    Everybody may enter it, which is not so of pytest's folders.
    """
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    (folder / "dev").mkdir()
    (folder / "dev" / "accel0").touch()
    install(folder, "tensorflow-tpu", "2.20.0")
    install(folder, "libtpu", "0.0.21")
    monkeypatch.syspath_prepend(str(folder))
    for name in ("TPU_LOAD_LIBRARY", "TPU_LIBRARY_PATH"):
        monkeypatch.delenv(name, raising=False)
    yield folder
    shutil.rmtree(folder)


def install(folder: Path, name: str, version: str) -> None:
    where = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    where.mkdir()
    (where / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    )


def check(folder: Path) -> None:
    check_local(str(folder / "dev"), str(folder / "lock"))


def test_nothing_is_missing(vm: Path) -> None:
    check(vm)
    (vm / "dev" / "accel0").unlink()
    (vm / "dev" / "vfio").mkdir()
    (vm / "dev" / "vfio" / "0").touch()
    check(vm)


def test_no_tpu(vm: Path) -> None:
    (vm / "dev" / "accel0").unlink()
    # The driver is there without a device.
    (vm / "dev" / "vfio").mkdir()
    (vm / "dev" / "vfio" / "vfio").touch()
    with pytest.raises(RunError, match=r"--tpu=local: no TPU is attached"):
        check(vm)


def test_a_device_that_is_not_ours(vm: Path) -> None:
    (vm / "dev" / "accel0").chmod(0o600)
    if os.geteuid():
        (vm / "dev" / "accel0").chmod(0)
        with pytest.raises(RunError, match="must not be used by you"):
            check(vm)
        return
    os.seteuid(NOBODY)
    try:
        with pytest.raises(RunError, match=rf"mode 600, .* you are {NOBODY}"):
            check(vm)
    finally:
        os.seteuid(0)


def test_the_plain_wheel() -> None:
    with pytest.raises(RunError, match=r"pip install -e '\.\[tpu\]'"):
        check_local()


def test_a_libtpu_that_would_abort(vm: Path) -> None:
    shutil.rmtree(vm / "libtpu-0.0.21.dist-info")
    install(vm, "libtpu", "0.0.52")
    with pytest.raises(RunError, match=r"0\.0\.52 .* libtpu==0\.0\.21"):
        check(vm)


def test_no_libtpu(vm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(vm / "libtpu-0.0.21.dist-info")
    # The one that compiles for rehearsals, if it is installed here.
    monkeypatch.setattr(sys, "path", [str(vm)])
    with pytest.raises(RunError, match="libtpu is not installed"):
        check(vm)
    monkeypatch.setenv("TPU_LIBRARY_PATH", "/somewhere/libtpu.so")
    check(vm)
    monkeypatch.setenv("TPU_LOAD_LIBRARY", "0")
    with pytest.raises(RunError, match="unset it"):
        check(vm)


def test_another_process_has_the_tpu(vm: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(vm / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunError, match=rf"process {holder.pid} \(python"):
            check(vm)
        holder.communicate("")
    check(vm)


def test_our_own_lock_is_left_alone(vm: Path) -> None:
    import fcntl

    with open(vm / "lock", "w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        check(vm)
        tried = subprocess.run(
            [sys.executable, "-c", HOLDER, str(vm / "lock")],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
    assert "BlockingIOError" in tried.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_a_lock_that_another_user_left(vm: Path) -> None:
    (vm / "dev" / "accel0").chmod(0o666)
    (vm / "lock").touch(0o644)
    os.seteuid(NOBODY)
    try:
        with pytest.raises(RunError, match="was left by user 0, .*; sudo rm"):
            check(vm)
    finally:
        os.seteuid(0)


def test_what_takes_too_long_is_left() -> None:
    import time

    with pytest.raises(TimeoutError):
        within(0.1, lambda: time.sleep(0.5))
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 / 0)
    assert within(5, lambda: 3) == 3
