// An image in the making: rows of RGB in float32 on 0..255, no gaps.
#ifndef EFFICIENTNET_TF_IMAGE_H_
#define EFFICIENTNET_TF_IMAGE_H_

#include <stdbool.h>
#include <stdint.h>

// The ops, in the order of `efficientnet_tf.data.augmentation.ops.OPS`.
enum Op {
  kAutoContrast,
  kEqualize,
  kInvert,
  kRotate,
  kPosterize,
  kSolarize,
  kColor,
  kContrast,
  kBrightness,
  kSharpness,
  kShearX,
  kShearY,
  kTranslateX,
  kTranslateY,
  kCutout,
  kSolarizeAdd,
};

enum Kernel { kBilinear, kBicubic, kLegacyBicubic };

// A crop, uint8 [height, width, 3].
struct Crop {
  const uint8_t* pixels;
  int64_t height, width;
};

// The ops drawn for an image: see `drawing.Drawn`.
struct Drawn {
  const int32_t* ops;
  const float* arguments;
  const float* centres;  // [layers, 2]
  int64_t layers;
};

// Of what comes from outside the image, and of patches.
#define GREY 128.0f

// The hot loops are compiled for several widths of vectors; which of them runs
// is settled when the library is loaded. Sums and products are never fused
// (-ffp-contract=off), so that all give the same pixels.
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && \
    !defined(__clang__)
#define VECTORS __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define VECTORS
#endif

static inline float clipped(float value) {
  value = value > 0 ? value : 0;
  return value < 255 ? value : 255;
}

// Each returns false where there is no memory.
bool resample(struct Crop crop, enum Kernel kernel, bool mirrored, bool clip,
              int side, float* image);
bool move_pixels(struct Crop crop, enum Kernel kernel, bool mirrored, bool clip,
                 struct Drawn drawn, int side, float* image);
bool change_colours(struct Drawn drawn, int side, float* image);

#endif  // EFFICIENTNET_TF_IMAGE_H_
