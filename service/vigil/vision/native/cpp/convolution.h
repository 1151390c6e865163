// A convolution of one picture's map, NHWC, with all that follows it before its outputs are stored.
#pragma once

#include <type_traits>

#include "dot.h"

namespace vigil {

constexpr int kPixels = 8;  // outputs of a row that a block computes at once, see `convolve`

// What becomes of a convolution's sums.
enum class Ending : int32_t {
  kStore = 0,       // relu, then one element a channel
  kAddTo = 1,       // relu, added to what is in the output already: a bottleneck's sum
  kOntoBelow = 2,   // added to a coarser map of floats, relu, stored: the pyramid's way down
  kFloats = 3,      // stored as float32: such a coarser map
  kBoxes = 4,       // class logits and, by exponential, boxes: the heads
};

// All offsets and steps in bytes, of a picture's workspace.
struct Convolution {
  int64_t input;        // the first byte that the first output reads
  int64_t input_row;    // from a kernel's row to the next
  int64_t input_down;   // from an output's first byte to that of the output below
  int64_t input_right;  // ... to the right
  int64_t output;
  int64_t output_down;
  int64_t output_right;
  int64_t below;        // kOntoBelow: float32, half as high and wide
  int64_t below_down;
  int64_t below_right;
  const uint8_t* weights;  // (rows, run / 4, vectors, 16, 4 bytes)
  const float* scale;      // (vectors, 16): from sums to the output's steps
  const float* bias;       // (vectors, 16), in the output's steps
  int32_t height, width;   // of the output
  int32_t rows;            // of the kernel
  int32_t run;             // bytes that a kernel's row reads, its columns and channels one after another
  int32_t vectors;         // output channels / 16: 1 to 3
  Ending ending;
  int32_t cells;           // kBoxes: the first cell's number
  float stride;            // kBoxes: pixels a cell
};

// Where a picture's answers go.
struct Answers {
  float* logits;  // (A, classes)
  float* boxes;   // (A, 4) xyxy, input pixels
  int classes;
};

// The outputs of a block, one after another along the rows of a map.
struct Pixels {
  const uint8_t* input[kPixels];
  uint8_t* output[kPixels];
  const uint8_t* below[kPixels];
  int x, y;  // of the first
  int count;
};

// e^v to 2e-7 of its value: 2^n by the exponent's bits, the rest by a polynomial (Cephes' expf).
inline __m512 exponential(__m512 v) {
  v = _mm512_max_ps(v, _mm512_set1_ps(-87.0f));
  const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(v, _mm512_set1_ps(1.44269504f)), 0);
  __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), v);
  r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
  __m512 p = _mm512_set1_ps(1.9875691500e-4f);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.3981999507e-3f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(8.3334519073e-3f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(4.1665795894e-2f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.6666665459e-1f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.0000001201e-1f));
  p = _mm512_fmadd_ps(p, _mm512_mul_ps(r, r), _mm512_add_ps(r, _mm512_set1_ps(1.0f)));
  return _mm512_scalef_ps(p, n);
}

// Four pixels' sixteen channels, in steps, as bytes: pixel after pixel. Saturation is the ReLU.
inline __m512i as_bytes(const __m512 (&v)[4]) {
  const __m512i low = _mm512_packs_epi32(_mm512_cvtps_epi32(v[0]), _mm512_cvtps_epi32(v[1]));
  const __m512i high = _mm512_packs_epi32(_mm512_cvtps_epi32(v[2]), _mm512_cvtps_epi32(v[3]));
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  return _mm512_permutexvar_epi32(order, _mm512_packus_epi16(low, high));
}

template <bool kAdd>
inline void store_bytes(const __m512 (&v)[4], uint8_t* const* output, int channel) {
  const __m512i bytes = as_bytes(v);
  const __m128i parts[4] = {
      _mm512_castsi512_si128(bytes), _mm512_extracti32x4_epi32(bytes, 1),
      _mm512_extracti32x4_epi32(bytes, 2), _mm512_extracti32x4_epi32(bytes, 3)};
#pragma GCC unroll 4
  for (int p = 0; p < 4; ++p) {
    auto* to = reinterpret_cast<__m128i*>(output[p] + channel);
    _mm_storeu_si128(to, kAdd ? _mm_adds_epu8(parts[p], _mm_loadu_si128(to)) : parts[p]);
  }
}

template <bool kAdd>
inline void store_halves(__m512 v, uint8_t* output, int channel) {
  auto* to = reinterpret_cast<__m256i*>(output + 2 * channel);
  v = _mm512_max_ps(v, _mm512_setzero_ps());
  if (kAdd) {
    const __m512i there = _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(to)), 16);
    v = _mm512_add_ps(v, _mm512_castsi512_ps(there));
  }
  _mm256_storeu_si256(to, (__m256i)_mm512_cvtneps_pbh(v));
}

// A cell's class logits and its box: distances in strides from its centre, as `boxes_xyxy` has them.
inline void store_box(__m512 v, const Convolution& c, const Answers& answers, int x, int y) {
  const int64_t cell = c.cells + int64_t{y} * c.width + x;
  const __mmask16 logits = (1u << answers.classes) - 1;
  _mm512_mask_storeu_ps(answers.logits + cell * answers.classes, logits, v);
  const __m512 reach = exponential(_mm512_min_ps(v, _mm512_set1_ps(6.0f)));
  const __m512 four = _mm512_maskz_compress_ps(0xf << answers.classes, reach);
  const __m128 centre = _mm_mul_ps(_mm_setr_ps(x + 0.5f, y + 0.5f, x + 0.5f, y + 0.5f), _mm_set1_ps(c.stride));
  const __m128 steps = _mm_setr_ps(-c.stride, -c.stride, c.stride, c.stride);
  _mm_storeu_ps(answers.boxes + cell * 4, _mm_fmadd_ps(_mm512_castps512_ps128(four), steps, centre));
}

template <class Kind, Ending kEnding, int kVectors>
inline void finish(const __m512i (&sums)[kPixels][kVectors], const Convolution& c, const Pixels& at,
                   const Answers& answers) {
  constexpr bool kBytes = std::is_same_v<Kind, Bytes>;
  constexpr bool kStores = kEnding == Ending::kStore || kEnding == Ending::kAddTo || kEnding == Ending::kOntoBelow;
#pragma GCC unroll 3
  for (int n = 0; n < kVectors; ++n) {
    const int channel = n * kLanes;
    const __m512 bias = _mm512_loadu_ps(c.bias + channel);
    const __m512 scale = kBytes ? _mm512_loadu_ps(c.scale + channel) : bias;
    __m512 v[kPixels];
#pragma GCC unroll 8
    for (int p = 0; p < kPixels; ++p) {
      const __m512 sum = Kind::floats(sums[p][n]);
      v[p] = kBytes ? _mm512_fmadd_ps(sum, scale, bias) : _mm512_add_ps(sum, bias);
      if (kEnding == Ending::kOntoBelow) {
        v[p] = _mm512_add_ps(v[p], _mm512_loadu_ps(at.below[p] + channel * sizeof(float)));
      }
    }
    if constexpr (kStores && kBytes) {
      store_bytes<kEnding == Ending::kAddTo>({v[0], v[1], v[2], v[3]}, at.output, channel);
      store_bytes<kEnding == Ending::kAddTo>({v[4], v[5], v[6], v[7]}, at.output + 4, channel);
    } else {
      int x = at.x, y = at.y;
#pragma GCC unroll 8
      for (int p = 0; p < kPixels; ++p) {
        if constexpr (kStores) {
          store_halves<kEnding == Ending::kAddTo>(v[p], at.output[p], channel);
        } else if constexpr (kEnding == Ending::kFloats) {
          _mm512_storeu_ps(at.output[p] + channel * sizeof(float), v[p]);
        } else if (p < at.count) {
          store_box(v[p], c, answers, x, y);
          if (++x == c.width) x = 0, ++y;
        }
      }
    }
  }
}

// All of a convolution's outputs.
//
// A block is 8 pixels by 16, 32 or 48 channels: its sums, 8 to 24 of the 32 registers, stay there while four
// bytes of each pixel are multiplied at a time. A step takes 8 broadcasts and up to 3 loads for up to 24
// dot products, so that the loads (two a cycle) never hold up the products (two a cycle). Pixels are
// addressed one by one and run on from row to row: no width leaves a remainder but at the map's end, where the last
// pixel is computed again into a place that nobody reads.
template <class Kind, Ending kEnding, int kVectors>
void convolve(const Convolution& c, uint8_t* space, uint8_t* nowhere, const Answers& answers) {
  const int total = c.height * c.width;
  const int64_t run = c.run;
  Pixels at;
  int x = 0, y = 0;
  const uint8_t* input = space + c.input;
  uint8_t* output = space + c.output;
  const uint8_t* below = space + c.below;
  for (int done = 0; done < total; done += kPixels) {
    at.x = x, at.y = y, at.count = total - done;
#pragma GCC unroll 8
    for (int p = 0; p < kPixels; ++p) {
      at.input[p] = input;
      at.output[p] = p < at.count ? output : nowhere;
      at.below[p] = below;
      if (p + 1 >= at.count) continue;
      input += c.input_right, output += c.output_right, ++x;
      if (kEnding == Ending::kOntoBelow && !(x & 1)) below += c.below_right;
      if (x == c.width) {
        x = 0, ++y;
        input = space + c.input + y * c.input_down;
        output = space + c.output + y * c.output_down;
        below = space + c.below + (y >> 1) * c.below_down;
      }
    }
    __m512i sums[kPixels][kVectors] = {};
    const uint8_t* w = c.weights;
    int64_t row = 0;
    for (int r = 0; r < c.rows; ++r, row += c.input_row) {
      for (int64_t k = row; k < row + run; k += kGroup, w += kVectors * 64) {
        __m512i right[kVectors];
#pragma GCC unroll 3
        for (int n = 0; n < kVectors; ++n) right[n] = _mm512_loadu_si512(w + n * 64);
#pragma GCC unroll 8
        for (int p = 0; p < kPixels; ++p) {
          const __m512i left = _mm512_set1_epi32(*reinterpret_cast<const int32_t*>(at.input[p] + k));
#pragma GCC unroll 3
          for (int n = 0; n < kVectors; ++n) sums[p][n] = Kind::dot(sums[p][n], left, right[n]);
        }
      }
    }
    finish<Kind, kEnding, kVectors>(sums, c, at, answers);
  }
}

template <class Kind, Ending kEnding>
void convolve(const Convolution& c, uint8_t* space, uint8_t* nowhere, const Answers& answers) {
  switch (c.vectors) {
    case 1: return convolve<Kind, kEnding, 1>(c, space, nowhere, answers);
    case 2: return convolve<Kind, kEnding, 2>(c, space, nowhere, answers);
    case 3: return convolve<Kind, kEnding, 3>(c, space, nowhere, answers);
  }
}

template <class Kind>
void convolve(const Convolution& c, uint8_t* space, uint8_t* nowhere, const Answers& answers) {
  switch (c.ending) {
    case Ending::kStore: return convolve<Kind, Ending::kStore>(c, space, nowhere, answers);
    case Ending::kAddTo: return convolve<Kind, Ending::kAddTo>(c, space, nowhere, answers);
    case Ending::kOntoBelow: return convolve<Kind, Ending::kOntoBelow>(c, space, nowhere, answers);
    case Ending::kFloats: return convolve<Kind, Ending::kFloats>(c, space, nowhere, answers);
    case Ending::kBoxes: return convolve<Kind, Ending::kBoxes, 1>(c, space, nowhere, answers);
  }
}

}  // namespace vigil
