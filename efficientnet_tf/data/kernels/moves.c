// Affine ops: composed to one map, and the picture sampled once by it. What
// `efficientnet_tf.data.augmentation.fused` says of them holds here.

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image.h"

static const double kRadian = 3.14159265358979323846 / 180;

// From (x, y, 1) of the output to x and y of the input, in pixels from the
// upper left corner; the third row is (0, 0, 1).
struct Map {
  double to[2][3];
};

static struct Map map_of(enum Op op, double amount, double centre) {
  struct Map map = {{{1, 0, 0}, {0, 1, 0}}};
  const double c = cos(amount * kRadian), s = sin(amount * kRadian);
  switch (op) {
    case kRotate:
      map = (struct Map){
          {{c, -s, centre * (1 - c + s)}, {s, c, centre * (1 - c - s)}}};
      break;
    case kShearX:
      map.to[0][1] = amount;
      break;
    case kShearY:
      map.to[1][0] = amount;
      break;
    case kTranslateX:
      map.to[0][2] = amount;
      break;
    case kTranslateY:
      map.to[1][2] = amount;
      break;
    default:
      break;
  }
  return map;
}

// First the right one, then the left one.
static struct Map joined(struct Map left, struct Map right) {
  struct Map both;
  for (int axis = 0; axis < 2; ++axis) {
    for (int term = 0; term < 3; ++term)
      both.to[axis][term] = left.to[axis][0] * right.to[0][term] +
                            left.to[axis][1] * right.to[1][term];
    both.to[axis][2] += left.to[axis][2];
  }
  return both;
}

static struct Map composed(struct Drawn drawn, int side) {
  struct Map whole = {{{1, 0, 0}, {0, 1, 0}}};
  for (int64_t layer = 0; layer < drawn.layers; ++layer)
    whole = joined(
        whole, map_of(drawn.ops[layer], drawn.arguments[layer], side / 2.0));
  return whole;
}

// From a square image to the picture that it is resized from.
static struct Map into(int64_t height, int64_t width, bool mirrored, int side) {
  const double x = (double)width / side, y = (double)height / side;
  struct Map map = {
      {{mirrored ? -x : x, 0, mirrored ? x * side : 0}, {0, y, 0}}};
  return map;
}

// For the places of an axis in a row, the pixels' numbers from 1 on; 0 and
// length + 1 are outside.
VECTORS static void number_row(float by_column, float at_row, float offset,
                               float end, int side, int32_t* numbers) {
  for (int at = 0; at < side; ++at) {
    float place = (by_column * ((float)at + 0.5f) + offset) + at_row;
    place = place > 0 ? place : 0;
    numbers[at] = (int32_t)(place < end ? place : end);
  }
}

// Makes each pixel of an image by COPY from `place`, or paints it grey where
// the map leads out of the source.
#define SAMPLED(HEIGHT, WIDTH, COPY)                                      \
  for (int row = 0; row < side; ++row) {                                  \
    const float middle = (float)row + 0.5f;                               \
    number_row((float)map.to[0][0], (float)map.to[0][1] * middle,         \
               (float)map.to[0][2] + 1, (float)((WIDTH) + 1), side, xs);  \
    number_row((float)map.to[1][0], (float)map.to[1][1] * middle,         \
               (float)map.to[1][2] + 1, (float)((HEIGHT) + 1), side, ys); \
    for (int at = 0; at < side; ++at, image += 3) {                       \
      const int64_t x = xs[at] - 1, y = ys[at] - 1;                       \
      if (x < 0 || y < 0 || x >= (WIDTH) || y >= (HEIGHT)) {              \
        image[0] = image[1] = image[2] = GREY;                            \
        continue;                                                         \
      }                                                                   \
      const int64_t place = (y * (WIDTH) + x) * 3;                        \
      COPY                                                                \
    }                                                                     \
  }

static void sample_crop(struct Crop crop, struct Map map, int side, int32_t* xs,
                        int32_t* ys, float* image) {
  SAMPLED(crop.height, crop.width, {
    image[0] = crop.pixels[place];
    image[1] = crop.pixels[place + 1];
    image[2] = crop.pixels[place + 2];
  })
}

static void sample_image(const float* source, struct Map map, int side,
                         int32_t* xs, int32_t* ys, float* image) {
  SAMPLED(side, side, memcpy(image, source + place, 3 * sizeof *image);)
}

static bool turn(struct Crop crop, enum Kernel kernel, bool mirrored, bool clip,
                 struct Drawn drawn, int side, float* image) {
  const struct Map whole = composed(drawn, side);
  int32_t* xs = malloc(2 * (size_t)side * sizeof *xs);
  if (!xs) return false;
  bool done = true;
  if (crop.height >= side && crop.width >= side) {
    struct Map way = into(crop.height, crop.width, mirrored, side);
    sample_crop(crop, joined(way, whole), side, xs, xs + side, image);
  } else {
    // Of a small crop the pixels would show as blocks.
    float* resized = malloc((size_t)side * side * 3 * sizeof *resized);
    done = resized && resample(crop, kernel, mirrored, clip, side, resized);
    if (done) sample_image(resized, whole, side, xs, xs + side, image);
    free(resized);
  }
  free(xs);
  return done;
}

static int64_t within(int64_t value, int64_t limit) {
  if (value > limit) return limit;
  return value < -limit ? -limit : value;
}

static void paint(float* from, int64_t count) {
  for (int64_t at = 0; at < count; ++at) from[at] = GREY;
}

// Moves an image by whole pixels to the left and up.
static void shift(int64_t left, int64_t up, int side, float* image) {
  const int64_t row = (int64_t)side * 3;
  left = within(left, side), up = within(up, side);
  const int64_t kept = (side - llabs(left)) * 3;
  // In such an order that nothing is overwritten before it is read.
  const int64_t first = up >= 0 ? 0 : side - 1, step = up >= 0 ? 1 : -1;
  for (int64_t count = 0, at = first; count < side; ++count, at += step) {
    float* to = image + at * row;
    const int64_t source = at + up;
    if (source < 0 || source >= side) {
      paint(to, row);
      continue;
    }
    const float* from = image + source * row;
    if (left >= 0) {
      memmove(to, from + left * 3, (size_t)kept * sizeof *to);
      paint(to + kept, row - kept);
    } else {
      memmove(to - left * 3, from, (size_t)kept * sizeof *to);
      paint(to, row - kept);
    }
  }
}

bool move_pixels(struct Crop crop, enum Kernel kernel, bool mirrored, bool clip,
                 struct Drawn drawn, int side, float* image) {
  bool turned = false;
  float left = 0, up = 0;
  for (int64_t layer = 0; layer < drawn.layers; ++layer) {
    const int32_t op = drawn.ops[layer];
    turned |= op == kRotate || op == kShearX || op == kShearY;
    if (op == kTranslateX) left += drawn.arguments[layer];
    if (op == kTranslateY) up += drawn.arguments[layer];
  }
  if (turned) return turn(crop, kernel, mirrored, clip, drawn, side, image);
  if (!resample(crop, kernel, mirrored, clip, side, image)) return false;
  if (left != 0 || up != 0) shift(lrintf(left), lrintf(up), side, image);
  return true;
}
