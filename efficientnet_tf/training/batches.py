"""Training batches, spread over the hosts and replicas of a strategy."""

from __future__ import annotations

import tensorflow as tf

from efficientnet_tf.data.pipeline import training_examples
from efficientnet_tf.data.preprocess import TrainingCrop
from efficientnet_tf.training.run import Run


def training_batches(
    run: Run,
    strategy: tf.distribute.Strategy,
    *,
    start: int,
    dtype: tf.DType,
) -> tf.distribute.DistributedDataset:
    """Endless batches of (images, int32 labels) for every replica.

    Args:
        run: Whose data, and how they are cut.
        strategy: Among whose replicas a batch is divided.
        start: Images of the stream to leave out.
        dtype: Of the images, `[batch / replicas, pixels, pixels, 3]` on
            0..255.
    """
    config = run.config
    crop = TrainingCrop(
        min_area=config.data.min_crop_area, flip=config.data.flip
    )
    share = config.train.batch // strategy.num_replicas_in_sync

    def of_host(context: tf.distribute.InputContext) -> tf.data.Dataset:
        examples = training_examples(
            run.dataset,
            cut=run.cut,
            crop=crop,
            seed=config.train.seed,
            start=start,
            part=context.input_pipeline_id,
            parts=context.num_input_pipelines,
        )
        batches = examples.batch(share, drop_remainder=True)
        return batches.map(
            lambda images, labels: (tf.cast(images, dtype), labels)
        ).prefetch(tf.data.AUTOTUNE)

    return strategy.distribute_datasets_from_function(of_host)
