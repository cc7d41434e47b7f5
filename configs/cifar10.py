"""A few epochs on small photographs of ten classes, such as CIFAR-10's.

    python main.py prepare --from=cifar10 --out=records
    python main.py --config=configs/cifar10.py --data_dir=records

The 32-pixel pictures are enlarged to 64, since the network divides the side
of its input by 32.

Hardware: a CPU; five epochs of 10,000 images take about twenty minutes on two
cores.

Measured on 10,000 + 2,000 images of CIFAR-10: top-1 0.367 (averaged weights).
No published figure belongs to it: it is a demonstration, not a recipe to quote.
"""

from efficientnet_tf.training.config import (
    Config,
    DataConfig,
    EvaluateConfig,
    ModelConfig,
    TrainConfig,
)

CONFIGS = {
    "cifar10": Config(
        model=ModelConfig(
            name="efficientnet-lite0",
            pixels=64,
            dropout=0.1,
            drop_path=0.0,
            batch_norm_momentum=0.97,
        ),
        data=DataConfig(
            min_crop_area=0.4,
            crop="whole",
        ),
        train=TrainConfig(
            epochs=5,
            batch=16,
            learning_rate_per_256=0.016,
            schedule="cosine",
            warmup_epochs=0.5,
            average_decay=0.999,
            steps_per_call=40,
        ),
        evaluate=EvaluateConfig(batch=200),
    ),
}
