"""Training batches, spread over the hosts and replicas of a strategy."""

from __future__ import annotations

import tensorflow as tf

from efficientnet_tf.data.bad_records import NOTES
from efficientnet_tf.data.mixing import Mixing, Rows, mix
from efficientnet_tf.data.order import lanes_of, rows_of
from efficientnet_tf.data.pipeline import training_examples
from efficientnet_tf.data.preprocess import TrainingCrop
from efficientnet_tf.training.plan import replica_share
from efficientnet_tf.training.run import Run

# Tells the random numbers of mixing from those of crops.
_MIXING = 1


def training_batches(
    run: Run,
    strategy: tf.distribute.Strategy,
    *,
    start: int,
    dtype: tf.DType,
) -> tf.distribute.DistributedDataset:
    """Endless batches of (images, targets) for every replica.

    Args:
        run: Whose data, and how they are cut and mixed.
        strategy: Among whose replicas a batch is divided.
        start: Images of the stream to leave out, whole steps of them.
        dtype: Of the images, `[share, pixels, pixels, 3]` on 0..255; targets
            are float32 `[share, classes]` and sum to one.
    """
    return strategy.distribute_datasets_from_function(
        lambda context: host_batches(run, context, start=start, dtype=dtype)
    )


def host_batches(
    run: Run,
    context: tf.distribute.InputContext,
    *,
    start: int,
    dtype: tf.DType,
) -> tf.data.Dataset:
    """The batches of one host's replicas in turn; see `training_batches`.

    The places of a microbatch are put into an order in which each of 2, 4, 8,
    ... hosts reads files of its own (see `order.rows_of`), and dealt out in
    blocks: to all replicas in turn, then the next microbatch. So a step sees
    the same images in the same rows on any devices.
    """
    config = run.config
    replicas = context.num_replicas_in_sync
    hosts, host = context.num_input_pipelines, context.input_pipeline_id
    local = replicas // hosts
    share = replica_share(config, replicas)
    parts = config.train.microbatches
    places = replicas * share
    first_step = start // config.train.batch
    # Shares that may wait; those that are being finished are in float32.
    ready = max(local, config.data.prefetch_bytes // _bytes(run, share) // 2)
    mixing = Mixing(config.data.mixup, config.data.cutmix)
    examples = training_examples(
        run.dataset,
        cut=run.cut,
        crop=TrainingCrop(
            min_area=config.data.min_crop_area,
            flip=config.data.flip,
            dct_scaling=config.data.dct_scaling,
        ),
        augmentation=run.augmentation,
        seed=config.train.seed,
        start=start,
        places=places,
        part=host,
        parts=hosts,
        shuffle_bytes=config.data.shuffle_bytes,
        notes=run.model_dir.join(NOTES),
    )
    rows = tf.constant(
        rows_of(places, lanes_of(run.dataset.train.counts)), tf.int32
    )

    def finished(
        number: tf.Tensor, batch: tuple[tf.Tensor, tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels = batch
        targets = tf.one_hot(labels, run.network.classes)
        if mixing:
            part, replica = number // local, number % local
            step = first_step + part // parts
            first = (host * local + replica) * share
            before = tf.cast(part % parts, tf.int32) * places
            key = tf.constant([config.train.seed, _MIXING], tf.int64)
            images, targets = mix(
                images,
                targets,
                mixing,
                seed=tf.random.fold_in(key, step),
                rows=Rows(
                    config.train.batch,
                    before + rows[first : first + share],
                ),
            )
        return tf.cast(images, dtype), targets

    return (
        examples.batch(share, drop_remainder=True)
        .enumerate()
        .map(finished, num_parallel_calls=max(1, min(local, ready // 4)))
        .prefetch(ready)
    )


def _bytes(run: Run, share: int) -> int:
    """Of the images of a share, as they are decoded: float32."""
    return share * run.network.pixels**2 * 3 * 4
