// Ops that give pixels other values, in place. What they are is said by
// `efficientnet_tf.data.augmentation.fused`.

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image.h"

// ITU-R 601 in 1/65536, as PIL's.
static const float kGreys[3] = {19595 / 65536.0f, 38470 / 65536.0f,
                                7471 / 65536.0f};

// Row and image are of 3 * side values each row.
struct Rows {
  float* values;
  int64_t side, width;
};

VECTORS static void invert(float* values, int64_t count) {
  for (int64_t at = 0; at < count; ++at) values[at] = 255 - values[at];
}

VECTORS static void posterize(float* values, int64_t count, float bits) {
  const float kept = bits < 1 ? 1 : bits > 8 ? 8 : bits;
  const float step = exp2f(8 - kept), steps = 1 / step;
  for (int64_t at = 0; at < count; ++at)
    values[at] = (float)(int32_t)(values[at] * steps) * step;
}

VECTORS static void solarize(float* values, int64_t count, float threshold) {
  for (int64_t at = 0; at < count; ++at)
    values[at] = values[at] >= threshold ? 255 - values[at] : values[at];
}

VECTORS static void solarize_add(float* values, int64_t count, float more) {
  for (int64_t at = 0; at < count; ++at) {
    float raised = values[at] + (values[at] < 128 ? more : 0);
    values[at] = raised < 255 ? raised : 255;
  }
}

VECTORS static void brightness(float* values, int64_t count, float share) {
  for (int64_t at = 0; at < count; ++at)
    values[at] = clipped(values[at] * share);
}

VECTORS static void color(float* values, int64_t count, float share) {
  for (int64_t at = 0; at < count; at += 3) {
    float* pixel = values + at;
    const float grey =
        (pixel[0] * kGreys[0] + pixel[1] * kGreys[1] + pixel[2] * kGreys[2]) *
        (1 - share);
    for (int channel = 0; channel < 3; ++channel)
      pixel[channel] = clipped(pixel[channel] * share + grey);
  }
}

VECTORS static void add_row(const float* row, int64_t width, double* sums) {
  for (int64_t at = 0; at < width; ++at) sums[at] += row[at];
}

VECTORS static void blend(float* values, int64_t count, float share,
                          float with) {
  for (int64_t at = 0; at < count; ++at)
    values[at] = clipped(values[at] * share + with);
}

static bool contrast(struct Rows rows, float share) {
  double* sums = calloc((size_t)rows.width, sizeof *sums);
  if (!sums) return false;
  for (int64_t row = 0; row < rows.side; ++row)
    add_row(rows.values + row * rows.width, rows.width, sums);
  double mean = 0;
  for (int64_t at = 0; at < rows.width; ++at) mean += sums[at] * kGreys[at % 3];
  mean /= (double)(rows.side * rows.side);
  blend(rows.values, rows.side * rows.width, share, (1 - share) * (float)mean);
  free(sums);
  return true;
}

VECTORS static void widen(const float* row, int64_t width, float* lowest,
                          float* highest) {
  for (int64_t at = 0; at < width; ++at) {
    lowest[at] = row[at] < lowest[at] ? row[at] : lowest[at];
    highest[at] = row[at] > highest[at] ? row[at] : highest[at];
  }
}

VECTORS static void stretch(float* row, int64_t width, const float* scale,
                            const float* offset) {
  for (int64_t at = 0; at < width; ++at)
    row[at] = clipped(row[at] * scale[at] + offset[at]);
}

static bool autocontrast(struct Rows rows) {
  const int64_t width = rows.width;
  float* lowest = malloc(2 * (size_t)width * sizeof *lowest);
  if (!lowest) return false;
  float* highest = lowest + width;
  memcpy(lowest, rows.values, (size_t)width * sizeof *lowest);
  memcpy(highest, rows.values, (size_t)width * sizeof *highest);
  for (int64_t row = 1; row < rows.side; ++row)
    widen(rows.values + row * width, width, lowest, highest);
  for (int64_t at = 3; at < width; ++at) {
    const int64_t channel = at % 3;
    if (lowest[at] < lowest[channel]) lowest[channel] = lowest[at];
    if (highest[at] > highest[channel]) highest[channel] = highest[at];
  }
  float scale[3], offset[3];
  for (int channel = 0; channel < 3; ++channel) {
    const float spread = highest[channel] - lowest[channel];
    // Less than a grey level is rounding; such a channel stays as it is.
    scale[channel] = spread < 1 ? 1 : 255 / spread;
    offset[channel] = spread < 1 ? 0 : -lowest[channel] * scale[channel];
  }
  // What each value of a row is scaled by, in place of the extremes.
  for (int64_t at = 0; at < width; ++at) {
    lowest[at] = scale[at % 3];
    highest[at] = offset[at % 3];
  }
  for (int64_t row = 0; row < rows.side; ++row)
    stretch(rows.values + row * width, width, lowest, highest);
  free(lowest);
  return true;
}

// As PIL's `ImageOps.equalize`, in whole numbers.
static void equalizing(const int32_t* counts, float* table) {
  int64_t others = 0;
  int last = 0;
  for (int value = 0; value < 256; ++value) {
    others += counts[value];
    if (counts[value]) last = value;
  }
  others -= counts[last];
  const int64_t step = others / 255;
  int64_t below = 0;
  for (int value = 0; value < 256; ++value) {
    const int64_t to = step ? (below + step / 2) / step : value;
    table[value] = (float)(to < 255 ? to : 255);
    below += counts[value];
  }
}

static void equalize(struct Rows rows) {
  const int64_t count = rows.side * rows.width;
  int32_t counts[3][256] = {{0}};
  float tables[3][256];
  for (int64_t at = 0; at < count; at += 3)
    for (int channel = 0; channel < 3; ++channel)
      ++counts[channel][(uint8_t)rows.values[at + channel]];
  for (int channel = 0; channel < 3; ++channel)
    equalizing(counts[channel], tables[channel]);
  for (int64_t at = 0; at < count; at += 3)
    for (int channel = 0; channel < 3; ++channel)
      rows.values[at + channel] =
          tables[channel][(uint8_t)rows.values[at + channel]];
}

VECTORS static void sum_columns(const float* above, const float* row,
                                const float* below, int64_t width,
                                float* sums) {
  for (int64_t at = 0; at < width; ++at)
    sums[at] = above[at] + row[at] + below[at];
}

// `from` is the row, `to` what becomes of it; sums are those of its columns.
VECTORS static void sharpen_row(const float* from, const float* sums,
                                int64_t width, float change, float* to) {
  for (int64_t at = 3; at < width - 3; ++at) {
    const float square = sums[at - 3] + sums[at] + sums[at + 3];
    // The smooth image is (square + 4 * from) / 13.
    to[at] = clipped(from[at] + (from[at] * 9 - square) * change);
  }
}

static bool sharpness(struct Rows rows, float share) {
  const int64_t width = rows.width;
  float* kept = malloc(3 * (size_t)width * sizeof *kept);
  if (!kept) return false;
  float *above = kept, *row = kept + width, *sums = kept + 2 * width;
  const size_t bytes = (size_t)width * sizeof *kept;
  memcpy(above, rows.values, bytes);
  for (int64_t at = 1; at < rows.side - 1; ++at) {
    float* to = rows.values + at * width;
    memcpy(row, to, bytes);
    sum_columns(above, row, to + width, width, sums);
    sharpen_row(row, sums, width, (share - 1) / 13, to);
    float* next = above;
    above = row;
    row = next;
  }
  free(kept);
  return true;
}

static bool in_patch(int64_t at, int64_t side, float half, float centre) {
  const float behind = (float)at - floorf(centre * (float)side) + half;
  return behind >= 0 && behind < 2 * half;
}

static void cutout(struct Rows rows, float half, const float* centre) {
  for (int64_t row = 0; row < rows.side; ++row) {
    if (!in_patch(row, rows.side, half, centre[0])) continue;
    float* values = rows.values + row * rows.width;
    for (int64_t at = 0; at < rows.side; ++at, values += 3)
      if (in_patch(at, rows.side, half, centre[1]))
        values[0] = values[1] = values[2] = GREY;
  }
}

static bool change(struct Rows rows, int32_t op, float argument,
                   const float* centre) {
  float* values = rows.values;
  const int64_t count = rows.side * rows.width;
  switch (op) {
    case kAutoContrast:
      return autocontrast(rows);
    case kEqualize:
      equalize(rows);
      return true;
    case kInvert:
      invert(values, count);
      return true;
    case kPosterize:
      posterize(values, count, argument);
      return true;
    case kSolarize:
      solarize(values, count, argument);
      return true;
    case kColor:
      color(values, count, argument);
      return true;
    case kContrast:
      return contrast(rows, argument);
    case kBrightness:
      brightness(values, count, argument);
      return true;
    case kSharpness:
      return sharpness(rows, argument);
    case kCutout:
      cutout(rows, argument, centre);
      return true;
    case kSolarizeAdd:
      solarize_add(values, count, argument);
      return true;
    default:  // Affine, or none.
      return true;
  }
}

bool change_colours(struct Drawn drawn, int side, float* image) {
  const struct Rows rows = {image, side, (int64_t)side * 3};
  for (int64_t layer = 0; layer < drawn.layers; ++layer)
    if (!change(rows, drawn.ops[layer], drawn.arguments[layer],
                drawn.centres + 2 * layer))
      return false;
  return true;
}
