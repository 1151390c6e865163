// Three 5×5 maxima in a row, each of the one before, side by side in one map: `PyramidPool`'s.
#pragma once

#include <algorithm>

#include "dot.h"

namespace vigil {

struct Pool {
  int64_t map;         // the first pixel's first byte; its first quarter of channels is there
  int64_t down;        // bytes to the pixel below
  int64_t right;
  int64_t scratch;     // (height, width, quarter) bytes
  int32_t height, width;
  int32_t quarter;     // bytes of the channels that are pooled, a multiple of 16
};

// The largest of up to five neighbours along one direction, `from` and `to` at the line's first element.
template <class Kind>
void pool_line(const uint8_t* from, int64_t from_step, uint8_t* to, int64_t to_step, int count) {
  for (int i = 0; i < count; ++i) {
    __m128i most = _mm_setzero_si128();
    for (int j = std::max(0, i - 2); j <= std::min(count - 1, i + 2); ++j) {
      most = Kind::larger(most, _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + j * from_step)));
    }
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i * to_step), most);
  }
}

template <class Kind>
void pool(const Pool& p, uint8_t* space) {
  const int64_t line = int64_t{p.width} * p.quarter;
  for (int level = 0; level < 3; ++level) {
    const uint8_t* from = space + p.map + level * p.quarter;
    uint8_t* to = space + p.map + (level + 1) * p.quarter;
    uint8_t* scratch = space + p.scratch;
    for (int channel = 0; channel < p.quarter; channel += 16) {
      for (int y = 0; y < p.height; ++y) {
        pool_line<Kind>(from + y * p.down + channel, p.right, scratch + y * line + channel, p.quarter, p.width);
      }
      for (int x = 0; x < p.width; ++x) {
        pool_line<Kind>(scratch + x * p.quarter + channel, line, to + x * p.right + channel, p.down, p.height);
      }
    }
  }
}

}  // namespace vigil
