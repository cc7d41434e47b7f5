r"""EfficientNet-X and -H, found for datacenter accelerators.

    python main.py --tpu=NAME --config=configs/x.py:x-tpu-b3 \
        --data_dir=gs://bucket/imagenet --model_dir=gs://bucket/run

"Searching for Fast Model Families on Datacenter Accelerators" (arXiv
2102.05610). `x` scales as B0 to B7 do, `x-tpu` and `x-gpu` as the paper found
best for each; `h` expands less in stages 2 to 4. The recipe of
configs/imagenet.py.

Hardware: the paper speaks of TPU v3 and of V100.

Published top-1, not measured here: x-b7 84.7 (the paper). For the h networks
no figure is known. Whether AutoAugment or RandAugment made the figure is not
known either; here there is none. --set data.augment=autoaugment turns it on.
"""

from dataclasses import replace
from pathlib import Path

from efficientnet_tf.training.config import ModelConfig
from efficientnet_tf.training.config_files import load_config

# A file of configs is run, not imported, and so it loads its neighbour.
_IMAGENET = Path(__file__).with_name("imagenet.py")
_PAPERS = load_config(f"{_IMAGENET}:b0-baseline")

_NAMES = (
    *(f"x-b{number}" for number in range(8)),
    *(f"x-tpu-b{number}" for number in range(1, 8)),
    *(f"x-gpu-b{number}" for number in range(1, 8)),
    *(f"h-b{number}" for number in range(5, 8)),
    *(f"h-tpu-b{number}" for number in range(5, 8)),
)

CONFIGS = {
    name: replace(_PAPERS, model=ModelConfig(name=f"efficientnet-{name}"))
    for name in _NAMES
}
