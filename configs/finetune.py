r"""Other classes from weights that know ImageNet.

    python main.py prepare --from=photos --out=records
    python main.py --config=configs/finetune.py --data_dir=records \
        --model_dir=runs/tuned
    python main.py --config=configs/finetune.py:head --data_dir=records \
        --model_dir=runs/head

`all` trains every weight, `head` the classifier alone, which needs little time
and few images. The weights are those that Keras publishes for B0; others come
by --init_from=runs/mine, with that run's --model.

The classifier starts at zero and the learning rate is lower than the papers':
with few classes, the original's classifier starts with large and wrong logits.
Hardware: one GPU, or a CPU and patience.

Not measured as it stands. Measured by benchmarks/fine_tuning.py with the same
classifier and learning rate, from a Lite0 at 48 pixels: fine-tuned top-1 is
1.09 and 1.19 times that of fresh weights. Published (arXiv 1905.11946, table
5), by other recipes and not measured here: B0 reaches 98.1 on CIFAR-10 and
88.1 on CIFAR-100.
"""

from dataclasses import replace

from efficientnet_tf.training.config import (
    Config,
    DataConfig,
    ModelConfig,
    TrainConfig,
)

_ALL = Config(
    model=ModelConfig(
        name="efficientnet-b0",
        batch_norm_momentum=0.97,
        head_init="zeros",
    ),
    data=DataConfig(
        # No digits by mistake: --data_dir must say where the images are.
        dir="",
        min_crop_area=0.4,
    ),
    train=TrainConfig(
        epochs=20,
        batch=32,
        learning_rate_per_256=0.006,
        schedule="cosine",
        warmup_epochs=1,
        average_decay=0.99,
        init_from="imagenet",
        freeze="none",
    ),
)

CONFIGS = {
    "all": _ALL,
    "head": replace(_ALL, train=replace(_ALL.train, freeze="backbone")),
}
