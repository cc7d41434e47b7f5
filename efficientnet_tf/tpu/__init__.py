"""Rehearsal: what a TPU would make of a training, without a TPU."""
