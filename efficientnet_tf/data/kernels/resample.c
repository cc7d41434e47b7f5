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

// The same of all places of an axis, tap by tap.
struct Axis {
  int32_t* from[TAPS];
  float* weight[TAPS];
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
  const float weights[TAPS] = {cubic(a, step, false), cubic(a, step, true),
                               cubic(a, STEPS - step, true),
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

static struct Place place_of(enum Kernel kernel, int at, float scale,
                             int64_t length) {
  struct Place found = {{0}, {0}};
  // The middle of the pixel.
  const float middle = ((float)at + 0.5f) * scale - 0.5f;
  switch (kernel) {
    case kBilinear:
      place_bilinear(middle, length, &found);
      break;
    case kBicubic:
      place_bicubic(middle, length, false, &found);
      break;
    case kLegacyBicubic:
      place_bicubic((float)at * scale, length, true, &found);
      break;
  }
  return found;
}

static void place_all(enum Kernel kernel, int64_t length, int side,
                      bool mirrored, struct Axis axis) {
  const float scale = (float)length / (float)side;
  for (int at = 0; at < side; ++at) {
    const struct Place place = place_of(kernel, at, scale, length);
    const int to = mirrored ? side - 1 - at : at;
    for (int tap = 0; tap < TAPS; ++tap) {
      axis.from[tap][to] = place.from[tap];
      axis.weight[tap][to] = place.weight[tap];
    }
  }
}

// Of memory for 2 * TAPS * side numbers of four bytes.
static struct Axis axis_in(void* memory, int side) {
  struct Axis axis;
  for (int tap = 0; tap < TAPS; ++tap) {
    axis.from[tap] = (int32_t*)memory + (int64_t)tap * side;
    axis.weight[tap] = (float*)memory + (int64_t)(TAPS + tap) * side;
  }
  return axis;
}

VECTORS static void mix_two_rows(const uint8_t* restrict above,
                                 const uint8_t* restrict below, float share,
                                 int64_t count, float* restrict mixed) {
  for (int64_t at = 0; at < count; ++at) {
    float upper = above[at];
    mixed[at] = upper + ((float)below[at] - upper) * share;
  }
}

VECTORS static void mix_four_rows(const uint8_t* const* rows,
                                  const float* weight, int64_t count,
                                  float* restrict mixed) {
  const uint8_t* restrict a = rows[0], * restrict b = rows[1];
  const uint8_t* restrict c = rows[2], * restrict d = rows[3];
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

static inline Four two_columns(const float* row, const struct Axis* across,
                               int at) {
  const Four left = four(row, across->from[0][at]);
  const Four right = four(row, across->from[1][at]);
  return left + (right - left) * across->weight[0][at];
}

static inline Four four_columns(const float* row, const struct Axis* across,
                                int at) {
  return four(row, across->from[0][at]) * across->weight[0][at] +
         four(row, across->from[1][at]) * across->weight[1][at] +
         four(row, across->from[2][at]) * across->weight[2][at] +
         four(row, across->from[3][at]) * across->weight[3][at];
}

// All columns of a row. Each pixel is written as four values, of which the
// next one covers the last; there is none behind the last pixel.
#define MIX_COLUMNS(MIXED)                         \
  const int last = side - 1;                       \
  for (int at = 0; at < last; ++at) {              \
    const Four mixed = MIXED(row, &across, at);    \
    memcpy(result + 3 * at, &mixed, sizeof mixed); \
  }                                                \
  const Four mixed = MIXED(row, &across, last);    \
  memcpy(result + 3 * last, &mixed, 3 * sizeof *result)

VECTORS static void mix_two_columns(const float* restrict row,
                                    const struct Axis across, int side,
                                    float* restrict result) {
  MIX_COLUMNS(two_columns);
}

VECTORS static void mix_four_columns(const float* restrict row,
                                     const struct Axis across, int side,
                                     float* restrict result) {
  MIX_COLUMNS(four_columns);
}

VECTORS static void clip_row(float* row, int64_t count) {
  for (int64_t at = 0; at < count; ++at) row[at] = clipped(row[at]);
}

bool resample(struct Crop crop, enum Kernel kernel, bool mirrored, bool clip,
              int side, float* image) {
  const int64_t count = crop.width * 3;
  const size_t numbers = (size_t)2 * TAPS * (size_t)side;
  int32_t* places = malloc(2 * numbers * sizeof *places);
  // A pixel is read as four values.
  float* mixed = calloc((size_t)count + 1, sizeof *mixed);
  if (!places || !mixed) {
    free(places);
    free(mixed);
    return false;
  }
  const struct Axis down = axis_in(places, side);
  const struct Axis across = axis_in(places + numbers, side);
  place_all(kernel, crop.height, side, false, down);
  place_all(kernel, crop.width, side, mirrored, across);
  for (int at = 0; at < side; ++at) {
    float* result = image + (int64_t)at * side * 3;
    const uint8_t* rows[TAPS];
    float weights[TAPS];
    for (int tap = 0; tap < TAPS; ++tap) {
      rows[tap] = crop.pixels + down.from[tap][at] * count;
      weights[tap] = down.weight[tap][at];
    }
    if (kernel == kBilinear) {
      mix_two_rows(rows[0], rows[1], weights[0], count, mixed);
      mix_two_columns(mixed, across, side, result);
      continue;
    }
    mix_four_rows(rows, weights, count, mixed);
    mix_four_columns(mixed, across, side, result);
    if (clip) clip_row(result, (int64_t)side * 3);
  }
  free(places);
  free(mixed);
  return true;
}
