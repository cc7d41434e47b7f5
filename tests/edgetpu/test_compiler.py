"""The compiler step, against programs that say what Google's says."""

from __future__ import annotations

import os
import platform
import time

import pytest

from edgetpu import compiler
from edgetpu.compiler import (
    CompileError,
    compile_model,
    find_compiler,
    how_to_compile,
)
from edgetpu.compiler_log import OperatorRow, parse_output
from efficientnet_tf.errors import InputError

# Printed by version 16.0.384591198, with --show_operations.
PARTLY = """\
Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in 912 ms.

Input model: model.tflite
Input size: 2.87MiB
Output model: model_edgetpu.tflite
Output size: 3.46MiB
On-chip memory used for caching model parameters: 3.86MiB
On-chip memory remaining for caching model parameters: 3.66MiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 3
Total number of operations: 135
Operation log: model_edgetpu.log

Model successfully compiled but not all operations are supported by the \
Edge TPU. A percentage of the model will instead run on the CPU, which is \
slower. If possible, consider updating your model to use only operations \
supported by the Edge TPU. For details, visit g.co/coral/model-reqs.
Number of operations that will run on Edge TPU: 132
Number of operations that will run on CPU: 3

Operator                       Count      Status

PAD                            5          Mapped to Edge TPU
CONV_2D                        127        Mapped to Edge TPU
CONCATENATION                  2          More than one subgraph is not \
supported
ADD                            1          Operation is otherwise supported, \
but not mapped due to some unspecified limitation
Compilation child process completed within timeout period.
Compilation succeeded! 
"""

# The published EfficientNet-EdgeTPU-M, by its compilation log; the memory
# figures are those of S and M compiled together.
WHOLE = """\
Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in 2512 ms.

Input model: m.tflite
Input size: 7.46MiB
Output model: m_edgetpu.tflite
Output size: 8.93MiB
On-chip memory used for caching model parameters: 4.21MiB
On-chip memory remaining for caching model parameters: 256.00B
Off-chip memory used for streaming uncached model parameters: 4259.84KiB
Number of Edge TPU subgraphs: 1
Total number of operations: 86
Operation log: m_edgetpu.log

Operator                       Count      Status

FULLY_CONNECTED                1          Mapped to Edge TPU
DEPTHWISE_CONV_2D              14         Mapped to Edge TPU
CONV_2D                        50         Mapped to Edge TPU
Compilation child process completed within timeout period.
QUANTIZE                       2          Mapped to Edge TPU
SOFTMAX                        1          Mapped to Edge TPUCompilation \
succeeded! 
MEAN                           1          Mapped to Edge TPU
ADD                            17         Mapped to Edge TPU
"""


def copies(file):
    return f"cp '{file}' \"$written\""


def test_parses_a_partly_mapped_model():
    log = parse_output(PARTLY)
    assert log.version == "16.0.384591198"
    assert log.on_chip_used_bytes == round(3.86 * 2**20)
    assert log.on_chip_remaining_bytes == round(3.66 * 2**20)
    assert log.off_chip_bytes == 0
    assert (log.subgraphs, log.operators) == (3, 135)
    assert (log.on_edge_tpu, log.on_cpu) == (132, 3)
    assert log.rows == (
        OperatorRow("PAD", 5, "Mapped to Edge TPU"),
        OperatorRow("CONV_2D", 127, "Mapped to Edge TPU"),
        OperatorRow(
            "CONCATENATION", 2, "More than one subgraph is not supported"
        ),
        OperatorRow(
            "ADD",
            1,
            "Operation is otherwise supported, but not mapped due to some "
            "unspecified limitation",
        ),
    )


def test_parses_a_whole_model_whose_lines_are_mixed():
    log = parse_output(WHOLE)
    assert log.on_chip_remaining_bytes == 256
    assert log.off_chip_bytes == round(4259.84 * 1024)
    assert (log.on_edge_tpu, log.on_cpu, log.operators) == (86, 0, 86)
    assert sum(row.count for row in log.rows) == 86
    assert {row.status for row in log.rows} == {"Mapped to Edge TPU"}


def test_parses_what_older_versions_call_available():
    log = parse_output(
        "On-chip memory available for caching model parameters: 7.85MiB\n"
    )
    assert log.on_chip_remaining_bytes == round(7.85 * 2**20)


def test_parses_nothing_out_of_garbage():
    log = parse_output("\x00\ufffd lorem 12 ipsum\nTotal number of: x\n")
    assert log.rows == ()
    assert log.operators is log.version is log.on_cpu is None


def test_compiles(stand_in, compiled_file):
    program = stand_in(prints=PARTLY, then=copies(compiled_file))
    made = compile_model(program, b"model", "model")
    assert made.content == compiled_file.read_bytes()
    assert made.output == PARTLY
    assert made.log == parse_output(PARTLY)


def test_a_real_compiled_file_is_accepted(stand_in, coral):
    file = coral / "mobilenet_v1_0.25_128_quant-22b67d_edgetpu.tflite"
    made = compile_model(stand_in(then=copies(file)), b"model", "m")
    assert made.content == file.read_bytes()
    assert made.log.operators is None


def test_the_program_gets_the_model(stand_in, compiled_file):
    program = stand_in(then=f'cat "$4"\n{copies(compiled_file)}')
    assert compile_model(program, b"the model", "x").output == "the model"


def test_failure_keeps_the_compilers_words(stand_in, compiled_file):
    words = "Invalid model: model.tflite\nModel not quantized\n"
    # A file does not help where the exit code is bad.
    program = stand_in(prints=words, then=f"{copies(compiled_file)}\nexit 1")
    with pytest.raises(CompileError, match="exit code 1") as caught:
        compile_model(program, b"model", "model")
    assert caught.value.output == words
    assert str(caught.value).endswith("Model not quantized")


def test_standard_error_is_kept_too(stand_in):
    program = stand_in(then="echo 'ERROR: oh no' >&2; exit 3")
    with pytest.raises(CompileError, match="ERROR: oh no"):
        compile_model(program, b"model", "model")


def test_success_without_a_file_is_none(stand_in):
    # The child crashed: version 16 does so silently.
    program = stand_in(prints="Compilation failed! \n")
    with pytest.raises(CompileError, match="left no model_edgetpu.tflite"):
        compile_model(program, b"model", "model")


@pytest.mark.parametrize("content", ["", "TFL3", "0000TFL3"])
def test_a_file_that_is_no_model_is_none(stand_in, content):
    program = stand_in(prints=WHOLE, then=f"printf '{content}' > \"$written\"")
    with pytest.raises(CompileError, match="cannot be read"):
        compile_model(program, b"model", "model")


def test_a_file_without_the_edge_tpu_is_none(stand_in, coral):
    file = coral / "mobilenet_v1_0.25_128_quant-22b67d.tflite"
    with pytest.raises(CompileError, match="nothing of model.tflite"):
        compile_model(stand_in(then=copies(file)), b"model", "model")


def test_garbage_does_not_matter_where_the_file_is_right(
    stand_in, compiled_file
):
    program = stand_in(
        then=f"printf '\\377\\376 7 %% \\0'\n{copies(compiled_file)}"
    )
    made = compile_model(program, b"model", "model")
    assert made.log.rows == ()


def test_a_compiler_that_does_not_end_is_ended(stand_in, tmp_path):
    # The child holds the pipe, as the compiler's does.
    mark = tmp_path / "child"
    program = stand_in(
        prints="Started", then=f"(sleep 60; touch '{mark}') &\nsleep 60"
    )
    begin = time.monotonic()
    with pytest.raises(CompileError, match="within 0.5 seconds") as caught:
        compile_model(program, b"model", "model", timeout_seconds=0.5)
    assert time.monotonic() - begin < 20
    assert caught.value.output == "Started"


def test_a_program_that_cannot_be_run(tmp_path):
    program = tmp_path / "edgetpu_compiler"
    program.write_bytes(b"\x7fELF of another machine")
    program.chmod(0o755)
    with pytest.raises(CompileError, match="cannot be run"):
        compile_model(str(program), b"model", "model")


def test_argument_beats_environment_beats_path(stand_in, tmp_path, monkeypatch):
    in_path = stand_in()
    in_variable = stand_in(name="by_variable")
    given = stand_in(name="given")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_compiler() == in_path
    monkeypatch.setenv("EDGETPU_COMPILER", in_variable)
    assert find_compiler() == in_variable
    assert find_compiler(given) == given
    assert find_compiler("given") == given


def test_no_compiler_is_no_error(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("EDGETPU_COMPILER", raising=False)
    assert find_compiler() is None


def test_a_named_compiler_must_be_there(monkeypatch, tmp_path):
    with pytest.raises(InputError, match="--compiler '/no/where' is no prog"):
        find_compiler("/no/where")
    with pytest.raises(InputError, match="--compiler '' is no program"):
        find_compiler("")
    not_executable = tmp_path / "edgetpu_compiler"
    not_executable.write_text("")
    monkeypatch.setenv("EDGETPU_COMPILER", str(not_executable))
    with pytest.raises(InputError, match="EDGETPU_COMPILER '/"):
        find_compiler()


def test_says_what_to_install_where(monkeypatch):
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    words = how_to_compile("out/m_int8.tflite")
    assert words.startswith("edgetpu_compiler was not found; ")
    assert "Debian package edgetpu-compiler" in words
    assert words.endswith("edgetpu_compiler out/m_int8.tflite")
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    words = how_to_compile("m.tflite")
    assert "on x86-64 Linux only, not on Linux aarch64" in words
    assert len(words.splitlines()) == 1


@pytest.mark.compiler
def test_googles_compiler(lite):
    program = find_compiler()
    if program is None:
        pytest.skip("needs Google's edgetpu_compiler")
    made = compile_model(program, lite.content, "lite")
    assert made.log.on_cpu == 0


def test_nothing_is_left_behind(stand_in, compiled_file, monkeypatch, tmp_path):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(compiler.tempfile, "tempdir", str(folder))
    compile_model(stand_in(then=copies(compiled_file)), b"model", "model")
    assert os.listdir(folder) == []
