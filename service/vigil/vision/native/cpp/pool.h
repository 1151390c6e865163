// Three 5×5 maxima in a row, each of the one before, side by side in one map: `PyramidPool`'s.
#pragma once

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

// The largest of up to five neighbours along a line of `count`, for up to 64 bytes of channels.
template <class Kind>
void pool_line(const uint8_t* from, int64_t from_step, uint8_t* to, int64_t to_step, int count, __mmask64 mask) {
  const auto at = [&](int i) {
    return i < count ? _mm512_maskz_loadu_epi8(mask, from + i * from_step) : _mm512_setzero_si512();
  };
  // what is outside is zero, which is the least there is
  __m512i a = _mm512_setzero_si512(), b = a, c = at(0), d = at(1);
  for (int i = 0; i < count; ++i) {
    const __m512i e = at(i + 2);
    const __m512i most = Kind::larger(Kind::larger(Kind::larger(a, b), Kind::larger(c, d)), e);
    _mm512_mask_storeu_epi8(to + i * to_step, mask, most);
    a = b, b = c, c = d, d = e;
  }
}

template <class Kind>
void pool(const Pool& p, uint8_t* space) {
  const int64_t line = int64_t{p.width} * p.quarter;
  uint8_t* scratch = space + p.scratch;
  for (int level = 0; level < 3; ++level) {
    const uint8_t* from = space + p.map + level * p.quarter;
    uint8_t* to = space + p.map + (level + 1) * p.quarter;
    for (int channel = 0; channel < p.quarter; channel += 64) {
      const int left = p.quarter - channel;
      const __mmask64 mask = left >= 64 ? ~0ull : (1ull << left) - 1;
      for (int y = 0; y < p.height; ++y) {
        pool_line<Kind>(from + y * p.down + channel, p.right, scratch + y * line + channel, p.quarter, p.width, mask);
      }
      for (int x = 0; x < p.width; ++x) {
        pool_line<Kind>(scratch + x * p.quarter + channel, line, to + x * p.right + channel, p.down, p.height, mask);
      }
    }
  }
}

}  // namespace vigil
