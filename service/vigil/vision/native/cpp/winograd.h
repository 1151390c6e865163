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
// rounded on the way: what is signed is a byte with 128 for zero, and the biases make up for it.
//
// The other direction, too, takes 4/9 of the products: terms of terms, sixteen for a square of four outputs. In bfloat16 that
// is done; in 8 bits they would have nine bits, or inputs six.
#pragma once

#include "convolution.h"

namespace vigil {

// For what is shown a block's sums: by a function that is not inlined they leave the registers, a sixth of the whole net's time.
#define VIGIL_INLINE __attribute__((always_inline))

constexpr int kTerms = 4;  // in a direction

struct Spread {
  int64_t input;     // the pixel above and to the left of the first output
  int64_t down;      // bytes to the pixel below
  int64_t right;
  int64_t output;    // (rows, pairs, 4 terms, channels), of squares (rows, pairs, 4 terms of rows, 4 terms, channels)
  int32_t rows;      // of the input, two more than of the output; of squares
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

// The terms of a row of pairs, `next` bytes from pair to pair. `at` gives the inputs of a column, the first being 0.
template <class Some, class At>
inline void spread_row(const Spread& s, const At& at, uint8_t* to, int64_t next) {
  const int64_t term = s.channels;
  Some d0 = at(0), d1 = at(1);
  for (int pair = 0; pair < s.pairs; ++pair, to += next) {
    const Some d2 = at(2 * pair + 2), d3 = at(2 * pair + 3);
    (d0 - d2).save(to);
    (d1 + d2).save(to + term);
    (d2 - d1).save(to + 2 * term);
    (d1 - d3).save(to + 3 * term);
    d0 = d2, d1 = d3;
  }
}

template <class Some>
inline void spread_pairs(const Spread& s, const uint8_t* from, uint8_t* to) {
  spread_row<Some>(s, [&](int x) { return Some::load(from + x * s.right); }, to, kTerms * int64_t{s.channels});
}

// The terms of a row of bytes, for convolutions of pairs.
inline void spread_bytes(const Spread& s, uint8_t* space) {
  for (int row = 0; row < s.rows; ++row) {
    const uint8_t* from = space + s.input + row * s.down;
    uint8_t* to = space + s.output + int64_t{row} * s.pairs * kTerms * s.channels;
    for (int channel = 0, some; channel < s.channels; channel += some) {
      const int left = s.channels - channel;
      some = left >= 64 ? 64 : left >= 32 ? 32 : 16;
      switch (some) {
        case 64: spread_pairs<Bytes64>(s, from + channel, to + channel); break;
        case 32: spread_pairs<Bytes32>(s, from + channel, to + channel); break;
        default: spread_pairs<Bytes16>(s, from + channel, to + channel);
      }
    }
  }
}

// One of the four terms that the rows of a square's column come to, and the terms of those.
template <int kTerm, class Some>
inline void spread_squares(const Spread& s, const uint8_t* from, uint8_t* to) {
  constexpr int kFirst[] = {0, 1, 2, 1}, kSecond[] = {2, 2, 1, 3};
  const uint8_t* first = from + kFirst[kTerm] * s.down;
  const uint8_t* second = from + kSecond[kTerm] * s.down;
  const auto at = [&](int x) {
    const Some a = Some::load(first + x * s.right), b = Some::load(second + x * s.right);
    return kTerm == 1 ? a + b : a - b;
  };
  spread_row<Some>(s, at, to + kTerm * kTerms * int64_t{s.channels}, kTerms * kTerms * int64_t{s.channels});
}

template <class Some>
inline void spread_squares(const Spread& s, const uint8_t* from, uint8_t* to) {
  spread_squares<0, Some>(s, from, to);
  spread_squares<1, Some>(s, from, to);
  spread_squares<2, Some>(s, from, to);
  spread_squares<3, Some>(s, from, to);
}

// The terms of rows of halves, for convolutions of squares.
inline void spread_halves(const Spread& s, uint8_t* space) {
  for (int row = 0; row < s.rows; ++row) {
    const uint8_t* from = space + s.input + 2 * row * s.down;
    uint8_t* to = space + s.output + int64_t{row} * s.pairs * kTerms * kTerms * s.channels;
    int channel = 0;
    for (; channel + 64 <= s.channels; channel += 64) spread_squares<Halves32>(s, from + channel, to + channel);
    if (channel < s.channels) spread_squares<Halves16>(s, from + channel, to + channel);
  }
}

// The two sums of a block of pairs, from four terms, each a run for each of the kernel's rows, from `offset` on. `begin` gives what
// each sum begins at, `end` takes them. Weights of m1, m2, m0 and m3 lie one after another; gives what follows them.
//
// m1 + m2 and m1 - m2 are what the sums of m0 and m3 begin at, so that a block ends as any other does.
template <class Kind, int kVectors, class Begin, class End>
[[gnu::always_inline]] inline const uint8_t* pairs_of(const Convolution& c, const Pixels& at, int64_t offset, const uint8_t* w,
                                                      const Begin& begin, const End& end) {
  alignas(64) __m512i kept[kPixels][kVectors];
  const int64_t run = c.run;
  {
    __m512i sums[kPixels][kVectors] = {};
    w = multiply<Kind, kVectors>(sums, c, at, offset + run, w);
    for_each<kVectors>([&](int p, int n) VIGIL_INLINE { kept[p][n] = sums[p][n], sums[p][n] = _mm512_setzero_si512(); });
    w = multiply<Kind, kVectors>(sums, c, at, offset + 2 * run, w);
    for_each<kVectors>([&](int p, int n) VIGIL_INLINE {
      const __m512i m1 = kept[p][n], m2 = sums[p][n];
      kept[p][n] = begin(1, p, n, Kind::subtract(m1, m2)), sums[p][n] = begin(0, p, n, Kind::add(m1, m2));
    });
    w = multiply<Kind, kVectors>(sums, c, at, offset, w);
    end(0, sums);
  }
  __m512i sums[kPixels][kVectors];
  for_each<kVectors>([&](int p, int n) VIGIL_INLINE { sums[p][n] = kept[p][n]; });
  w = multiply<Kind, kVectors>(sums, c, at, offset + 3 * run, w);
  end(1, sums);
  return w;
}

// The places of a block's outputs that lie `below` and `right` of its first ones, by one or none.
VIGIL_INLINE inline Pixels beside(const Convolution& c, const Pixels& at, int below, int right, uint8_t* nowhere) {
  Pixels there;  // `input` stays in registers where it is
  const int64_t offset = below * (c.output_down / 2) + right * (c.output_right / 2);
#pragma GCC unroll 8
  for (int p = 0; p < kPixels; ++p) {
    bool none = p >= at.count;
    if (c.odd_width & right) none |= (at.x + p) % c.width == c.width - 1;
    if (c.odd_height & below) none |= at.y + (at.x + p) / c.width == c.height - 1;
    there.output[p] = none ? nowhere : at.output[p] + offset;
  }
  return there;
}

// Outputs of bytes from terms along the rows. `c` is of pairs: `c.width`, and `c.output_right` from pair to pair; `c.bias` has
// those of out0 and of out1.
template <Ending kEnding, int kVectors>
void convolve_terms(const Convolution& c, uint8_t* space, uint8_t* nowhere, Bytes) {
  Walk walk(c, space, nowhere);
  Pixels at;
  for (int left = c.height * c.width; left > 0; left -= kPixels) {
    walk.next(at, left);
    const auto begin = [](int, int, int, __m512i sum) VIGIL_INLINE { return sum; };
    const auto end = [&](int right, const __m512i (&sums)[kPixels][kVectors]) VIGIL_INLINE {
      finish<Bytes, kEnding, kVectors>(sums, c, c.bias + right * kVectors * kLanes, beside(c, at, 0, right, nowhere), Answers{});
    };
    pairs_of<Bytes, kVectors>(c, at, 0, c.weights, begin, end);
  }
}

// Outputs of halves from terms in both directions. `c` is of squares: `c.height` and `c.width`, and `c.output_down` and
// `c.output_right` from square to square.
//
// What a square's rows come to is to its outputs as the m above are to a pair, and is summed in that order, too.
template <Ending kEnding, int kVectors>
void convolve_terms(const Convolution& c, uint8_t* space, uint8_t* nowhere, Halves) {
  using Sums = __m512i[kPixels][kVectors];
  alignas(64) Sums upper[2], lower[2];  // what the terms 1 and 2 of rows add to the upper and the lower outputs
  const int64_t row = kTerms * int64_t{c.run};
  const auto as_is = [](int, int, int, __m512i sum) VIGIL_INLINE { return sum; };
  Walk walk(c, space, nowhere);
  Pixels at;
  for (int left = c.height * c.width; left > 0; left -= kPixels) {
    walk.next(at, left);
    const uint8_t* w = c.weights;
    w = pairs_of<Halves, kVectors>(c, at, row, w, as_is, [&](int right, const Sums& sums) VIGIL_INLINE {
      for_each<kVectors>([&](int p, int n) VIGIL_INLINE { upper[right][p][n] = sums[p][n]; });
    });
    w = pairs_of<Halves, kVectors>(c, at, 2 * row, w, as_is, [&](int right, const Sums& sums) VIGIL_INLINE {
      for_each<kVectors>([&](int p, int n) VIGIL_INLINE {
        const __m512i m1 = upper[right][p][n], m2 = sums[p][n];
        upper[right][p][n] = Halves::add(m1, m2), lower[right][p][n] = Halves::subtract(m1, m2);
      });
    });
    const auto outputs = [&](const Sums (&begun)[2], int64_t offset, int below) VIGIL_INLINE {
      const auto begin = [&](int right, int p, int n, __m512i sum) VIGIL_INLINE { return Halves::add(sum, begun[right][p][n]); };
      w = pairs_of<Halves, kVectors>(c, at, offset, w, begin, [&](int right, const Sums& sums) VIGIL_INLINE {
        finish<Halves, kEnding, kVectors>(sums, c, c.bias, beside(c, at, below, right, nowhere), Answers{});
      });
    };
    outputs(upper, 0, 0);
    outputs(lower, 3 * row, 1);
  }
}

template <class Kind, Ending kEnding>
void convolve_terms(const Convolution& c, uint8_t* space, uint8_t* nowhere) {
  switch (c.vectors) {
    case 1: return convolve_terms<kEnding, 1>(c, space, nowhere, Kind{});
    case 2: return convolve_terms<kEnding, 2>(c, space, nowhere, Kind{});
    case 3: return convolve_terms<kEnding, 3>(c, space, nowhere, Kind{});
  }
}

template <class Kind>
void convolve_terms(const Convolution& c, uint8_t* space, uint8_t* nowhere) {
  if (c.ending == Ending::kAddTo) return convolve_terms<Kind, Ending::kAddTo>(c, space, nowhere);
  return convolve_terms<Kind, Ending::kStore>(c, space, nowhere);
}

}  // namespace vigil
