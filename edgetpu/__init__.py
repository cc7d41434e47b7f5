"""From a trained network to a file for Coral's Edge TPU, one module a step.

samples picks images, calibrate rounds them to pixels, quantize turns network
and pixels into an int8 file, verify holds the file against the network,
compiler runs Google's edgetpu_compiler, export does all of it, and run runs
the result where there is no TensorFlow.
"""
