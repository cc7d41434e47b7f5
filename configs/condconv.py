r"""EfficientNet-CondConv: convolutions chosen anew for every image.

    python main.py --tpu=NAME --config=configs/condconv.py:b0-4e \
        --data_dir=gs://bucket/imagenet --model_dir=gs://bucket/run

"CondConv: Conditionally Parameterized Convolutions for Efficient Inference"
(arXiv 1904.04971). The recipe of configs/imagenet.py; dropout, 0.25, comes with
the network.

Hardware: as B0, with more memory for the experts' weights.

Published top-1 (the original's README, "condconv"), not measured here: b0-4e
77.8, b0-8e 78.3, b0-8e-depth 79.5, beside a B0 of 77.3 and a B1 of 79.2. Those
two are near the figures with AutoAugment (77.1, 79.1); the README does not say
with which augmentation. Here there is none; --set data.augment=autoaugment
turns it on.
"""

from dataclasses import replace
from pathlib import Path

from efficientnet_tf.training.config import ModelConfig
from efficientnet_tf.training.config_files import load_config

# A file of configs is run, not imported, and so it loads its neighbour.
_IMAGENET = Path(__file__).with_name("imagenet.py")
_PAPERS = load_config(f"{_IMAGENET}:b0-baseline")

CONFIGS = {
    name: replace(
        _PAPERS, model=ModelConfig(name=f"efficientnet-condconv-{name}")
    )
    for name in ("b0-4e", "b0-8e", "b0-8e-depth")
}
