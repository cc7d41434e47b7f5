r"""EfficientNet-EdgeTPU S, M and L for ImageNet, with a background class.

    python main.py --tpu=NAME --config=configs/edgetpu.py:S \
        --data_dir=gs://bucket/imagenet --model_dir=gs://bucket/run \
        --set model.classes=1001 --set data.first_label=0 \
        --set data.train_images=1281167 --set data.validation_images=50000
    python main.py export --model_dir=gs://bucket/run

The recipe of configs/imagenet.py. The published networks have 1001 classes, of
which 0 is the background and has no images. That is said by four settings, for
records without a manifest: --data_dir leaves open what is known of the data.

Hardware: as B0 to B3.

Published top-1 (the original's README, "edgetpu"), not measured here:

                        S      M      L
    float              77.23  78.69  80.62
    on the Edge TPU    77.0   78.6   80.2

They are of August 2019, when the 1x1 convolution of a fused block carried the
stride ("project"). The README does not say with which augmentation. AutoAugment
is off here: --set data.augment=autoaugment turns it on.
"""

from dataclasses import replace
from pathlib import Path

from efficientnet_tf.training.config import ModelConfig
from efficientnet_tf.training.config_files import load_config

# A file of configs is run, not imported, and so it loads its neighbour.
_IMAGENET = Path(__file__).with_name("imagenet.py")
_PAPERS = load_config(f"{_IMAGENET}:b0-baseline")

CONFIGS = {
    size: replace(
        _PAPERS,
        model=ModelConfig(
            name=f"efficientnet-edgetpu-{size}",
            classes=1001,
            fused_stride="project",
        ),
        data=replace(
            _PAPERS.data,
            first_label=0,
            train_images=1_281_167,
            validation_images=50_000,
        ),
    )
    for size in "SML"
}
