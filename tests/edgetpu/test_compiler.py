"""The compiler step, against programs that say what Google's says."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import pytest

from edgetpu import compiler
from edgetpu.compiler import CompileError, compile_models
from edgetpu.compiler_log import (
    Attempt,
    OperatorRow,
    parse_attempts,
    parse_output,
)
from edgetpu.compiler_options import CompilerOptions
from edgetpu.find_compiler import Compiler, find_compiler, how_to_compile
from edgetpu.known_failures import explained
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


# The log that version 16.0 wrote beside the published EfficientNet-EdgeTPU-M
# (HanChangHun/EdgeTPU-Compiler-Log-Parser@91c1388).
TABLE = """\
Edge TPU Compiler version 16.0.384591198
Input: m.tflite
Output: m_edgetpu.tflite

Operator                       Count      Status

FULLY_CONNECTED                1          Mapped to Edge TPU
DEPTHWISE_CONV_2D              14         Mapped to Edge TPU
CONV_2D                        50         Mapped to Edge TPU
QUANTIZE                       2          Mapped to Edge TPU
SOFTMAX                        1          Mapped to Edge TPU
MEAN                           1          Mapped to Edge TPU
ADD                            17         Mapped to Edge TPU
"""

# The form of version 16.0 for models compiled together; the memory figures and
# input sizes are those of the published M and S in that parser's example.
TOGETHER = """\
Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Models compiled successfully in 4021 ms.

Input model: m.tflite
Input size: 7.46MiB
Output model: m_edgetpu.tflite
Output size: 8.93MiB
On-chip memory used for caching model parameters: 4.21MiB
On-chip memory remaining for caching model parameters: 256.00B
Off-chip memory used for streaming uncached model parameters: 4.16MiB
Number of Edge TPU subgraphs: 1
Total number of operations: 86
Operation log: m_edgetpu.log
See the operation log file for individual operation details.

Input model: s.tflite
Input size: 5.86MiB
Output model: s_edgetpu.tflite
Output size: 7.10MiB
On-chip memory used for caching model parameters: 3.20MiB
On-chip memory remaining for caching model parameters: 0.00B
Off-chip memory used for streaming uncached model parameters: 3.37MiB
Number of Edge TPU subgraphs: 1
Total number of operations: 66
Operation log: s_edgetpu.log
See the operation log file for individual operation details.
Compilation child process completed within timeout period.
Compilation succeeded! 
"""

SEARCHED = """\
Edge TPU Compiler version 16.0.384591198
Searching for valid delegate with step 1
Try to compile segment with 135 ops
Started a compilation timeout timer of 180 seconds.
Compilation child process completed within timeout period.
Compilation failed! 
Try to compile segment with 134 ops
Intermediate tensors: block/add,StatefulPartitionedCall:0
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in 912 ms.
"""


def copies(file):
    return f"cp '{file}' \"$written\""


def compiled(program, content, name="model", **options):
    """What a stand-in makes of one model."""
    return compile_models(Compiler((program,)), {name: content}, **options)


def test_parses_a_partly_mapped_model():
    (log,) = parse_output(PARTLY)
    assert (log.input_model, log.output_model) == (
        "model.tflite",
        "model_edgetpu.tflite",
    )
    assert log.input_bytes == round(2.87 * 2**20)
    assert log.output_bytes == round(3.46 * 2**20)
    assert log.milliseconds == 912
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
    (log,) = parse_output(WHOLE)
    assert log.on_chip_remaining_bytes == 256
    assert log.off_chip_bytes == round(4259.84 * 1024)
    assert (log.on_edge_tpu, log.on_cpu, log.operators) == (86, 0, 86)
    assert sum(row.count for row in log.rows) == 86
    assert {row.status for row in log.rows} == {"Mapped to Edge TPU"}


def test_parses_what_older_versions_call_available():
    (log,) = parse_output(
        "On-chip memory available for caching model parameters: 7.85MiB\n"
    )
    assert log.on_chip_remaining_bytes == round(7.85 * 2**20)


def test_parses_nothing_out_of_garbage():
    (log,) = parse_output("\x00\ufffd lorem 12 ipsum\nTotal number of: x\n")
    assert log.rows == ()
    assert log.operators is log.version is log.on_cpu is None


def test_parses_models_that_were_compiled_together():
    m, s = parse_output(TOGETHER)
    assert (m.input_model, s.input_model) == ("m.tflite", "s.tflite")
    assert (m.operators, s.operators) == (86, 66)
    assert (m.on_chip_remaining_bytes, s.on_chip_remaining_bytes) == (256, 0)
    assert m.off_chip_bytes == round(4.16 * 2**20)
    assert s.off_chip_bytes == round(3.37 * 2**20)
    assert m.version == s.version == "16.0.384591198"
    assert m.milliseconds == s.milliseconds == 4021
    # Without a table nothing is made up.
    assert m.rows == () and m.on_edge_tpu is None


def test_the_log_beside_a_file_has_its_table():
    m, _ = parse_output(TOGETHER, table=TABLE)
    assert (m.on_edge_tpu, m.on_cpu) == (86, 0)
    assert {row.operator: row.count for row in m.rows}["CONV_2D"] == 50


def test_parses_the_tries_of_a_search():
    assert parse_attempts(SEARCHED) == (
        Attempt(135, ()),
        Attempt(134, ("block/add", "StatefulPartitionedCall:0")),
    )
    assert parse_attempts(PARTLY) == ()


def test_compiles(stand_in, compiled_file, model):
    program = stand_in(prints=PARTLY, then=copies(compiled_file))
    made = compiled(program, model)
    (file,) = made.models
    assert file.name == "model_edgetpu"
    assert file.content == compiled_file.read_bytes()
    assert made.output == PARTLY
    assert (file.log,) == parse_output(PARTLY)


def test_a_real_compiled_file_is_accepted(stand_in, coral, model):
    file = coral / "mobilenet_v1_0.25_128_quant-22b67d_edgetpu.tflite"
    (made,) = compiled(stand_in(then=copies(file)), model, "m").models
    assert made.content == file.read_bytes()
    assert made.log.operators is None


def test_the_program_gets_the_model(stand_in, compiled_file, model):
    program = stand_in(then=f'cksum < "$model"\n{copies(compiled_file)}')
    said = compiled(program, model, "-x y").output
    truth = subprocess.run(["cksum"], input=model, capture_output=True)
    assert said == truth.stdout.decode()


def test_models_compiled_together(stand_in, compiled_file, model, tmp_path):
    # As the real one, it prints of both and writes each one's table beside it.
    for stem, table in (("m", TABLE), ("s", TABLE.replace("50", "38"))):
        (tmp_path / f"{stem}.table").write_text(table)
    program = stand_in(
        prints=TOGETHER,
        then="for model in $models; do\n"
        'stem=$(basename "$model" .tflite)\n'
        f"cp '{compiled_file}' \"$out/${{stem}}_edgetpu.tflite\"\n"
        f'cp "{tmp_path}/$stem.table" "$out/${{stem}}_edgetpu.log"\ndone',
    )
    made = compile_models(Compiler((program,)), {"m": model, "s": model})
    m, s = made.models
    assert (m.name, s.name) == ("m_edgetpu", "s_edgetpu")
    assert (m.log.operators, s.log.operators) == (86, 66)
    counts = [
        next(row.count for row in file.log.rows if row.operator == "CONV_2D")
        for file in made.models
    ]
    assert counts == [50, 38]
    words = Path(f"{program}.arguments").read_text()
    assert words == "-s -o . m.tflite s.tflite\n"


def test_one_of_two_missing_is_a_failure(stand_in, compiled_file, model):
    program = stand_in(prints=TOGETHER, then=copies(compiled_file))
    with pytest.raises(CompileError, match="left no m_edgetpu.tflite"):
        compile_models(Compiler((program,)), {"m": model, "s": model})


def test_segments(stand_in, compiled_file, model):
    program = stand_in(
        prints=WHOLE,
        then="for i in 0 1; do\n"
        'cp "$model" "$out/${stem}_segment_${i}_of_$segments.tflite"\n'
        f"cp '{compiled_file}' "
        '"$out/${stem}_segment_${i}_of_${segments}_edgetpu.tflite"\ndone',
    )
    made = compiled(
        program, model, "m", options=CompilerOptions(num_segments=2)
    )
    assert [file.name for file in made.models] == [
        "m_segment_0_of_2_edgetpu",
        "m_segment_1_of_2_edgetpu",
    ]
    assert all(file.segment == model for file in made.models)
    with pytest.raises(CompileError, match="left no m_segment_2_of_4_edgetpu"):
        compiled(
            program,
            model,
            "m",
            options=CompilerOptions(num_segments=4),
        )


def test_every_flag_reaches_the_compiler(stand_in, compiled_file, model):
    program = stand_in(prints=SEARCHED, then=copies(compiled_file))
    options = CompilerOptions(
        min_runtime_version=13,
        intermediate_tensors=("a", "b/c"),
        search_delegate=True,
        delegate_search_step=4,
        timeout_seconds=30,
        multiple_subgraphs=True,
    )
    made = compiled(program, model, options=options)
    assert Path(f"{program}.arguments").read_text() == (
        "-s -o . -d -a -m 13 -i a,b/c -k 4 -t 30 model.tflite\n"
    )
    assert [attempt.operators for attempt in made.attempts] == [135, 134]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"min_runtime_version": 9}, "min_runtime_version 9 .* 10 to 14"),
        ({"min_runtime_version": 15}, "10 to 14"),
        ({"num_segments": 1}, "at least 2"),
        ({"timeout_seconds": 0}, "timeout_seconds 0 must be at least 1"),
        ({"delegate_search_step": 2}, "search_delegate"),
        ({"intermediate_tensors": ("a", "")}, "parted by commas"),
    ],
)
def test_options_that_do_not_fit(wrong, words):
    with pytest.raises(InputError, match=words):
        CompilerOptions(**wrong)


def test_how_long_the_compiler_may_take():
    # By its own time-out of 180 seconds, for each try.
    assert CompilerOptions().longest_seconds(100) == 180
    assert CompilerOptions(timeout_seconds=7).longest_seconds(100) == 7
    assert CompilerOptions(num_segments=3).longest_seconds(9) == 540
    search = CompilerOptions(search_delegate=True, delegate_search_step=10)
    assert search.longest_seconds(100) == 11 * 180


def test_no_model_and_no_real_one_are_refused(stand_in):
    with pytest.raises(InputError, match="no model to compile"):
        compile_models(Compiler((stand_in(),)), {})
    with pytest.raises(InputError, match="TFL3"):
        compiled(stand_in(), b"no model at all")


VERSION = """\
ERROR: Didn't find op for builtin opcode 'CONV_2D' version '6'. An older \
version of this builtin might be supported. Are you using an old TFLite \
binary with a newer model?

ERROR: Registration failed.

Invalid model: model.tflite
Model could not be parsed
"""
STATIC = """\
Edge TPU Compiler version 16.0.384591198
ERROR: Attempting to use a delegate that only supports static-sized tensors \
with a graph that has dynamic-sized tensors.
Compilation failed: Model failed in Tflite interpreter. Please ensure model \
can be loaded/run in Tflite interpreter.
Compilation child process completed within timeout period.
Compilation failed! 
"""
SILENT = """\
Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.
Compilation child process completed within timeout period.
Compilation failed! 
"""


@pytest.mark.parametrize(
    ("printed", "cause", "cure"),
    [
        (VERSION, "version 6 of CONV_2D is younger", "older version"),
        (
            "Invalid model: model.tflite\nModel not quantized\n",
            "float operators are left, or the batch was left open",
            "model of batch 1",
        ),
        (STATIC, "the batch was left open", "batch_size=1"),
        (
            "ERROR: :317 scale_diff / output_scale <= 0.02 was not true.\n"
            "ERROR: Node number 4 (CONV_2D) failed to prepare.\n",
            "scale of a bias",
            "quantize again",
        ),
        (
            "Compilation failed due to large activation tensors in model.",
            "does not fit on the chip",
            "smaller image",
        ),
        ("Internal compiler error. Aborting! \n", "no other reason", "16.0"),
        (SILENT, "no reason", "--search_delegate"),
        (
            "libc++abi: terminating with uncaught exception of type "
            "std::out_of_range: vector",
            "crashed",
            "--search_delegate",
        ),
        (
            "ERROR: Regular TensorFlow ops are not supported by this "
            "interpreter. Make sure you apply/link the Flex delegate before "
            "inference.",
            "TensorFlow operators",
            "SELECT_TF_OPS",
        ),
        ("Invalid option: -a", "does not know", "16.0"),
        (
            "Invalid model: m.tflite\nModel could not be parsed",
            "cannot read the file",
            "forecast FILE",
        ),
        (
            "Started a compilation timeout timer of 180 seconds.\n",
            "within 180 seconds",
            "--timeout_seconds",
        ),
    ],
)
def test_a_known_failure_has_its_cause_and_cure(
    stand_in, model, printed, cause, cure
):
    with pytest.raises(CompileError) as caught:
        compiled(stand_in(prints=printed, then="exit 1"), model)
    (failure,) = caught.value.failures
    assert cause in failure.cause and cure in failure.cure
    assert failure.message in printed
    # First what it means, then the compiler's own words.
    first, _, rest = str(caught.value).partition("\n")
    assert cause in first and cure in first
    assert rest == printed.rstrip()


def test_nothing_is_known_of_what_nobody_met():
    assert explained("Segmentation fault (core dumped)") == ()
    assert explained(WHOLE) == ()


def test_operators_too_young_are_all_named():
    more = VERSION.replace("CONV_2D", "QUANTIZE").replace("'6'", "'3'")
    causes = [failure.cause for failure in explained(VERSION * 2 + more)]
    assert len(causes) == 2
    assert "CONV_2D" in causes[0] and "version 3 of QUANTIZE" in causes[1]


def test_failure_keeps_the_compilers_words(stand_in, compiled_file, model):
    words = "Invalid model: model.tflite\nModel not quantized\n"
    # A file does not help where the exit code is bad.
    program = stand_in(prints=words, then=f"{copies(compiled_file)}\nexit 1")
    with pytest.raises(CompileError, match="exit code 1") as caught:
        compiled(program, model)
    assert caught.value.output == words
    assert str(caught.value).endswith("Model not quantized")


def test_a_crash_has_the_name_of_its_signal(stand_in, model):
    program = stand_in(prints="Starting\n", then="kill -SEGV $$")
    with pytest.raises(CompileError, match="SIGSEGV\nStarting"):
        compiled(program, model)


def test_standard_error_is_kept_too(stand_in, model):
    program = stand_in(then="echo 'ERROR: oh no' >&2; exit 3")
    with pytest.raises(CompileError, match="ERROR: oh no"):
        compiled(program, model)


def test_success_without_a_file_is_none(stand_in, model):
    # The child crashed: version 16 does so silently.
    program = stand_in(prints="Compilation failed! \n")
    with pytest.raises(CompileError, match="left no model_edgetpu.tflite"):
        compiled(program, model)


@pytest.mark.parametrize("content", ["", "TFL3", "0000TFL3"])
def test_a_file_that_is_no_model_is_none(stand_in, content, model):
    program = stand_in(prints=WHOLE, then=f"printf '{content}' > \"$written\"")
    with pytest.raises(CompileError, match="cannot be read"):
        compiled(program, model)


def test_a_file_without_the_edge_tpu_is_none(stand_in, coral, model):
    file = coral / "mobilenet_v1_0.25_128_quant-22b67d.tflite"
    with pytest.raises(CompileError, match="nothing of model_edgetpu.tflite"):
        compiled(stand_in(then=copies(file)), model)


def test_garbage_does_not_matter_where_the_file_is_right(
    stand_in, compiled_file, model
):
    program = stand_in(
        then=f"printf '\\377\\376 7 %% \\0'\n{copies(compiled_file)}"
    )
    (made,) = compiled(program, model).models
    assert made.log.rows == ()


def test_a_compiler_that_does_not_end_is_ended(stand_in, tmp_path, model):
    # The child holds the pipe, as the compiler's does.
    mark = tmp_path / "child"
    program = stand_in(
        prints="Started", then=f"(sleep 60; touch '{mark}') &\nsleep 60"
    )
    with pytest.raises(CompileError, match="within 1 seconds") as caught:
        compiled(
            program,
            model,
            options=CompilerOptions(timeout_seconds=1),
            grace_seconds=0,
        )
    assert caught.value.output == "Started"


def test_a_program_that_cannot_be_run(tmp_path, model):
    program = tmp_path / "edgetpu_compiler"
    program.write_bytes(b"\x7fELF of another machine")
    program.chmod(0o755)
    with pytest.raises(CompileError, match="cannot be run"):
        compiled(str(program), model)


def test_argument_beats_environment_beats_path(stand_in, tmp_path, monkeypatch):
    in_path = stand_in()
    in_variable = stand_in(name="by_variable")
    given = stand_in(name="given")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_compiler() == Compiler((in_path,))
    monkeypatch.setenv("EDGETPU_COMPILER", in_variable)
    assert find_compiler() == Compiler((in_variable,))
    assert find_compiler(given) == Compiler((given,))
    assert find_compiler("given") == Compiler((given,))


def test_no_compiler_is_no_error(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("EDGETPU_COMPILER", raising=False)
    assert find_compiler() is None


def test_a_named_compiler_must_be_there(monkeypatch, tmp_path):
    with pytest.raises(InputError, match="--compiler '/no/where' is no prog"):
        find_compiler("/no/where")
    for empty in ("", " ", "'"):
        with pytest.raises(InputError, match="is no program"):
            find_compiler(empty)
    not_executable = tmp_path / "edgetpu_compiler"
    not_executable.write_text("")
    monkeypatch.setenv("EDGETPU_COMPILER", str(not_executable))
    with pytest.raises(InputError, match="EDGETPU_COMPILER '/"):
        find_compiler()


def test_a_path_with_spaces_is_a_path(stand_in, tmp_path):
    program = stand_in(name="edge tpu compiler")
    assert find_compiler(program) == Compiler((program,))


def test_a_compiler_in_a_container(
    stand_in, compiled_file, model, tmp_path, monkeypatch
):
    # It sees only the folder that it is told of, under another name.
    stand_in(prints=PARTLY, then=copies(compiled_file), name="inside")
    docker = tmp_path / "docker"
    docker.write_text(
        "#!/bin/sh\n"
        'test "$1 $2 $3" = "run --rm -v" && test "$5" = image || exit 125\n'
        f'cd / && cd "${{4%%:*}}" && shift 6 && exec \'{tmp_path}/inside\' "$@"'
    )
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.defpath}")
    found = find_compiler(
        "docker run --rm -v {folder}:/work image edgetpu_compiler"
    )
    made = compile_models(found, {"model": model})
    assert made.models[0].content == compiled_file.read_bytes()
    with pytest.raises(InputError, match="see no file.*{folder}"):
        find_compiler("docker run image edgetpu_compiler")


def test_says_what_to_install_where(monkeypatch):
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    words = how_to_compile(["out/m_int8.tflite"])
    assert words.startswith("edgetpu_compiler was not found; ")
    assert "Debian package edgetpu-compiler" in words
    assert words.endswith("edgetpu_compiler out/m_int8.tflite")
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    words = how_to_compile(["a b.tflite", "c.tflite"], "out", ["-d"])
    assert "on x86-64 Linux only, not on Linux aarch64" in words
    assert words.endswith("edgetpu_compiler -d -o out 'a b.tflite' c.tflite")
    assert len(words.splitlines()) == 1


@pytest.mark.compiler
def test_googles_compiler(lite):
    program = find_compiler()
    if program is None:
        pytest.skip("needs Google's edgetpu_compiler")
    (made,) = compile_models(program, {"lite": lite.content}).models
    assert made.log.on_cpu == 0


def test_nothing_is_left_behind(
    stand_in, compiled_file, monkeypatch, tmp_path, model
):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(compiler.tempfile, "tempdir", str(folder))
    compiled(stand_in(then=copies(compiled_file)), model)
    assert os.listdir(folder) == []
