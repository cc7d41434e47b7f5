r"""The original's recipe for ImageNet, which is also the default.

    python main.py --tpu=NAME --config=configs/imagenet.py:b4 \
        --data_dir=gs://bucket/imagenet --model_dir=gs://bucket/run

Published for it, not measured here: B0 takes 23 hours on a TPU v2-8 (arXiv
2011.00071); B0 to B5 reach 76.7, 78.7, 79.8, 81.1, 82.5 and 83.1 top-1 (the
original's README, "baseline"). Its authors used batch 4096 for all sizes; the
learning rate follows the batch.
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
        min_crop_area=0.08,
        flip=True,
        crop="pad32",
        resize="legacy_bicubic",
    ),
    train=TrainConfig(
        epochs=350,
        batch=2048,
        learning_rate_per_256=0.016,
        schedule="exponential",
        decay_epochs=2.4,
        decay_factor=0.97,
        warmup_epochs=5,
        weight_decay=1e-5,
        label_smoothing=0.1,
        average_decay=0.9999,
    ),
)

CONFIGS = {
    f"b{number}": replace(
        _RECIPE, model=ModelConfig(name=f"efficientnet-b{number}")
    )
    for number in range(9)
}
