"""Training batches, spread over the hosts and replicas of a strategy."""

from __future__ import annotations

import uuid

import tensorflow as tf

from efficientnet_tf.data.bad_records import NOTES
from efficientnet_tf.data.mixing import Mixing, Rows, mix
from efficientnet_tf.data.order import rows_of
from efficientnet_tf.data.pipeline import training_examples, training_order
from efficientnet_tf.data.preprocess import TrainingCrop
from efficientnet_tf.data.served import served_examples
from efficientnet_tf.data.service import served
from efficientnet_tf.training.config import DataConfig
from efficientnet_tf.training.plan import replica_share
from efficientnet_tf.training.run import Run

# Tells the random numbers of mixing from those of crops.
_MIXING = 1
# Shares of a replica: of small images more would fit, and take the cores from
# the training for hours.
_MOST_AHEAD = 32


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
    the same images in the same rows on any devices. With `data.service` they
    come as they are made, and hosts share them.
    """
    config = run.config
    replicas = context.num_replicas_in_sync
    hosts, host = context.num_input_pipelines, context.input_pipeline_id
    local = replicas // hosts
    share = replica_share(config, replicas)
    parts = config.train.microbatches
    places = replicas * share
    first_step = start // config.train.batch
    mixing = Mixing(config.data.mixup, config.data.cutmix)
    # Images are mixed before they are rounded.
    made = tf.float32 if mixing else dtype
    size = share * run.network.pixels**2 * 3 * made.size
    ready = shares_ahead(config.data.prefetch_bytes, size, local)
    if config.data.service:
        shares = _served_shares(run, start, share, made, alone=hosts == 1)
    else:
        shares = _own_shares(run, start, share, made, context)
    order = training_order(
        run.dataset,
        config.train.seed,
        places,
        config.data.shuffle_bytes,
        parts,
    )
    rows = tf.constant(rows_of(places, order.lanes), tf.int32)

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
        shares.enumerate()
        .map(finished, num_parallel_calls=max(1, min(local, ready // 4)))
        .prefetch(ready)
    )


def _own_shares(
    run: Run,
    start: int,
    share: int,
    dtype: tf.DType,
    context: tf.distribute.InputContext,
) -> tf.data.Dataset:
    """Shares of images and labels that this host makes."""
    data = run.config.data
    return training_examples(
        run.dataset,
        cut=run.cut,
        crop=_crop(data),
        augmentation=run.augmentation,
        seed=run.config.train.seed,
        start=start,
        places=context.num_replicas_in_sync * share,
        microbatches=run.config.train.microbatches,
        part=context.input_pipeline_id,
        parts=context.num_input_pipelines,
        shuffle_bytes=data.shuffle_bytes,
        notes=run.model_dir.join(NOTES),
        dtype=dtype,
    ).batch(share, drop_remainder=True)


def _served_shares(
    run: Run, start: int, share: int, dtype: tf.DType, *, alone: bool
) -> tf.data.Dataset:
    """Shares of images and labels that the workers of a service make."""
    data = run.config.data
    examples = served_examples(
        run.dataset,
        cut=run.cut,
        crop=_crop(data),
        augmentation=run.augmentation,
        seed=run.config.train.seed,
        start=start,
        shuffle_bytes=data.shuffle_bytes,
        notes=run.model_dir.join(NOTES),
        dtype=dtype,
    )
    # Hosts find the same job by its name. A process that is alone must not
    # find the rest of what one before it has left; several would, where they
    # begin again from the same step while the dispatcher still has the job.
    job = f"{run.model_dir.path} from {start}"
    if alone:
        job += f" {uuid.uuid4().hex}"
    shares = examples.batch(share, drop_remainder=True)
    return served(shares, run.dataset, data.service, job)


def _crop(data: DataConfig) -> TrainingCrop:
    return TrainingCrop(
        min_area=data.min_crop_area,
        flip=data.flip,
        dct_scaling=data.dct_scaling,
    )


def shares_ahead(prefetch_bytes: int, size: int, local: int) -> int:
    """How many shares may wait, beside as many that are being finished.

    Args:
        prefetch_bytes: Of both together.
        size: Of a share, in bytes.
        local: Replicas of this host.
    """
    fitting = prefetch_bytes // size // 2
    return max(local, min(fitting, _MOST_AHEAD * local))
