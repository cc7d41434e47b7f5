"""Every network of the project as a table.

Source: tensorflow/tpu `models/official/efficientnet` at commit 7dc921f.
"""

from __future__ import annotations

from dataclasses import replace

from efficientnet_tf.networks.stages import (
    Family,
    Normalization,
    NormalizationName,
    Stage,
    Variant,
)

IMAGENET = Normalization(
    "imagenet", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
)
# Close to what int8 can hold exactly: see the Edge TPU export.
CENTERED = Normalization("centered127", (127.0,) * 3, (128.0,) * 3)
# EfficientNetV2-S and larger.
CENTERED128 = Normalization("centered128", (128.0,) * 3, (128.0,) * 3)
# Weights trained with AdvProp: from -1 to 1.
UNIT = Normalization("unit", (127.5,) * 3, (127.5,) * 3)

NORMALIZATIONS: dict[NormalizationName, Normalization] = {
    known.name: known for known in (IMAGENET, CENTERED, CENTERED128, UNIT)
}

# fmt: off

#             block   repeats kernel stride expand width   se
_B_STAGES = (
    Stage("mbconv",   1,      3,     1,     1,     16,  1 / 4),
    Stage("mbconv",   2,      3,     2,     6,     24,  1 / 4),
    Stage("mbconv",   2,      5,     2,     6,     40,  1 / 4),
    Stage("mbconv",   3,      3,     2,     6,     80,  1 / 4),
    Stage("mbconv",   3,      5,     1,     6,    112,  1 / 4),
    Stage("mbconv",   4,      5,     2,     6,    192,  1 / 4),
    Stage("mbconv",   1,      3,     1,     6,    320,  1 / 4),
)

# The first stage expands from 24 channels although the stem gives 32.
#             block   repeats kernel stride expand width
_EDGETPU_STAGES = (
    Stage("fused",    1,      3,     1,     4,     24, expand_from=24,
          skip=False),
    Stage("fused",    2,      3,     2,     8,     32),
    Stage("fused",    4,      3,     2,     8,     48),
    Stage("mbconv",   5,      5,     2,     8,     96),
    Stage("mbconv",   4,      5,     1,     8,    144),
    Stage("mbconv",   2,      5,     2,     8,    192),
)

B = Family(_B_STAGES, activation="swish", normalization=IMAGENET)
LITE = replace(
    B,
    stages=tuple(replace(stage, se=0.0) for stage in _B_STAGES),
    activation="relu6",
    normalization=CENTERED,
    fixed_ends=True,
)
# 1001 classes: label 0 is the background.
EDGETPU = Family(_EDGETPU_STAGES, activation="relu",
                 normalization=CENTERED, classes=1001)

VARIANTS = {
    #                              family   width depth pixels dropout
    "efficientnet-b0":        Variant(B,       1.0,  1.0,  224,   0.2),
    "efficientnet-b1":        Variant(B,       1.0,  1.1,  240,   0.2),
    "efficientnet-b2":        Variant(B,       1.1,  1.2,  260,   0.3),
    "efficientnet-b3":        Variant(B,       1.2,  1.4,  300,   0.3),
    "efficientnet-b4":        Variant(B,       1.4,  1.8,  380,   0.4),
    "efficientnet-b5":        Variant(B,       1.6,  2.2,  456,   0.4),
    "efficientnet-b6":        Variant(B,       1.8,  2.6,  528,   0.5),
    "efficientnet-b7":        Variant(B,       2.0,  3.1,  600,   0.5),
    "efficientnet-b8":        Variant(B,       2.2,  3.6,  672,   0.5),
    "efficientnet-l2":        Variant(B,       4.3,  5.3,  800,   0.5),
    "efficientnet-lite0":     Variant(LITE,    1.0,  1.0,  224,   0.2),
    "efficientnet-lite1":     Variant(LITE,    1.0,  1.1,  240,   0.2),
    "efficientnet-lite2":     Variant(LITE,    1.1,  1.2,  260,   0.3),
    "efficientnet-lite3":     Variant(LITE,    1.2,  1.4,  280,   0.3),
    "efficientnet-lite4":     Variant(LITE,    1.4,  1.8,  300,   0.3),
    "efficientnet-edgetpu-S": Variant(EDGETPU, 1.0,  1.0,  224,   0.2),
    "efficientnet-edgetpu-M": Variant(EDGETPU, 1.0,  1.1,  240,   0.2),
    "efficientnet-edgetpu-L": Variant(EDGETPU, 1.2,  1.4,  300,   0.3),
}
# fmt: on
