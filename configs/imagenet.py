r"""The papers' recipe for ImageNet: B0 to B8 and L2.

    python main.py --tpu=NAME --config=configs/imagenet.py:b4 \
        --data_dir=gs://bucket/imagenet --model_dir=gs://bucket/run
    python main.py --tpu=NAME --config=configs/imagenet.py:b5-randaugment \
        --data_dir=gs://bucket/imagenet --model_dir=gs://bucket/run

The numbers are those of section 5.2 of "EfficientNet: Rethinking Model Scaling
for Convolutional Neural Networks" (arXiv 1905.11946) and of the original's
code. Its authors trained all sizes with batch 4096 for 350 epochs, on more
cores where the network is larger. With --set train.batch=2048 it is the
project's default recipe, for a TPU v2-8; the learning rate follows the batch.
Dropout, 0.2 for B0 to 0.5 for B7, comes with the network. L2 trains at 475
pixels, as published, with batch norm shared by all cores.

    b0 to b7                          AutoAugment, as in the paper
    b0-baseline to b5-baseline        no ops: crop and flip only
    b5-randaugment, b7-randaugment    RandAugment (2, 17) and (2, 28)
    b8                                RandAugment (2, 28)
    l2                                no ops

The magnitudes are those of the original's README, in its own arithmetic.

Hardware: published for B0, 23 hours on a TPU v2-8 (arXiv 2011.00071).

Published top-1, not measured here:

    baseline                    b0 76.7  b1 78.7  b2 79.8  b3 81.1  b4 82.5
                                b5 83.1
    with AutoAugment            b0 77.1  b1 79.1  b2 80.1  b3 81.6  b4 82.9
                                b5 83.6  b6 84.0  b7 84.3
    with RandAugment            b5 83.7  b7 84.7
    AdvProp and AutoAugment     b8 85.5
    NoisyStudent, RandAugment   l2 88.4 at 800 pixels, 88.2 at 475

The project has no AdvProp and no NoisyStudent, so the last two rows are not
what it can be expected to give. For b8 no figure of RandAugment alone was
published, and for l2 neither the magnitude nor a figure without NoisyStudent.
"""

from dataclasses import replace

from efficientnet_tf.training.config import (
    Config,
    DataConfig,
    ModelConfig,
    TrainConfig,
)

_RECIPE = Config(
    data=DataConfig(
        # No digits by mistake: --data_dir must say where ImageNet is.
        dir="",
        min_crop_area=0.08,
        flip=True,
        crop="pad32",
        resize="legacy_bicubic",
    ),
    train=TrainConfig(
        epochs=350,
        batch=4096,
        learning_rate_per_256=0.016,
        schedule="exponential",
        decay_epochs=2.4,
        decay_factor=0.97,
        warmup_epochs=5,
        optimizer="rmsprop",
        rmsprop_decay=0.9,
        momentum=0.9,
        rmsprop_epsilon=1e-3,
        weight_decay=1e-5,
        label_smoothing=0.1,
        average_decay=0.9999,
        sync_batch_norm="original",
    ),
)

_AUTOAUGMENT = replace(_RECIPE.data, augment="autoaugment")


def _randaugment(magnitude: int) -> DataConfig:
    return replace(
        _RECIPE.data,
        augment="randaugment",
        augment_arithmetic="original",
        randaugment_layers=2,
        randaugment_magnitude=magnitude,
    )


def _sized(size: str, data: DataConfig) -> Config:
    model = ModelConfig(name=f"efficientnet-{size}")
    return replace(_RECIPE, model=model, data=data)


CONFIGS = {
    **{f"b{n}": _sized(f"b{n}", _AUTOAUGMENT) for n in range(8)},
    **{f"b{n}-baseline": _sized(f"b{n}", _RECIPE.data) for n in range(6)},
    "b5-randaugment": _sized("b5", _randaugment(17)),
    "b7-randaugment": _sized("b7", _randaugment(28)),
    "b8": _sized("b8", _randaugment(28)),
    "l2": Config(
        model=ModelConfig(name="efficientnet-l2", pixels=475),
        data=_RECIPE.data,
        train=replace(_RECIPE.train, sync_batch_norm="all", remat=True),
    ),
}
