"""Apache Beam's local runner gives the bytes of the pool of processes."""

import sys
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from efficientnet_tf.data import prepare as module
from efficientnet_tf.data.beam import new_pipeline, run_beam
from efficientnet_tf.data.prepare import prepare
from efficientnet_tf.data.shards import make_shard
from efficientnet_tf.errors import InputError, RunError


@pytest.fixture
def beam():
    return pytest.importorskip(
        "apache_beam", reason="needs Apache Beam, of the extra `prepare`"
    )


@pytest.fixture
def source(tmp_path):
    root = tmp_path / "pictures"
    for name, count in (("ant", 12), ("bee", 9)):
        (root / name).mkdir(parents=True)
        for i in range(count):
            image = Image.new("RGB", (12, 10), (10 * i, 255 - 10 * i, 40))
            image.save(root / name / f"{i}.png")
    return root


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.filterwarnings("ignore")
def test_the_same_bytes(beam, source, tmp_path):
    prepare(
        str(source), str(tmp_path / "1" / "out"), shards=5, runner="processes"
    )
    prepare(
        str(source),
        str(tmp_path / "2" / "out"),
        shards=5,
        runner="DirectRunner",
        beam_options=["--direct_running_mode=in_memory"],
    )
    made = contents(tmp_path / "1" / "out")
    assert len(made) == 8
    assert contents(tmp_path / "2" / "out") == made


@pytest.mark.filterwarnings("ignore")
def test_it_goes_on_with_what_another_runner_began(
    beam, source, tmp_path, monkeypatch
):
    prepare(
        str(source), str(tmp_path / "1" / "out"), shards=5, runner="processes"
    )
    out = tmp_path / "2" / "out"
    left = iter(range(3))

    def make_some(*arguments):
        next(left)
        make_shard(*arguments)

    with monkeypatch.context() as patch, pytest.raises(StopIteration):
        patch.setattr(module, "make_shard", make_some)
        prepare(str(source), str(out), shards=5, runner="processes")
    kept = {path: path.stat().st_ino for path in out.glob("train-*")}
    assert len(kept) == 3
    prepare(str(source), str(out), shards=5, runner="DirectRunner")
    assert contents(out) == contents(tmp_path / "1" / "out")
    assert {path: path.stat().st_ino for path in kept} == kept


@pytest.mark.filterwarnings("ignore")
def test_broken_pictures_are_named(beam, source, tmp_path):
    (source / "ant" / "3.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match="1 pictures .*\n.*3.png is not a"):
        prepare(
            str(source), str(tmp_path / "out"), runner="DirectRunner", shards=3
        )
    assert contents(tmp_path / "out") == {}


def fail(where: str, name: str) -> None:
    raise ValueError(f"{name} in {where}")


@pytest.mark.filterwarnings("ignore")
def test_a_pipeline_that_fails(beam):
    with pytest.raises(RunError, match="DirectRunner failed: .*b in a"):
        pipeline = new_pipeline("DirectRunner", [])
        run_beam(partial(fail, "a"), ["b"], pipeline, "DirectRunner")


@pytest.mark.filterwarnings("ignore")
def test_a_runner_that_is_none(beam):
    with pytest.raises(InputError, match="runner MyRunner: "):
        new_pipeline("MyRunner", [])


@pytest.mark.filterwarnings("ignore")
def test_options_reach_the_runner(beam):
    """Dataflow asks for a project and a place before it does anything."""
    with pytest.raises(
        InputError, match="(?s)runner DataflowRunner: .*project"
    ):
        new_pipeline("DataflowRunner", [])
    with pytest.raises(InputError, match="temp_location|region|staging"):
        new_pipeline(
            "DataflowRunner",
            ["--project=mine", "--temp_location=no-bucket"],
        )


def test_without_beam_it_says_what_to_install(source, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(InputError, match=r"needs apache_beam: .*\[prepare\]"):
        prepare(str(source), str(tmp_path / "out"), runner="DirectRunner")
    assert not (tmp_path / "out").exists()
