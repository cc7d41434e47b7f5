"""Claims of gain, each a ratio to a named peer; one harness for all.

Run them from the repository's root: `python -m benchmarks.train_step`.
"""
