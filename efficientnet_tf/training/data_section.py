"""The section `data` of a config: which images, and what is done to them.

No TensorFlow here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from efficientnet_tf.data.address import check_address
from efficientnet_tf.data.augmentation.policies import (
    HIGHEST_MAGNITUDE,
    Policy,
)
from efficientnet_tf.data.augmentation.recipe import (
    Arithmetic,
    Augmentation,
    Erasing,
    Filling,
    Jitter,
)
from efficientnet_tf.data.cut import CropRule, Cut, ResizeKernel
from efficientnet_tf.data.sizes import PREFETCH_BYTES, SHUFFLE_BYTES
from efficientnet_tf.errors import InputError
from efficientnet_tf.networks import NormalizationName
from efficientnet_tf.training.fields import (
    check_at_least,
    check_share,
    check_types,
)

Cache = Literal["off", "memory"]

# Beyond these a beta distribution is all edges, or all middle.
_SMALLEST_ALPHA, _LARGEST_ALPHA = 1e-3, 100.0


@dataclass(frozen=True)
class DataConfig:
    """The images.

    Attributes:
        dir: TFRecords in the layout of ImageNet or a folder of class folders
            of pictures, local or gs://; "tfds:NAME" for a data set of
            tensorflow-datasets; "digits" for the handwritten digits that ship
            with the project; "fake" for noise that costs nothing.
        tfds_dir: Where tensorflow-datasets keeps data sets; empty for its own
            default, `$TFDS_DATA_DIR` or `~/tensorflow_datasets`.
        train_images: Images of the training split; None for what the
            manifest says or a count finds.
        validation_images: The same of the validation split.
        first_label: What the records call the first class: 1 in the layout of
            ImageNet, where 0 is the background. None as above.
        min_crop_area: Smallest share of a picture that a training crop takes.
        flip: Whether half of the training images are mirrored.
        dct_scaling: Whether large training crops are decoded at a half, a
            quarter or an eighth, while they still fill the image: less time
            for photographs of several megapixels, other pixels.
        crop: How much of a picture an evaluation takes: "pad32" leaves out
            what would be 32 pixels of the network's input, as all figures
            that were published before November 2021; "fraction" takes about
            0.875 of the shorter side, the original's rule since; "whole" all
            of it. See `Cut`.
        resize: The kernel that brings pictures to size, in training too:
            "legacy_bicubic" is TensorFlow 1's, behind all published figures;
            "bicubic", "bilinear" and "area" are those of `tf.image.resize`,
            without antialiasing.
        augment: Which ops training images get after that: "none";
            "autoaugment" for one of the 25 pairs of its policy v0;
            "randaugment" for some of 16 ops, all of one magnitude.
        augment_arithmetic: How they are computed: "original" as the original
            does, so that published recipes mean what they meant, with bytes
            that wrap and a contrast that knows no mean; "clean" as PIL does;
            "fused" as PIL does but for roundings, sooner.
        randaugment_layers: How many ops an image gets.
        randaugment_magnitude: Their level; 10 is the strongest that the
            formulae were made for.
        jitter_brightness: Largest change of brightness, as a share; so the
            next two. Jitter comes after the ops.
        jitter_contrast: The same of contrast.
        jitter_saturation: The same of saturation.
        jitter_hue: Largest turn of the hue, as a share of the whole circle.
        erasing: Probability that a random rectangle of an image is replaced,
            after all else.
        erasing_filling: By what: the "mean" of the normalization, or "noise".
        mixup: Both parameters of the beta distribution by which two training
            images and their labels are blended; 0 for none.
        cutmix: The same of the share of an image that a patch of another one
            replaces. Where both are given, each has half of the batches.
        holdout_shards: How many of the first training files are taken for
            validation in place of the validation files; the original's
            published training held out 20 of 1024 to choose checkpoints by.
            The numbers of images are those after it.
        normalization: What is done to pixels before the network, also in
            training: "imagenet" by ImageNet's mean and deviation by channel,
            "centered127" (x - 127) / 128, "centered128" (x - 128) / 128,
            "unit" to -1..1, which weights trained by AdvProp expect. None for
            what the family's published weights expect.
        max_bad_share: Share of the training records that may be unusable:
            they are passed over and named, and a run that meets more ends. Of
            an evaluation, the same of its records.
        shuffle_bytes: Of records that may be held for shuffling, by all hosts
            together; five times a window's. Decides the order. Where only one
            batch fits, batches are shuffled in themselves, and not with each
            other.
        prefetch_bytes: Of finished images that a host may hold for its
            devices, a batch of each replica at least and 32 at most.
        cache: Where files are kept while training: "off", or in "memory",
            where all of them must fit, of each host. A local file needs none:
            the system keeps what it has room for.
        service: grpc://HOST:PORT of a dispatcher that `serve-data` has begun,
            whose workers prepare the training images; empty for this host. A
            run keeps to the one or the other.
    """

    dir: str = "digits"
    tfds_dir: str = ""
    train_images: int | None = None
    validation_images: int | None = None
    first_label: int | None = None
    min_crop_area: float = 0.08
    flip: bool = True
    dct_scaling: bool = False
    crop: CropRule = "pad32"
    resize: ResizeKernel = "legacy_bicubic"
    augment: Policy = "none"
    augment_arithmetic: Arithmetic = "original"
    randaugment_layers: int = 2
    randaugment_magnitude: int = 10
    jitter_brightness: float = 0.0
    jitter_contrast: float = 0.0
    jitter_saturation: float = 0.0
    jitter_hue: float = 0.0
    erasing: float = 0.0
    erasing_filling: Filling = "mean"
    mixup: float = 0.0
    cutmix: float = 0.0
    holdout_shards: int = 0
    normalization: NormalizationName | None = None
    max_bad_share: float = 1e-4
    shuffle_bytes: int = SHUFFLE_BYTES
    prefetch_bytes: int = PREFETCH_BYTES
    cache: Cache = "off"
    service: str = ""

    def __post_init__(self) -> None:
        """Refuses what no data can have."""
        check_types("data", self)
        self._check_augmentation()
        check_share("data.max_bad_share", self.max_bad_share)
        for name in ("shuffle_bytes", "prefetch_bytes"):
            check_at_least(f"data.{name}", getattr(self, name), 1)
        if self.service:
            check_address("data.service", self.service)
        for name in ("mixup", "cutmix", "holdout_shards"):
            check_at_least(f"data.{name}", getattr(self, name), 0)
        for name in ("mixup", "cutmix"):
            value = getattr(self, name)
            if value and not _SMALLEST_ALPHA <= value <= _LARGEST_ALPHA:
                raise InputError(
                    f"data.{name} {value} must be 0, or from {_SMALLEST_ALPHA} "
                    f"to {_LARGEST_ALPHA}"
                )
        check_share("data.min_crop_area", self.min_crop_area, highest=1.0)
        for name in ("train_images", "validation_images"):
            value = getattr(self, name)
            if value is not None:
                check_at_least(f"data.{name}", value, 1)

    def _check_augmentation(self) -> None:
        check_at_least("data.randaugment_layers", self.randaugment_layers, 1)
        for name, highest in (
            ("randaugment_magnitude", HIGHEST_MAGNITUDE),
            ("jitter_brightness", None),
            ("jitter_contrast", None),
            ("jitter_saturation", None),
            ("jitter_hue", 0.5),
            ("erasing", 1),
        ):
            value = getattr(self, name)
            check_at_least(f"data.{name}", value, 0)
            if highest is not None and value > highest:
                raise InputError(
                    f"data.{name} {value} must be at most {highest}"
                )

    def augmentation(self, mean: tuple[float, float, float]) -> Augmentation:
        """What is done to training images after cropping and mirroring them.

        Args:
            mean: Of the normalization, on 0..255.
        """
        return Augmentation(
            policy=self.augment,
            arithmetic=self.augment_arithmetic,
            layers=self.randaugment_layers,
            magnitude=self.randaugment_magnitude,
            jitter=Jitter(
                self.jitter_brightness,
                self.jitter_contrast,
                self.jitter_saturation,
                self.jitter_hue,
            ),
            erasing=Erasing(self.erasing, self.erasing_filling, mean),
        )

    def cut(self, pixels: int) -> Cut:
        """How pictures become inputs of a network of that size."""
        return Cut(pixels, self.crop, self.resize)
