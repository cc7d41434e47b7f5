"""Every network of the project as a table.

Sources: tensorflow/tpu `models/official/efficientnet` at commit 7dc921f; for
EfficientNetV2 google/automl `efficientnetv2/effnetv2_configs.py` at 2fb46e7.
What EfficientNet was scaled from and measured against: table 1 of MobileNetV1
(arXiv 1704.04861), table 2 of MobileNetV2 (1801.04381), `mnasnet_a1` of
tensorflow/tpu `models/official/mnasnet/mnasnet_models.py` at 05f7b15, table 1
of ResNet (1512.03385); what the papers leave open is as in keras.applications.
"""

from __future__ import annotations

from dataclasses import replace

from efficientnet_tf.networks.stages import (
    IMAGENET_CLASSES,
    Alias,
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
# Of Caffe's ResNets, less the mean color; their published weights take blue
# first, ours red: see `copy_keras_weights`.
CAFFE = Normalization("caffe", (123.68, 116.779, 103.939), (1.0,) * 3)

NORMALIZATIONS: dict[NormalizationName, Normalization] = {
    known.name: known
    for known in (IMAGENET, CENTERED, CENTERED128, UNIT, CAFFE)
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

#             block   repeats kernel stride expand width   se
_X_STAGES = (
    Stage("mbconv",   1,      3,     1,     1,     16,  1 / 4,
          space_to_depth=True),
    Stage("fused",    2,      3,     2,     6,     24,  1 / 4,
          activation="swish"),
    Stage("fused",    2,      5,     2,     6,     40,  1 / 4,
          activation="swish"),
    Stage("mbconv",   3,      3,     2,     6,     80,  1 / 4),
    Stage("mbconv",   3,      5,     1,     6,    112,  1 / 4),
    Stage("mbconv",   4,      5,     2,     6,    192,  1 / 4),
    Stage("mbconv",   1,      3,     1,     6,    320,  1 / 4),
)

#             block   repeats kernel stride expand width   se
_V2_STAGES = (
    Stage("fused",    1,      3,     1,     1,     16),
    Stage("fused",    2,      3,     2,     4,     32),
    Stage("fused",    2,      3,     2,     4,     48),
    Stage("mbconv",   3,      3,     2,     4,     96,  1 / 4),
    Stage("mbconv",   5,      3,     1,     6,    112,  1 / 4),
    Stage("mbconv",   8,      3,     2,     6,    192,  1 / 4),
)
_V2_S_STAGES = (
    Stage("fused",    2,      3,     1,     1,     24),
    Stage("fused",    4,      3,     2,     4,     48),
    Stage("fused",    4,      3,     2,     4,     64),
    Stage("mbconv",   6,      3,     2,     4,    128,  1 / 4),
    Stage("mbconv",   9,      3,     1,     6,    160,  1 / 4),
    Stage("mbconv",  15,      3,     2,     6,    256,  1 / 4),
)
_V2_M_STAGES = (
    Stage("fused",    3,      3,     1,     1,     24),
    Stage("fused",    5,      3,     2,     4,     48),
    Stage("fused",    5,      3,     2,     4,     80),
    Stage("mbconv",   7,      3,     2,     4,    160,  1 / 4),
    Stage("mbconv",  14,      3,     1,     6,    176,  1 / 4),
    Stage("mbconv",  18,      3,     2,     6,    304,  1 / 4),
    Stage("mbconv",   5,      3,     1,     6,    512,  1 / 4),
)
_V2_L_STAGES = (
    Stage("fused",    4,      3,     1,     1,     32),
    Stage("fused",    7,      3,     2,     4,     64),
    Stage("fused",    7,      3,     2,     4,     96),
    Stage("mbconv",  10,      3,     2,     4,    192,  1 / 4),
    Stage("mbconv",  19,      3,     1,     6,    224,  1 / 4),
    Stage("mbconv",  25,      3,     2,     6,    384,  1 / 4),
    Stage("mbconv",   7,      3,     1,     6,    640,  1 / 4),
)
_V2_XL_STAGES = (
    Stage("fused",    4,      3,     1,     1,     32),
    Stage("fused",    8,      3,     2,     4,     64),
    Stage("fused",    8,      3,     2,     4,     96),
    Stage("mbconv",  16,      3,     2,     4,    192,  1 / 4),
    Stage("mbconv",  24,      3,     1,     6,    256,  1 / 4),
    Stage("mbconv",  32,      3,     2,     6,    512,  1 / 4),
    Stage("mbconv",   8,      3,     1,     6,    640,  1 / 4),
)

#             block      repeats kernel stride expand width
_MOBILENET_STAGES = (
    Stage("separable",  1,      3,     1,     1,     64, skip=False),
    Stage("separable",  2,      3,     2,     1,    128, skip=False),
    Stage("separable",  2,      3,     2,     1,    256, skip=False),
    Stage("separable",  6,      3,     2,     1,    512, skip=False),
    Stage("separable",  2,      3,     2,     1,   1024, skip=False),
)

#             block   repeats kernel stride expand width
_MOBILENET_V2_STAGES = (
    Stage("mbconv",   1,      3,     1,     1,     16),
    Stage("mbconv",   2,      3,     2,     6,     24),
    Stage("mbconv",   3,      3,     2,     6,     32),
    Stage("mbconv",   4,      3,     2,     6,     64),
    Stage("mbconv",   3,      3,     1,     6,     96),
    Stage("mbconv",   3,      3,     2,     6,    160),
    Stage("mbconv",   1,      3,     1,     6,    320),
)

#             block   repeats kernel stride expand width   se
_MNASNET_A1_STAGES = (
    Stage("mbconv",   1,      3,     1,     1,     16, skip=False),
    Stage("mbconv",   2,      3,     2,     6,     24),
    Stage("mbconv",   3,      5,     2,     3,     40,  1 / 4),
    Stage("mbconv",   4,      3,     2,     6,     80),
    Stage("mbconv",   2,      3,     1,     6,    112,  1 / 4),
    Stage("mbconv",   3,      5,     2,     6,    160,  1 / 4),
    Stage("mbconv",   1,      3,     1,     6,    320),
)

#             block      repeats kernel stride expand width
_RESNET_50_STAGES = (
    Stage("bottleneck",  3,      3,     1,     4,    256, stride_first=True),
    Stage("bottleneck",  4,      3,     2,     4,    512, stride_first=True),
    Stage("bottleneck",  6,      3,     2,     4,   1024, stride_first=True),
    Stage("bottleneck",  3,      3,     2,     4,   2048, stride_first=True),
)

B = Family(_B_STAGES, activation="swish", normalization=IMAGENET)
LITE = replace(
    B,
    stages=tuple(replace(stage, se=0.0) for stage in _B_STAGES),
    activation="relu6",
    normalization=CENTERED,
    fixed_ends=True,
)
CONDCONV = replace(
    B,
    stages=(*_B_STAGES[:4],
            *(replace(stage, experts=True) for stage in _B_STAGES[4:])),
    normalization=CENTERED,
)
# 1001 classes: label 0 is the background. The weights are of August 2019, the
# stride moved in December 2020.
EDGETPU = Family(_EDGETPU_STAGES, activation="relu", normalization=CENTERED,
                 classes=IMAGENET_CLASSES + 1, published_stride="project")
X = replace(B, stages=_X_STAGES, activation="relu")
# Stages 2 to 4 expand four times instead of six.
H = replace(
    X,
    stages=tuple(replace(stage, expand=4) if number in (2, 3, 4) else stage
                 for number, stage in enumerate(_X_STAGES, 1)),
)
V2 = replace(B, stages=_V2_STAGES, rounding="nearest")
V2_S = replace(V2, stages=_V2_S_STAGES, normalization=CENTERED128, stem=24)
V2_M = replace(V2_S, stages=_V2_M_STAGES)
V2_L = replace(V2_S, stages=_V2_L_STAGES, stem=32)
V2_XL = replace(V2_L, stages=_V2_XL_STAGES)
MOBILENET = Family(_MOBILENET_STAGES, activation="relu6", normalization=UNIT,
                   head=0, drop_path=0.0, rounding="truncate")
MOBILENET_V2 = Family(_MOBILENET_V2_STAGES, activation="relu6",
                      normalization=UNIT, drop_path=0.0, head_scaling="grows")
MNASNET_A1 = Family(_MNASNET_A1_STAGES, activation="relu",
                    normalization=IMAGENET, drop_path=0.0,
                    head_scaling="fixed")
RESNET_50 = Family(_RESNET_50_STAGES, activation="relu", normalization=CAFFE,
                   stem=64, head=0, drop_path=0.0, stem_kernel=7,
                   stem_pool=True, padding="symmetric", bias=True,
                   batch_norm_epsilon=1.001e-5)
RESNET_152 = replace(
    RESNET_50,
    stages=tuple(replace(stage, repeats=repeats) for stage, repeats
                 in zip(_RESNET_50_STAGES, (3, 8, 36, 3), strict=True)),
)
# As ResNets are built since, and counted in the EfficientNet paper: the 3x3
# has the stride, and nothing a bias.
RESNET_50_V15 = replace(
    RESNET_50,
    stages=tuple(replace(stage, stride_first=False)
                 for stage in _RESNET_50_STAGES),
    normalization=IMAGENET, bias=False, batch_norm_epsilon=1e-5,
)

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
    "efficientnet-condconv-b0-4e":
        Variant(CONDCONV, 1.0, 1.0, 224, 0.25, experts=4),
    "efficientnet-condconv-b0-8e":
        Variant(CONDCONV, 1.0, 1.0, 224, 0.25, experts=8),
    "efficientnet-condconv-b0-8e-depth":
        Variant(CONDCONV, 1.0, 1.1, 224, 0.25, experts=8),
    "efficientnet-edgetpu-S": Variant(EDGETPU, 1.0,  1.0,  224,   0.2),
    "efficientnet-edgetpu-M": Variant(EDGETPU, 1.0,  1.1,  240,   0.2),
    "efficientnet-edgetpu-L": Variant(EDGETPU, 1.2,  1.4,  300,   0.3),
    "efficientnet-x-b0":      Variant(X,   1.0,  1.0,  224,   0.2, squeeze=4),
    "efficientnet-x-b1":      Variant(X,   1.0,  1.1,  240,   0.2, squeeze=2),
    "efficientnet-x-b2":      Variant(X,   1.1,  1.2,  260,   0.3),
    "efficientnet-x-b3":      Variant(X,   1.2,  1.4,  300,   0.3),
    "efficientnet-x-b4":      Variant(X,   1.4,  1.8,  380,   0.4),
    "efficientnet-x-b5":      Variant(X,   1.6,  2.2,  456,   0.4),
    "efficientnet-x-b6":      Variant(X,   1.8,  2.6,  528,   0.5),
    "efficientnet-x-b7":      Variant(X,   2.0,  3.1,  600,   0.5),
    "efficientnet-x-tpu-b1":  Variant(X,   1.05, 1.09, 229,   0.2, squeeze=2),
    "efficientnet-x-tpu-b2":  Variant(X,   1.13, 1.29, 244,   0.3),
    "efficientnet-x-tpu-b3":  Variant(X,   1.27, 1.62, 263,   0.3),
    "efficientnet-x-tpu-b4":  Variant(X,   1.54, 2.38, 299,   0.4),
    "efficientnet-x-tpu-b5":  Variant(X,   1.96, 2.76, 332,   0.4),
    "efficientnet-x-tpu-b6":  Variant(X,   2.75, 3.01, 328,   0.5),
    "efficientnet-x-tpu-b7":  Variant(X,   3.26, 3.44, 350,   0.5),
    "efficientnet-x-gpu-b1":  Variant(X,   1.05, 1.09, 229,   0.2, squeeze=2),
    "efficientnet-x-gpu-b2":  Variant(X,   1.13, 1.24, 237,   0.3),
    "efficientnet-x-gpu-b3":  Variant(X,   1.31, 1.63, 255,   0.3),
    "efficientnet-x-gpu-b4":  Variant(X,   1.63, 2.4,  282,   0.4),
    "efficientnet-x-gpu-b5":  Variant(X,   1.94, 3.29, 306,   0.4),
    "efficientnet-x-gpu-b6":  Variant(X,   2.25, 4.28, 328,   0.5),
    "efficientnet-x-gpu-b7":  Variant(X,   2.58, 5.46, 350,   0.5),
    "efficientnet-h-b5":      Variant(H,   1.92, 2.2,  456,   0.4),
    "efficientnet-h-b6":      Variant(H,   2.16, 2.6,  528,   0.5),
    "efficientnet-h-b7":      Variant(H,   2.4,  3.1,  600,   0.5),
    "efficientnet-h-tpu-b5":  Variant(H,   2.3,  2.76, 332,   0.4),
    "efficientnet-h-tpu-b6":  Variant(H,   3.0,  3.01, 328,   0.5),
    "efficientnet-h-tpu-b7":  Variant(H,   3.6,  3.44, 350,   0.5),
    "efficientnetv2-b0":      Variant(V2,      1.0,  1.0,  224,   0.2),
    "efficientnetv2-b1":      Variant(V2,      1.0,  1.1,  240,   0.2),
    "efficientnetv2-b2":      Variant(V2,      1.1,  1.2,  260,   0.3),
    "efficientnetv2-b3":      Variant(V2,      1.2,  1.4,  300,   0.3),
    "efficientnetv2-s":       Variant(V2_S,    1.0,  1.0,  384,   0.2),
    "efficientnetv2-m":       Variant(V2_M,    1.0,  1.0,  480,   0.3),
    "efficientnetv2-l":       Variant(V2_L,    1.0,  1.0,  480,   0.4),
    "efficientnetv2-xl":      Variant(V2_XL,   1.0,  1.0,  512,   0.4),
    "mobilenet-v1":           Variant(MOBILENET,     1.0, 1.0, 224, 0.001),
    "mobilenet-v2":           Variant(MOBILENET_V2,  1.0, 1.0, 224, 0.2),
    "mnasnet-a1":             Variant(MNASNET_A1,    1.0, 1.0, 224, 0.2),
    "resnet-50":              Variant(RESNET_50,     1.0, 1.0, 224, 0.0),
    "resnet-50-v1.5":         Variant(RESNET_50_V15, 1.0, 1.0, 224, 0.0),
    "resnet-152":             Variant(RESNET_152,    1.0, 1.0, 224, 0.0),
}
# fmt: on

_QAT = (
    "the original's -qat names build the same network and weights for "
    "quantization-aware training; here the int8 export quantizes after training"
)
_X_B0 = "the original gives this network three names"

ALIASES = {
    **{
        f"efficientnet-lite{n}-qat": Alias(f"efficientnet-lite{n}", _QAT)
        for n in range(5)
    },
    "efficientnet-x-tpu-b0": Alias("efficientnet-x-b0", _X_B0),
    "efficientnet-x-gpu-b0": Alias("efficientnet-x-b0", _X_B0),
}
