"""The verb `compile`: files in, files for the Edge TPU out, or a clear line."""

from __future__ import annotations

import json
import os

import pytest

from edgetpu import __main__ as command_line
from edgetpu.compile_files import compile_files
from edgetpu.compiler import CompileError
from edgetpu.compiler_options import CompilerOptions
from edgetpu.find_compiler import Compiler, CompilerMissing
from efficientnet_tf.errors import InputError, RunError

pytestmark = pytest.mark.usefixtures("no_compiler")

SAID = """\
Edge TPU Compiler version {version}
Input model: {stem}.tflite
Output model: {stem}_edgetpu.tflite
On-chip memory used for caching model parameters: 1.50KiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Total number of operations: 3

Operator                       Count      Status

RELU                           2          Mapped to Edge TPU
RESIZE_BILINEAR                1          Operation version not supported
"""


@pytest.fixture
def file(tmp_path, model):
    path = tmp_path / "in" / "relu.tflite"
    path.parent.mkdir()
    path.write_bytes(model)
    return path


@pytest.fixture
def works(stand_in, compiled_file):
    return stand_in(
        prints=SAID.format(version="16.0.384591198", stem="relu"),
        then=f"cp '{compiled_file}' \"$written\"",
    )


def compile_one(path, program, out=None, **options):
    return compile_files(
        [str(path)], out, Compiler((program,)), CompilerOptions(**options)
    )


def run(capsys, *arguments):
    code = command_line.main(["compile", *map(str, arguments)])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_compiles_beside_the_file(file, works, compiled_file, model):
    made = compile_one(file, works)
    assert sorted(os.listdir(file.parent)) == [
        "relu.tflite",
        "relu_edgetpu.log",
        "relu_edgetpu.tflite",
    ]
    assert file.read_bytes() == model
    compiled = file.parent / "relu_edgetpu.tflite"
    assert compiled.read_bytes() == compiled_file.read_bytes()
    (told,) = made.files
    assert (told.file, told.bytes) == (compiled.name, compiled.stat().st_size)
    assert (told.log.on_edge_tpu, told.log.on_cpu) == (2, 1)
    assert made.cautions == ()


def test_command_line(file, works, tmp_path, capsys):
    out = tmp_path / "not" / "yet"
    code, shown, _ = run(capsys, file, f"--compiler={works}", f"--out={out}")
    assert code == 0
    for words in (
        "relu_edgetpu.tflite in",
        "2 on the Edge TPU, 1 on the CPU",
        "1.50 KiB on chip, 0 B streamed",
        "1 on the CPU: Operation version not supported",
    ):
        assert words in shown
    assert sorted(os.listdir(out)) == [
        "relu_edgetpu.log",
        "relu_edgetpu.tflite",
    ]
    said = (out / "relu_edgetpu.log").read_text()
    assert said == SAID.format(version="16.0.384591198", stem="relu")


def test_command_line_json(file, works, capsys):
    code, shown, _ = run(
        capsys, file, f"--compiler={works}", "--json", "--timeout_seconds=9"
    )
    assert code == 0
    told = json.loads(shown)
    assert told["compiler"] == works
    assert told["flags"] == ["-t", "9"]
    assert told["folder"] == str(file.parent)
    assert told["files"][0]["log"]["on_chip_used_bytes"] == 1536
    assert told["files"][0]["log"]["rows"][1] == {
        "operator": "RESIZE_BILINEAR",
        "count": 1,
        "status": "Operation version not supported",
    }
    assert (told["attempts"], told["segments"]) == ([], [])


def test_without_a_compiler(file, capsys, model):
    code, shown, said = run(capsys, file, "--search_delegate")
    assert (code, shown) == (3, "")
    assert len(said.splitlines()) == 1
    assert said.startswith("edgetpu: edgetpu_compiler ")
    assert "coral-edgetpu-stable" in said
    # The very command, to be copied.
    assert said.rstrip().endswith(
        f"edgetpu_compiler -d -o {file.parent} {file}"
    )
    assert os.listdir(file.parent) == ["relu.tflite"]
    assert file.read_bytes() == model


def test_without_a_compiler_json(file, capsys):
    code, shown, said = run(capsys, file, "--json")
    told = json.loads(shown)
    assert (code, told["files"], told["failures"]) == (3, [], [])
    assert said == f"edgetpu: {told['error']}\n"


def test_a_float_model_is_told_even_without_a_compiler(
    tmp_path, float_model, capsys
):
    path = tmp_path / "float.tflite"
    path.write_bytes(float_model)
    code, _, said = run(capsys, path)
    assert code == 3
    assert "float.tflite is forecast not to compile: no operator works" in said
    assert "python -m edgetpu export" in said


def test_a_failure_is_explained_and_leaves_nothing(
    file, stand_in, capsys, tmp_path
):
    program = stand_in(then="echo Model not quantized; exit 1")
    out = tmp_path / "out"
    arguments = (file, f"--compiler={program}", f"--out={out}")
    code, shown, said = run(capsys, *arguments)
    assert (code, shown) == (1, "")
    first, last = said.splitlines()
    assert "exit code 1: float operators are left" in first
    assert "python -m edgetpu export" in first
    assert last == "Model not quantized"
    assert os.listdir(out) == []

    code, shown, _ = run(capsys, *arguments, "--json")
    told = json.loads(shown)
    assert (code, told["files"]) == (1, [])
    (failure,) = told["failures"]
    assert failure["message"] == "Model not quantized"
    assert failure["cure"].startswith("convert to full-integer")
    assert told["output"] == "Model not quantized\n"


def test_several_files_are_compiled_together(
    tmp_path, stand_in, compiled_file, model
):
    for name in "ab":
        (tmp_path / f"{name}.tflite").write_bytes(model)
    program = stand_in(
        prints=SAID.format(version="16.0.384591198", stem="a")
        + SAID.format(version="16.0.384591198", stem="b"),
        then=f"for model in $models; do cp '{compiled_file}' "
        '"$(basename $model .tflite)_edgetpu.tflite"; done',
    )
    paths = [str(tmp_path / "b.tflite"), str(tmp_path / "a.tflite")]
    made = compile_files(
        paths, str(tmp_path / "out"), Compiler((program,)), CompilerOptions()
    )
    # In the order that was given, which is the chip's.
    assert [file.file for file in made.files] == [
        "b_edgetpu.tflite",
        "a_edgetpu.tflite",
    ]
    assert [file.log.input_model for file in made.files] == [
        "b.tflite",
        "a.tflite",
    ]
    assert made.cautions == ()


def test_models_too_many_for_one_chip_are_told(
    stand_in, compiled_file, coral, tmp_path, monkeypatch
):
    monkeypatch.setattr("edgetpu.compile_files.CACHE_BYTES", 600_000)
    stems = ("mobilenet_v1_0.25_128_quant-22b67d", "dense_256-a3db31")
    program = stand_in(
        then="for model in $models; do cp "
        f"'{compiled_file}' \"$(basename $model .tflite)_edgetpu.tflite\"; done"
    )
    made = compile_files(
        [str(coral / f"{stem}.tflite") for stem in stems],
        str(tmp_path / "out"),
        Compiler((program,)),
        CompilerOptions(),
    )
    # 540,800 and 67,584 bytes, as docs/coral.md has them.
    (caution,) = made.cautions
    assert "about 0.58 MiB of parameters" in caution


def test_segments_come_with_what_a_cpu_runs(
    file, stand_in, compiled_file, model, tmp_path
):
    program = stand_in(
        then="for i in 0 1; do\n"
        'cp "$model" "${stem}_segment_${i}_of_2.tflite"\n'
        f"cp '{compiled_file}' \"${{stem}}_segment_${{i}}_of_2_edgetpu.tflite\""
        "\ndone"
    )
    out = tmp_path / "out"
    made = compile_one(file, program, str(out), num_segments=2)
    assert made.segments == (
        "relu_segment_0_of_2.tflite",
        "relu_segment_1_of_2.tflite",
    )
    assert all((out / name).read_bytes() == model for name in made.segments)
    assert len(os.listdir(out)) == 6


def test_an_older_compiler_is_told(file, stand_in, compiled_file):
    program = stand_in(
        prints=SAID.format(version="15.0.340273435", stem="relu"),
        then=f"cp '{compiled_file}' \"$written\"",
    )
    (caution,) = compile_one(file, program).cautions
    assert "compiler 15.0.340273435 is not the newest" in caution


def test_what_the_forecast_holds_against_a_file_is_told_all_the_same(
    tmp_path, float_model, works
):
    path = tmp_path / "relu.tflite"
    path.write_bytes(float_model)
    (caution,) = compile_one(path, works).cautions
    assert "forecast not to compile" in caution


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"a picture, say", "without the mark"),
        (None, "cannot be read: No such file"),
    ],
)
def test_files_that_are_no_models(tmp_path, works, capsys, content, words):
    path = tmp_path / "file.tflite"
    if content is not None:
        path.write_bytes(content)
    code, _, said = run(capsys, path, f"--compiler={works}")
    assert code == 2
    assert str(path) in said and words in said
    assert len(said.splitlines()) == 1


def test_a_truncated_file_is_refused(file, works, model):
    file.write_bytes(model[: len(model) // 2])
    with pytest.raises(InputError, match="relu.tflite: .* cut off or damaged"):
        compile_one(file, works)


def test_a_compiled_file_is_refused(compiled_file, works):
    with pytest.raises(InputError, match="model_edgetpu.*compiled.*already"):
        compile_one(compiled_file, works)


def test_two_files_of_one_name_are_refused(file, works, tmp_path, model):
    (tmp_path / "relu.tflite").write_bytes(model)
    with pytest.raises(InputError, match="two files are named relu"):
        compile_files(
            [str(file), str(tmp_path / "relu.tflite")],
            None,
            Compiler((works,)),
            CompilerOptions(),
        )


def test_a_folder_that_cannot_be_made(file, works, tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("")
    with pytest.raises(InputError, match="--out .*taken/x cannot be made"):
        compile_one(file, works, str(taken / "x"))


def test_a_full_disk_leaves_nothing_half_written(
    file, works, monkeypatch, tmp_path
):
    def full(path, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("edgetpu.compile_files.os.replace", full)
    out = tmp_path / "out"
    with pytest.raises(RunError, match="No space left on device; make room"):
        compile_one(file, works, str(out))
    assert os.listdir(out) == []


def test_an_earlier_file_outlives_a_failure(file, works, stand_in):
    compile_one(file, works)
    before = (file.parent / "relu_edgetpu.tflite").read_bytes()
    fails = stand_in(then="exit 1", name="fails")
    with pytest.raises(CompileError):
        compile_one(file, fails)
    assert (file.parent / "relu_edgetpu.tflite").read_bytes() == before


def test_missing_is_an_error_of_its_own(file):
    with pytest.raises(CompilerMissing) as caught:
        compile_files([str(file)], None, None, CompilerOptions())
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "compile needs a file"),
        (["a.tflite", "--min_runtime_version=15"], "take 10 to 14"),
        (["a.tflite", "--num_segments=1"], "at least 2"),
        (["a.tflite", "--delegate_search_step=2"], "search_delegate"),
        (["a.tflite", "--multiple_subgraph"], "unknown flag"),
        (["a.tflite", "--calibration_images=3"], "compile knows no"),
        (["a.tflite", "--compiler=/no/where"], "is no program"),
    ],
)
def test_mistakes(capsys, arguments, words):
    code, shown, said = run(capsys, *arguments)
    assert (code, shown) == (2, "")
    assert words in said
    assert len(said.splitlines()) == 1
