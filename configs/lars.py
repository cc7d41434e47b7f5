r"""B2 and B5 on ImageNet with very large batches, in about an hour.

    python main.py --tpu=NAME --config=configs/lars.py:b5-65536 \
        --data_dir=gs://bucket/imagenet --model_dir=gs://bucket/run

"Training EfficientNets at Supercomputer Scale: 83% ImageNet Top-1 Accuracy in
One Hour" (arXiv 2011.00071): LARS, a long warm-up, a polynomial fall, and batch
norm over groups of cores (here by the original's rule for all its optimizers;
its own LARS path had groups of 128 images). All else as in configs/imagenet.py.
Rates and warm-ups are from notes on the paper's table, not from the paper
itself: check them before a long run.

Hardware: 1,024 cores of TPU v3 for batch 65536, on which b5 took 1 h 4 min.

Published top-1, not measured here: 83 % for b5-65536 (the abstract). With
AutoAugment B2 and B5 reach 80.1 and 83.6 at batch 4096, without it 79.8 and
83.1 (the original's README), so that was most likely trained with it, and so
are these. Without LARS, batch 32768 gave 40.3
(tensorflow/tpu#571).
"""

from dataclasses import replace
from pathlib import Path

from efficientnet_tf.training.config import Config, ModelConfig
from efficientnet_tf.training.config_files import load_config

# A file of configs is run, not imported, and so it loads its neighbour.
_IMAGENET = Path(__file__).with_name("imagenet.py")
_PAPERS = load_config(f"{_IMAGENET}:b0")


def _large(
    size: str, batch: int, learning_rate_per_256: float, warmup_epochs: float
) -> Config:
    return replace(
        _PAPERS,
        model=ModelConfig(name=f"efficientnet-{size}"),
        train=replace(
            _PAPERS.train,
            batch=batch,
            learning_rate_per_256=learning_rate_per_256,
            warmup_epochs=warmup_epochs,
            schedule="poly",
            optimizer="lars",
            sync_batch_norm="original",
        ),
    )


# fmt: off
CONFIGS = {
    #                       batch  rate  warm-up
    "b2-16384": _large("b2", 16384, 0.236, 50),
    "b2-32768": _large("b2", 32768, 0.118, 50),
    "b5-16384": _large("b5", 16384, 0.236, 50),
    "b5-32768": _large("b5", 32768, 0.118, 50),
    "b5-65536": _large("b5", 65536, 0.081, 43),
}
# fmt: on
