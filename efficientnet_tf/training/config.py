"""What a person decides about a run, as frozen sections of checked fields.

The defaults are the original's recipe for ImageNet. What follows from these
numbers (steps, learning rates) is computed in `plan`. No TensorFlow here.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Literal, get_args

from efficientnet_tf.errors import InputError
from efficientnet_tf.networks import (
    FusedStride,
    HeadInit,
    NamedVariant,
    Network,
    NormalizationName,
    Variant,
    alias,
    find_variant,
    network,
    variants,
)
from efficientnet_tf.training.data_section import DataConfig as DataConfig
from efficientnet_tf.training.fields import (
    check_at_least,
    check_positive,
    check_share,
    check_types,
)
from efficientnet_tf.training.parts import frozen_prefixes
from efficientnet_tf.training.text_files import load_variant

Precision = Literal["auto", "float32", "bfloat16"]
Schedule = Literal["exponential", "cosine", "poly", "constant"]
Optimizer = Literal["rmsprop", "momentum", "sgd", "lars", "adamw", "lamb"]
Sync = Literal["off", "original", "all"]
Which = Literal["last", "best"]
ExportFormat = Literal[
    "keras", "int8", "float", "float16", "dynamic_range", "saved_model"
]
CalibrationRange = Literal["minmax", "image_percentile", "percentile", "mse"]

# The word of `train.init_from` for the weights that Keras publishes.
IMAGENET = "imagenet"

# The largest seed that NumPy's global generator takes.
MAX_SEED = 2**32 - 1


@dataclass(frozen=True)
class ModelConfig:
    """The network.

    Attributes:
        name: A variant: see `python main.py describe`. FILE.json, local or
            gs://, for one of your own: the file is read at once, and its name
            and its table take the place of its path.
        classes: Number of logits; None for as many as the data has.
        pixels: Side of the square input image; None for the published one.
        dropout: Probability of dropping a pooled feature; None for the
            published one.
        drop_path: Drop probability that the ramp over blocks aims at; None for
            the published one.
        batch_norm_momentum: Weight of the past in the moving statistics.
        fused_stride: Which convolution of a fused block carries its stride;
            the EdgeTPU weights published in 2019 were trained with "project".
        head_init: How the classifier's kernel starts: "uniform" within
            1 / sqrt(classes) of zero, as the original's, or "zeros". With few
            classes the former begins with large and wrong logits.
        variant: The table of a network of your own; None where the name says
            all.
    """

    name: str = "efficientnet-b0"
    classes: int | None = None
    pixels: int | None = None
    dropout: float | None = None
    drop_path: float | None = None
    batch_norm_momentum: float = 0.99
    fused_stride: FusedStride = "expand"
    head_init: HeadInit = "uniform"
    variant: Variant | None = None

    def __post_init__(self) -> None:
        """Reads a variant file, and refuses what no network can have."""
        check_types("model", self)
        if self.name.endswith(".json"):
            name, variant = load_variant(self.name)
            object.__setattr__(self, "name", name)
            object.__setattr__(self, "variant", variant)
        elif self.variant and (self.name in variants() or alias(self.name)):
            raise InputError(
                f"model.variant: {self.name} has a table already; give your "
                "own another model.name"
            )
        _network(self)
        check_share("model.batch_norm_momentum", self.batch_norm_momentum)

    @property
    def table(self) -> NamedVariant:
        """The network before any of the other fields."""
        if self.variant:
            return NamedVariant(self.name, self.variant)
        return find_variant(self.name)


@dataclass(frozen=True)
class TrainConfig:
    """How the weights are found.

    Attributes:
        epochs: Times that every training image is seen.
        batch: Images of one step, all devices together.
        learning_rate_per_256: Peak learning rate for 256 images a step; it
            grows in proportion to the batch.
        schedule: "exponential" falls in steps, "cosine" ends at zero, "poly"
            falls by a power to `poly_end`, "constant" stays.
        decay_epochs: Epochs between two steps of "exponential".
        decay_factor: What a step of "exponential" multiplies by.
        poly_power: Power of "poly".
        poly_end: Learning rate at its end, whatever the batch.
        warmup_epochs: Epochs of rising linearly from zero, but never more
            than a fifth of the training.
        optimizer: "rmsprop", "momentum", "sgd" and "lars" have the arithmetic
            of the original; "adamw" and "lamb" are Keras's.
        rmsprop_decay: Weight of the past in the mean square of gradients.
        momentum: Weight of the past in the update: of "rmsprop", "momentum"
            and "lars"; the first beta of "adamw" and "lamb".
        rmsprop_epsilon: Added to the mean square, inside the root.
        lars_coefficient: Of "lars": a layer's step as a share of its weights.
        lars_weight_decay: Of "lars", which adds it to the gradients of
            kernels, beside `weight_decay` in the loss.
        lars_epsilon: Of "lars": added to the norms below the fraction.
        adam_beta_2: Of "adamw" and "lamb": weight of the past in the mean
            square of gradients.
        adam_epsilon: Of "adamw" and "lamb": added to the root.
        clip_norm: Longest gradient, over all weights and after the sum over
            replicas; longer ones are scaled down. 0 for any length.
        weight_decay: Factor of half the squared weights in the loss; with
            "adamw" and "lamb" the share by which kernels and biases shrink in
            a step of learning rate 1, apart from the gradient.
        label_smoothing: Share of the target spread over all classes.
        average_decay: Weight of the past in the averaged weights; 0 for no
            averaging.
        precision: What the layers compute in; "auto" is bfloat16 on a TPU and
            float32 elsewhere. Weights, statistics and loss are float32.
        sync_batch_norm: Among which replicas a batch norm shares its
            statistics: "all"; "off" for none; "original" for none among up to
            8, else for groups of an eighth of them, of 8 at least.
        microbatches: Parts of a batch that are done one after the other, for
            batches that do not fit; only batch norm and dropout see the
            difference.
        remat: Whether blocks are computed once more in the backward pass, so
            that only what is between them is kept: less memory, more time.
        steps_per_call: Steps that the device does between two reports.
        checkpoint_epochs: Epochs between two checkpoints.
        checkpoints: How many of the newest checkpoints are kept.
        init_from: Where the weights start: a model directory, local or gs://,
            whose averaged weights are taken; "imagenet" for the weights that
            Keras publishes; empty for fresh ones. The classifier stays fresh
            where the classes are others.
        freeze: What stays as `init_from` has it: "none"; "stem"; "stage3" for
            the stem and stages 1 to 3; "backbone" for all but the classifier.
            The frozen part works as in inference: its batch norm takes and
            keeps the moving statistics, it drops nothing and does not decay.
        head_learning_rate_factor: The classifier's learning rate as a multiple
            of everyone else's.
        seed: Decides initial weights, order, crops and what is dropped.
    """

    epochs: float = 350.0
    batch: int = 2048
    learning_rate_per_256: float = 0.016
    schedule: Schedule = "exponential"
    decay_epochs: float = 2.4
    decay_factor: float = 0.97
    poly_power: float = 2.0
    poly_end: float = 0.1
    warmup_epochs: float = 5.0
    optimizer: Optimizer = "rmsprop"
    rmsprop_decay: float = 0.9
    momentum: float = 0.9
    rmsprop_epsilon: float = 1e-3
    lars_coefficient: float = 1e-3
    lars_weight_decay: float = 1e-5
    lars_epsilon: float = 0.0
    adam_beta_2: float = 0.999
    adam_epsilon: float = 1e-6
    clip_norm: float = 0.0
    weight_decay: float = 1e-5
    label_smoothing: float = 0.1
    average_decay: float = 0.9999
    precision: Precision = "auto"
    sync_batch_norm: Sync = "all"
    microbatches: int = 1
    remat: bool = False
    steps_per_call: int = 100
    checkpoint_epochs: float = 1.0
    checkpoints: int = 3
    init_from: str = ""
    freeze: str = "none"
    head_learning_rate_factor: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses what no training can have."""
        check_types("train", self)
        for name in (
            "epochs",
            "learning_rate_per_256",
            "decay_epochs",
            "decay_factor",
            "poly_power",
            "rmsprop_epsilon",
            "lars_coefficient",
            "adam_epsilon",
            "checkpoint_epochs",
            "head_learning_rate_factor",
        ):
            check_positive(f"train.{name}", getattr(self, name))
        for name in ("batch", "microbatches", "steps_per_call", "checkpoints"):
            check_at_least(f"train.{name}", getattr(self, name), 1)
        if self.seed > MAX_SEED:
            raise InputError(
                f"train.seed {self.seed} must be at most {MAX_SEED}"
            )
        for name in (
            "warmup_epochs",
            "poly_end",
            "lars_weight_decay",
            "lars_epsilon",
            "clip_norm",
            "weight_decay",
            "seed",
        ):
            check_at_least(f"train.{name}", getattr(self, name), 0)
        for name in (
            "rmsprop_decay",
            "momentum",
            "adam_beta_2",
            "label_smoothing",
            "average_decay",
        ):
            check_share(f"train.{name}", getattr(self, name))


@dataclass(frozen=True)
class EvaluateConfig:
    """How a network is judged.

    Attributes:
        batch: Images of one step, all devices together; the figures do not
            depend on it.
        every_epochs: Epochs of training between two evaluations.
        raw: Whether these look at the weights as they are trained too, besides
            the averaged ones; the last evaluation always does.
        checkpoint: The checkpoint that `evaluate` and `predict` take: the
            last one, or the best one by top-1 of the averaged weights.
        background: Whether logit 0 is a background class that the data does
            not have, so that class c of the data is logit c + 1; None for
            true exactly where the network has one class more than the data.
    """

    batch: int = 256
    every_epochs: float = 1.0
    raw: bool = False
    checkpoint: Which = "last"
    background: bool | None = None

    def __post_init__(self) -> None:
        """Refuses what no evaluation can have."""
        check_types("evaluate", self)
        check_at_least("evaluate.batch", self.batch, 1)
        check_positive("evaluate.every_epochs", self.every_epochs)


@dataclass(frozen=True)
class ExportConfig:
    """What leaves for the device.

    Attributes:
        checkpoint: The checkpoint that is exported; see `EvaluateConfig`.
        formats: The files to write: "keras" for Keras alone; "int8" for the
            Edge TPU and any CPU; "float", "float16" and "dynamic_range" for
            LiteRT where there is no Edge TPU, in float32, with weights of half
            and of about a quarter of the size; "saved_model" for servers.
        calibration_images: Training images that set the int8 ranges.
        calibration_range: How they do so, tensor by tensor:
            "image_percentile" by the smallest and the largest value of all
            images but 2 % at either end; "percentile" leaves out 0.005 % of
            the values at either end, whichever images they are from; "mse"
            takes the range with the least squared error; "minmax" the smallest
            and the largest value, as TensorFlow's converter, so that one image
            decides.
        verify_images: Validation images on which int8 is held against float.
    """

    checkpoint: Which = "last"
    formats: tuple[ExportFormat, ...] = ("keras", "int8")
    calibration_images: int = 500
    calibration_range: CalibrationRange = "image_percentile"
    verify_images: int = 500

    def __post_init__(self) -> None:
        """Refuses what no export can have."""
        check_types("export", self)
        if not self.formats or len({*self.formats}) < len(self.formats):
            raise InputError(
                f"export.formats {','.join(self.formats)!r} must name one or "
                f"more of {', '.join(get_args(ExportFormat))}, each once"
            )
        check_at_least("export.calibration_images", self.calibration_images, 1)
        check_at_least("export.verify_images", self.verify_images, 1)


@dataclass(frozen=True)
class Config:
    """A run: five sections."""

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    export: ExportConfig = field(default_factory=ExportConfig)

    def __post_init__(self) -> None:
        """Refuses what sections cannot be together."""
        freeze = self.train.freeze
        frozen_prefixes(self.network(), freeze)
        if freeze != "none" and not self.train.init_from:
            raise InputError(
                f"train.freeze {freeze!r} would keep random weights; name "
                "those to start from, --init_from=DIR or --init_from=imagenet"
            )

    def network(self, classes: int | None = None) -> Network:
        """The network with every number final.

        Args:
            classes: Classes of the data, where the config leaves them open.
        """
        return _network(self.model, classes, self.data.normalization)


# Of fields that decide how fast a run is or whether it ends early, and not what
# it trains on.
_PASSING = frozenset(
    f"data.{name}" for name in ("prefetch_bytes", "cache", "max_bad_share")
)


def differences(ours: Config, theirs: Config) -> list[str]:
    """Names of the fields in which two configs differ, as `section.field`."""
    return [
        f"{section.name}.{item.name}"
        for section in dataclasses.fields(Config)
        for item in dataclasses.fields(getattr(ours, section.name))
        if getattr(getattr(ours, section.name), item.name)
        != getattr(getattr(theirs, section.name), item.name)
    ]


def conflicts(ours: Config, theirs: Config) -> list[str]:
    """Of the `differences` those that make it another run.

    With a service images come in another order than without; where its
    dispatcher is, may change.
    """
    passing = _PASSING
    if bool(ours.data.service) == bool(theirs.data.service):
        passing |= {"data.service"}
    return [name for name in differences(ours, theirs) if name not in passing]


def _network(
    model: ModelConfig,
    classes: int | None = None,
    normalization: NormalizationName | None = None,
) -> Network:
    try:
        return network(
            model.table,
            classes=classes if model.classes is None else model.classes,
            pixels=model.pixels,
            dropout=model.dropout,
            drop_path=model.drop_path,
            normalization=normalization,
            fused_stride=model.fused_stride,
        )
    except InputError as error:
        raise InputError(f"model: {error}") from None
