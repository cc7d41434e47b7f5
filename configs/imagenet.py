r"""The papers' recipe for ImageNet: B0 to B8 and L2.

    python main.py --tpu=NAME --config=configs/imagenet.py:b4 \
        --data_dir=gs://bucket/imagenet --model_dir=gs://bucket/run

The numbers are those of section 5.2 of "EfficientNet: Rethinking Model Scaling
for Convolutional Neural Networks" (arXiv 1905.11946) and of the original's
code. Its authors trained all sizes with batch 4096 for 350 epochs, on more
cores where the network is larger. With --set train.batch=2048 it is the
project's default recipe, for a TPU v2-8; the learning rate follows the batch.
Dropout, 0.2 for B0 to 0.5 for B7, comes with the network. L2 trains at 475
pixels, as published, with batch norm shared by all cores.

Hardware: published for B0, 23 hours on a TPU v2-8 (arXiv 2011.00071).

Published top-1, not measured here:

    baseline                    b0 76.7  b1 78.7  b2 79.8  b3 81.1  b4 82.5
                                b5 83.1
    with AutoAugment            b0 77.1  b1 79.1  b2 80.1  b3 81.6  b4 82.9
                                b5 83.6  b6 84.0  b7 84.3
    AdvProp and AutoAugment     b8 85.5
    NoisyStudent, RandAugment   l2 88.4 at 800 pixels, 88.2 at 475

This recipe is the baseline's. The project has no AutoAugment, RandAugment,
AdvProp or NoisyStudent, so the other rows are not what it can be expected to
give; for b6, b7, b8 and l2 no baseline was published.
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

CONFIGS = {
    size: replace(_RECIPE, model=ModelConfig(name=f"efficientnet-{size}"))
    for size in (*(f"b{number}" for number in range(9)), "l2")
}
CONFIGS["l2"] = Config(
    model=ModelConfig(name="efficientnet-l2", pixels=475),
    data=_RECIPE.data,
    train=replace(_RECIPE.train, sync_batch_norm="all", remat=True),
)
