r"""EfficientNet-Lite0 to Lite4 for ImageNet, to be quantized to int8.

    python main.py --tpu=NAME --config=configs/lite.py:lite0 \
        --data_dir=gs://bucket/imagenet --model_dir=gs://bucket/run
    python main.py export --model_dir=gs://bucket/run

The recipe of configs/imagenet.py with a bilinear resize, which is what the
original's code asks for here.

Hardware: as B0 to B4.

Published top-1 (the original's README, "lite"), not measured here:

               lite0  lite1  lite2  lite3  lite4
    float       75.1   76.7   77.6   79.8   81.5
    int8        74.4   75.9   77.0   79.0   80.2

The README does not say with which augmentation. AutoAugment is off here: --set
data.augment=autoaugment turns it on. The figures of lite3 and lite4 were found
again by others at 300 and 380 pixels, not at the 280 and 300 of these networks
(timm, tensorflow/tpu#882).
"""

from dataclasses import replace
from pathlib import Path

from efficientnet_tf.training.config import ModelConfig
from efficientnet_tf.training.config_files import load_config

# A file of configs is run, not imported, and so it loads its neighbour.
_IMAGENET = Path(__file__).with_name("imagenet.py")
_PAPERS = load_config(f"{_IMAGENET}:b0-baseline")

CONFIGS = {
    f"lite{number}": replace(
        _PAPERS,
        model=ModelConfig(name=f"efficientnet-lite{number}"),
        data=replace(_PAPERS.data, resize="bilinear"),
    )
    for number in range(5)
}
