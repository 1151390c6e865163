// 3×3 convolutions with two thirds of the products: F(2, 3) of Winograd's along the rows (arXiv:1509.09308).
//
// Two outputs beside each other need four inputs d0 … d3 and three weights g0 … g2 of a row. Instead of their six products:
//
//   m0 = (d0 - d2) g0                    out0 = m0 + m1 + m2
//   m1 = (d1 + d2) (g0 + g1 + g2) / 2    out1 = m1 - m2 + m3
//   m2 = (d2 - d1) (g0 - g1 + g2) / 2
//   m3 = (d1 - d3) (-g2)
//
// `spread` makes the four terms of inputs, once for all output channels; those of weights come with the plan. Rows and
// channels are summed within each m as ever. In 8 bits inputs reach 127 only, so that every term is a byte, and nothing is
// rounded on the way: what is signed is a byte with 128 for zero, and the biases make up for it. The other direction, too,
// would be 4/9 of the products instead of 2/3, but terms of ten bits.
#pragma once

#include "convolution.h"

namespace vigil {

constexpr int kTerms = 4;

struct Spread {
  int64_t input;     // the pixel above and to the left of the first output
  int64_t down;      // bytes to the pixel below
  int64_t right;
  int64_t output;    // (rows, pairs, 4 terms, channels)
  int32_t rows;      // of the input, two more than of the output
  int32_t pairs;     // of outputs in a row
  int32_t channels;  // bytes, a multiple of 16
  int32_t unused;
};

template <int kVectors, class Do>
[[gnu::always_inline]] inline void for_each(Do&& what) {
#pragma GCC unroll 8
  for (int p = 0; p < kPixels; ++p) {
#pragma GCC unroll 3
    for (int n = 0; n < kVectors; ++n) what(p, n);
  }
}

// Some of a pixel's channels: 64, 32 or 16 bytes, or 32 or 16 halves. What is signed and a byte has 128 for zero.
struct Bytes64 {
  __m512i v;
  static Bytes64 load(const uint8_t* from) { return {_mm512_loadu_si512(from)}; }
  void save(uint8_t* to) const { _mm512_storeu_si512(to, v); }
  Bytes64 operator+(Bytes64 o) const { return {_mm512_add_epi8(v, o.v)}; }
  Bytes64 operator-(Bytes64 o) const { return {_mm512_xor_si512(_mm512_sub_epi8(v, o.v), _mm512_set1_epi8(-128))}; }
};

struct Bytes32 {
  __m256i v;
  static Bytes32 load(const uint8_t* from) { return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))}; }
  void save(uint8_t* to) const { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), v); }
  Bytes32 operator+(Bytes32 o) const { return {_mm256_add_epi8(v, o.v)}; }
  Bytes32 operator-(Bytes32 o) const { return {_mm256_xor_si256(_mm256_sub_epi8(v, o.v), _mm256_set1_epi8(-128))}; }
};

struct Bytes16 {
  __m128i v;
  static Bytes16 load(const uint8_t* from) { return {_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))}; }
  void save(uint8_t* to) const { _mm_storeu_si128(reinterpret_cast<__m128i*>(to), v); }
  Bytes16 operator+(Bytes16 o) const { return {_mm_add_epi8(v, o.v)}; }
  Bytes16 operator-(Bytes16 o) const { return {_mm_xor_si128(_mm_sub_epi8(v, o.v), _mm_set1_epi8(-128))}; }
};

struct Halves16 {
  __m512 v;
  static Halves16 load(const uint8_t* from) {
    const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16))};
  }
  void save(uint8_t* to) const { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), (__m256i)_mm512_cvtneps_pbh(v)); }
  Halves16 operator+(Halves16 o) const { return {_mm512_add_ps(v, o.v)}; }
  Halves16 operator-(Halves16 o) const { return {_mm512_sub_ps(v, o.v)}; }
};

// The even ones, and after them the odd ones: so they come apart and together again by single instructions, and the weights
// are in that order, too.
struct Halves32 {
  __m512 even, odd;
  static Halves32 load(const uint8_t* from) {
    const __m512i halves = _mm512_loadu_si512(from);
    return {_mm512_castsi512_ps(_mm512_slli_epi32(halves, 16)),
            _mm512_castsi512_ps(_mm512_and_si512(halves, _mm512_set1_epi32(-65536)))};
  }
  void save(uint8_t* to) const { _mm512_storeu_si512(to, (__m512i)_mm512_cvtne2ps_pbh(odd, even)); }
  Halves32 operator+(Halves32 o) const { return {_mm512_add_ps(even, o.even), _mm512_add_ps(odd, o.odd)}; }
  Halves32 operator-(Halves32 o) const { return {_mm512_sub_ps(even, o.even), _mm512_sub_ps(odd, o.odd)}; }
};

template <class Some>
inline void spread_row(const Spread& s, const uint8_t* from, uint8_t* to) {
  const int64_t term = s.channels;
  Some d0 = Some::load(from), d1 = Some::load(from + s.right);
  for (int pair = 0; pair < s.pairs; ++pair, from += 2 * s.right, to += kTerms * term) {
    const Some d2 = Some::load(from + 2 * s.right), d3 = Some::load(from + 3 * s.right);
    (d0 - d2).save(to);
    (d1 + d2).save(to + term);
    (d2 - d1).save(to + 2 * term);
    (d1 - d3).save(to + 3 * term);
    d0 = d2, d1 = d3;
  }
}

template <class Kind>
void spread(const Spread& s, uint8_t* space) {
  for (int row = 0; row < s.rows; ++row) {
    const uint8_t* from = space + s.input + row * s.down;
    uint8_t* to = space + s.output + int64_t{row} * s.pairs * kTerms * s.channels;
    for (int channel = 0, some; channel < s.channels; channel += some) {
      const int left = s.channels - channel;
      using Half = std::is_same<Kind, Halves>;
      some = left >= 64 ? 64 : left >= 32 ? 32 : 16;
      switch (some) {
        case 64: spread_row<std::conditional_t<Half::value, Halves32, Bytes64>>(s, from + channel, to + channel); break;
        case 32: spread_row<std::conditional_t<Half::value, Halves16, Bytes32>>(s, from + channel, to + channel); break;
        default: spread_row<Bytes16>(s, from + channel, to + channel);  // never halves
      }
    }
  }
}

// Outputs from terms. `c` is of pairs: `c.width`, and `c.output_right` from pair to pair; `c.weights` has those of m1, m2, m0
// and m3 one after another, `c.bias` those of out0 and of out1.
//
// m1 + m2 and m1 - m2 are what the sums of m0 and m3 begin at, so that a block ends as any other does.
template <class Kind, Ending kEnding, int kVectors>
void convolve_pairs(const Convolution& c, uint8_t* space, uint8_t* nowhere) {
  alignas(64) __m512i kept[kPixels][kVectors];
  const int64_t run = c.run;
  Walk walk(c, space, nowhere);
  Pixels at;
  for (int left = c.height * c.width; left > 0; left -= kPixels) {
    walk.next(at, left);
    {
      __m512i sums[kPixels][kVectors] = {};
      const uint8_t* w = multiply<Kind, kVectors>(sums, c, at, run, c.weights);
      for_each<kVectors>([&](int p, int n) { kept[p][n] = sums[p][n], sums[p][n] = _mm512_setzero_si512(); });
      w = multiply<Kind, kVectors>(sums, c, at, 2 * run, w);
      for_each<kVectors>([&](int p, int n) {
        const __m512i m1 = kept[p][n], m2 = sums[p][n];
        kept[p][n] = Kind::subtract(m1, m2), sums[p][n] = Kind::add(m1, m2);
      });
      multiply<Kind, kVectors>(sums, c, at, 0, w);
      finish<Kind, kEnding, kVectors>(sums, c, c.bias, at, Answers{});
    }
    __m512i sums[kPixels][kVectors];
    for_each<kVectors>([&](int p, int n) { sums[p][n] = kept[p][n]; });
    multiply<Kind, kVectors>(sums, c, at, 3 * run, c.weights + 3 * int64_t{c.rows} * run * kLanes * kVectors);
    for (int p = 0; p < kPixels; ++p) {
      const bool none = c.odd && (at.x + p) % c.width == c.width - 1;
      at.output[p] = none ? nowhere : at.output[p] + c.output_right / 2;
    }
    finish<Kind, kEnding, kVectors>(sums, c, c.bias + kVectors * kLanes, at, Answers{});
  }
}

template <class Kind, Ending kEnding>
void convolve_pairs(const Convolution& c, uint8_t* space, uint8_t* nowhere) {
  switch (c.vectors) {
    case 1: return convolve_pairs<Kind, kEnding, 1>(c, space, nowhere);
    case 2: return convolve_pairs<Kind, kEnding, 2>(c, space, nowhere);
    case 3: return convolve_pairs<Kind, kEnding, 3>(c, space, nowhere);
  }
}

template <class Kind>
void convolve_pairs(const Convolution& c, uint8_t* space, uint8_t* nowhere) {
  if (c.ending == Ending::kAddTo) return convolve_pairs<Kind, Ending::kAddTo>(c, space, nowhere);
  return convolve_pairs<Kind, Ending::kStore>(c, space, nowhere);
}

}  // namespace vigil
