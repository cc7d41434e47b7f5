"""What `python -m edgetpu VERB --help` says of each verb."""

from __future__ import annotations

EXPORT_HELP = """\
python -m edgetpu export --model_dir=RUN [--out=DIR]

Turns a trained network into a file for Coral's Edge TPU: calibrates on
training images, quantises to int8, compares int8 with float on validation
images, and compiles where Google's edgetpu_compiler is at hand.

DIR, RUN/export if not given, local or gs://, gets
  NAME_int8.tflite          takes raw pixels, runs on any CPU
  NAME_int8_edgetpu.tflite  the same for the Edge TPU, if it was compiled
  NAME_int8_edgetpu.log     what the compiler said
  labels.txt                names of the classes, one a line
  export.json               sizes, accuracy, operators on the Edge TPU
  report.html               the same to look at, and how to run it on a device

The compiler runs on x86-64 Linux only; it is the Debian package
edgetpu-compiler of Google's coral-edgetpu-stable repository. Without it
everything else is made, and the report says what to run where.
"""

FORECAST_HELP = """\
python -m edgetpu forecast FILE [--json] [--require=compiles|whole]

Says what edgetpu_compiler 16.0 would make of FILE, without running it. FILE is
a .tflite of anybody's, or the name of a network such as efficientnet-b0 or its
variant file (MINE.json), of which no .tflite is needed. It goes by Coral's
table of operators and limits, the versions that 16.0 reads, and how TensorFlow
Lite divides a graph: what needs an operator that cannot be mapped runs on the
CPU with it. Of each that does, the reason is told in the compiler's words, then
in ours with what would do.

Memory and time are estimates; docs/coral.md says how
far they are off. With --json:

  operators        index, name, on_edge_tpu, reason; in the file's order
  subgraphs        parts on the Edge TPU: 1, or 0 where nothing is there
  compiles         whether a file would come out; failures says why not
  parameter_bytes  parameters as the chip stores them
  on_chip_bytes    what stays there, streamed_bytes what is sent each time
  latency_ms       of the part on the Edge TPU; latency_basis says from what
  cautions         what else may surprise

A forecast is an answer, good or bad, and the exit code is 0; --require makes
it 1 where the file would not compile, or not run whole on the Edge TPU.
"""

QUANTIZE_HELP = """\
python -m edgetpu quantize --model=PATH [--calibration=PATH] [--out=DIR]

Makes an int8 file of a network: batch 1, static shapes, every tensor int8 or
uint8, convolutions with a scale per channel and dense layers with one, which
old runtimes need. PATH of the model is a model directory of `main.py train` or
`main.py import`, or a .keras file of `main.py export`, of which the usual crop,
kernel and normalization are taken: say others by --set.

Calibration images go through the evaluation's preprocessing; they are taken
evenly over the records, and as many of each class as there are. An all-black
and an all-white one are added, so that the input takes raw pixels (scale 1/128,
zero point 127; int8: -1). Same network and images, same bytes.

Before the conversion, which may take minutes, you are told what the Edge TPU
would make of the network; then what it would make of the file.

DIR, RUN/export or the folder of the .keras file if not given, gets
  NAME_int8.tflite            probabilities
  NAME_logits_int8.tflite     with --head=logits
  NAME_embedding_int8.tflite  with --head=embedding: the pooled features
  NAME_int8_int8io.tflite     with --inference_type=int8
  NAME_int8.json              the same figures, and how pictures are cut for it
  labels.txt                  names of the classes, if the model has them
"""

VERIFY_HELP = """\
python -m edgetpu verify FILE --model=PATH [--data_dir=DATA] [--out=DIR]

Says what int8 costs: classifies validation images by the float network and by
FILE, a .tflite that was quantised from it. PATH is as for quantize; DATA is as
--data_dir of main.py has it, the run's own if not given.

You are told how often both name the same class, the top-1 of each, how far
FILE's probabilities are from the float network's (Kullback-Leibler divergence,
in nats), the layers that lose most of the signal, and the images that differ
most. Signal-to-noise of a layer is of what it gives, of 16 images the median,
and "lost" is how far that is below what it was given.

FILE runs by LiteRT on this CPU; a compiled one on an Edge TPU, without its
layers. With --out: verify.json, and worst.png with the worst images. Ends with
1 where they agree on less than --min_agreement of the images, 0.97 if not
given.
"""

COMPILE_HELP = """\
python -m edgetpu compile FILE [FILE ...] [--out=DIR] [--json]

Runs Google's edgetpu_compiler on int8 .tflite files of anybody's, and believes
it only where it ends with 0, leaves each file, and each has an operator for the
Edge TPU. Several files are compiled together: they share the chip's memory for
parameters, the first ones first. What it fails on is told with cause and cure.

DIR, the folder of the first FILE if not given, gets
  NAME_edgetpu.tflite  for the Edge TPU
  NAME_edgetpu.log     what the compiler said
With --num_segments=2: NAME_segment_0_of_2.tflite, which runs on a CPU,
NAME_segment_0_of_2_edgetpu.tflite, and so on. All are written, or none.

The compiler runs on x86-64 Linux only; it is the Debian package
edgetpu-compiler of Google's coral-edgetpu-stable repository. It may be in a
container:

  --compiler='docker run --rm -v {folder}:{folder} -w {folder} IMAGE \
edgetpu_compiler'

Where there is none, you are told what to run where, and the exit code is 3.
With --json: files (name, size, the compiler's figures and its table), segments,
attempts of a search, compiler, flags, cautions; of a failure error, failures
(message, cause, cure) and output.
"""

SHOW_HELP = """\
python -m edgetpu show FILE [--json] [--tensors]

Opens FILE, a .tflite of anybody's: size, converter, operators with versions
and options, inputs and outputs with their quantization, parameters. One that
is compiled for the Edge TPU is opened further: parameters that stay on the
chip and such as are streamed, the oldest runtime that loads it, the token that
models compiled together share, instructions, inputs and outputs on the chip.
"""
