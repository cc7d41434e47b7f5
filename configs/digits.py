"""A small network on scikit-learn's handwritten digits, in minutes on a CPU.

    python main.py
    python main.py --config=configs/digits.py

The data ships with scikit-learn: 1,437 images to train on, 360 held out.

Hardware: a CPU; about two minutes on two cores. Measured: top-1 0.989 (averaged
weights). No published figure belongs to it.
"""

from efficientnet_tf.training.config import (
    Config,
    DataConfig,
    EvaluateConfig,
    ModelConfig,
    TrainConfig,
)

CONFIGS = {
    "digits": Config(
        model=ModelConfig(
            name="efficientnet-lite0",
            pixels=48,
            dropout=0.0,
            drop_path=0.0,
            batch_norm_momentum=0.9,
        ),
        data=DataConfig(
            dir="digits",
            min_crop_area=0.6,
            flip=False,
            crop="whole",
        ),
        train=TrainConfig(
            epochs=6,
            batch=16,
            learning_rate_per_256=0.016,
            schedule="cosine",
            warmup_epochs=1,
            average_decay=0.99,
            steps_per_call=30,
        ),
        evaluate=EvaluateConfig(batch=128, every_epochs=1),
    ),
}
