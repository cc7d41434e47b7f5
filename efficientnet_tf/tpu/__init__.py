"""Compile for a TPU without one."""
