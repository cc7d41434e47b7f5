"""The weights that a new run starts from, where `train.init_from` says so."""

from __future__ import annotations

import keras

from efficientnet_tf.data.labels import same_classes
from efficientnet_tf.errors import InputError
from efficientnet_tf.modeling.keras_weights import (
    check_published,
    load_imagenet_weights,
)
from efficientnet_tf.modeling.load_report import LoadReport
from efficientnet_tf.networks import Network, network
from efficientnet_tf.training.averaging import pairs
from efficientnet_tf.training.checkpoints import latest
from efficientnet_tf.training.config import IMAGENET
from efficientnet_tf.training.model_dir import ModelDir
from efficientnet_tf.training.parts import is_of_head
from efficientnet_tf.training.run import Run
from efficientnet_tf.training.state import TrainState
from efficientnet_tf.training.trained import load_trained, run_config


def check_source(run: Run) -> None:
    """Refuses a source before anything is written; reads no weights.

    Raises:
        InputError: `train.init_from` is no model directory, has no checkpoint,
            or holds another network.
    """
    source = run.config.train.init_from
    if source == IMAGENET:
        check_published(run.network)
        published = network(run.network.name)
        _check_normalization(source, published, run.network)
    if source in ("", IMAGENET):
        return
    directory = _directory(source)
    config = directory.config()
    if config is None:
        raise InputError(
            f"train.init_from {source} has no config.json; name the directory "
            f'of a run, or "{IMAGENET}"; of a checkpoint of the original, '
            "`python main.py import` makes one"
        )
    _check_network(source, config.network(), run.network)
    if latest(directory.checkpoints) is None:
        raise InputError(f"train.init_from {source} has no checkpoint yet")


def load_initial(state: TrainState, run: Run) -> LoadReport:
    """Gives a training at step 0 the weights of another one.

    Both `model` and `averaged` are given the averaged weights of the other
    run's last checkpoint, batch-norm statistics included, or Keras's published
    ones. The classifier stays fresh where the classes are others. Optimizer
    and step are left alone.

    Args:
        state: What is changed.
        run: Its config says where the weights come from.

    Raises:
        InputError: As in `check_source`.
        RunError: The checkpoint cannot be read.
    """
    source = run.config.train.init_from
    if source == IMAGENET:
        report = load_imagenet_weights(state.averaged, run.network)
    else:
        check_source(run)
        report = _from_run(state.averaged, source, run.dataset.labels)
    if state.model is not state.averaged:
        for weight, average in pairs(state.model, state.averaged):
            weight.assign(average.value)
    return report


def _from_run(
    model: keras.Model, source: str, labels: tuple[str, ...]
) -> LoadReport:
    """Gives a model, whose classes have these names, what a run has learnt."""
    trained = load_trained(source, run_config(source))
    reason = _other_classes(labels, trained.labels)
    assigned = {}
    left = {}
    for weight, value in pairs(model, trained.model):
        if reason and is_of_head(weight.path):
            left[weight.path] = reason
        else:
            weight.assign(value.value)
            assigned[weight.path] = value.path
    return LoadReport(
        source=f"{source}, step {trained.step}",
        assigned=assigned,
        fresh=left,
        unused=left,
    )


def _other_classes(ours: tuple[str, ...], theirs: tuple[str, ...]) -> str:
    """Why a classifier does not fit, or nothing where it does."""
    if len(ours) != len(theirs):
        return f"it has {len(theirs)} classes, the data {len(ours)}"
    if same_classes(ours, theirs):
        return ""
    return "its classes have other names"


def _check_network(source: str, theirs: Network, ours: Network) -> None:
    if theirs.name != ours.name:
        raise InputError(
            f"train.init_from {source} holds {theirs.name}, not {ours.name}; "
            f"try --model={theirs.name}"
        )
    if _paddings(theirs) != _paddings(ours):
        raise InputError(
            f"train.init_from {source} has another model.fused_stride; set it "
            "as there"
        )
    _check_normalization(source, theirs, ours)


def _check_normalization(source: str, theirs: Network, ours: Network) -> None:
    if theirs.normalization != ours.normalization:
        raise InputError(
            f"train.init_from {source} was trained on pixels normalized as "
            f"{theirs.normalization.name!r}, not {ours.normalization.name!r}"
        )


def _paddings(network: Network) -> list[str]:
    return [block.padding for block in network.blocks]


def _directory(source: str) -> ModelDir:
    try:
        return ModelDir(source)
    except InputError as error:
        raise InputError(f"train.init_from: {error}") from None
