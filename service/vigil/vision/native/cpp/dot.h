// The two dot products that the kernels are made of. Both take four bytes of a pixel's channels at a time:
// four of uint8 by int8 summed in int32 (AVX512-VNNI), or two of bfloat16 summed in float32 (AVX512-BF16).
// So maps, weights and loops are laid out in bytes, the same for both.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace vigil {

constexpr int kLanes = 16;   // output channels that a vector of sums holds
constexpr int kGroup = 4;    // bytes of input that one lane multiplies at once

// Inline assembly, because GCC 12 moves the intrinsics' sums between registers and to the stack: 0.8 dot
// products a cycle instead of the 2.0 that a Zen 5 can do.
struct Bytes {
  static inline __m512i dot(__m512i sum, __m512i pixel, __m512i weights) {
    asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(pixel), "v"(weights));
    return sum;
  }
  static inline __m512i add(__m512i a, __m512i b) { return _mm512_add_epi32(a, b); }
  static inline __m512i subtract(__m512i a, __m512i b) { return _mm512_sub_epi32(a, b); }
  static inline __m512 scaled(__m512i sum, __m512 scale, __m512 bias) {
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), scale, bias);
  }
  static inline __m512i larger(__m512i a, __m512i b) { return _mm512_max_epu8(a, b); }
};

struct Halves {
  static inline __m512i dot(__m512i sum, __m512i pixel, __m512i weights) {
    asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(pixel), "v"(weights));
    return sum;
  }
  static inline __m512i add(__m512i a, __m512i b) {
    return _mm512_castps_si512(_mm512_add_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b)));
  }
  static inline __m512i subtract(__m512i a, __m512i b) {
    return _mm512_castps_si512(_mm512_sub_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b)));
  }
  static inline __m512 scaled(__m512i sum, __m512, __m512 bias) {
    return _mm512_add_ps(_mm512_castsi512_ps(sum), bias);
  }
  // What comes out of a ReLU is not negative, and then bfloat16 is ordered as its bits are.
  static inline __m512i larger(__m512i a, __m512i b) { return _mm512_max_epu16(a, b); }
};

}  // namespace vigil
