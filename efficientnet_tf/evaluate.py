"""A trained network on a validation split."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from efficientnet_tf.training.config import Config
from efficientnet_tf.training.evaluation import Evaluator, figures
from efficientnet_tf.training.run import open_data
from efficientnet_tf.training.strategy import describe_devices, make_strategy
from efficientnet_tf.training.trained import load_trained


def evaluate(
    config: Config,
    model_dir: str,
    *,
    strategy: tf.distribute.Strategy | None = None,
) -> dict[str, Any]:
    """Evaluates a checkpoint of a run, averaged and raw weights.

    Args:
        config: The run's config, in which data and checkpoint may have been
            changed.
        model_dir: The run.
        strategy: The devices; None for all GPUs, else the CPU.

    Returns:
        `top1, top5, loss, raw_top1, raw_top5, images` and what they are of.

    Raises:
        InputError: There is no such run, or the data has other classes.
        RunError: Records are missing or too many.
    """
    strategy = strategy or make_strategy("")
    checkpoint = config.evaluate.checkpoint
    with strategy.scope():
        trained = load_trained(model_dir, config, checkpoint=checkpoint)
    dataset = open_data(config)
    trained.check_labels(dataset)
    evaluator = Evaluator(
        trained.network,
        dataset,
        cut=trained.cut,
        batch=config.evaluate.batch,
        strategy=strategy,
    )
    scores = evaluator(trained.model)
    raw = scores if trained.raw is trained.model else evaluator(trained.raw)
    return {
        "model": trained.network.name,
        "data": dataset.name,
        "checkpoint": checkpoint,
        "step": trained.step,
        **figures(scores, raw),
        "devices": describe_devices(strategy),
    }
