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
  int32_t most;            // bytes: the largest that is stored
  int32_t odd_width;       // `convolve_terms`: 1 where the last pair of a row is one output
  int32_t odd_height;      // ... where the last row of squares is one of pairs
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

// Four pixels' sixteen channels, in steps, as bytes up to `most`: pixel after pixel. Saturation is the ReLU.
inline __m512i as_bytes(const __m512 (&v)[4], int most) {
  const __m512i low = _mm512_packs_epi32(_mm512_cvtps_epi32(v[0]), _mm512_cvtps_epi32(v[1]));
  const __m512i high = _mm512_packs_epi32(_mm512_cvtps_epi32(v[2]), _mm512_cvtps_epi32(v[3]));
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i bytes = _mm512_min_epu8(_mm512_packus_epi16(low, high), _mm512_set1_epi8(static_cast<char>(most)));
  return _mm512_permutexvar_epi32(order, bytes);
}

template <bool kAdd>
inline void store_bytes(const __m512 (&v)[4], uint8_t* const* output, int channel, int most) {
  const __m512i bytes = as_bytes(v, most);
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

// Four cells' class logits and boxes, of which `count` are there: distances in strides from their centres, as `boxes_xyxy`
// has them. `first` is the number of the first one in what is being computed. Where `more` cells follow, whose answers are written
// later, logits are stored with what comes after them: a masked store takes several times as long.
inline void store_boxes(const __m512* v, const Convolution& c, const Answers& answers, int first, int count, bool more) {
  const __mmask16 logits = (1u << answers.classes) - 1, distances = 0xf << answers.classes;
  const int64_t cell = c.cells + int64_t{first};
  float* to = answers.logits + cell * answers.classes;
  __m512 reach = _mm512_setzero_ps();
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i, to += answers.classes) {
    if (more) {
      _mm512_storeu_ps(to, v[i]);
    } else if (i < count) {
      _mm512_mask_storeu_ps(to, logits, v[i]);
    }
    const __m128 four = _mm512_castps512_ps128(_mm512_maskz_compress_ps(distances, v[i]));
    reach = _mm512_mask_broadcast_f32x4(reach, 0xf << (4 * i), four);
  }
  reach = exponential(_mm512_min_ps(reach, _mm512_set1_ps(6.0f)));
  const __m512 ahead = _mm512_setr_ps(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
  const __m512 number = _mm512_add_ps(_mm512_set1_ps(first + 0.5f), ahead);
  const __m512 width = _mm512_set1_ps(c.width);
  const __m512 row = _mm512_roundscale_ps(_mm512_div_ps(number, width), _MM_FROUND_TO_NEG_INF);
  const __m512 x = _mm512_fnmadd_ps(row, width, number);
  const __m512 y = _mm512_add_ps(row, _mm512_set1_ps(0.5f));
  const __m512 from = _mm512_mask_blend_ps(0xaaaa, x, y);               // x, y, x, y
  const __m512 reached = _mm512_mask_sub_ps(_mm512_add_ps(from, reach), 0x3333, from, reach);
  const __m512 boxes = _mm512_mul_ps(reached, _mm512_set1_ps(c.stride));
  if (count == 4) {
    _mm512_storeu_ps(answers.boxes + cell * 4, boxes);
  } else {
    _mm512_mask_storeu_ps(answers.boxes + cell * 4, (1u << (4 * count)) - 1, boxes);
  }
}

// Eight outputs' channels `channel` to `channel + 15`, whole but for the ReLU, to their places.
template <class Kind, Ending kEnding>
inline void store(const __m512 (&v)[kPixels], const Convolution& c, const Pixels& at, int channel,
                  const Answers& answers) {
  constexpr bool kAdd = kEnding == Ending::kAddTo;
  if constexpr (kEnding == Ending::kFloats) {
#pragma GCC unroll 8
    for (int p = 0; p < kPixels; ++p) _mm512_storeu_ps(at.output[p] + channel * sizeof(float), v[p]);
  } else if constexpr (kEnding == Ending::kBoxes) {
    for (int p = 0; p < kPixels && p < at.count; p += 4) {
      const int count = at.count - p < 4 ? at.count - p : 4;
      // sixteen floats reach over as many cells at most
      store_boxes(v + p, c, answers, at.y * c.width + at.x + p, count, at.count - p >= 4 + kLanes);
    }
  } else if constexpr (std::is_same_v<Kind, Bytes>) {
    store_bytes<kAdd>({v[0], v[1], v[2], v[3]}, at.output, channel, c.most);
    store_bytes<kAdd>({v[4], v[5], v[6], v[7]}, at.output + 4, channel, c.most);
  } else {
#pragma GCC unroll 8
    for (int p = 0; p < kPixels; ++p) store_halves<kAdd>(v[p], at.output[p], channel);
  }
}

// The sums of a block over a kernel's rows, each a run of bytes from every pixel's `input` + `offset` on.
//
// A block is 8 pixels by 16, 32 or 48 channels: its sums, 8 to 24 of the 32 registers, stay there while four
// bytes of each pixel are multiplied at a time. A step takes 8 broadcasts and up to 3 loads for up to 24
// dot products, so that the loads (two a cycle) never hold up the products (two a cycle).
template <class Kind, int kVectors>
[[gnu::always_inline]] inline const uint8_t* multiply(__m512i (&sums)[kPixels][kVectors], const Convolution& c,
                                                      const Pixels& at, int64_t offset, const uint8_t* w) {
  const int64_t run = c.run;
  for (int r = 0; r < c.rows; ++r, offset += c.input_row) {
    for (int64_t k = offset; k < offset + run; k += kGroup, w += kVectors * 64) {
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
  return w;
}

// Walks over a map's outputs, eight at a time. They are addressed one by one and run on from row to row: no width
// leaves a remainder but at the map's end, where the last one is computed again into a place that nobody reads.
class Walk {
 public:
  Walk(const Convolution& c, uint8_t* space, uint8_t* nowhere)
      : c_(c), space_(space), nowhere_(nowhere), input_(space + c.input), output_(space + c.output),
        below_(space + c.below) {}

  [[gnu::always_inline]] inline void next(Pixels& at, int left) {
    at.x = x_, at.y = y_, at.count = left;
#pragma GCC unroll 8
    for (int p = 0; p < kPixels; ++p) {
      at.input[p] = input_;
      at.output[p] = p < left ? output_ : nowhere_;
      at.below[p] = below_;
      if (p + 1 < left) step();
    }
  }

 private:
  [[gnu::always_inline]] inline void step() {
    input_ += c_.input_right, output_ += c_.output_right, ++x_;
    if (!(x_ & 1)) below_ += c_.below_right;
    if (x_ == c_.width) {
      x_ = 0, ++y_;
      input_ = space_ + c_.input + y_ * c_.input_down;
      output_ = space_ + c_.output + y_ * c_.output_down;
      below_ = space_ + c_.below + (y_ >> 1) * c_.below_down;
    }
  }

  const Convolution& c_;
  uint8_t* const space_;
  uint8_t* const nowhere_;
  const uint8_t* input_;
  uint8_t* output_;
  const uint8_t* below_;
  int x_ = 0, y_ = 0;
};

// What becomes of a block's sums.
template <class Kind, Ending kEnding, int kVectors>
[[gnu::always_inline]] inline void finish(const __m512i (&sums)[kPixels][kVectors], const Convolution& c,
                                          const float* biases, const Pixels& at, const Answers& answers) {
#pragma GCC unroll 3
  for (int n = 0; n < kVectors; ++n) {
    const int channel = n * kLanes;
    const __m512 bias = _mm512_loadu_ps(biases + channel);
    const __m512 scale = _mm512_loadu_ps(c.scale + channel);
    __m512 v[kPixels];
#pragma GCC unroll 8
    for (int p = 0; p < kPixels; ++p) {
      v[p] = Kind::scaled(sums[p][n], scale, bias);
      if (kEnding == Ending::kOntoBelow) {
        v[p] = _mm512_add_ps(v[p], _mm512_loadu_ps(at.below[p] + channel * sizeof(float)));
      }
    }
    store<Kind, kEnding>(v, c, at, channel, answers);
  }
}

// All of a convolution's outputs.
template <class Kind, Ending kEnding, int kVectors>
void convolve(const Convolution& c, uint8_t* space, uint8_t* nowhere, const Answers& answers) {
  Walk walk(c, space, nowhere);
  Pixels at;
  for (int left = c.height * c.width; left > 0; left -= kPixels) {
    walk.next(at, left);
    __m512i sums[kPixels][kVectors] = {};
    multiply<Kind, kVectors>(sums, c, at, 0, c.weights);
    finish<Kind, kEnding, kVectors>(sums, c, c.bias, at, answers);
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
