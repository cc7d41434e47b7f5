"""From a trained network to a file for Coral's Edge TPU, one module a step.

samples picks images, calibrate rounds them to pixels, quantize turns network
and pixels into an int8 file, verify holds the file against the network and
layer_errors looks into it.
find_compiler finds Google's edgetpu_compiler, compiler runs it, compiler_log
and known_failures understand what it says, compile_files writes what it made.
export does all of it and report_page shows it; run is a folder that runs the
result where there is no TensorFlow.

reader reads any `.tflite` file, show and package say what is in it, compiled or
not, and forecast what the compiler would make of it: by rules and limits, what
it refuses (failures, versions), how TensorFlow Lite divides a graph
(partition), and estimates of memory and latency. blueprint draws a network as
its file would be.
"""
