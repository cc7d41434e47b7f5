// Resizing, as TensorFlow's ResizeBilinear and ResizeBicubic weigh pixels.
//
// Rows are mixed before columns, and TensorFlow does it the other way round:
// the results differ by the rounding of float32.
// Source: tensorflow/core/kernels/image/resize_bilinear_op.cc and
// resize_bicubic_op.cc.

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image.h"

#define TAPS 4
// TensorFlow's cubic takes its weights from a table of so many steps.
#define STEPS 1024

// What one place of the result is made of.
struct Place {
  int32_t from[TAPS];
  float weight[TAPS];
};

// A pixel and one value more, which is not looked at.
typedef float Four __attribute__((vector_size(16)));

static int32_t bounded(int64_t place, int64_t length) {
  if (place < 0) return 0;
  return (int32_t)(place < length ? place : length - 1);
}

// weight[0] is how far it is from the first of two pixels to the second.
static void place_bilinear(float place, int64_t length, struct Place* found) {
  float floor_ = floorf(place);
  found->from[1] = bounded((int64_t)ceilf(place), length);
  found->from[0] = bounded((int64_t)floor_, length);
  if (found->from[0] > found->from[1]) found->from[0] = found->from[1];
  found->weight[0] = place - floor_;
}

static float cubic(float a, int step, bool near) {
  float x = (float)step / STEPS;
  if (near) return ((a + 2) * x - (a + 3)) * x * x + 1;
  x += 1;
  return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
}

// The modern kernel leaves out what is beyond the edge; the legacy one takes
// the edge once more.
static void place_bicubic(float place, int64_t length, bool legacy,
                          struct Place* found) {
  const float a = legacy ? -0.75f : -0.5f;
  int64_t first = (int64_t)floorf(place);
  int step = (int)lrintf((place - (float)first) * STEPS);
  const float weights[TAPS] = {
      cubic(a, step, false), cubic(a, step, true), cubic(a, STEPS - step, true),
      cubic(a, STEPS - step, false)};
  float sum = 0;
  for (int tap = 0; tap < TAPS; ++tap) {
    found->from[tap] = bounded(first - 1 + tap, length);
    bool there = legacy || found->from[tap] == first - 1 + tap;
    found->weight[tap] = there ? weights[tap] : 0;
    sum += found->weight[tap];
  }
  if (legacy) return;
  for (int tap = 0; tap < TAPS; ++tap) found->weight[tap] *= 1 / sum;
}

static void place_all(enum Kernel kernel, int64_t length, int side,
                      bool mirrored, struct Place* places) {
  const float scale = (float)length / (float)side;
  for (int at = 0; at < side; ++at) {
    struct Place* found = &places[mirrored ? side - 1 - at : at];
    if (kernel == kLegacyBicubic) {
      place_bicubic((float)at * scale, length, true, found);
      continue;
    }
    // The middle of the pixel.
    float place = ((float)at + 0.5f) * scale - 0.5f;
    if (kernel == kBilinear)
      place_bilinear(place, length, found);
    else
      place_bicubic(place, length, false, found);
  }
}

VECTORS static void mix_two_rows(const uint8_t* above, const uint8_t* below,
                                 float share, int64_t count, float* mixed) {
  for (int64_t at = 0; at < count; ++at) {
    float upper = above[at];
    mixed[at] = upper + ((float)below[at] - upper) * share;
  }
}

VECTORS static void mix_four_rows(const uint8_t* const* rows,
                                  const float* weight, int64_t count,
                                  float* mixed) {
  const uint8_t *a = rows[0], *b = rows[1], *c = rows[2], *d = rows[3];
  const float p = weight[0], q = weight[1], r = weight[2], s = weight[3];
  for (int64_t at = 0; at < count; ++at)
    mixed[at] = (float)a[at] * p + (float)b[at] * q + (float)c[at] * r +
                (float)d[at] * s;
}

static inline Four four(const float* row, int32_t pixel) {
  Four found;
  memcpy(&found, row + 3 * (int64_t)pixel, sizeof found);
  return found;
}

static inline void put(Four value, bool last, float* to) {
  // The next pixel covers the value too many.
  memcpy(to, &value, last ? 3 * sizeof(float) : sizeof value);
}

VECTORS static void mix_two_columns(const float* row, const struct Place* places,
                            int side, float* result) {
  for (int at = 0; at < side; ++at) {
    const struct Place* place = &places[at];
    Four left = four(row, place->from[0]);
    Four mixed = left + (four(row, place->from[1]) - left) * place->weight[0];
    put(mixed, at == side - 1, result + 3 * at);
  }
}

VECTORS static void mix_four_columns(const float* row, const struct Place* places,
                             int side, float* result) {
  for (int at = 0; at < side; ++at) {
    const struct Place* place = &places[at];
    const float* weight = place->weight;
    Four mixed = four(row, place->from[0]) * weight[0] +
                 four(row, place->from[1]) * weight[1] +
                 four(row, place->from[2]) * weight[2] +
                 four(row, place->from[3]) * weight[3];
    put(mixed, at == side - 1, result + 3 * at);
  }
}

VECTORS static void clip_row(float* row, int64_t count) {
  for (int64_t at = 0; at < count; ++at) row[at] = clipped(row[at]);
}

bool resample(struct Crop crop, enum Kernel kernel, bool mirrored, bool clip,
              int side, float* image) {
  const int64_t count = crop.width * 3;
  struct Place* places = malloc(2 * (size_t)side * sizeof *places);
  // A pixel is read as four values.
  float* mixed = calloc((size_t)count + 1, sizeof *mixed);
  if (!places || !mixed) {
    free(places);
    free(mixed);
    return false;
  }
  const struct Place* down = places;
  const struct Place* across = places + side;
  place_all(kernel, crop.height, side, false, places);
  place_all(kernel, crop.width, side, mirrored, places + side);
  for (int at = 0; at < side; ++at) {
    const struct Place* place = &down[at];
    float* result = image + (int64_t)at * side * 3;
    const uint8_t* rows[TAPS];
    const int taps = kernel == kBilinear ? 2 : TAPS;
    for (int tap = 0; tap < taps; ++tap)
      rows[tap] = crop.pixels + place->from[tap] * count;
    if (kernel == kBilinear) {
      mix_two_rows(rows[0], rows[1], place->weight[0], count, mixed);
      mix_two_columns(mixed, across, side, result);
    } else {
      mix_four_rows(rows, place->weight, count, mixed);
      mix_four_columns(mixed, across, side, result);
    }
    if (clip && kernel != kBilinear) clip_row(result, (int64_t)side * 3);
  }
  free(places);
  free(mixed);
  return true;
}
