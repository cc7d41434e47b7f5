"""One pass over the validation images: who is taken for whom, and the worst."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from efficientnet_tf.data.dataset import RecordDataset
from efficientnet_tf.data.pipeline import evaluation_examples
from efficientnet_tf.data.preprocess import normalize
from efficientnet_tf.progress import progress
from efficientnet_tf.training.details import Details, count_details, details
from efficientnet_tf.training.evaluation import padded_batches
from efficientnet_tf.training.failures import device_errors
from efficientnet_tf.training.trained import TrainedModel

WORST = 24
# As many as ImageNet has; of more the first ones tell enough.
MOST_IMAGES = 50_000

_CLASSES_SAID = 3


@dataclass(frozen=True)
class Judged:
    """An image that the network found hard.

    Attributes:
        picture: uint8 `[pixels, pixels, 3]`, as it was evaluated.
        label: Its class, as a number of logits.
        loss: Its cross entropy.
        probability: What the network gives its class.
        said: The likeliest classes and their probabilities.
    """

    picture: np.ndarray
    label: int
    loss: float
    probability: float
    said: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Findings:
    """What the pass found.

    Attributes:
        details: Figures and confusions.
        worst: The images of highest loss, the worst one first.
        of_images: How many images there are, of which the first were looked
            at: see `details.scores.images`.
    """

    details: Details
    worst: tuple[Judged, ...]
    of_images: int


def judge(
    trained: TrainedModel,
    dataset: RecordDataset,
    first: int,
    strategy: tf.distribute.Strategy,
) -> Findings:
    """Evaluates the averaged weights on the validation images.

    No more than a batch is held at a time, and the worst images so far.

    Args:
        trained: The network, made in the strategy's scope.
        dataset: Where the records are.
        first: The logit of the data's first class.
        strategy: The devices.

    Raises:
        RunError: A file cannot be read, or a device failed.
    """
    images = min(dataset.validation.images, MOST_IMAGES)
    replicas = strategy.num_replicas_in_sync
    share = -(-min(trained.config.evaluate.batch, images) // replicas)

    def of_host(context: tf.distribute.InputContext) -> tf.data.Dataset:
        parts, part = context.num_input_pipelines, context.input_pipeline_id
        examples = evaluation_examples(
            dataset, "validation", cut=trained.cut, part=part, parts=parts
        ).take(images * (part + 1) // parts - images * part // parts)
        return padded_batches(examples, trained.cut.pixels, share)

    batches = iter(strategy.distribute_datasets_from_function(of_host))
    call = _make_call(trained, first, min(WORST, share), strategy)
    sums: dict[str, np.ndarray] = {}
    worst: list[Judged] = []
    with progress("judging", images) as advance:
        for start in range(0, images, share * replicas):
            with device_errors("evaluation"):
                counts, hardest = call(batches)
                for one in strategy.experimental_local_results(hardest):
                    worst += _judged(one)
                for one in strategy.experimental_local_results(counts):
                    for name, value in one.items():
                        now = value.numpy().astype(np.float64)
                        sums[name] = sums.get(name, 0.0) + now
            worst = sorted(worst, key=lambda image: -image.loss)[:WORST]
            advance(min(images, start + share * replicas))
    sums["records"] = np.array(float(images))
    return Findings(details(sums), tuple(worst), dataset.validation.images)


def _make_call(
    trained: TrainedModel,
    first: int,
    worst: int,
    strategy: tf.distribute.Strategy,
) -> Callable[..., tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]]:
    """A function from an iterator to counts and the hardest of a batch."""
    network, model = trained.network, trained.model

    def replica_step(
        images: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        logits = model(normalize(images, network.normalization), training=False)
        labels += first
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        # What is no image is better than any.
        loss, places = tf.math.top_k(tf.where(weights > 0, loss, -1.0), worst)
        shares = tf.nn.softmax(tf.gather(logits, places))
        label = tf.gather(labels, places)
        said = tf.math.top_k(shares, min(_CLASSES_SAID, network.classes))
        pictures = tf.round(tf.gather(images, places))
        return count_details(logits, labels, weights), {
            "loss": loss,
            "label": label,
            "probability": tf.gather(shares, label, batch_dims=1),
            "classes": said.indices,
            "shares": said.values,
            "pictures": tf.cast(tf.clip_by_value(pictures, 0, 255), tf.uint8),
        }

    @tf.function(reduce_retracing=True)
    def call(
        iterator: tf.data.Iterator,
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        return strategy.run(replica_step, args=next(iterator))

    return call


def _judged(found: dict[str, tf.Tensor]) -> Iterator[Judged]:
    values = {name: value.numpy() for name, value in found.items()}
    for place, loss in enumerate(values["loss"]):
        if loss >= 0:
            said = zip(
                values["classes"][place].tolist(),
                values["shares"][place].tolist(),
                strict=True,
            )
            yield Judged(
                picture=values["pictures"][place],
                label=int(values["label"][place]),
                loss=float(loss),
                probability=float(values["probability"][place]),
                said=tuple(said),
            )
